"""What a model gets from texts, as its tokenizer.json says: special tokens around one text or two, truncation, padding.

This is what `encode_batch` of Hugging Face's tokenizers gives for the same file, in flat arrays; and for random
segmentations, which are cut off and filled up in the same way.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.arguments import Seed, Texts, key_of_seed, rows_of
from viterbi_sampling.batch import Batch
from viterbi_sampling.pipelines.sequences import Sizes, joined, sizes_of
from viterbi_sampling.pipelines.templates import NO_SPECIAL_TOKENS, Template, of_file
from viterbi_sampling.pipelines.windows import Windows, windows
from viterbi_sampling.steps.description import Padding, Pipeline, Truncation
from viterbi_sampling.steps.trimming import trimmed
from viterbi_sampling.tokenizer import Tokenizer

SECOND_TEXT = 1 << 63
"""What the index of a row's second text has more than that of its first one."""


class Inputs(NamedTuple):
    """The inputs of a model, one row a text or pair of texts, or one a window of them.

    rows : the ids, with `spans` where they were asked for; those of special tokens and padding are (0, 0)
    type_ids, attention_mask, special_tokens_mask : int32 arrays, one entry a token
    overflow_to_sample_mapping : int64 array, for each row the number of the text or pair that it is of
    """

    rows: Batch
    type_ids: npt.NDArray[np.int32]
    attention_mask: npt.NDArray[np.int32]
    special_tokens_mask: npt.NDArray[np.int32]
    overflow_to_sample_mapping: npt.NDArray[np.int64]


def inputs(
    tokenizer: Tokenizer,
    texts: Texts,
    pairs: Texts | None = None,
    *,
    add_special_tokens: bool = True,
    with_offsets: bool = False,
    overflowing: bool = False,
    alpha: float | None = None,
    seed: Seed = None,
    index: int = 0,
    num_threads: int | None = None,
) -> Inputs:
    """Rows of ids with all that the model's tokenizer.json does to them: row i is texts[i], or that and pairs[i].

    tokenizer : of any format; those of others than tokenizer.json have no special tokens, truncation and padding
    texts, pairs : as in `Tokenizer.encode_batch`
    overflowing : for a text that is cut off not only the window that stays, but all of its windows, one row each;
        those behind the first are `encodings[i].overflowing` of the library, in its order: where both texts of a pair
        are cut off, each window of one with each of the other
    alpha : None for the best segmentations, else random ones, with `seed` and `index` as in `Tokenizer.sample_batch`;
        the second text of row i has the index of the first one plus 2^63

    ValueError where a row cannot be cut off as the file says. Special tokens are no part of the law of samples.

    >>> made = inputs(Tokenizer.from_pieces({"a": -1.0, "b": -1.0}), ["ab", "a"], ["b", "bb"])
    >>> made.rows.to_list(), made.type_ids.tolist()
    ([[0, 1, 1], [0, 1, 1]], [0, 0, 1, 0, 1, 1])
    """
    pipeline = tokenizer._model.pipeline or Pipeline()
    template, swapped = _template(pipeline, pairs is not None, add_special_tokens)
    segmenter = _Segmenter(tokenizer, with_offsets, alpha, key_of_seed(seed), num_threads)
    second_index = (index + SECOND_TEXT) % 2**64
    first = segmenter.rows(texts, index)
    second = None if pairs is None else segmenter.rows(pairs, second_index)
    if second is not None and len(second) != len(first):
        raise ValueError(f"pairs: {len(second)} texts beside {len(first)}")
    if with_offsets and pipeline.trims and pipeline.truncation is not None:
        first, second = _numbered(first), None if second is None else _numbered(second)
    cut = _cut(first, second, pipeline.truncation, template.special_tokens, overflowing, swapped)
    first, second, later = cut.first, cut.second, cut.later
    if with_offsets and pipeline.trims and pipeline.truncation is not None:
        first = _trimmed(first, segmenter.tokens(texts, index), pipeline.trims)
        second = second and _trimmed(second, segmenter.tokens(pairs, second_index), pipeline.trims)
    if swapped and second is not None:
        first, second, later = second, first, later[::-1]
    sequences = joined(first, second, template)
    made = Inputs(
        sequences.rows,
        sequences.types(template, later).astype(np.int32),
        np.ones(len(sequences.rows.ids), np.int32),
        sequences.special.astype(np.int32),
        cut.rows,
    )
    return made if pipeline.padding is None else _padded(made, pipeline.padding, cut.staying)


class _Token(NamedTuple):
    """A token whose offsets no post-processor has changed yet."""

    piece: str
    span: tuple[int, int]
    in_bytes: bool


