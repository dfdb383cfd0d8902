"""The special tokens around one text, or around and between the two of a pair, and the type ids of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from viterbi_sampling.steps.description import Template as FileTemplate

Part = tuple[int, ...]

NO_SPECIAL_TOKENS = FileTemplate((("A", 0),), (("A", 0), ("B", 1)))
"""What a tokenizer.json without a post-processor does."""


class Template(NamedTuple):
    """The special ids before the first text, between the two of a pair, and after the last.

    types : the type ids of the three, and of the first and of the second text
    window_types : the type ids of the two texts in other windows of a row that is cut off than the first
    """

    prefix: Part = ()
    middle: Part = ()
    suffix: Part = ()
    types: tuple[Part, Part, Part, int, int] = ((), (), (), 0, 0)
    window_types: tuple[int, int] = (0, 1)

    @property
    def special_tokens(self) -> int:
        """How many special tokens a row has."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)

    @property
    def bare(self) -> Template:
        """The same without special tokens: what is left are the type ids of the texts."""
        return Template(types=((), (), (), *self.types[3:]))


def of_file(template: FileTemplate, pair: bool) -> Template:
    """The template of a tokenizer.json. ValueError where the first text does not come first, and once."""
    parts = template.pair if pair else template.single
    texts = [part for part, _ in parts if isinstance(part, str)]
    if texts != (["A", "B"] if pair else ["A"]):
        raise ValueError(f"the post-processor puts the texts of a row in the order {texts}, which is not offered")
    ids: list[list[int]] = [[]]
    types: list[list[int]] = [[]]
    text_types: list[int] = []
    for part, type_id in parts:
        if isinstance(part, str):
            ids.append([])
            types.append([])
            text_types.append(type_id)
        else:
            ids[-1] += part
            types[-1] += [type_id] * len(part)
    middle = 1 if pair else None
    return Template(
        tuple(ids[0]),
        tuple(ids[middle]) if middle else (),
        tuple(ids[-1]),
        (
            tuple(types[0]),
            tuple(types[middle]) if middle else (),
            tuple(types[-1]),
            text_types[0],
            text_types[-1],
        ),
        template.window_types,
    )


def of_marks(row: Sequence[int], first: int, second: int | None, alone: int | None = None) -> Template:
    """The template that puts the text that is the id `first`, and then the one that is `second`, into `row`.

    `alone`: how many special tokens follow a text without a second one; so many of a pair's middle have type id 0,
    and what follows them has 1. None: all have 0.

    >>> of_marks([5, -1, 6, 6, -2, 6], -1, -2, alone=1)[:4]
    ((5,), (6, 6), (6,), ((0,), (0, 1), (1,), 0, 1))
    """
    begin = row.index(first)
    end = begin if second is None else row.index(second)
    prefix, middle, suffix = tuple(row[:begin]), tuple(row[begin + 1 : end]), tuple(row[end + 1 :])
    second_type = 0 if alone is None or second is None else 1
    zeros = len(middle) if alone is None else alone
    middle_types = tuple(0 if place < zeros else second_type for place in range(len(middle)))
    types = (0,) * len(prefix), middle_types, (second_type,) * len(suffix), 0, second_type
    return Template(prefix, middle, suffix, types)
