"""PyTorch: data sets whose samples are fresh in each epoch and the same in any number of workers; tensors from rows.

A batch is tokenized in one call, in the worker that loads it. The key of a row's sample is its row number (or what the
job's ``index`` says), and each epoch draws afresh: nothing depends on the state of a worker.

>>> from torch.utils.data import DataLoader
>>> from viterbi_sampling import Tokenizer
>>> tokenizer = Tokenizer.default()
>>> texts = ["The river was still high.", "probability", "川の水"]
>>> rows = TokenizedRows(texts, Tokenize(tokenizer, alpha=0.2, seed=1))
>>> loader = DataLoader(rows, batch_size=2, shuffle=True, collate_fn=Padded(tokenizer.pad_id))
>>> for epoch in range(2):
...     rows.set_epoch(epoch)
...     for batch in loader:
...         assert batch["input_ids"].shape == batch["attention_mask"].shape
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.pipelines.arrow import Tokenize, pyarrow
from viterbi_sampling.pipelines.sequences import padded, positions
from viterbi_sampling.tokenizer import Tokenizer

try:
    import torch
    from torch.utils.data import Dataset, IterableDataset, get_worker_info
except ImportError:
    raise ImportError("viterbi_sampling.pipelines.torch needs torch: pip install 'viterbi-sampling[torch]'") from None

pa = pyarrow()

ROW = "row number of TokenizedRows"
"""The column that carries the keys of rows to the job."""


class TokenizedRows(Dataset):
    """A map-style data set: rows of a table, tokenized when they are asked for.

    table : a pyarrow Table (memory-mapped files are read in place), or a sequence of texts
    job : an `arrow.Tokenize` with n = 1; without an ``index``, a sample's key is the row's number in the table

    A batch is a Table with the columns of the job, for `Padded` or `Packed` as collate_fn; single rows are dicts.
    """

    def __init__(self, table: Any, job: Tokenize) -> None:
        if job.n != 1:
            raise ValueError(f"a row of a map-style data set is one sample: n must be 1, got {job.n}")
        self._table = table if isinstance(table, pa.Table) else pa.table({job.column: pa.array(table)})
        self._by_number = job.alpha is not None and job.index is None
        self._job = replace(_with_model(job), index=ROW) if self._by_number else _with_model(job)
        self._epoch = _Epoch(job.epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw afresh from now on, also in workers that are running already (persistent_workers)."""
        self._epoch.set(epoch)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"row {index} of a data set of {len(self)}")
        return {name: column[0] for name, column in self.__getitems__([row]).to_pydict().items()}

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """A whole batch at once, as DataLoader asks for it."""
        numbers = pa.array(np.asarray(indices, np.int64))
        rows = self._table.take(numbers)
        if self._by_number:
            rows = rows.append_column(ROW, numbers)
        found = self._epoch.job(self._job)(rows)
        return found.drop_columns([ROW]) if ROW in found.column_names else found