class _Segmenter(NamedTuple):
    """How texts become tokens: the best ones, or those of a sample."""

    tokenizer: Tokenizer
    with_offsets: bool
    alpha: float | None
    key: int
    num_threads: int | None

    def rows(self, texts: Texts, index: int) -> Batch:
        options: dict[str, Any] = {"with_offsets": self.with_offsets, "num_threads": self.num_threads}
        if self.alpha is None:
            return self.tokenizer.encode_batch(texts, **options)
        return self.tokenizer.sample_batch(texts, alpha=self.alpha, seed=self.key, index=index, **options)

    def tokens(self, texts: Texts | None, index: int) -> list[_Token]:
        """Those of `rows`, as they are before offsets are trimmed."""
        found: list[_Token] = []
        law = {} if self.alpha is None else self.tokenizer._sampling(self.alpha, "perfect", None, self.key)
        for row, text in enumerate(() if texts is None else rows_of(texts).texts()):
            if law:
                law["index"] = (index + row) % 2**64
            _, pieces, spans = self.tokenizer._untrimmed(text or b"", **law)
            found += (_Token(*token, not isinstance(text, str)) for token in zip(pieces, spans, strict=True))
        return found


def _numbered(rows: Batch) -> Batch:
    """Rows whose spans are the numbers of their tokens, counted through all rows."""
    numbers = np.arange(len(rows.ids), dtype=np.int32)
    return Batch(rows.ids, rows.offsets, np.stack([numbers, numbers], axis=1))


def _trimmed(windows: Batch, tokens: list[_Token], trims: tuple[bool, ...]) -> Batch:
    """Windows of numbered tokens with their spans, trimmed anew in each window: its first token may keep a space."""
    assert windows.spans is not None
    numbers, spans = windows.spans[:, 0].tolist(), []
    for begin, end in pairwise(windows.offsets.tolist()):
        chosen = [tokens[number] for number in numbers[begin:end]]
        in_bytes = bool(chosen) and chosen[0].in_bytes
        spans += trimmed([token.piece for token in chosen], [token.span for token in chosen], trims, in_bytes)
    return Batch(windows.ids, windows.offsets, np.array(spans, np.int32).reshape(-1, 2))


def _cut(
    first: Batch, second: Batch | None, truncation: Truncation | None, special: int, overflowing: bool, swapped: bool
) -> Windows:
    """Rows cut off so that they have room for `special` tokens, too."""
    if truncation is None:
        return windows(first, second)
    return windows(
        first,
        second,
        truncation.max_length - special,
        truncation.strategy,
        side=truncation.direction,
        stride=truncation.stride,
        overflowing=overflowing,
        swapped=swapped,
    )


def _template(pipeline: Pipeline, pair: bool, add_special_tokens: bool) -> tuple[Template, bool]:
    """The template, of which without special tokens the type ids are left; and whether the second text leads."""
    found = pipeline.template or NO_SPECIAL_TOKENS
    swapped = pair and next(part for part, _ in found.pair if isinstance(part, str)) == "B"
    if swapped:
        other: dict[Any, str] = {"A": "B", "B": "A"}
        pair_of_swapped = tuple((other.get(part, part), type_id) for part, type_id in found.pair)
        found = replace(found, pair=pair_of_swapped, window_types=found.window_types[::-1])
    template = of_file(found, pair)
    if not add_special_tokens:
        template = template.bare._replace(window_types=(1, 0) if swapped else (0, 1))
    return template, swapped


def _padded(made: Inputs, padding: Padding, staying: Sizes) -> Inputs:
    """Rows filled up, as far as the longest of the `staying` ones needs; those that are longer stay as they are."""
    rows = made.rows
    sizes = sizes_of(rows)
    length = int(sizes[staying].max(initial=0)) if padding.length is None else padding.length
    if padding.multiple is not None:
        length = -(-length // padding.multiple) * padding.multiple
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(np.maximum(sizes, length), out=offsets[1:])
    begins = offsets[:-1] if padding.direction == "right" else offsets[1:] - sizes
    places = np.arange(len(rows.ids)) + np.repeat(begins - rows.offsets[:-1], sizes)

    def filled(values: npt.NDArray[np.int32], fill: int) -> npt.NDArray[np.int32]:
        out = np.full((offsets[-1], *values.shape[1:]), fill, np.int32)
        out[places] = values
        return out

    spans = None if rows.spans is None else filled(rows.spans, 0)
    return Inputs(
        Batch(filled(rows.ids, padding.id), offsets, spans),
        filled(made.type_ids, padding.type_id),
        filled(made.attention_mask, 0),
        filled(made.special_tokens_mask, 1),
        made.overflow_to_sample_mapping,
    )
