"""Rows cut off to a length, all at once: the window of each row that stays, and those of the tokens that it leaves out.

As truncation in Hugging Face's tokenizers, whose `Encoding.overflowing` are the other windows, in its order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from viterbi_sampling.batch import Batch
from viterbi_sampling.pipelines.sequences import Later, Sizes, positions, sizes_of, sliced

LONGEST = 1 << 62
"""No text has as many tokens; files say more for no limit."""


class Windows(NamedTuple):
    """Rows of one text or two, cut into windows: those of row i stand together, first the one that stays.

    first, second : the tokens of each window; `second` is None where rows have one text
    rows : int64, for each window its row
    later : bool arrays, whether a window of the first or of the second text is another than the one that stays
    """

    first: Batch
    second: Batch | None
    rows: Sizes
    later: Later

    @property
    def staying(self) -> Sizes:
        """For each row the number of its first window, the one that stays."""
        return np.flatnonzero(np.diff(self.rows, prepend=-1))


class _Cuts(NamedTuple):
    """How one text of each row is cut: windows of `kept` tokens, each `stride` of which are in the one before, too."""

    sizes: Sizes
    kept: Sizes
    stride: int
    side: str

    @property
    def counts(self) -> Sizes:
        """How many windows each row has: where none of its tokens stay, the other window has all of them."""
        rest = self.sizes - self.kept
        step = np.maximum(self.kept - self.stride, 1)
        return np.where(self.kept == 0, 1 + (rest > 0), 1 + -(-rest // step))

    def places(self, rows: Sizes, numbers: Sizes) -> tuple[Sizes, Sizes]:
        """The first token, counted from that of its text, and the size of window `numbers[i]` of row `rows[i]`."""
        sizes, kept = self.sizes[rows], self.kept[rows]
        whole = (kept == 0) & (numbers > 0)
        shift = np.where(whole, 0, numbers * (kept - self.stride))
        kept = np.where(whole, sizes, kept)
        if self.side == "right":
            return shift, np.minimum(kept, sizes - shift)
        stops = sizes - shift
        starts = np.maximum(stops - kept, 0)
        return starts, stops - starts


def windows(
    first: Batch,
    second: Batch | None = None,
    room: int | None = None,
    strategy: str = "longest_first",
    *,
    side: str = "right",
    stride: int = 0,
    overflowing: bool = False,
    swapped: bool = False,
) -> Windows:
    """The texts of each row cut off so that they have at most `room` tokens together, None for no limit.

    strategy : "longest_first", "only_first" or "only_second", which text is cut off
    side : "right" where the first tokens stay, "left" where the last ones do
    stride : how many tokens a window shares with the one before
    overflowing : the other windows, too; where both texts are cut off, each of one with each of the other
    swapped : whether the second text comes first; it then is the one whose windows change last

    ValueError where rows cannot be cut off so, and where `stride` is not less than what is kept of a text.

    >>> row = Batch(np.arange(5, dtype=np.int32), np.array([0, 5]))
    >>> windows(row, room=3, stride=1, overflowing=True).first.to_list()
    [[0, 1, 2], [2, 3, 4]]
    >>> windows(row, room=2, side="left", overflowing=True).first.to_list()
    [[3, 4], [1, 2], [0]]
    """
    stride = min(stride, LONGEST)
    sizes = sizes_of(first)
    others = np.zeros_like(sizes) if second is None else sizes_of(second)
    kept = (sizes, others) if room is None else _kept(sizes, others, second is not None, min(room, LONGEST), strategy)
    for whole, left in ((sizes, kept[0]), (others, kept[1])):
        short = (left < whole) & (left <= stride) & (left > 0)
        if short.any():
            row = int(np.flatnonzero(short)[0])
            raise ValueError(f"truncation: stride is {stride}, not less than the {left[row]} tokens kept of row {row}")
    cuts = _Cuts(sizes, kept[0], stride, side), _Cuts(others, kept[1], stride, side)
    leads = 1 if swapped else 0
    leading, following = cuts[leads].counts, cuts[1 - leads].counts
    totals = leading * following if overflowing else np.ones_like(leading)
    rows = np.repeat(np.arange(len(sizes)), totals)
    place = positions(np.concatenate([np.zeros(1, np.int64), np.cumsum(totals)]))
    # First the window that stays, then the others of the leading text with each of the following one, then the
    # leading one that stays with the others of the following one.
    turns, behind = (place - 1) // following[rows] + 1, place - (leading[rows] - 1) * following[rows]
    numbers = [np.where(behind > 0, 0, turns), np.where(behind > 0, behind, (place - 1) % following[rows])]
    for of_text in numbers:
        of_text[place == 0] = 0
    if swapped:
        numbers.reverse()

    def cut(text: Batch, part: int) -> Batch:
        starts, lengths = cuts[part].places(rows, numbers[part])
        return sliced(text, text.offsets[rows] + starts, lengths)

    later = numbers[0] > 0, numbers[1] > 0
    return Windows(cut(first, 0), None if second is None else cut(second, 1), rows, later)


def longest_first(first: Sizes, second: Sizes, length: int) -> tuple[Sizes, Sizes]:
    """The sizes that leave the two texts of each pair at most `length` tokens together, the longer one cut off first.

    As the tokenizers library does it: of two that are both too long, the longer one gets the odd token.

    >>> longest_first(np.array([9, 3]), np.array([8, 2]), 7)
    (array([4, 3]), array([3, 2]))
    """
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    longer = np.minimum(longer, np.maximum(shorter, length - shorter))
    over = shorter + longer > length
    shorter = np.where(over, length // 2, shorter)
    longer = np.where(over, length - length // 2, longer)
    swapped = first > second
    return np.where(swapped, longer, shorter), np.where(swapped, shorter, longer)


def _kept(first: Sizes, second: Sizes, pairs: bool, room: int, strategy: str) -> tuple[Sizes, Sizes]:
    """How many tokens of each text stay."""
    if room < 0:
        raise ValueError(f"max_length is {-room} less than the number of special tokens of a row")
    if room == 0:  # whatever the strategy
        return np.zeros_like(first), np.zeros_like(second)
    if strategy == "longest_first":
        return longest_first(first, second, room)
    over = np.maximum(first + second - room, 0)
    if strategy == "only_second" and not pairs:
        if over.any():
            raise ValueError("truncation 'only_second' needs pairs of texts")
        return first, second
    if ((second if strategy == "only_second" else first) <= over)[over > 0].any():
        raise ValueError(f"truncation {strategy!r}: the other text of a row leaves no room for it")
    return (first, second - over) if strategy == "only_second" else (first - over, second)
