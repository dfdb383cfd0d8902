"""What the tokenizer gives back: Batch for many texts, Encoding and Segmentation for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.arrays import lists

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped,import-not-found,unused-ignore]


class Encoding(NamedTuple):
    """One segmentation with its pieces and the places they came from.

    `offsets` are (start, end) positions in the given text, in characters for str and in bytes for
    bytes. Of the bytes that spell one character, the last has its span and the others an empty one. So it is
    with pieces of BytePiece that begin or end inside a character: in a str such a place counts as the character's
    beginning (the piece that ends the character spans it); in bytes spans are exact.
    """

    ids: list[int]
    pieces: list[str]
    offsets: list[tuple[int, int]]


class _Paths(Protocol):
    """What has the ids of several segmentations of a text."""

    def ids(self, rank: int) -> list[int]: ...


class Segmentation:
    """One segmentation with its probability. Immutable; equal to the tuple of its fields, and unpacked like it.

    ids : list of int; put together when it is first asked for, so that many segmentations of a long text, which differ
        in a few places, are cheap to have
    log_prob : float
    log_inclusion : the log-probability that it is among k drawn without replacement, None elsewhere

    >>> segmentation = Segmentation([2, 1], -0.5)
    >>> segmentation
    Segmentation(ids=[2, 1], log_prob=-0.5, log_inclusion=None)
    >>> ids, log_prob, _ = segmentation
    """

    __slots__ = ("_ids", "_log_inclusion", "_log_prob", "_paths", "_rank")
    __match_args__ = ("ids", "log_prob", "log_inclusion")

    _ids: list[int] | None
    _paths: _Paths | None
    _rank: int

    def __init__(self, ids: list[int], log_prob: float, log_inclusion: float | None = None) -> None:
        self._ids = ids
        self._paths = None
        self._log_prob = log_prob
        self._log_inclusion = log_inclusion

    @classmethod
    def of_path(cls, paths: _Paths, rank: int, log_prob: float, log_inclusion: float | None = None) -> Segmentation:
        """The segmentation of a path, which has its ids."""
        found = cls.__new__(cls)
        found._ids = None
        found._paths = paths
        found._rank = rank
        found._log_prob = log_prob
        found._log_inclusion = log_inclusion
        return found

    @property
    def ids(self) -> list[int]:
        paths = self._paths
        if paths is not None:
            # Threads that ask at the same time may get lists of their own, equal ones.
            self._ids = paths.ids(self._rank)
            self._paths = None
        return self._ids  # type: ignore[return-value]

    @property
    def log_prob(self) -> float:
        return self._log_prob

    @property
    def log_inclusion(self) -> float | None:
        return self._log_inclusion

    def _fields(self) -> tuple[list[int], float, float | None]:
        return self.ids, self._log_prob, self._log_inclusion

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fields())

    def __getitem__(self, index: Any) -> Any:
        return self._fields()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Segmentation):
            return self._fields() == other._fields()
        return self._fields() == other if isinstance(other, tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Segmentation(ids={self.ids}, log_prob={self._log_prob!r}, log_inclusion={self._log_inclusion!r})"

    def __reduce__(self) -> tuple[type[Segmentation], tuple[list[int], float, float | None]]:
        return Segmentation, self._fields()


class Batch:
    """The ids of many texts in one flat array.

    Row i is ``ids[offsets[i]:offsets[i + 1]]``.

    ids : int32 array, the ids of all rows, one after the other
    offsets : int64 array, one longer than the rows
    spans : int32 array of shape (len(ids), 2), or None: where each token lies in its text
    log_probs : float64 array, one a row, or None

    >>> from viterbi_sampling import Tokenizer
    >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -2.0, "ab": -2.5})
    >>> batch = tokenizer.encode_batch(["ab", "", "bab"])
    >>> batch.to_list()
    [[2], [], [1, 2]]
    >>> batch.ids, batch.offsets
    (array([2, 1, 2], dtype=int32), array([0, 1, 1, 3]))
    >>> batch.to_padded(-1)
    array([[ 2, -1],
           [-1, -1],
           [ 1,  2]], dtype=int32)
    """

    __slots__ = ("ids", "log_probs", "offsets", "spans")

    def __init__(
        self,
        ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        spans: npt.NDArray[np.int32] | None = None,
        log_probs: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.ids = ids
        self.offsets = offsets
        self.spans = spans
        self.log_probs = log_probs

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> npt.NDArray[np.int32]: ...
    @overload
    def __getitem__(self, index: slice) -> list[npt.NDArray[np.int32]]: ...
    def __getitem__(self, index: int | slice) -> npt.NDArray[np.int32] | list[npt.NDArray[np.int32]]:
        """Row `index` as a view of `ids`; negative indices count from the end."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"row {index} of a batch of {len(self)}")
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Batch({len(self)} rows, {len(self.ids)} ids)"

    def to_list(self) -> list[list[int]]:
        """The rows as lists of int."""
        return lists(np.ascontiguousarray(self.ids, np.int32), np.ascontiguousarray(self.offsets, np.int64))

    def to_arrow(self) -> pyarrow.ListArray | pyarrow.LargeListArray:
        """An Arrow list array over the same ids: no copy of the ids.

        A ListArray where 32-bit offsets can count the ids, otherwise a LargeListArray. ImportError
        names the extra to install where pyarrow is missing.
        """
        try:
            import pyarrow
        except ImportError:
            raise ImportError("to_arrow needs pyarrow: pip install 'viterbi-sampling[arrow]'") from None
        ids = pyarrow.array(self.ids)
        if len(self.ids) < 2**31:
            return pyarrow.ListArray.from_arrays(pyarrow.array(self.offsets.astype(np.int32)), ids)
        return pyarrow.LargeListArray.from_arrays(pyarrow.array(self.offsets), ids)

    def to_padded(self, pad_id: int, length: int | None = None, side: str = "right") -> npt.NDArray[np.int32]:
        """The rows as one int32 array of shape (rows, length), filled up with `pad_id`.

        `length` is that of the longest row by default; longer rows keep their first `length` ids.
        `side` is where the padding goes: "right" or "left".
        """
        if side not in ("right", "left"):
            raise ValueError(f"side must be 'right' or 'left', got {side!r}")
        sizes = np.diff(self.offsets)
        width = int(sizes.max(initial=0)) if length is None else length
        if width < 0:
            raise ValueError(f"length must be at least 0, got {length}")
        kept = np.minimum(sizes, width)
        first = width - kept if side == "left" else np.zeros_like(kept)
        padded = np.full((len(self), width), pad_id, np.int32)
        within = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
        rows = np.repeat(np.arange(len(self)), kept)
        padded[rows, np.repeat(first, kept) + within] = self.ids[np.repeat(self.offsets[:-1], kept) + within]
        return padded

    def __eq__(self, other: Any) -> bool:
        """Whether two batches hold the same rows."""
        if not isinstance(other, Batch):
            return NotImplemented
        return np.array_equal(self.ids, other.ids) and np.array_equal(self.offsets, other.offsets)

    __hash__ = None  # type: ignore[assignment]
