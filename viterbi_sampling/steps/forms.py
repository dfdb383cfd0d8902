"""Unicode normalization forms, with what becomes of each character.

They are those of the Rust crate unicode-normalization-alignments. Each character comes with a number, as
`Aligned.transform` takes them: 0 where it stands for one, -n where n more that follow it go into it, 1 where it is put
in. The numbers stay with their characters when marks change places.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from viterbi_sampling.steps import characters


def decompositions(text: str, compatible: bool) -> list[tuple[str, int]]:
    """The characters of NFD or NFKD in their order, with their changes."""
    changes: list[tuple[str, int]] = []
    pending: list[tuple[int, str, int]] = []

    def flush() -> None:
        pending.sort(key=lambda entry: entry[0])
        changes.extend((character, change) for _, character, change in pending)
        pending.clear()

    for character in text:
        for i, part in enumerate(decomposed(character, compatible)):
            rank = combining(part)
            if rank == 0:
                flush()
                changes.append((part, min(i, 1)))
            else:
                pending.append((rank, part, min(i, 1)))
    flush()
    return changes


def decomposed(character: str, compatible: bool) -> str:
    """The full decomposition of a character, as Unicode 9 has it."""
    if characters.later_decompositions()[ord(character)]:
        return character
    return unicodedata.normalize("NFKD" if compatible else "NFD", character)


def combining(character: str) -> int:
    """The canonical combining class of a character, as Unicode 9 has it."""
    return unicodedata.combining(character) if characters.marks()[ord(character)] else 0


def _composed(first: str, second: str) -> str | None:
    both = unicodedata.normalize("NFC", first + second)
    return both if len(both) == 1 and not characters.later_decompositions()[ord(both)] else None


def compositions(changes: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """The same characters, starters and marks composed."""
    starter: tuple[str, int] | None = None
    held: list[tuple[str, int]] = []
    last = 0  # the class of the last one that is held
    for character, change in changes:
        rank = combining(character)
        if starter is None:
            if rank:
                yield character, change
            else:
                starter = (character, change)
            continue
        both = _composed(starter[0], character) if not held or last < rank else None
        if both is not None:
            starter = (both, starter[1] + change - 1)
        elif rank == 0:
            yield starter
            yield from held
            starter, held = (character, change), []
        else:
            held.append((character, change))
            last = rank
    if starter is not None:
        yield starter
        yield from held
