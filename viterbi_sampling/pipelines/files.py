"""Files of texts in, files of token ids out: in bounded memory, on all cores, and to be gone on with after a stop.

One thread reads, one writes, the others tokenize: each takes a chunk of a few megabytes, and what
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
from functools import cached_property
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

    def after(self, file: int, chunk: Chunk, rows: int, tokens: int) -> Place:
        """The place after a chunk of a file, of which so many rows and tokens were made."""
        return Place(file, chunk.end, self.rows + rows, self.tokens + tokens, self.first_row + chunk.rows)


def tokenize_files(
    inputs: Sequence[PathLike],
    output: PathLike,
    job: Tokenize,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    compression: str = "zstd",
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
    compression : of a Parquet file: "zstd", "snappy", or "none", which is twice as fast and makes files twice as large
    resume : go on where an interrupted run with the same inputs and settings stopped; ValueError
        names what is different. Without it, what such a run left is thrown away
    progress : is called after each chunk with the place and the number of bytes read

    A row that cannot be tokenized is a ValueError or TypeError with the file and its row. Memory: a
    few chunks of 4 MB for each thread, more where single rows are longer, and for a Parquet file four
    times a row group of 64 MB.
    """
    files = reading.files_in([os.fspath(path) for path in inputs])
    run = _Run(files, os.fspath(output), job, read_as, write_as, compression, thread_count(num_threads), progress)
    return run(resume)


