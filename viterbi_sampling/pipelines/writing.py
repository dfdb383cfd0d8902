"""Files of token ids: lines of numbers, numpy arrays, token files for training, Parquet and Arrow files.

A writer fills files in a folder of its own, and tells how far they are good (`checkpoint`), so that
another can go on from there. Only when all is written do they get their names.
"""

from __future__ import annotations

import os
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.batch import Batch
from viterbi_sampling.lines import lines_of_ids
from viterbi_sampling.pipelines.arrow import pyarrow

STANDARD_OUTPUT = "-"
FORMATS = {".npy": "npy", ".bin": "bin", ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}
"""What the end of a file's name says; other names are lines of numbers."""

COLUMNAR = ("parquet", "arrow")
COMPRESSIONS = ("zstd", "snappy", "none")
ROW_GROUP_BYTES = 1 << 26
"""Of a Parquet file: so much is held until it is written."""

NPY_HEADER = 128


def format_of(name: str) -> str:
    """The format that the name of an output tells.

    >>> format_of("ids.npy"), format_of("-")
    ('npy', 'lines')
    """
    return FORMATS.get(Path(name).suffix, "lines")


class Written(NamedTuple):
    """A file and the name it gets at the end."""

    file: Path
    name: Path


class Writer(ABC):
    """Writes the ids of chunks, in order, into files in `folder`; `state` is what a checkpoint said, or None."""

    @abstractmethod
    def prepare(self, ids: Any) -> Any:
        """What `write` takes; any thread can do this part of the work. `ids` is a Batch, or a RecordBatch."""

    @abstractmethod
    def write(self, prepared: Any) -> None: ...

    @abstractmethod
    def checkpoint(self) -> dict[str, Any]:
        """Where to go on, once what it tells of is in the files."""

    @abstractmethod
    def close(self) -> list[Written]:
        """Finish the files."""

    @abstractmethod
    def abandon(self) -> None:
        """Close the files as they are."""