class TokenizedStream(IterableDataset):
    """An iterable data set: batches of tensors from record batches that are read one after the other.

    source : what has ``to_batches()``: a pyarrow Table or Dataset (files of any size), read in order by each worker
    job : an `arrow.Tokenize`; without an ``index``, a sample's key is the number of its row in the stream
    collate : `Padded` or `Packed`
    batch_size : rows of the source a batch; the last one may have fewer
    rank, world_size : this process's share of the batches, where several train together

    For ``DataLoader(stream, batch_size=None, num_workers=...)``: batches are made whole, each by the worker whose turn
    it is, so that any number of workers gives the same batches in the same order.

    >>> from viterbi_sampling import Tokenizer
    >>> table = pa.table({"text": ["The river", "was", "still high."]})
    >>> stream = TokenizedStream(table, Tokenize(Tokenizer.default()), Packed(), batch_size=2)
    >>> [batch["cu_seqlens"].tolist() for batch in stream]
    [[0, 2, 3], [0, 3]]
    """

    def __init__(
        self,
        source: Any,
        job: Tokenize,
        collate: Padded | Packed,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not hasattr(source, "to_batches"):
            raise TypeError(f"source must be a pyarrow Table or Dataset, not {type(source).__name__}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be 0 to world_size - 1, got {rank} of {world_size}")
        self._source, self._job, self._collate = source, _with_model(job), collate
        self._batch_size, self._rank, self._world_size = batch_size, rank, world_size
        self._epoch = _Epoch(job.epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw afresh from now on, also in workers that are running already (persistent_workers)."""
        self._epoch.set(epoch)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        number, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        turn = self._rank + self._world_size * number
        job = self._epoch.job(self._job)
        for place, rows in enumerate(_regrouped(self._source.to_batches(), self._batch_size)):
            if place % (self._world_size * count) == turn:
                yield self._collate(job(rows, first_row=place * self._batch_size))


class Padded:
    """Collates rows of ids to ``input_ids`` and ``attention_mask``, int64 tensors of shape (rows, length).

    pad_id : what fills up
    length : rows are cut off to it and filled up to it; None for the longest row of each batch
    multiple : the length is rounded up to a multiple of this
    side : where the padding goes, "right" or "left"
    column : the name of the column of ids

    Takes what the data sets here give, or a list of dicts or of rows. Columns of numbers become tensors, too.

    >>> Padded(0)([[5, 6, 7], [8]])["input_ids"]
    tensor([[5, 6, 7],
            [8, 0, 0]])
    """

    def __init__(
        self,
        pad_id: int | None,
        *,
        length: int | None = None,
        multiple: int = 1,
        side: str = "right",
        column: str = "ids",
    ) -> None:
        if pad_id is None:
            raise ValueError("pad_id is None: the model has no piece for padding; give an id")
        if side not in ("right", "left"):
            raise ValueError(f"side must be 'right' or 'left', got {side!r}")
        if multiple < 1 or (length is not None and length < 1):
            raise ValueError(f"multiple and length must be at least 1, got {multiple} and {length}")
        self._pad_id, self._length, self._multiple, self._side, self._column = pad_id, length, multiple, side, column

    def __call__(self, batch: Any) -> dict[str, torch.Tensor]:
        """The tensors of one batch."""
        ids, offsets, others = _columns(batch, self._column)
        sizes = np.diff(offsets)
        if self._length is not None and (sizes > self._length).any():
            kept = positions(offsets) < self._length
            ids, sizes = ids[kept], np.minimum(sizes, self._length)
            offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        width = int(sizes.max(initial=0)) if self._length is None else self._length
        width = -(-width // self._multiple) * self._multiple
        mask = np.ones(len(ids), np.int64)
        return others | {
            "input_ids": torch.from_numpy(padded(ids.astype(np.int64), offsets, self._pad_id, width, self._side)),
            "attention_mask": torch.from_numpy(padded(mask, offsets, 0, width, self._side)),
        }


class Packed:
    """Collates rows of ids without padding, one after the other, as attention over variable lengths takes them.

    ``input_ids`` and ``position_ids`` (within the row) are int64 tensors of shape (1, tokens); ``cu_seqlens`` is int32,
    one longer than the rows: row i is ``input_ids[0, cu_seqlens[i]:cu_seqlens[i + 1]]``.

    >>> Packed()([[5, 6, 7], [8]])["position_ids"]
    tensor([[0, 1, 2, 0]])
    """

    def __init__(self, *, column: str = "ids") -> None:
        self._column = column

    def __call__(self, batch: Any) -> dict[str, torch.Tensor]:
        """The tensors of one batch."""
        ids, offsets, others = _columns(batch, self._column)
        return others | {
            "input_ids": torch.from_numpy(ids.astype(np.int64))[None],
            "position_ids": torch.from_numpy(positions(offsets))[None],
            "cu_seqlens": torch.from_numpy(offsets.astype(np.int32)),
        }


class _Epoch:
    """A number that worker processes see change: it lies in shared memory."""

    def __init__(self, epoch: int) -> None:
        self._number = torch.tensor(epoch, dtype=torch.int64).share_memory_()

    def set(self, epoch: int) -> None:
        self._number.fill_(epoch)

    def job(self, job: Tokenize) -> Tokenize:
        """`job` for this epoch; with one thread in a worker, since the loader has as many workers as it wants cores."""
        threads = 1 if job.num_threads is None and get_worker_info() is not None else job.num_threads
        return replace(job, num_threads=threads, epoch=job.epoch if job.alpha is None else int(self._number))


def _with_model(job: Tokenize) -> Tokenize:
    """`job` with its model loaded: jobs of other epochs are made from it, and share the model."""
    return job if isinstance(job.tokenizer, Tokenizer) else replace(job, tokenizer=Tokenizer.from_file(job.tokenizer))


def _columns(batch: Any, column: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], dict[str, torch.Tensor]]:
    """The ids of all rows, where each begins, and a tensor of each column of numbers."""
    if isinstance(batch, list):
        rows = [row[column] if isinstance(row, dict) else row for row in batch]
        names = [name for name in batch[0] if name != column] if batch and isinstance(batch[0], dict) else []
        batch = pa.table(
            {column: pa.array([np.asarray(row, np.int32) for row in rows], pa.list_(pa.int32()))}
            | {name: [row[name] for row in batch] for name in names}
        )
    lists = batch.column(column)
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    if lists.null_count:
        raise ValueError(f"column {column!r} has {lists.null_count} nulls: a row of tensors needs ids")
    offsets = np.asarray(lists.offsets).astype(np.int64)
    ids = np.asarray(lists.values)[offsets[0] : offsets[-1]]
    others = {
        name: torch.from_numpy(np.array(np.asarray(batch.column(name))))
        for name, kind in zip(batch.schema.names, batch.schema.types, strict=True)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind)
    }
    return ids, offsets - offsets[0], others


def _regrouped(batches: Iterator[Any], size: int) -> Iterator[Any]:
    """The rows of record batches as Tables of `size` rows each, the last one with what is left."""
    held: list[Any] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= size:
            table = pa.Table.from_batches(held)
            yield table.slice(0, size)
            rows -= size
            held = table.slice(size).to_batches()
    if rows:
        yield pa.Table.from_batches(held)
