"""Rows of tokens made into the inputs of a model, all rows at once: joined with special tokens, padded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.batch import Batch
from viterbi_sampling.pipelines.templates import Template

Sizes = npt.NDArray[np.int64]
Later = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


class Sequences(NamedTuple):
    """Rows of tokens, and for each token which part of its row it belongs to.

    parts : int8 array, one entry a token: 0 prefix, 1 first text, 2 middle, 3 second text, 4 suffix
    """

    rows: Batch
    parts: npt.NDArray[np.int8]

    @property
    def special(self) -> npt.NDArray[np.int8]:
        """1 for the tokens of the template, 0 for those of a text."""
        return np.equal(self.parts % 2, 0).astype(np.int8)

    def types(self, template: Template, later: Later | None = None) -> npt.NDArray[np.int64]:
        """The type id of each token, int64. `later`: for each row whether its texts have those of `window_types`."""
        prefix, middle, suffix, first, second = template.types
        types = np.where(self.parts == 3, second, np.where(self.parts == 1, first, 0)).astype(np.int64)
        for part, values in ((0, prefix), (2, middle), (4, suffix)):
            types[self.parts == part] = np.tile(np.array(values, np.int64), len(self.rows))
        if later is not None:
            sizes = sizes_of(self.rows)
            for part, rows, type_id in zip((1, 3), later, template.window_types, strict=True):
                types[(self.parts == part) & np.repeat(rows, sizes)] = type_id
        return types


def sizes_of(rows: Batch) -> Sizes:
    return np.diff(rows.offsets)


def sliced(rows: Batch, starts: Sizes, sizes: Sizes) -> Batch:
    """New rows: row i has the `sizes[i]` tokens that begin with token `starts[i]` of all.

    >>> rows = Batch(np.array([1, 2, 3, 4], np.int32), np.array([0, 3, 4]))
    >>> sliced(rows, np.array([1, 3, 1]), np.array([2, 1, 0])).to_list()
    [[2, 3], [4], []]
    """
    chosen = _consecutive(starts, sizes)
    return Batch(rows.ids[chosen], _offsets(sizes), None if rows.spans is None else rows.spans[chosen])


def joined(first: Batch, second: Batch | None, template: Template) -> Sequences:
    """Row i is prefix + first[i] + middle + second[i] + suffix, without middle and second where there is none.

    >>> row = Batch(np.array([7], np.int32), np.array([0, 1]))
    >>> joined(row, row, Template((1,), (2,), (3,))).rows.to_list()
    [[1, 7, 2, 7, 3]]
    """
    count = len(first)
    pieces = [(0, _constant(template.prefix, count)), (1, first)]
    if second is not None:
        pieces += [(2, _constant(template.middle, count)), (3, second)]
    pieces.append((4, _constant(template.suffix, count)))
    pieces = [(part, rows) for part, rows in pieces if len(rows.ids)]
    sizes = np.stack([sizes_of(rows) for _, rows in pieces], axis=1) if pieces else np.zeros((count, 1), np.int64)
    starts = _offsets(sizes.ravel())[:-1].reshape(sizes.shape)
    total = int(sizes.sum())
    ids, parts = np.empty(total, np.int32), np.empty(total, np.int8)
    spans = None if first.spans is None else np.zeros((total, 2), np.int32)
    for column, (part, rows) in enumerate(pieces):
        places = _consecutive(starts[:, column], sizes[:, column])
        ids[places] = rows.ids
        parts[places] = part
        if spans is not None and rows.spans is not None:
            spans[places] = rows.spans
    return Sequences(Batch(ids, _offsets(sizes.sum(axis=1)), spans), parts)


def padded(
    values: npt.NDArray[Any], offsets: Sizes, fill: Any, length: int | None = None, side: str = "right"
) -> npt.NDArray[Any]:
    """Rows of `values` as one array of shape (rows, length, ...), filled up with `fill` on `side`.

    `length` is that of the longest row by default; no row may be longer.

    >>> padded(np.array([1, 2, 3]), np.array([0, 2, 3]), 0, side="left")
    array([[1, 2],
           [0, 3]])
    """
    sizes = np.diff(offsets)
    width = int(sizes.max(initial=0)) if length is None else length
    out = np.full((len(sizes), width, *values.shape[1:]), fill, values.dtype)
    starts = np.arange(len(sizes)) * width + (0 if side == "right" else width - sizes)
    out.reshape(-1, *values.shape[1:])[_consecutive(starts, sizes)] = values
    return out


def shaped(values: npt.NDArray[Any], offsets: Sizes, fill: Any, width: int | None, side: str) -> Any:
    """One array where all rows are as long, a list of arrays elsewhere."""
    sizes = np.diff(offsets)
    length = int(sizes.max(initial=0))
    if width is None and (sizes == length).all():
        width = length
    if width is not None and length <= width:
        return padded(values, offsets, fill, width, side)
    rows = [values[start:end] for start, end in pairwise(offsets.tolist())]
    if width is None:
        return rows
    missing = [np.full((max(width - len(row), 0), *row.shape[1:]), fill, row.dtype) for row in rows]
    return [
        np.concatenate([row, end] if side == "right" else [end, row]) for row, end in zip(rows, missing, strict=True)
    ]


def plain(column: Any, name: str) -> Any:
    """A column, or the entry of one row, as lists of Python numbers; spans as tuples."""
    if isinstance(column, int):
        return column
    if isinstance(column, list):
        return [plain(entry, name) for entry in column]
    if name == "offset_mapping":
        return [tuple(span) for span in column.tolist()] if column.ndim == 2 else [plain(row, name) for row in column]
    return column.tolist()


def longest(rows: Batch) -> npt.NDArray[np.int32]:
    """The longest row, an empty one where there are none."""
    sizes = sizes_of(rows)
    return rows[int(sizes.argmax())] if len(sizes) else rows.ids


def positions(offsets: Sizes) -> Sizes:
    """For each token its place in its row.

    >>> positions(np.array([0, 2, 3]))
    array([0, 1, 0])
    """
    return _consecutive(np.zeros(len(offsets) - 1, np.int64), np.diff(offsets))


def merged(rows: Batch, counts: Sequence[int] | Sizes) -> Batch:
    """Neighbouring rows made one: the first counts[0] rows become row 0, and so on."""
    return Batch(rows.ids, rows.offsets[_offsets(np.asarray(counts, np.int64))], rows.spans)


def _constant(ids: tuple[int, ...], rows: int) -> Batch:
    return Batch(np.tile(np.array(ids, np.int32), rows), np.arange(rows + 1, dtype=np.int64) * len(ids))


def _offsets(sizes: Sizes) -> Sizes:
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _consecutive(starts: Sizes, sizes: Sizes) -> Sizes:
    """The numbers starts[i], starts[i] + 1, ... for each i, sizes[i] of them."""
    ends = np.cumsum(sizes)
    numbers: Sizes = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
    return numbers
