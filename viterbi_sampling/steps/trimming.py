"""Offsets without the spaces at the ends of tokens, as the post-processors of byte-level models have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from viterbi_sampling.steps.aligned import WHITE_SPACE

SPACES = WHITE_SPACE | {"\u0120"}
"""What counts as a space: that of byte-level models, too, as it stands in their tokens."""

Span = tuple[int, int]


def trimmed(tokens: Sequence[str], spans: Sequence[Span], trims: Iterable[bool], in_bytes: bool) -> list[Span]:
    """The spans of the tokens of a text, trimmed once for each of `trims`.

    A flag says that a space may have been put first: one that stands alone before the first token then stays.
    `in_bytes`: spans count bytes, not characters.
    """
    places = list(spans)
    for keeps_prefix in trims:
        for number, token in enumerate(tokens):
            start, stop = places[number]
            leading = list(takewhile(SPACES.__contains__, token))
            trailing = list(takewhile(SPACES.__contains__, reversed(token)))
            if keeps_prefix and len(leading) == 1 and (number == 0 or start == 0):
                leading = []
            start = min(start + _size(leading, in_bytes), stop)
            size = _size(trailing, in_bytes)
            if stop >= size:
                stop = max(stop - size, start)
            places[number] = start, stop
    return places


def _size(spaces: list[str], in_bytes: bool) -> int:
    return sum(len(space.encode("utf-8")) for space in spaces) if in_bytes else len(spaces)
