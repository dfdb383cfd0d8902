"""Files of texts in, files of token ids out: in bounded memory, on all cores, and to be gone on with after a stop.

One thread reads and writes, the others tokenize: each takes a chunk of a few megabytes, and what
they give is written in the order of the texts. Until all is done the output lies in a folder
beside its place, ``.NAME.partial``, with a note on how far it is good; nothing half done ever has
the output's name.

>>> import tempfile, pathlib, numpy
>>> from viterbi_sampling import Tokenizer
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> _ = (folder / "corpus.txt").write_text("a line\\nanother line\\n")
>>> job = Tokenize(Tokenizer.default())
>>> tokenize_files([folder / "corpus.txt"], folder / "ids.npy", job).rows
2
>>> offsets = numpy.load(folder / "ids.offsets.npy")
>>> numpy.load(folder / "ids.npy")[: offsets[1]].tolist() == Tokenizer.default().encode("a line")
True
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from viterbi_sampling.arguments import rows_of, thread_count
from viterbi_sampling.pipelines import reading, writing
from viterbi_sampling.pipelines.arrow import HASH, Tokenize, pyarrow
from viterbi_sampling.pipelines.reading import Chunk, Columns
from viterbi_sampling.pipelines.writing import Writer

CHECKPOINT_BYTES = {"lines": 1 << 28, "npy": 1 << 28, "bin": 1 << 28, "parquet": 1 << 32, "arrow": 1 << 32}
"""After so much input the output can be gone on with: seldom for files that cannot grow once they have been left."""

PathLike = str | os.PathLike[str]
Progress = Callable[["Place", int], None]


@dataclass(frozen=True)
class Place:
    """How far a run is.

    file, position : the number of the input file, and where in it the next chunk begins
    rows, tokens : what has been written (a row of the input counts once for each of its samples)
    first_row : the number of the next row of all inputs
    """

    file: int = 0
    position: int = 0
    rows: int = 0
    tokens: int = 0
    first_row: int = 0


def tokenize_files(
    inputs: Sequence[PathLike],
    output: PathLike,
    job: Tokenize,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    resume: bool = False,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Place:
    """Tokenize the texts of all `inputs`, one after the other, into one `output`. Gives the number of rows and tokens.

    inputs : files, and folders, whose files are taken in the order of their names; "-" is standard
        input. Lines of text, JSON lines, CSV, Parquet and Arrow files, as their names say, or
        `read_as` for all; gzip and Zstandard are told from the content
    output : ``.npy``, ``.bin``, ``.parquet`` or ``.arrow``, see `viterbi_sampling.pipelines.writing`; anything else,
        and "-", which is standard output, are lines of numbers. `write_as` says it whatever the name
    job : what is done, with `column` for the texts; its `keep_columns` is for Parquet and Arrow files.
        A sample's row number counts the rows of all inputs
    resume : go on where an interrupted run with the same inputs and settings stopped; ValueError
        names what is different. Without it, what such a run left is thrown away
    progress : is called after each chunk with the place and the number of bytes read

    A row that cannot be tokenized is a ValueError or TypeError with the file and its row. Memory: a
    few chunks of 4 MB for each thread, more where single rows are longer.
    """
    files = reading.files_in([os.fspath(path) for path in inputs])
    run = _Run(files, os.fspath(output), job, read_as, write_as, thread_count(num_threads), progress)
    return run(resume)


class _Run:
    def __init__(
        self,
        files: list[str],
        output: str,
        job: Tokenize,
        read_as: str | None,
        write_as: str | None,
        threads: int,
        progress: Progress | None,
    ) -> None:
        self.files, self.threads, self.progress = files, threads, progress
        self.formats = [_checked(read_as or reading.format_of(path), reading.READERS, "read_as") for path in files]
        told = writing.FORMATS.get(Path(output).suffix, "lines")
        self.write_as = _checked(write_as or told, CHECKPOINT_BYTES, "write_as")
        self.columnar = self.write_as in writing.COLUMNAR
        self.job = replace(job, num_threads=1, keep_columns=job.keep_columns if self.columnar else False)
        if not self.columnar:
            for setting in ("with_offsets", "with_log_probs", "with_length"):
                if getattr(job, setting):
                    raise ValueError(f"{setting}: the output must be a Parquet or an Arrow file")
            if not isinstance(job.keep_columns, bool) and job.keep_columns:
                raise ValueError("keep_columns: the output must be a Parquet or an Arrow file")
        named = () if isinstance(self.job.keep_columns, bool) else self.job.keep_columns
        keys = () if self.job.index in (None, HASH) else (self.job.index,)
        others = tuple(name for name in dict.fromkeys([*named, *keys]) if name != self.job.column)
        if others and "lines" in self.formats:
            raise ValueError(f"lines of text have no column {others[0]!r}")
        self.columns = Columns(self.job.column, None if self.job.keep_columns is True else others)
        self.output = output if output == writing.STANDARD_OUTPUT else os.path.realpath(output)
        self.direct = output == writing.STANDARD_OUTPUT or (os.path.exists(output) and not os.path.isfile(output))
        if self.direct and self.write_as != "lines":
            raise ValueError(f"{output}: only lines can be written to what is no regular file, not {self.write_as}")
        self.folder = Path(self.output).with_name(f".{Path(self.output).name}.partial")
        self.note = self.folder / "note.json"

    def __call__(self, resume: bool) -> Place:
        place, state = self._left() if resume else (Place(), None)
        if not self.direct:
            if state is None:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(exist_ok=True)
        writer = self._writer(state)
        try:
            place = self._tokenize(writer, place)
            written = writer.close()
        except BaseException:
            with contextlib.suppress(Exception):
                writer.abandon()
            raise
        for file, name in written:
            os.replace(file, name)
        if not self.direct:
            shutil.rmtree(self.folder)
        return place

    def _writer(self, state: dict[str, Any] | None) -> Writer:
        if self.write_as == "lines":
            return writing.LineWriter(None if self.direct else self.folder, self.output, state)
        if self.write_as == "npy":
            return writing.ArrayWriter(self.folder, self.output, state)
        if self.write_as == "bin":
            return writing.TokenFileWriter(self.folder, self.output, state, len(self.job.loaded))
        bare = replace(self.job, keep_columns=False).schema(pyarrow().schema([]))
        return writing.ColumnWriter(self.folder, self.output, state, self.write_as == "parquet", bare)

    # -- the work ------------------------------------------------------------------------------------

    def _tokenize(self, writer: Writer, place: Place) -> Place:
        """Read, tokenize and write from `place` on; gives the place at the end."""
        waiting: deque[tuple[int, Chunk, Future[tuple[int, int, Any]]]] = deque()
        noted, read = 0, 0

        def take() -> None:
            nonlocal place, noted, read
            file, chunk, future = waiting.popleft()
            rows, tokens, prepared = future.result()
            writer.write(prepared)
            same = file == place.file and chunk.read >= read
            step = chunk.read - read if same else chunk.read
            place = Place(file, chunk.end, place.rows + rows, place.tokens + tokens, place.first_row + chunk.rows)
            read, noted = chunk.read, noted + step
            if self.progress:
                self.progress(place, step)
            if noted >= CHECKPOINT_BYTES[self.write_as]:
                self._note(writer, place)
                noted = 0

        with ThreadPoolExecutor(self.threads) as pool:
            try:
                first_row = place.first_row
                for file, chunk in self._chunks(place):
                    waiting.append((file, chunk, pool.submit(self._work, writer, file, chunk, first_row)))
                    first_row += chunk.rows
                    while len(waiting) > 2 * self.threads or (waiting and waiting[0][2].done()):
                        take()
                while waiting:
                    take()
            except BaseException:
                for _, _, future in waiting:
                    future.cancel()
                with contextlib.suppress(Exception):
                    self._note(writer, place)
                raise
        return place

    def _chunks(self, place: Place) -> Iterator[tuple[int, Chunk]]:
        for file in range(place.file, len(self.files)):
            start = place.position if file == place.file else 0
            try:
                for chunk in reading.READERS[self.formats[file]].chunks(self.files[file], start, self.columns):
                    yield file, chunk
            except (ValueError, EOFError, zlib.error) as error:
                raise ValueError(f"{self.files[file]}: {error}") from None
            except OSError as error:
                if error.filename is not None:
                    raise
                raise ValueError(f"{self.files[file]}: {error}") from None  # broken compression

    def _work(self, writer: Writer, file: int, chunk: Chunk, first_row: int) -> tuple[int, int, Any]:
        """(rows, tokens, what the writer takes) of one chunk."""
        try:
            texts, columns = reading.READERS[self.formats[file]].open_chunk(chunk.content, self.columns)
            if self.columnar and columns is not None:
                table = self.job(columns, first_row=first_row)
                tokens = table.column(table.schema.names.index(self.job.output)).values
                return table.num_rows, len(tokens), writer.prepare(table)
            rows = self.job.texts(columns) if texts is None else rows_of(texts)
            nulls = rows.nulls()
            if nulls is not None and not self.columnar:
                raise ValueError(
                    f"row {int(nulls.argmax())} of texts is null, which only Parquet and Arrow files can hold"
                )
            ids = self.job.segment(rows, columns=columns, first_row=first_row)
            return len(ids), len(ids.ids), writer.prepare(self.job.batch(ids) if self.columnar else ids)
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.files[file]}, rows counted from {first_row}: {error}") from None

    # -- the note on how far the output is good ---------------------------------------------------------

    def _note(self, writer: Writer, place: Place) -> None:
        if self.direct:
            return
        note = {"run": self._identity(), "place": asdict(place), "writer": writer.checkpoint()}
        new = self.note.with_suffix(".new")
        new.write_text(json.dumps(note), encoding="utf-8")
        os.replace(new, self.note)

    def _left(self) -> tuple[Place, dict[str, Any] | None]:
        """What an interrupted run left, if it left anything."""
        if self.direct or not self.note.exists():
            return Place(), None
        note = json.loads(self.note.read_text(encoding="utf-8"))
        for name, value in self._identity().items():
            if note["run"].get(name) != value:
                raise ValueError(
                    f"{self.folder} was left by a run with another {name}: {note['run'].get(name)!r}, now {value!r}"
                )
        return Place(**note["place"]), note["writer"]

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on with another's output."""
        settings = {field.name: getattr(self.job, field.name) for field in fields(self.job)}
        del settings["num_threads"], settings["tokenizer"]
        stats = [(path, os.stat(path)) for path in self.files if path != reading.STANDARD_INPUT]
        return json.loads(  # type: ignore[no-any-return]
            json.dumps(
                {
                    "model": hashlib.sha256(pickle.dumps(self.job.loaded)).hexdigest(),
                    **settings,
                    "write_as": self.write_as,
                    "formats": self.formats,
                    "inputs": [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats],
                }
            )
        )


def _checked(name: str, known: Any, argument: str) -> str:
    if name not in known:
        raise ValueError(f"{argument} must be one of {', '.join(known)}, got {name!r}")
    return name