class Growing:
    """A file that is written at its end, from `size` on."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.file: BinaryIO = open(path, "r+b" if size else "wb", buffering=0)  # noqa: SIM115
        if size > os.fstat(self.file.fileno()).st_size:
            raise ValueError(f"{path}: shorter than when it was left")
        self.file.truncate(size)
        self.file.seek(size)
        self.size = size

    def write(self, data: Any) -> None:
        if not memoryview(data).nbytes:
            return
        view = memoryview(data).cast("B")
        while view:
            count = self.file.write(view)
            view = view[count:]
            self.size += count


class LineWriter(Writer):
    """A line of decimal numbers a row; straight to standard output and to what is no regular file."""

    def __init__(self, folder: Path | None, name: str, state: dict[str, Any] | None) -> None:
        self.name = name
        self.stream: BinaryIO | None = None
        if folder is None:
            self.stream = sys.stdout.buffer if name == STANDARD_OUTPUT else open(name, "wb")  # noqa: SIM115
        else:
            self.lines = Growing(folder / "lines", state["lines"] if state else 0)

    def prepare(self, ids: Batch) -> bytes:
        return lines_of_ids(ids.ids, ids.offsets)

    def write(self, prepared: bytes) -> None:
        if self.stream is None:
            self.lines.write(prepared)
        else:
            self.stream.write(prepared)

    def checkpoint(self) -> dict[str, Any]:
        return {"lines": self.lines.size}

    def close(self) -> list[Written]:
        self.abandon()
        return [] if self.stream else [Written(self.lines.path, Path(self.name))]

    def abandon(self) -> None:
        if self.stream is None:
            self.lines.file.close()
        else:
            self.stream.flush()


class ArrayWriter(Writer):
    """A pair of numpy files: `name`.npy holds the ids (int32), `name`.offsets.npy where each row begins (int64).

    Row i is ``ids[offsets[i]:offsets[i + 1]]`` of ``np.load(..., mmap_mode="r")``.
    """

    def __init__(self, folder: Path, name: str, state: dict[str, Any] | None) -> None:
        self.name = Path(name)
        self.ids = Growing(folder / "ids", state["ids"] if state else 0)
        self.offsets = Growing(folder / "offsets", state["offsets"] if state else 0)
        if not state:
            self.ids.write(bytes(NPY_HEADER))
            self.offsets.write(bytes(NPY_HEADER))
            self.offsets.write(np.zeros(1, "<i8"))

    def prepare(self, ids: Batch) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        return ids.ids.astype("<i4", copy=False), ids.offsets[1:]

    def write(self, prepared: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]) -> None:
        ids, ends = prepared
        before = (self.ids.size - NPY_HEADER) // 4
        self.ids.write(ids)
        self.offsets.write((ends + before).astype("<i8", copy=False))

    def checkpoint(self) -> dict[str, Any]:
        return {"ids": self.ids.size, "offsets": self.offsets.size}

    def close(self) -> list[Written]:
        for growing, kind in ((self.ids, "<i4"), (self.offsets, "<i8")):
            count = (growing.size - NPY_HEADER) // int(kind[-1])
            growing.file.seek(0)
            growing.file.write(npy_header(kind, count))
        self.abandon()
        offsets = self.name.with_name(f"{self.name.name.removesuffix('.npy')}.offsets.npy")
        return [Written(self.offsets.path, offsets), Written(self.ids.path, self.name)]

    def abandon(self) -> None:
        self.ids.file.close()
        self.offsets.file.close()


def npy_header(kind: str, count: int) -> bytes:
    """The head of a numpy file of one dimension, NPY_HEADER bytes long whatever the count.

    >>> len(npy_header("<i4", 0)) == len(npy_header("<i8", 2**60)) == NPY_HEADER
    True
    """
    told = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({count},), }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", NPY_HEADER - 10) + told.ljust(NPY_HEADER - 11) + b"\n"


class TokenFileWriter(Writer):
    """A flat file of ids, `name`.bin, and its index, `name`.idx, for training on mapped memory.

    The ids of all rows follow each other, as uint16 for a vocabulary of fewer than 65,500 pieces,
    otherwise as int32: ``np.memmap(name, dtype)`` is the whole. The index is that of Megatron-LM:
    each row is a sequence and a document.
    """

    MAGIC = b"MMIDIDX\x00\x00"
    VERSION = 1
    KINDS = {"<u2": 8, "<i4": 4}  # noqa: RUF012

    def __init__(self, folder: Path, name: str, state: dict[str, Any] | None, vocab_size: int) -> None:
        self.name = Path(name)
        self.kind = "<u2" if vocab_size < 65500 else "<i4"
        self.ids = Growing(folder / "ids", state["ids"] if state else 0)
        self.sizes = Growing(folder / "sizes", state["sizes"] if state else 0)
        self.index = folder / "index"

    def prepare(self, ids: Batch) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return ids.ids.astype(self.kind), np.diff(ids.offsets).astype("<i4")

    def write(self, prepared: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> None:
        self.ids.write(prepared[0])
        self.sizes.write(prepared[1])

    def checkpoint(self) -> dict[str, Any]:
        return {"ids": self.ids.size, "sizes": self.sizes.size}

    def close(self) -> list[Written]:
        self.abandon()
        rows, item = self.sizes.size // 4, int(self.kind[-1])
        sizes: Any = np.memmap(self.sizes.path, "<i4", "r") if rows else np.zeros(0, "<i4")
        step = 1 << 20
        with open(self.index, "wb") as out:
            out.write(self.MAGIC + struct.pack("<QBQQ", self.VERSION, self.KINDS[self.kind], rows, rows + 1))
            for first in range(0, rows, step):
                out.write(sizes[first : first + step].tobytes())
            at = 0
            for first in range(0, rows, step):
                lengths = sizes[first : first + step].astype("<i8") * item
                ends = np.cumsum(lengths) + at
                out.write((ends - lengths).tobytes())
                at = int(ends[-1])
            for first in range(0, rows + 1, step):
                out.write(np.arange(first, min(first + step, rows + 1), dtype="<i8").tobytes())
        return [Written(self.index, self.name.with_suffix(".idx")), Written(self.ids.path, self.name)]

    def abandon(self) -> None:
        self.ids.file.close()
        self.sizes.file.close()


class ColumnWriter(Writer):
    """Record batches into a Parquet or an Arrow file.

    Such a file cannot grow once it has been left: each checkpoint ends a part, and the parts, if
    there are several, become one in the end.
    """

    def __init__(
        self, folder: Path, name: str, state: dict[str, Any] | None, compression: str | None, schema: Any
    ) -> None:
        """`compression`: of a Parquet file, None for an Arrow file. `schema` is that of a file without rows; the first
        batch tells that of others."""
        self.folder, self.name, self.compression, self.schema = folder, Path(name), compression, schema
        self.parquet = compression is not None
        self.parts = state["parts"] if state else 0
        self.writer: Any = None
        self.waiting: list[Any] = []
        self.any_rows = False
        if self.parts:
            self.schema, self.any_rows = next(iter(self._tables(0))).schema, True

    def prepare(self, ids: Any) -> Any:
        return pyarrow().Table.from_batches([ids])

    def write(self, prepared: Any) -> None:
        if not self.any_rows:
            self.schema, self.any_rows = prepared.schema, True
        if prepared.schema != self.schema:  # what another chunk held may look like another type
            prepared = prepared.cast(self.schema)
        self.waiting.append(prepared)
        if not self.parquet or sum(table.nbytes for table in self.waiting) >= ROW_GROUP_BYTES:
            self._write_waiting()

    def checkpoint(self) -> dict[str, Any]:
        self._end_part()
        return {"parts": self.parts}

    def close(self) -> list[Written]:
        self._end_part()
        if self.parts == 1:
            return [Written(self._path(0), self.name)]
        with self._open(self._path("all")) as writer:
            for part in range(self.parts):
                for table in self._tables(part):
                    writer.write_table(table)
        return [Written(self._path("all"), self.name)]

    def abandon(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _path(self, part: int | str) -> Path:
        return self.folder / f"part-{part}"

    def _open(self, path: Path) -> Any:
        pa = pyarrow()
        if not self.parquet:
            return pa.ipc.new_file(str(path), self.schema)
        from pyarrow import parquet

        # Ids are many and different: a dictionary of them costs time and saves little.
        level = 1 if self.compression == "zstd" else None
        return parquet.ParquetWriter(
            str(path), self.schema, compression=self.compression, compression_level=level, use_dictionary=False
        )

    def _write_waiting(self) -> None:
        if self.waiting:
            self.writer = self.writer or self._open(self._path(self.parts))
            self.writer.write_table(pyarrow().concat_tables(self.waiting))
            self.waiting = []

    def _end_part(self) -> None:
        self._write_waiting()
        if self.writer is not None:
            self.abandon()
            self.parts += 1

    def _tables(self, part: int) -> Iterator[Any]:
        """A part of the file, a row group or batch at a time."""
        pa = pyarrow()
        path = str(self._path(part))
        if not self.parquet:
            with pa.memory_map(path) as file:
                reader = pa.ipc.open_file(file)
                for i in range(reader.num_record_batches):
                    yield pa.Table.from_batches([reader.get_batch(i)])
            return
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
