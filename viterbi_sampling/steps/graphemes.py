"""Extended grapheme clusters (UAX 29)."""

from __future__ import annotations

from collections.abc import Iterator

from viterbi_sampling.steps.characters import (
    CONSONANT,
    CONTROL,
    CR,
    EXTEND,
    JOINER,
    LF,
    LINKER,
    LV,
    LVT,
    NON_JOINER,
    PICTURE,
    PREPEND,
    REGIONAL,
    SPACING,
    L,
    T,
    V,
    grapheme_classes,
)


def clusters(text: str) -> Iterator[str]:
    """The extended grapheme clusters of a text (UAX 29)."""
    classes = grapheme_classes()
    start = 0
    before = 0
    regionals = 0  # in a row, before this character
    picture = False  # a picture and what extends it lead up to here
    conjunct = 0  # 1: a consonant and what extends it lead up to here, 2: with a linker among it
    for at, character in enumerate(text):
        kind = int(classes[ord(character)])
        if at and _breaks(before, kind, regionals, picture, conjunct):
            yield text[start:at]
            start = at
        regionals = regionals + 1 if kind == REGIONAL else 0
        picture = kind == PICTURE or (picture and kind in (EXTEND, LINKER, NON_JOINER, JOINER) and before != JOINER)
        if kind == CONSONANT:
            conjunct = 1
        elif conjunct and kind == LINKER:
            conjunct = 2
        elif kind not in (EXTEND, JOINER):
            conjunct = 0
        before = kind
    if text:
        yield text[start:]


def _breaks(before: int, kind: int, regionals: int, picture: bool, conjunct: int) -> bool:
    if before in (CR, LF, CONTROL) or kind in (CR, LF, CONTROL):
        return not (before == CR and kind == LF)
    if before == L and kind in (L, V, LV, LVT):
        return False
    if (before in (LV, V) and kind in (V, T)) or (before in (LVT, T) and kind == T):
        return False
    if kind in (EXTEND, LINKER, NON_JOINER, JOINER, SPACING) or before == PREPEND:
        return False
    if conjunct == 2 and kind == CONSONANT:
        return False
    if before == JOINER and kind == PICTURE and picture:
        return False
    return not (before == REGIONAL and kind == REGIONAL and regionals % 2 == 1)
