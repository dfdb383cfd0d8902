"""Texts with tokens that stand outside the model: found in the text, the stretches between them segmented."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from viterbi_sampling.batch import Batch
from viterbi_sampling.pipelines.keys import Keys, keys_of_parts

NO_TOKEN = re.compile("(?!)")


class AddedToken(Protocol):
    """A token as the tokenizers library describes it."""

    content: str
    single_word: bool
    lstrip: bool
    rstrip: bool


class Stretch(NamedTuple):
    """A part of a text, from `start` to `end`: an added token with its id, or text for the model (None)."""

    start: int
    end: int
    id: int | None


class AddedTokens:
    """The added tokens of a tokenizer: the longest one at the first place that has one is found first.

    `single_word` tokens count only between characters that are not of words; `lstrip` and `rstrip` tokens take the
    white space beside them. All are matched in the text as it is given.
    """

    def __init__(self, tokens: Iterable[tuple[int, AddedToken]] = ()) -> None:
        self._tokens = {token.content: (id, token) for id, token in tokens if token.content}
        longest = sorted(self._tokens, key=lambda content: (-len(content), content))
        self._pattern = re.compile("|".join(map(re.escape, longest))) if longest else NO_TOKEN

    def split(self, text: str) -> list[Stretch]:
        """The stretches of a text, from left to right; none is empty."""
        stretches: list[Stretch] = []
        done = 0
        for match in self._pattern.finditer(text):
            id, token = self._tokens[match[0]]
            start, end = match.span()
            if start < done or (token.single_word and (_word_at(text, start - 1) or _word_at(text, end))):
                continue
            if token.lstrip:
                start = done + len(text[done:start].rstrip())
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip())
            if start > done:
                stretches.append(Stretch(done, start, None))
            stretches.append(Stretch(start, end, id))
            done = end
        if done < len(text):
            stretches.append(Stretch(done, len(text), None))
        return stretches

    def rows(
        self,
        texts: Sequence[str],
        keys: Keys | None,
        first_part: int,
        segment: Callable[[list[str], Keys | None], Batch],
    ) -> Batch:
        """The tokens of each text: those of `segment` for the stretches between added tokens, and their own ids.

        `keys`: one a text; stretch number p of a text has the key of its part first_part + p.
        """
        found = [self._pattern.search(text) is not None for text in texts]
        if not any(found):
            numbers = np.full(len(texts), first_part, np.uint64)
            return segment(list(texts), None if keys is None else keys_of_parts(keys, numbers))
        stretches = [
            self.split(text) if has_token else [Stretch(0, len(text), None)]
            for text, has_token in zip(texts, found, strict=True)
        ]
        between = [
            (row, first_part + part, text[stretch.start : stretch.end], stretch.start)
            for row, text in enumerate(texts)
            for part, stretch in enumerate(s for s in stretches[row] if s.id is None)
        ]
        part_keys = None
        if keys is not None:
            rows = np.array([row for row, _, _, _ in between], np.int64)
            part_keys = keys_of_parts(keys[rows], np.array([part for _, part, _, _ in between], np.uint64))
        batch = segment([text for _, _, text, _ in between], part_keys)
        return _interleaved(batch, stretches, [start for _, _, _, start in between])


def _interleaved(batch: Batch, stretches: list[list[Stretch]], starts: list[int]) -> Batch:
    """The rows of `batch`, which stand at `starts` of their texts, and the added tokens between them."""
    ids: list[np.ndarray] = []
    spans: list[np.ndarray] = []
    sizes: list[int] = []
    row = 0
    for parts in stretches:
        size = 0
        for stretch in parts:
            if stretch.id is not None:
                ids.append(np.array([stretch.id], np.int32))
                spans.append(np.array([[stretch.start, stretch.end]], np.int32))
            else:
                ids.append(batch[row])
                if batch.spans is not None:
                    spans.append(batch.spans[batch.offsets[row] : batch.offsets[row + 1]] + np.int32(starts[row]))
                row += 1
            size += len(ids[-1])
        sizes.append(size)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    return Batch(
        np.concatenate(ids) if ids else np.zeros(0, np.int32),
        offsets,
        None if batch.spans is None else np.concatenate(spans) if spans else np.zeros((0, 2), np.int32),
    )


def _word_at(text: str, place: int) -> bool:
    return 0 <= place < len(text) and re.match(r"\w", text[place]) is not None
