"""Hugging Face datasets: a column of ids that is cached under a stable fingerprint, or samples made as rows are read.

Both run the job of `arrow.Tokenize`, whose pickled bytes are always the same, so that `Dataset.map` finds in its cache
what it has computed before, in any process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from viterbi_sampling.pipelines.arrow import HASH, Tokenize, pyarrow

pa = pyarrow()

__all__ = ["Transform", "tokenized", "transformed"]


def tokenized(dataset: Any, job: Tokenize, **options: Any) -> Any:
    """`dataset` (a Dataset, DatasetDict or IterableDataset) with the columns that `job` adds, through its `map`.

    Samples without an ``index`` in the job have the row number of the dataset as their key. One epoch is frozen in
    the result, as in any `map`; ``dataclasses.replace(job, epoch=1)`` makes the next one, cached apart.
    `options` are those of `map`: batch_size, num_proc, ...

    >>> from datasets import Dataset
    >>> from viterbi_sampling import Tokenizer
    >>> job = Tokenize(Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5}))
    >>> tokenized(Dataset.from_dict({"text": ["ab", "bab"]}), job)["ids"][:]
    [[2], [1, 2]]
    """
    arrow = dataset.with_format("arrow")
    if job.alpha is not None and job.index is None:
        return arrow.map(ByRowNumber(job), with_indices=True, batched=True, **options).with_format(None)
    return arrow.map(job, batched=True, **options).with_format(None)


def transformed(dataset: Any, job: Tokenize, **options: Any) -> Any:
    """`dataset` with the columns that `job` adds, made anew whenever rows are read, through its `with_transform`.

    Call it again with ``dataclasses.replace(job, epoch=e)`` for each epoch. Samples need a job with an ``index``,
    a column or "hash": a transform is not told the numbers of its rows. ValueError without it.
    """
    return dataset.with_transform(Transform(job), **options)


class ByRowNumber:
    """A job for `map` with ``with_indices=True``: the key of a row is its number."""

    def __init__(self, job: Tokenize) -> None:
        self.job = job

    def __call__(self, table: Any, indices: list[int]) -> Any:
        """What the job makes of a batch of neighbouring rows."""
        return self.job(table, first_row=int(indices[0]) if len(indices) else 0)


class Transform:
    """A job for `Dataset.set_transform`: a dict of columns to one with the new columns, as lists."""

    def __init__(self, job: Tokenize) -> None:
        if job.n != 1:
            raise ValueError(f"a transform gives one row for each row: n must be 1, got {job.n}")
        if job.alpha is not None and job.index is None:
            raise ValueError(f"samples in a transform need an index: the name of a column, or {HASH!r}")
        self.job = job
        self._new = replace(job, keep_columns=False)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """The columns of the batch that the job keeps, and its new ones."""
        job = self.job
        read = {job.column, *(() if job.index in (None, HASH) else (job.index,))}
        for name in read - set(batch):
            raise ValueError(f"the batch has no column {name!r}; it has {', '.join(map(repr, batch))}")
        new: dict[str, list[Any]] = self._new(
            pa.table({name: column for name, column in batch.items() if name in read})
        ).to_pydict()
        kept = batch if job.keep_columns is True else job.keep_columns or ()
        return {name: batch[name] for name in kept} | new
