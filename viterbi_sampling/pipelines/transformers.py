"""The tokenizer as a `transformers` (v5) class: padding, truncation, pairs, special tokens, tensors; and sampling.

Ids are the stock tokenizer's; all the rows of a call are made at once in flat arrays. Source of the interface:
``transformers.PythonBackend``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.arguments import Seed, indices_of, inverse_temperature, key_of_seed, word
from viterbi_sampling.batch import Batch
from viterbi_sampling.pipelines.added_tokens import AddedTokens
from viterbi_sampling.pipelines.calls import Row, keys_of_rows, rows_of_call, tokens_of_rows
from viterbi_sampling.pipelines.keys import Keys
from viterbi_sampling.pipelines.sequences import (
    Sequences,
    Sizes,
    joined,
    longest,
    plain,
    shaped,
    sizes_of,
)
from viterbi_sampling.pipelines.templates import Template, of_file, of_marks
from viterbi_sampling.pipelines.windows import Windows, windows

try:
    from transformers import AutoTokenizer, BatchEncoding, PreTrainedConfig
    from transformers.tokenization_utils_base import PaddingStrategy, TruncationStrategy
    from transformers.utils.chat_template_utils import encode_marked_chat

    from viterbi_sampling.pipelines.vocabulary import UnigramVocabulary
except ImportError:
    raise ImportError(
        "viterbi_sampling.pipelines.transformers needs transformers 5: pip install 'viterbi-sampling[huggingface]'"
    ) from None

SECOND_TEXT = 2**32
"""The number of the first part of the second text of a pair; the parts of the first text begin with 0."""


class Sampling(NamedTuple):
    """How the tokenizer samples in training mode."""

    alpha: float
    seed: int
    epoch: int


class ViterbiSamplingTokenizer(UnigramVocabulary):
    """A Unigram tokenizer for transformers, with the stock tokenizer's ids and exact, repeatable sampling.

    vocab_file : a model file, as `Tokenizer.from_file` reads it; from_pretrained finds a stock tokenizer's
    layout : "model", ids are those of the file (T5, ALBERT, ...); or "fairseq", XLM-R's: ``<s> <pad> </s> <unk>``,
        the pieces of the file from its third on, and ``<mask>``
    special_tokens_pattern : which special tokens stand around texts, as in PythonBackend: "eos" (T5),
        "cls_double_sep" (XLM-R), "cls_sep", "bos", "bos_eos", "none"; or "template", what the tokenizer.json says,
        the default with such a file

    Special tokens are the file's own unless given. `train` switches to sampling, `eval` back; ``alpha``, ``seed`` and
    ``index`` in a call sample whatever the mode. `offset_mapping` is that of `Tokenizer.encode_with_offsets`: a piece
    that begins a word includes the space before it.

    >>> from importlib.resources import files
    >>> tokenizer = ViterbiSamplingTokenizer(str(files("viterbi_sampling.data") / "default.model"))
    >>> best = tokenizer("The river was still high.").input_ids
    >>> tokenizer.decode(best)
    'The river was still high.'
    >>> a, b = (tokenizer("The river was still high.", alpha=0.2, seed=1, index=7).input_ids for _ in range(2))
    >>> a == b != best
    True
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sampling: Sampling | None = None
        super().__init__(*args, **kwargs)

    @classmethod
    def t5(cls, vocab_file: str | os.PathLike[str], *, extra_ids: int = 100, **kwargs: Any) -> ViterbiSamplingTokenizer:
        """The tokenizer of T5's ``spiece.model``: texts end with ``</s>``, `extra_ids` sentinels follow the pieces."""
        sentinels = [f"<extra_id_{i}>" for i in reversed(range(extra_ids))]
        return cls(vocab_file, special_tokens_pattern="eos", extra_special_tokens=sentinels, **kwargs)

    @classmethod
    def xlm_roberta(cls, vocab_file: str | os.PathLike[str], **kwargs: Any) -> ViterbiSamplingTokenizer:
        """The tokenizer of XLM-R's ``sentencepiece.bpe.model``, in XLM-R's order of ids."""
        return cls(vocab_file, layout="fairseq", special_tokens_pattern="cls_double_sep", **kwargs)

    # -- training mode -----------------------------------------------------------------------------

    @property
    def training(self) -> bool:
        """Whether calls sample."""
        return self._sampling is not None

    def train(self, *, alpha: float, seed: int, epoch: int = 0) -> ViterbiSamplingTokenizer:
        """Sample from now on, with these parameters. Returns itself.

        Where a call gives no ``index``, a text's key is its hash: equal texts have equal samples, in every batch,
        worker and run. Each epoch draws afresh. Both are as in `arrow.Tokenize`, with index="hash" and the same
        epoch. The mode goes with a pickled tokenizer, and is not saved by save_pretrained.
        """
        self._sampling = Sampling(inverse_temperature(alpha), word(seed, "seed"), word(epoch, "epoch"))
        return self

    def eval(self) -> ViterbiSamplingTokenizer:
        """The best segmentation from now on. Returns itself."""
        self._sampling = None
        return self

    # -- texts to ids ------------------------------------------------------------------------------

    def tokenize(
        self,
        text: str,
        *,
        split_special_tokens: bool | None = None,
        alpha: float | None = None,
        seed: Seed = None,
        index: int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """The tokens of one text, without special ones around it; what the model does not know as it is in the text."""
        rows = self._encode_plus(
            [text],
            add_special_tokens=False,
            return_offsets_mapping=True,
            split_special_tokens=split_special_tokens,
            alpha=alpha,
            seed=seed,
            index=index,
        )
        ids, spans = rows["input_ids"][0], rows["offset_mapping"][0]
        return [
            text[start:end] if id == self.unk_token_id and end > start else self.convert_ids_to_tokens(id)
            for id, (start, end) in zip(ids, spans, strict=True)
        ]

    def _encode_plus(
        self,
        text: Any,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding_strategy: PaddingStrategy = PaddingStrategy.DO_NOT_PAD,
        truncation_strategy: TruncationStrategy = TruncationStrategy.DO_NOT_TRUNCATE,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
        alpha: float | None = None,
        seed: Seed = None,
        index: int | npt.ArrayLike | None = None,
        **kwargs: Any,
    ) -> BatchEncoding:
        if kwargs.pop("sanitize_control_tokens", False):  # a chat marked by transformers, one part after the other
            given = {"alpha": alpha, "seed": seed, "index": index}
            if any(value is not None for value in given.values()) or self.training:
                raise ValueError("sanitize_control_tokens: a chat with marked control tokens cannot be sampled")
            text = encode_marked_chat(self, text)
        if kwargs:
            raise TypeError(f"unexpected arguments {', '.join(sorted(kwargs))}")
        firsts, seconds, batched = rows_of_call(text, text_pair, is_split_into_words)
        sampling = self._sampling_of(alpha, seed)
        segment = partial(self._segment, sampling=sampling, with_spans=return_offsets_mapping)
        whole = self.split_special_tokens if split_special_tokens is None else split_special_tokens
        if whole and self._own:
            raise ValueError("split_special_tokens: the tokens of a tokenizer.json are always found in the text")
        added = AddedTokens() if whole else self._added
        keys = None if sampling is None else self._keys(firsts, index)
        first = tokens_of_rows(firsts, added, segment, keys, 0)
        second = None if seconds is None else tokens_of_rows(seconds, added, segment, keys, SECOND_TEXT)
        template = self._template_of(second is not None, add_special_tokens)
        cut = windows(first, second)
        if truncation_strategy != TruncationStrategy.DO_NOT_TRUNCATE and max_length is not None:
            cut = windows(
                first,
                second,
                max_length - template.special_tokens,
                truncation_strategy.value,
                side=self.truncation_side,
                stride=stride,
                overflowing=return_overflowing_tokens,
            )
        sequences = joined(cut.first, cut.second, template)
        self._eventual_warn_about_too_long_sequence(longest(sequences.rows), max_length, verbose)
        width = _width(sizes_of(sequences.rows)[cut.staying], padding_strategy, max_length, pad_to_multiple_of)
        wanted = {
            "input_ids": True,
            "token_type_ids": self._by_default(return_token_type_ids, "token_type_ids"),
            "attention_mask": self._by_default(return_attention_mask, "attention_mask"),
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
        }
        columns = {
            name: shaped(values, sequences.rows.offsets, fill, width, padding_side or self.padding_side)
            for name, (values, fill) in self._values(sequences, template, cut).items()
            if wanted[name]
        }
        if return_length:
            columns["length"] = [len(row) for row in columns["input_ids"]]
        if return_overflowing_tokens:
            columns["overflow_to_sample_mapping"] = cut.rows
        elif not batched and return_tensors is None:
            columns = {name: column[0] for name, column in columns.items()}
        if return_tensors is None:
            columns = {name: plain(column, name) for name, column in columns.items()}
        return BatchEncoding(columns, tensor_type=return_tensors)

    def _keys(self, rows: Sequence[Row], index: int | npt.ArrayLike | None) -> Keys:
        if index is None:
            return keys_of_rows(rows)
        first, keys = indices_of(index, len(rows))
        return np.uint64(first) + np.arange(len(rows), dtype=np.uint64) if keys is None else keys

    def _sampling_of(self, alpha: float | None, seed: Seed) -> Sampling | None:
        """How a call samples, None where it does not: what it gives, and for the rest the mode."""
        mode = self._sampling
        if alpha is None and mode is None:
            return None
        chosen = mode.alpha if alpha is None and mode is not None else inverse_temperature(alpha)
        key = mode.seed if seed is None and mode is not None else key_of_seed(seed)
        return Sampling(chosen, key, 0 if mode is None else mode.epoch)

    def _segment(self, texts: list[str], keys: Keys | None, sampling: Sampling | None, with_spans: bool) -> Batch:
        if sampling is None or keys is None:
            rows = self.unigram.encode_batch(texts, with_offsets=with_spans)
        else:
            rows = self.unigram.sample_batch(
                texts,
                alpha=sampling.alpha,
                seed=sampling.seed,
                index=keys,
                draw=sampling.epoch,
                with_offsets=with_spans,
            )
        return Batch(self._layout.ids_of(rows.ids), rows.offsets, rows.spans)

    # -- tokens to model inputs --------------------------------------------------------------------

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """One row: the ids of one text or two, with the special tokens around them."""
        if self.special_tokens_pattern != "template":
            return super().build_inputs_with_special_tokens(token_ids_0, token_ids_1)  # type: ignore[no-any-return]
        template = self._template_of(token_ids_1 is not None)
        return [*template.prefix, *token_ids_0, *template.middle, *(token_ids_1 or ()), *template.suffix]

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 for the special tokens of a row, 0 for those of texts."""
        if already_has_special_tokens:
            return super().get_special_tokens_mask(token_ids_0, token_ids_1, True)  # type: ignore[no-any-return]
        template = self._template_of(token_ids_1 is not None)
        prefix, middle, suffix = ([1] * len(part) for part in (template.prefix, template.middle, template.suffix))
        return [*prefix, *[0] * len(token_ids_0), *middle, *[0] * len(token_ids_1 or ()), *suffix]

    def _template_of(self, pair: bool, add_special_tokens: bool = True) -> Template:
        """The special tokens around one text or two: what the file says, or what PythonBackend does with two marks."""
        if not add_special_tokens and self.special_tokens_pattern != "template":
            return Template()
        if self.special_tokens_pattern == "template":
            if self._template is None:
                raise ValueError("special_tokens_pattern 'template' needs a tokenizer.json")
            template = of_file(self._template, pair)
            return template if add_special_tokens else template.bare
        row = self.build_inputs_with_special_tokens([-1], [-2] if pair else None)
        if None in row:
            raise ValueError(f"special_tokens_pattern {self.special_tokens_pattern!r} needs a token that is not set")
        alone = len(self._template_of(False).suffix) if pair and self.token_type_ids_pattern == "bert_style" else None
        return of_marks(row, -1, -2 if pair else None, alone)

    def _by_default(self, asked: bool | None, name: str) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _values(
        self, sequences: Sequences, template: Template, cut: Windows
    ) -> dict[str, tuple[npt.NDArray[Any], Any]]:
        """Every column that can be asked for: its values, and what fills it up."""
        rows = sequences.rows
        fill = 0 if self.pad_token_id is None else self.pad_token_id  # without the token nothing is filled up
        return {
            "input_ids": (rows.ids.astype(np.int64), fill),
            "token_type_ids": (sequences.types(template, cut.later), self.pad_token_type_id),
            "attention_mask": (np.ones(len(rows.ids), np.int64), 0),
            "special_tokens_mask": (sequences.special.astype(np.int64), 1),
            "offset_mapping": (rows.spans if rows.spans is not None else np.zeros((len(rows.ids), 2), np.int32), 0),
        }


class ViterbiSamplingConfig(PreTrainedConfig):
    """What AutoTokenizer.register wants beside a tokenizer class; there is no model of this type."""

    model_type = "viterbi_sampling"


AutoTokenizer.register(ViterbiSamplingConfig, tokenizer_class=ViterbiSamplingTokenizer, exist_ok=True)


def _width(sizes: Sizes, strategy: PaddingStrategy, max_length: int | None, multiple: int | None) -> int | None:
    """The length that rows are padded to, None for no padding."""
    if strategy == PaddingStrategy.DO_NOT_PAD:
        return None
    width = int(sizes.max(initial=0)) if strategy == PaddingStrategy.LONGEST or max_length is None else max_length
    return width if multiple is None else -(-width // multiple) * multiple
