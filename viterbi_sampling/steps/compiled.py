"""From the description of a pipeline to the engine's tables for it, where the engine has all of its steps."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.encoder import piece_trie
from viterbi_sampling.engine.pipeline import PipelineNormalizer, character_set
from viterbi_sampling.steps import characters
from viterbi_sampling.steps.aligned import NMT_REMOVED, NMT_SPACES
from viterbi_sampling.steps.description import (
    AddedToken,
    Lowercase,
    Metaspace,
    Nmt,
    Normalizer,
    Pipeline,
    Precompiled,
    Prepend,
    Replace,
    Strip,
    StripAccents,
    UnicodeForm,
    WhitespaceSplit,
)
from viterbi_sampling.steps.forms import combining, decomposed
from viterbi_sampling.steps.patterns import AtEnd, AtStart, Run, parse
from viterbi_sampling.steps.preparation import added_contents

if TYPE_CHECKING:
    from viterbi_sampling.engine.pipeline import Splitter

Bytes = npt.NDArray[np.uint8]
Table = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], npt.NDArray[np.int32], npt.NDArray[np.uint32]]

MOST_RANGES = 32
"""Of a set of characters, in the engine."""


def compiled(pipeline: Pipeline) -> PipelineNormalizer | None:
    """The pipeline ready to run in the engine; None where it has not all of it."""
    normalizers = list(pipeline.normalizers)
    if any(token.single_word or (token.normalized and (token.lstrip or token.rstrip)) for token in pipeline.added):
        return None
    cutting, prefix = "whole", "never"
    if pipeline.pre_tokenizers and pipeline.escapes_spaces:
        last = pipeline.pre_tokenizers[-1]
        assert isinstance(last, Metaspace)
        prefix = last.prepend
        cutting = "words" if isinstance(pipeline.pre_tokenizers[0], WhitespaceSplit) else "spaces"
    elif pipeline.pre_tokenizers:
        return None
    elif pipeline.escapes_spaces:
        cutting = "spaces"
    steps = []
    for number, step in enumerate(normalizers):
        if number == len(normalizers) - 1 and _is_needless(step, cutting, pipeline):
            continue
        found = _step(step)
        if found is None:
            return None
        steps.append(found)
    before, after = added_contents(pipeline)
    return PipelineNormalizer(
        steps, cutting, prefix, _splitter(before, pipeline.added), _splitter(after, pipeline.added)
    )


def _is_needless(step: Normalizer, cutting: str, pipeline: Pipeline) -> bool:
    """Whether the way into the engine does what the last normalizer does."""
    if any(token.normalized for token in pipeline.added) or not isinstance(step, Replace):
        return False
    if cutting == "spaces" and not pipeline.pre_tokenizers:
        return step.pattern == " "  # U+2581 for spaces
    if cutting == "words" and step.is_regex and step.content == " ":
        pattern = parse(step.pattern)  # a run of white space for another
        return isinstance(pattern, Run) and pattern.ranges == ((0x20, 0x20),)
    return False


def _step(step: Normalizer) -> tuple[str, Any] | None:
    if isinstance(step, Precompiled):
        return "map", (step.charsmap, characters.grapheme_classes())
    if isinstance(step, UnicodeForm):
        return "form", _form(step.form)
    if isinstance(step, StripAccents):
        return "table", _table((code, "") for code in np.flatnonzero(characters.marks()).tolist())
    if isinstance(step, Lowercase):
        return "table", _lower()
    if isinstance(step, Nmt):
        changed = {ord(c): "" for c in NMT_REMOVED} | {ord(c): " " for c in NMT_SPACES}
        return "table", _table(sorted(changed.items()))
    if isinstance(step, Strip):
        return "strip", (step.left, step.right)
    if isinstance(step, Prepend):
        return "first", (_encoded(""), _encoded(step.content), False)
    if not step.is_regex:
        return "string", (_encoded(step.pattern), _encoded(step.content), False)
    pattern = parse(step.pattern)
    if isinstance(pattern, AtStart):
        return "start", (_encoded(pattern.content), _encoded(step.content), pattern.repeated)
    if isinstance(pattern, AtEnd):
        return "end", (_encoded(pattern.content), _encoded(step.content), pattern.repeated)
    if isinstance(pattern, Run) and len(pattern.ranges) <= MOST_RANGES:
        return "run", (pattern.ranges, pattern.low, pattern.exact, _encoded(step.content))
    return None


def _encoded(text: str) -> Bytes:
    return np.frombuffer(text.encode("utf-8"), np.uint8)


def _splitter(contents: dict[str, AddedToken], added: tuple[AddedToken, ...]) -> Splitter | None:
    if not contents:
        return None
    numbers = {token.id: number for number, token in enumerate(added)}
    encoded = [content.encode("utf-8") for content in contents]
    ids = np.array([numbers[token.id] for token in contents.values()], np.int32)
    # The trie takes its numbers for the places of its keys, so that these stand in the order of the added tokens.
    spelled = [b""] * len(added)
    for number, content in zip(ids.tolist(), encoded, strict=True):
        spelled[number] = content
    offsets = np.zeros(len(added) + 1, np.int64)
    np.cumsum([len(content) for content in spelled], out=offsets[1:])
    text = np.frombuffer(b"".join(spelled), np.uint8)
    firsts = np.zeros(256, np.uint8)
    firsts[[content[0] for content in encoded]] = 1
    strips = np.array([token.lstrip + 2 * token.rstrip for token in added], np.uint8)
    return piece_trie(text, offsets, ids, np.zeros(len(added), np.float32)), firsts, strips


# -- tables of characters ----------------------------------------------------------------------------


def _table(changed: Iterable[tuple[int, str]], flagged: Iterable[int] | None = None) -> Table:
    """What characters become, by code point, rising; the set of them holds `flagged`, by default these."""
    codes: list[int] = []
    bounds = [0]
    parts: list[int] = []
    for code, text in changed:
        codes.append(code)
        parts += map(ord, text)
        bounds.append(len(parts))
    flags = np.zeros(0x110000, np.bool_)
    flags[codes if flagged is None else list(flagged)] = True
    return character_set(flags), np.array(codes, np.uint32), np.array(bounds, np.int32), np.array(parts, np.uint32)


# Where characters with a decomposition lie, but for Hangul syllables; and those in upper case. Looking at all of
# Unicode would take longer than loading the model.
_DECOMPOSED = (
    (0xA0, 0x3400), (0xA69C, 0xA800), (0xAB5C, 0xAB70), (0xF900, 0x10000), (0x11000, 0x11C00), (0x1D000, 0x1D800),
    (0x1EE00, 0x1F300), (0x2F800, 0x2FA20),
)  # fmt: skip
_UPPER = (
    (0x41, 0x5B), (0xC0, 0x590), (0x10A0, 0x1100), (0x13A0, 0x13F6), (0x1C80, 0x1CC0), (0x1E00, 0x2000),
    (0x2100, 0x2190), (0x24B0, 0x24D0), (0x2C00, 0x2D30), (0xA640, 0xA800), (0xFF21, 0xFF3B), (0x10400, 0x105A0),
    (0x10C80, 0x10D70), (0x118A0, 0x118C0), (0x16E40, 0x16EC0), (0x1E900, 0x1E922),
)  # fmt: skip


def _codes(ranges: tuple[tuple[int, int], ...]) -> Iterable[int]:
    return (code for first, last in ranges for code in range(first, last))


@lru_cache(maxsize=1)
def _lower() -> Table:
    changed = ((code, characters.lower(chr(code))) for code in _codes(_UPPER))
    return _table((code, lower) for code, lower in changed if lower != chr(code))


@lru_cache(maxsize=4)
def _form(form: str) -> tuple[Table, Bytes, npt.NDArray[np.uint64] | None, npt.NDArray[np.uint32] | None]:
    """(decompositions, combining classes, pairs that are composed, what to), the last two None for NFD and NFKD."""
    compatible, compose = "K" in form, form.endswith("C")
    decompositions = {}
    for code in _codes(_DECOMPOSED):
        if unicodedata.decomposition(chr(code)):
            parts = decomposed(chr(code), compatible)
            if parts != chr(code):
                decompositions[code] = parts
    ranks = np.zeros(0x110000, np.uint8)
    for code in np.flatnonzero(characters.marks()).tolist():
        ranks[code] = combining(chr(code))
    syllables = range(0xAC00, 0xAC00 + 11172)
    if not compose:
        flagged = [*decompositions, *np.flatnonzero(ranks).tolist(), *syllables]
        return _table(decompositions.items(), flagged), ranks, None, None
    pairs = {}
    for code in _codes(_DECOMPOSED):
        both = unicodedata.decomposition(chr(code))
        if both and both[0] != "<" and " " in both and unicodedata.normalize("NFC", chr(code)) == chr(code):
            first, second = (int(part, 16) for part in both.split())
            if not characters.later_decompositions()[code]:
                pairs[first << 32 | second] = code
    seconds = {pair & 0xFFFFFFFF for pair in pairs}
    changing = [code for code, parts in decompositions.items() if unicodedata.normalize("NFC", parts) != chr(code)]
    flagged = [*changing, *seconds, *np.flatnonzero(ranks).tolist(), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]
    keys = sorted(pairs)
    return (
        _table(decompositions.items(), flagged),
        ranks,
        np.array(keys, np.uint64),
        np.array([pairs[key] for key in keys], np.uint32),
    )
