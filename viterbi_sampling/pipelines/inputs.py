"""What a model gets from texts, as its tokenizer.json says: special tokens around one text or two, truncation, padding.

This is what `encode_batch` of Hugging Face's tokenizers gives for the same file, in flat arrays; and for random
segmentations, which are cut off and filled up in the same way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.arguments import Seed, Texts, key_of_seed
from viterbi_sampling.batch import Batch
from viterbi_sampling.pipelines.sequences import joined, shortened, sizes_of
from viterbi_sampling.pipelines.templates import Template, of_file
from viterbi_sampling.steps.description import Padding, Pipeline
from viterbi_sampling.steps.description import Template as FileTemplate
from viterbi_sampling.tokenizer import Tokenizer

SECOND_TEXT = 1 << 63
"""What the index of a row's second text has more than that of its first one."""


class Inputs(NamedTuple):
    """The inputs of a model, one row a text or pair of texts.

    rows : the ids, with `spans` where they were asked for; those of special tokens and padding are (0, 0)
    type_ids, attention_mask, special_tokens_mask : int32 arrays, one entry a token
    """

    rows: Batch
    type_ids: npt.NDArray[np.int32]
    attention_mask: npt.NDArray[np.int32]
    special_tokens_mask: npt.NDArray[np.int32]


def inputs(
    tokenizer: Tokenizer,
    texts: Texts,
    pairs: Texts | None = None,
    *,
    add_special_tokens: bool = True,
    with_offsets: bool = False,
    alpha: float | None = None,
    seed: Seed = None,
    index: int = 0,
    num_threads: int | None = None,
) -> Inputs:
    """Rows of ids with all that the model's tokenizer.json does to them: row i is texts[i], or that and pairs[i].

    tokenizer : of any format; those of others than tokenizer.json have no special tokens, truncation and padding
    texts, pairs : as in `Tokenizer.encode_batch`
    alpha : None for the best segmentations, else random ones, with `seed` and `index` as in `Tokenizer.sample_batch`;
        the second text of row i has the index of the first one plus 2^63

    Of a row that is cut off the first window is kept (`encodings[i].overflowing` of the library has the others).
    ValueError where it cannot be cut off as the file says. Special tokens are no part of the law of samples.

    >>> made = inputs(Tokenizer.from_pieces({"a": -1.0, "b": -1.0}), ["ab", "a"], ["b", "bb"])
    >>> made.rows.to_list(), made.type_ids.tolist()
    ([[0, 1, 1], [0, 1, 1]], [0, 0, 1, 0, 1, 1])
    """
    pipeline = tokenizer._model.pipeline or Pipeline()
    template, swapped = _template(pipeline, pairs is not None, add_special_tokens)

    def segmented(texts: Texts, index: int) -> Batch:
        options: dict[str, Any] = {"with_offsets": with_offsets, "num_threads": num_threads}
        if alpha is None:
            return tokenizer.encode_batch(texts, **options)
        return tokenizer.sample_batch(texts, alpha=alpha, seed=key, index=index, **options)

    key = key_of_seed(seed)  # the same for both texts where it is drawn
    first = segmented(texts, index)
    second = None if pairs is None else segmented(pairs, (index + SECOND_TEXT) % 2**64)
    if second is not None and len(second) != len(first):
        raise ValueError(f"pairs: {len(second)} texts beside {len(first)}")
    if pipeline.truncation is not None:
        first, second = _truncated(first, second, pipeline, template.special_tokens)
    sequences = joined(second, first, template) if swapped and second is not None else joined(first, second, template)
    made = Inputs(
        sequences.rows,
        sequences.types(template).astype(np.int32),
        np.ones(len(sequences.rows.ids), np.int32),
        sequences.special.astype(np.int32),
    )
    return made if pipeline.padding is None else _padded(made, pipeline.padding)


def _template(pipeline: Pipeline, pair: bool, add_special_tokens: bool) -> tuple[Template, bool]:
    """The template, of which without special tokens the type ids are left; and whether the second text leads."""
    found = pipeline.template or FileTemplate((("A", 0),), (("A", 0), ("B", 1)))
    swapped = pair and next(part for part, _ in found.pair if isinstance(part, str)) == "B"
    if swapped:
        other: dict[Any, str] = {"A": "B", "B": "A"}
        found = replace(found, pair=tuple((other.get(part, part), type_id) for part, type_id in found.pair))
    template = of_file(found, pair)
    if not add_special_tokens:
        template = Template(types=((), (), (), *template.types[3:]))
    return template, swapped


def _truncated(first: Batch, second: Batch | None, pipeline: Pipeline, special: int) -> tuple[Batch, Batch | None]:
    """Rows cut off so that they have room for `special` tokens, too, as the library does it."""
    truncation = pipeline.truncation
    assert truncation is not None
    room = truncation.max_length - special
    sizes, others = sizes_of(first), np.zeros_like(sizes_of(first)) if second is None else sizes_of(second)
    cut = sizes + others > room
    if not cut.any():
        return first, second
    if truncation.direction == "left" and any(pipeline.trims):
        raise ValueError("truncation.direction is Left: offsets that are trimmed anew after it are not offered")
    strategy = truncation.strategy if room else "longest_first"  # nothing is left of either text
    first, second = shortened(first, second, room, strategy, truncation.direction)
    chosen = second if strategy == "only_second" else first
    if strategy != "longest_first" and (sizes_of(chosen)[cut] == 0).any():  # type: ignore[arg-type]
        raise ValueError(f"truncation {strategy!r}: the other text of a row leaves no room for it")
    return first, second


def _padded(made: Inputs, padding: Padding) -> Inputs:
    """Rows filled up; those that are longer than a fixed length stay as they are."""
    rows = made.rows
    sizes = sizes_of(rows)
    length = int(sizes.max(initial=0)) if padding.length is None else padding.length
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
    )
