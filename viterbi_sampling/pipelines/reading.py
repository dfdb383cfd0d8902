"""Files of texts as chunks of a few megabytes: lines, JSON lines, CSV, Parquet and Arrow files, compressed or not.

A chunk is whole rows. Reading is cheap and happens in one thread; what takes time for a chunk
(parsing JSON, splitting lines) is left to `Reader.open_chunk`, which any thread can do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from viterbi_sampling.arguments import Texts
from viterbi_sampling.lines import count_lines, rows_of_lines
from viterbi_sampling.pipelines.arrow import pyarrow

CHUNK_BYTES = 1 << 22
"""So much text is worked on at a time, more where a row is longer."""

CSV_BLOCK_BYTES = 1 << 24
"""No row of a CSV file may be longer."""

STANDARD_INPUT = "-"
COMPRESSED = (".gz", ".zst")
FORMATS = {
    ".txt": "lines",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
"""What the end of a file's name says; other names are lines of text."""


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file.

    content : the lines, or a record batch
    rows : how many
    end : where the next chunk begins: in bytes of the text that was read, or in rows
    read : how much of the file has been read so far, in bytes as it is stored
    """

    content: Any
    rows: int
    end: int
    read: int


@dataclass(frozen=True)
class Columns:
    """The columns that are wanted: the texts, and others, None for all there are. Lines have none."""

    texts: str
    others: tuple[str, ...] | None = ()

    @property
    def names(self) -> list[str] | None:
        return None if self.others is None else [self.texts, *self.others]


@dataclass(frozen=True)
class Reader:
    """How the files of one format are read."""

    chunks: Callable[[str, int, Columns], Iterator[Chunk]]
    open_chunk: Callable[[Any, Columns], tuple[Texts | None, Any]]


def format_of(path: str) -> str:
    """The format that the name of a file tells.

    >>> format_of("a/corpus.jsonl.gz"), format_of("notes.md")
    ('jsonl', 'lines')
    """
    name = Path(path)
    return FORMATS.get(Path(name.stem).suffix if name.suffix in COMPRESSED else name.suffix, "lines")


def files_in(paths: Sequence[str]) -> list[str]:
    """The files, and those in folders and below whose names tell a format, sorted; hidden ones are left out."""
    found = []
    for path in paths:
        if not Path(path).is_dir():
            found.append(path)
            continue
        inside = [file for file in sorted(Path(path).rglob("*")) if file.is_file() and _is_text(file, Path(path))]
        if not inside:
            raise ValueError(
                f"{path}: no file here ends in {', '.join(FORMATS)}, or these and {' or '.join(COMPRESSED)}"
            )
        found += map(str, inside)
    return found


def _is_text(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    suffix = Path(file.stem).suffix if file.suffix in COMPRESSED else file.suffix
    return not hidden and suffix in FORMATS


# -- bytes -------------------------------------------------------------------------------------------


@contextmanager
def open_bytes(path: str) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """(the content of a file, decompressed, a function that tells how many of its bytes have been read)."""
    with ExitStack() as stack:
        raw: Any = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(open(path, "rb"))
        told = raw.tell if raw.seekable() else lambda: 0
        magic = raw.peek(4)[:4]
        if magic[:2] == b"\x1f\x8b":
            import gzip

            yield stack.enter_context(gzip.GzipFile(fileobj=raw)), told  # type: ignore[misc]
        elif magic == b"\x28\xb5\x2f\xfd":
            yield stack.enter_context(pyarrow().CompressedInputStream(raw, "zstd")), told
        else:
            yield raw, told


def _fill(file: BinaryIO, place: memoryview) -> int:
    """Read until `place` is full or the file ends."""
    filled = 0
    while filled < len(place):
        count = file.readinto(place[filled:])  # type: ignore[attr-defined]
        if not count:
            break
        filled += count
    return filled


def _skip(file: BinaryIO, size: int) -> None:
    if size and file.seekable():
        file.seek(size)
        return
    waste = memoryview(bytearray(min(size, CHUNK_BYTES)))
    while size:
        count = _fill(file, waste[: min(size, len(waste))])
        if not count:
            raise ValueError("the file is shorter than it was")
        size -= count


def line_chunks(path: str, start: int, columns: Columns) -> Iterator[Chunk]:
    """Whole lines from byte `start` on."""
    return _line_chunks(path, start, skip_blank=False)


def json_chunks(path: str, start: int, columns: Columns) -> Iterator[Chunk]:
    """Whole lines with an object each; blank lines count for nothing."""
    return _line_chunks(path, start, skip_blank=True)


def _line_chunks(path: str, start: int, skip_blank: bool) -> Iterator[Chunk]:
    with open_bytes(path) as (file, told):
        _skip(file, start)
        left: bytes | bytearray = b""
        ended = False
        while not ended:
            buffer = bytearray(max(CHUNK_BYTES, 2 * len(left)))  # twice as much, for a line that is longer
            buffer[: len(left)] = left
            filled = len(left) + _fill(file, memoryview(buffer)[len(left) :])
            ended = filled < len(buffer)
            cut = filled if ended else buffer.rfind(b"\n") + 1
            left = buffer[cut:filled]
            if cut:
                start += cut
                content = memoryview(buffer)[:cut]
                yield Chunk(content, count_lines(content, skip_blank), start, told())


def open_lines(content: Any, columns: Columns) -> tuple[Texts | None, Any]:
    return rows_of_lines(content), None


def open_json(content: Any, columns: Columns) -> tuple[Texts | None, Any]:
    pa = pyarrow()
    from pyarrow import json as arrow_json

    texts = pa.schema([(columns.texts, pa.string())])
    unexpected = "ignore" if columns.others == () else "infer"
    table = arrow_json.read_json(
        pa.BufferReader(pa.py_buffer(content)),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=min(len(content) + 1, 2**31 - 1)),
        parse_options=arrow_json.ParseOptions(explicit_schema=texts, unexpected_field_behavior=unexpected),
    )
    rows = count_lines(content, skip_blank=True)
    if table.num_rows != rows:
        raise ValueError(f"{rows} lines hold {table.num_rows} JSON objects: there must be one a line")
    if rows and table[columns.texts].null_count == rows and _key(columns.texts) not in bytes(content):
        raise ValueError(f"no object has a key {columns.texts!r}")
    table = _selected(table, columns)
    return None, pa.RecordBatch.from_struct_array(table.to_struct_array().combine_chunks())


def _key(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode("utf-8")


# -- record batches ------------------------------------------------------------------------------------


def csv_chunks(path: str, start: int, columns: Columns) -> Iterator[Chunk]:
    """Batches of a CSV file with a line of names; quoted texts may hold newlines."""
    pa = pyarrow()
    from pyarrow import csv

    with open_bytes(path) as (file, told):
        try:
            reader = csv.open_csv(
                file,
                read_options=csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    include_columns=columns.names, column_types={columns.texts: pa.string()}
                ),
            )
        except KeyError as error:
            raise ValueError(error.args[0]) from None
        yield from _batch_chunks(reader, start, told)


def parquet_chunks(path: str, start: int, columns: Columns) -> Iterator[Chunk]:
    """Batches of a Parquet file; row groups before row `start` are not read."""
    pyarrow()
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        _check(file.schema_arrow.names, columns)
        groups, before = list(range(file.num_row_groups)), 0
        while groups and before + file.metadata.row_group(groups[0]).num_rows <= start:
            before += file.metadata.row_group(groups.pop(0)).num_rows
        size, rows = Path(path).stat().st_size, file.metadata.num_rows
        a_row = _column_bytes(file.metadata, columns) // max(rows, 1) + 1
        batches = file.iter_batches(
            batch_size=max(1, min(CHUNK_BYTES // a_row, 1 << 16)), row_groups=groups, columns=columns.names
        )
        for chunk in _batch_chunks(batches, start - before, lambda: 0):
            end = before + chunk.end
            yield Chunk(chunk.content, chunk.rows, end, size * end // max(rows, 1))


def _column_bytes(metadata: Any, columns: Columns) -> int:
    """The size of the columns of a Parquet file that are wanted, decompressed."""
    names = columns.names
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    parts = [group.column(k) for group in groups for k in range(group.num_columns)]
    return sum(
        part.total_uncompressed_size for part in parts if names is None or part.path_in_schema.split(".")[0] in names
    )


def arrow_chunks(path: str, start: int, columns: Columns) -> Iterator[Chunk]:
    """Batches of an Arrow file, or of a stream in a file."""
    pa = pyarrow()
    with pa.memory_map(path) as file:
        if file.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(file)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            file.seek(0)
            batches = iter(pa.ipc.open_stream(file))
        yield from _batch_chunks((_selected(batch, columns) for batch in batches), start, file.tell)


def _batch_chunks(batches: Any, start: int, told: Callable[[], int]) -> Iterator[Chunk]:
    """The batches from row `start` on, cut where they are large."""
    end = 0
    for batch in batches:
        rows = max(1, int(batch.num_rows * CHUNK_BYTES / max(batch.nbytes, 1)))
        for first in range(max(0, start - end), batch.num_rows, rows):
            part = batch.slice(first, rows)
            yield Chunk(part, part.num_rows, end + first + part.num_rows, told())
        end += batch.num_rows


def _check(names: Sequence[str], columns: Columns) -> None:
    for name in columns.names or [columns.texts]:
        if name not in names:
            raise ValueError(f"no column {name!r}; there are {', '.join(map(repr, names))}")


def _selected(table: Any, columns: Columns) -> Any:
    _check(table.schema.names, columns)
    return table if columns.names is None else table.select(columns.names)


def open_batch(content: Any, columns: Columns) -> tuple[Texts | None, Any]:
    return None, content


READERS = {
    "lines": Reader(line_chunks, open_lines),
    "jsonl": Reader(json_chunks, open_json),
    "csv": Reader(csv_chunks, open_batch),
    "parquet": Reader(parquet_chunks, open_batch),
    "arrow": Reader(arrow_chunks, open_batch),
}
