"""Regular expressions that tokenizer.json files of Unigram models really hold: runs of certain characters.

They are Oniguruma's. Those of a few kinds are understood here; all others are left to the tokenizers library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]

_CLASSES: dict[str, Ranges] = {
    r"\s": ((0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
            (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
    r"\p{Zs}": ((0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x202F, 0x202F), (0x205F, 0x205F),
                (0x3000, 0x3000)),
    r"\t": ((0x09, 0x09),),
    r"\n": ((0x0A, 0x0A),),
    r"\r": ((0x0D, 0x0D),),
}  # fmt: skip
SPACES: Ranges = ((0x20, 0x20),)
WHITE_SPACE: Ranges = _CLASSES[r"\s"]
_ATOM = re.compile(
    r"\\p\{Zs\}|\\[stnr]|\\x[0-9A-Fa-f]{2}(?![0-9A-Fa-f])|\\u[0-9A-Fa-f]{4}|\\[.^$*+?()\[\]{}|\\/\-]|[^\\\[\]^&\-]"
)
# In Oniguruma ^ matches at the beginning of each line; not after a newline is only at that of the text.
_START = re.compile(r"(?:\(\?<!(?:\\n|\n)\)\^|\\A)(?P<content>[^\\\[\](){}.*+?^$|]*)\Z")
_END = re.compile(r"(?P<content>[^\\\[\](){}.*+?^$|]+)\\z\Z")
_STARTS = re.compile(r"\\A(?P<content>[^\\\[\](){}.*+?^$|])\+\Z", re.DOTALL)
_ENDS = re.compile(r"(?P<content>[^\\\[\](){}.*+?^$|])\+\\z\Z", re.DOTALL)
_SET = r"\[(?P<inner>[^\[\]\\&^]*(?:\\.[^\[\]\\&^]*)*)\]|\\p\{Zs\}|\\.[0-9A-Fa-f]{4}|\\[^pux]|[^\\\[\](){}.*+?^$|#]"
_PATTERN = re.compile(rf"(?P<atoms>{_SET})(?P<times>\+|\{{(?P<low>\d{{1,3}})(?P<comma>,)?\}})?\Z", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """At least `low` of the characters in `ranges` in a row: as many as there are, or with `exact` just so many."""

    ranges: Ranges
    low: int = 1
    exact: bool = True

    def matches(self, text: str) -> Iterator[tuple[int, int]]:
        """The spans of the matches, from left to right."""
        inside = "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in self.ranges)
        times = f"{{{self.low}}}" if self.exact else f"{{{self.low},}}"
        return (match.span() for match in re.finditer(f"[{inside}]{times}", text))


@dataclass(frozen=True)
class AtStart:
    """`content`, which may be empty, where the text begins with it; if `repeated`, a run of this one character."""

    content: str = ""
    repeated: bool = False

    def matches(self, text: str) -> Iterator[tuple[int, int]]:
        """The span of the match, if there is one."""
        if text.startswith(self.content):
            yield 0, len(text) - len(text.lstrip(self.content)) if self.repeated else len(self.content)


@dataclass(frozen=True)
class AtEnd:
    """`content`, which is not empty, where the text ends with it; if `repeated`, a run of this one character."""

    content: str
    repeated: bool = False

    def matches(self, text: str) -> Iterator[tuple[int, int]]:
        """The span of the match, if there is one."""
        if text.endswith(self.content):
            yield len(text.rstrip(self.content)) if self.repeated else len(text) - len(self.content), len(text)


_AT_ENDS: tuple[tuple[re.Pattern[str], type[AtStart | AtEnd], bool], ...] = (
    (_START, AtStart, False),
    (_END, AtEnd, False),
    (_STARTS, AtStart, True),
    (_ENDS, AtEnd, True),
)


def parse(pattern: str) -> Run | AtStart | AtEnd | None:
    r"""What a pattern matches; None where it is of no kind that is understood here.

    >>> parse(" {2,}")
    Run(ranges=((32, 32),), low=2, exact=False)
    """
    for ends, kind, repeated in _AT_ENDS:
        end = ends.match(pattern)
        if end is not None:
            return kind(end["content"], repeated)
    found = _PATTERN.match(pattern)
    if found is None:
        return None
    ranges = _members(found["atoms"] if found["inner"] is None else found["inner"])
    if ranges is None:
        return None
    if found["times"] is None:
        return Run(ranges)
    if found["times"] == "+":
        return Run(ranges, 1, False)
    low = int(found["low"])
    return Run(ranges, low, found["comma"] is None) if low else None


def one_by_one(pattern: str, content: str) -> tuple[str, ...]:
    r"""Patterns that do the same when each is replaced by `content` in turn; the pattern alone where it has no such.

    That is so for a run of characters or one of them where no run is, and for what is removed at both ends.

    >>> one_by_one(r"\s{2,}|[\n\t]", " "), one_by_one(r"\A +| +\z", ""), one_by_one("a|b", "x")
    (('\\s{2,}', '[\\n\\t]'), ('\\A +', ' +\\z'), ('a|b',))
    """
    first, bar, second = pattern.partition("|")
    runs = parse(first), parse(second)
    if not bar:
        return (pattern,)
    if isinstance(runs[0], AtStart) and isinstance(runs[1], AtEnd):
        apart = content == "" and len(runs[0].content) == len(runs[1].content) == 1
    elif isinstance(runs[0], Run) and isinstance(runs[1], Run):
        # What the second finds is a part of no match of the first, and nothing that the first puts in its place.
        inside = all(any(a <= low and high <= b for a, b in runs[0].ranges) for low, high in runs[1].ranges)
        found = any(low <= ord(character) <= high for character in content for low, high in runs[1].ranges)
        apart = inside and not found and not runs[0].exact and runs[1] == Run(runs[1].ranges)
    else:
        apart = False
    return (first, second) if apart else (pattern,)


def _members(text: str) -> Ranges | None:
    """The characters that atoms stand for, such as a-z\\s in a class; None where that is not certain."""
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        atom = _ATOM.match(text, at)
        if atom is None:
            return None
        at = atom.end()
        members = _CLASSES.get(atom.group()) or _character(atom.group())
        if text.startswith("-", at):
            last = _ATOM.match(text, at + 1)
            if last is None or len(members) > 1 or last.group() in _CLASSES or members[0][0] != members[0][1]:
                return None
            at = last.end()
            members = ((members[0][0], _character(last.group())[0][0]),)
            if members[0][0] > members[0][1]:
                return None
        ranges += members
    return tuple(sorted(ranges)) if ranges else None


def _character(atom: str) -> Ranges:
    code = int(atom[2:], 16) if atom[:2] in (r"\u", r"\x") else ord(atom[-1])
    return ((code, code),)
