"""The normalizers of a tokenizer.json in plain Python, with where each character comes from.

This is the specification that the tests hold the compiled steps to, and what runs for pipelines with
steps that are not compiled. Alignments follow tokenizers 0.23.3 in all they do: a character that is
put in has those of the one before it, one that is replaced those of the one it replaces, and what
is removed at the very beginning by a character map is not accounted for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from viterbi_sampling.engine.normalizer import read_charsmap
from viterbi_sampling.steps import characters
from viterbi_sampling.steps.description import (
    Lowercase,
    Nmt,
    Normalizer,
    Precompiled,
    Replace,
    Strip,
    StripAccents,
    UnicodeForm,
)
from viterbi_sampling.steps.forms import compositions, decompositions
from viterbi_sampling.steps.graphemes import clusters
from viterbi_sampling.steps.library import library_matches
from viterbi_sampling.steps.patterns import AtEnd, AtStart, Run, parse

WHITE_SPACE = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)
CLUSTER_BYTES = 6
"""The character map looks at whole grapheme clusters that are shorter than this."""


class Aligned:
    """A text, and for each of its characters the bytes of the original text that it comes from."""

    __slots__ = ("begins", "ends", "shift", "text")

    def __init__(self, text: str, begins: list[int], ends: list[int], shift: int) -> None:
        self.text = text
        self.begins = begins
        self.ends = ends
        self.shift = shift

    @classmethod
    def of(cls, text: str) -> Aligned:
        """A text as it was given."""
        begins, ends, at = [], [], 0
        for character in text:
            begins.append(at)
            at += len(character.encode("utf-8"))
            ends.append(at)
        return cls(text, begins, ends, 0)

    def slice(self, start: int, stop: int) -> Aligned:
        shift = self.begins[start] if start < len(self.text) else self.shift
        return Aligned(self.text[start:stop], self.begins[start:stop], self.ends[start:stop], shift)

    def transform(self, changes: Iterable[tuple[str, int]], skipped: int = 0) -> None:
        """Put characters in the place of those that are there, from left to right, after `skipped` that go.

        Each comes with a number: 0 where it replaces one, -n where n more that follow it go, 1 where it is put in.
        """
        begins, ends, text, at = [], [], [], skipped
        for character, change in changes:
            text.append(character)
            source = at - 1 if change > 0 else at
            begins.append(self.begins[source] if source >= 0 else self.shift)
            ends.append(self.ends[source] if source >= 0 else self.shift)
            if change <= 0:
                at = min(at + 1 - change, len(self.text))
        self.text, self.begins, self.ends = "".join(text), begins, ends

    def replace(self, matches: Iterable[tuple[int, int]], content: str) -> None:
        """Put `content` in the place of each match; it comes from where the last character of the match does."""
        text, begins, ends, last = [], [], [], 0
        for start, stop in matches:
            text += [self.text[last:start], content]
            begins += self.begins[last:start]
            ends += self.ends[last:start]
            begins += [self.begins[stop - 1] if stop else self.shift] * len(content)
            ends += [self.ends[stop - 1] if stop else self.shift] * len(content)
            last = stop
        self.text = "".join(text) + self.text[last:]
        self.begins = begins + self.begins[last:]
        self.ends = ends + self.ends[last:]


# -- normalizers -----------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _replacement_of(charsmap: bytes) -> Callable[[str], str | None]:
    units, strings = read_charsmap(charsmap)
    table: list[int] = np.asarray(units).tolist()

    def replacement(cluster: str) -> str | None:
        """What the shortest rule that `cluster` begins with puts in its place; None without one."""
        at = _offset(table[0])
        for byte in cluster.encode("utf-8"):
            if byte == 0:
                return None
            at ^= byte
            unit = table[at]
            if unit & 0x800000FF != byte:
                return None
            at ^= _offset(unit)
            if unit >> 8 & 1:
                begin = table[at] & 0x7FFFFFFF
                return strings[begin : strings.index(b"\0", begin)].decode("utf-8")
        return None

    return replacement


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)


def _precompiled(text: Aligned, charsmap: bytes) -> None:
    replacement = _replacement_of(charsmap)
    changes: list[tuple[str, int]] = []

    def put(old: str, new: str) -> None:
        fewer = len(old) - len(new)
        changes.extend((character, 0 if i < len(old) else 1) for i, character in enumerate(new))
        if fewer > 0 and changes:
            changes[-1] = (changes[-1][0], changes[-1][1] - fewer)

    for cluster in clusters(text.text):
        if len(cluster.encode("utf-8")) < CLUSTER_BYTES:
            new = replacement(cluster)
            if new is not None:
                put(cluster, new)
                continue
        for character in cluster:
            new = replacement(character)
            if new is None:
                changes.append((character, 0))
            else:
                put(character, new)
    text.transform(changes)


def _filter(text: Aligned, keep: Callable[[str], bool]) -> None:
    changes: list[tuple[str, int]] = []
    skipped = 0
    for character in text.text:
        if keep(character):
            changes.append((character, 0))
        elif changes:
            changes[-1] = (changes[-1][0], changes[-1][1] - 1)
        else:
            skipped += 1
    text.transform(changes, skipped)


NMT_REMOVED = frozenset(map(chr, [*range(1, 9), 0x0B, *range(0x0E, 0x20), 0x7F, 0x8F, 0x9F]))
NMT_SPACES = frozenset("\t\n\f\r\u1680\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd")


def _nmt(text: Aligned) -> None:
    _filter(text, lambda character: character not in NMT_REMOVED)
    text.text = "".join(" " if character in NMT_SPACES else character for character in text.text)


def _strip(text: Aligned, left: bool, right: bool) -> None:
    start, stop = 0, len(text.text)
    while left and start < stop and text.text[start] in WHITE_SPACE:
        start += 1
    while right and stop > start and text.text[stop - 1] in WHITE_SPACE:
        stop -= 1
    text.text, text.begins, text.ends = text.text[start:stop], text.begins[start:stop], text.ends[start:stop]


def normalize(step: Normalizer, text: Aligned) -> None:
    """Run one step."""
    if isinstance(step, Precompiled):
        _precompiled(text, step.charsmap)
    elif isinstance(step, UnicodeForm):
        changes: Iterable[tuple[str, int]] = decompositions(text.text, "K" in step.form)
        text.transform(compositions(list(changes)) if step.form.endswith("C") else changes)
    elif isinstance(step, StripAccents):
        _filter(text, lambda character: not characters.marks()[ord(character)])
    elif isinstance(step, Lowercase):
        text.transform((c, min(i, 1)) for old in text.text for i, c in enumerate(characters.lower(old)))
    elif isinstance(step, Nmt):
        _nmt(text)
    elif isinstance(step, Strip):
        _strip(text, step.left, step.right)
    elif isinstance(step, Replace):
        text.replace(matches(step, text.text), step.content)
    elif text.text:
        first = text.text[0]
        text.text = step.content + text.text
        text.begins = [text.begins[0]] * len(step.content) + text.begins
        text.ends = [text.ends[0]] * len(step.content) + text.ends
        assert text.text[len(step.content)] == first


def matches(step: Replace, text: str) -> list[tuple[int, int]]:
    """Where the pattern of a Replace step matches, from left to right."""
    if not text:
        return []
    if not step.is_regex:
        return [match.span() for match in re.finditer(re.escape(step.pattern), text)]
    pattern = parse(step.pattern)
    if isinstance(pattern, AtStart | AtEnd | Run):
        return list(pattern.matches(text))
    return library_matches(step.pattern, text)