class _Run:
    def __init__(
        self,
        files: list[str],
        output: str,
        job: Tokenize,
        read_as: str | None,
        write_as: str | None,
        compression: str,
        threads: int,
        progress: Progress | None,
    ) -> None:
        self.files, self.threads, self.progress = files, threads, progress
        self.place, self.read, self.unnoted = Place(), 0, 0
        self.stopped = False
        self.torn = False  # a chunk is written in part
        self.formats = [_checked(read_as or reading.format_of(path), reading.READERS, "read_as") for path in files]
        self.write_as = _checked(write_as or writing.format_of(output), CHECKPOINT_BYTES, "write_as")
        self.compression = _checked(compression, writing.COMPRESSIONS, "compression")
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
        with contextlib.nullcontext() if self.direct else self._alone():
            state = self._left() if resume else None
            if not self.direct and state is None:
                for left in self.folder.iterdir():
                    left.unlink()
            self.writer = self._writer(state)
            try:
                self._tokenize()
                written = self.writer.close()
            except BaseException:
                with contextlib.suppress(Exception):
                    self.writer.abandon()
                raise
            for file, name in written:
                os.replace(file, name)
            if not self.direct:
                shutil.rmtree(self.folder)
        return self.place

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Make the folder and hold it: two runs that write the same files would make one broken output."""
        self.folder.mkdir(exist_ok=True)
        try:
            import fcntl
        except ImportError:  # Windows keeps open files from being deleted
            yield
            return
        held = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise ValueError(f"another run is writing {self.output}") from None
        try:
            yield
        finally:
            os.close(held)

    def _writer(self, state: dict[str, Any] | None) -> Writer:
        if self.write_as == "lines":
            return writing.LineWriter(None if self.direct else self.folder, self.output, state)
        if self.write_as == "npy":
            return writing.ArrayWriter(self.folder, self.output, state)
        if self.write_as == "bin":
            return writing.TokenFileWriter(self.folder, self.output, state, len(self.job.loaded))
        bare = replace(self.job, keep_columns=False).schema(pyarrow().schema([]))
        compression = self.compression if self.write_as == "parquet" else None
        return writing.ColumnWriter(self.folder, self.output, state, compression, bare)

    # -- the work ------------------------------------------------------------------------------------

    def _tokenize(self) -> None:
        """Read, tokenize and write from `place` on.

        An interrupt comes to this thread only, which reads; so it never tears what the writing
        thread does for a chunk, and the note says what is in the files.
        """
        written: deque[Future[None]] = deque()
        ahead = 2 * self.threads
        if self.write_as == "parquet":  # while a row group is written the others go on
            ahead += writing.ROW_GROUP_BYTES // reading.CHUNK_BYTES
        with ThreadPoolExecutor(self.threads) as tokenizing, ThreadPoolExecutor(1) as scribe:
            try:
                first_row = self.place.first_row
                for file, chunk in self._chunks(self.place):
                    ids = tokenizing.submit(self._ids, file, chunk, first_row)
                    written.append(scribe.submit(self._write, file, chunk, ids))
                    first_row += chunk.rows
                    while len(written) > ahead or (written and written[0].done()):
                        written.popleft().result()
                while written:
                    written.popleft().result()
            except BaseException:
                self.stopped = True
                tokenizing.shutdown(cancel_futures=True)
                scribe.shutdown(cancel_futures=True)
                if not self.torn:
                    with contextlib.suppress(Exception):
                        self._note()
                raise

    def _write(self, file: int, chunk: Chunk, ids: Future[tuple[int, int, Any]]) -> None:
        """Write what was made of a chunk; nothing more once a chunk is missing."""
        if self.stopped:
            return
        try:
            rows, tokens, prepared = ids.result()
            self.torn = True
            self.writer.write(prepared)
            before, self.place = self.place, self.place.after(file, chunk, rows, tokens)
            self.torn = False
            step = chunk.read - (self.read if file == before.file else 0)
            self.read = chunk.read
            self.unnoted += step
            if self.progress:
                self.progress(self.place, step)
            if self.unnoted >= CHECKPOINT_BYTES[self.write_as]:
                self._note()
                self.unnoted = 0
        except BaseException:
            self.stopped = True
            raise

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

    def _ids(self, file: int, chunk: Chunk, first_row: int) -> tuple[int, int, Any]:
        """(rows, tokens, what the writer takes) of one chunk."""
        try:
            texts, columns = reading.READERS[self.formats[file]].open_chunk(chunk.content, self.columns)
            if self.columnar and columns is not None:
                table = self.job(columns, first_row=first_row)
                tokens = table.column(table.schema.names.index(self.job.output)).values
                return table.num_rows, len(tokens), self.writer.prepare(table)
            rows = self.job.texts(columns) if texts is None else rows_of(texts)
            nulls = rows.nulls()
            if nulls is not None and not self.columnar:
                raise ValueError(
                    f"row {int(nulls.argmax())} of texts is null, which only Parquet and Arrow files can hold"
                )
            ids = self.job.segment(rows, columns=columns, first_row=first_row)
            return len(ids), len(ids.ids), self.writer.prepare(self.job.batch(ids) if self.columnar else ids)
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.files[file]}, rows counted from {first_row}: {error}") from None

    # -- the note on how far the output is good ---------------------------------------------------------

    def _note(self) -> None:
        if self.direct:
            return
        note = {"run": self._identity, "place": asdict(self.place), "writer": self.writer.checkpoint()}
        new = self.note.with_suffix(".new")
        new.write_text(json.dumps(note), encoding="utf-8")
        os.replace(new, self.note)

    def _left(self) -> dict[str, Any] | None:
        """Go to the place that an interrupted run reached, if there was one; gives the state of its writer."""
        if self.direct or not self.note.exists():
            return None
        note = json.loads(self.note.read_text(encoding="utf-8"))
        for name, now in json.loads(json.dumps(self._identity)).items():
            then = note["run"].get(name)
            if then != now:
                raise ValueError(f"{self.folder} was left by a run with another {name}: {then!r}, now {now!r}")
        self.place = Place(**note["place"])
        return note["writer"]  # type: ignore[no-any-return]

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on with another's output."""
        settings = {field.name: getattr(self.job, field.name) for field in fields(self.job)}
        del settings["num_threads"], settings["tokenizer"]
        stats = [(path, os.stat(path)) for path in self.files if path != reading.STANDARD_INPUT]
        return {
            "model": hashlib.sha256(pickle.dumps(self.job.loaded)).hexdigest(),
            **settings,
            "write_as": self.write_as,
            "compression": self.compression,
            "formats": self.formats,
            "inputs": [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats],
        }


def _checked(name: str, known: Any, argument: str) -> str:
    if name not in known:
        raise ValueError(f"{argument} must be one of {', '.join(known)}, got {name!r}")
    return name
