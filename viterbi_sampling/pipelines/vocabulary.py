"""The vocabulary of the `transformers` class: its file, its tokens and their ids, and the text of ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PythonBackend

from viterbi_sampling.pipelines.added_tokens import AddedTokens
from viterbi_sampling.pipelines.layouts import Layout
from viterbi_sampling.pipelines.templates import NO_SPECIAL_TOKENS
from viterbi_sampling.tokenizer import Tokenizer

SPACE = "\u2581"
LOADER = "tokenization_viterbi_sampling"
"""The module that save_pretrained writes beside the model, so that AutoTokenizer finds the class."""


class UnigramVocabulary(PythonBackend):
    """What `ViterbiSamplingTokenizer` is without calls: the tokens of a model file and of its library's layout."""

    vocab_files_names = {  # noqa: RUF012 (the name and the form are the base class's)
        "tokenizer_file": "tokenizer.json",
        "vocab_file": "tokenizer.model",
        "spiece_file": "spiece.model",
        "bpe_file": "sentencepiece.bpe.model",
    }
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    _auto_map = {"AutoTokenizer": [f"{LOADER}.ViterbiSamplingTokenizer", None]}  # noqa: RUF012

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | None = None,
        *,
        tokenizer_file: str | None = None,
        spiece_file: str | None = None,
        bpe_file: str | None = None,
        layout: str = "model",
        special_tokens_pattern: str | None = None,
        token_type_ids_pattern: str = "all_zeros",
        **kwargs: Any,
    ) -> None:
        path = tokenizer_file or vocab_file or spiece_file or bpe_file
        if path is None:
            names = ", ".join(self.vocab_files_names.values())
            raise ValueError(f"vocab_file: no model file given, and the folder has none of {names}")
        if path in (spiece_file, bpe_file) and special_tokens_pattern is None:
            raise ValueError(
                f"{os.fspath(path)}: the file does not tell the special tokens around texts, nor the order of "
                "ids: give special_tokens_pattern ('eos' for T5) and layout ('fairseq' for XLM-R), or a tokenizer.json"
            )
        self.unigram = Tokenizer.from_file(path)
        """The tokenizer underneath."""
        self.layout = layout
        self._layout = Layout.named(layout, self.unigram)
        self._vocabulary: dict[str, int] | None = None
        self._added = AddedTokens()
        pipeline = self.unigram._model.pipeline
        self._template = None if pipeline is None else pipeline.template or NO_SPECIAL_TOKENS
        # What a tokenizer.json adds is found by the tokenizer itself, in the texts as it has normalized them.
        self._own = frozenset(() if pipeline is None else (token.content for token in pipeline.added))
        if special_tokens_pattern is None:
            special_tokens_pattern = "none" if self._template is None else "template"
        for name, piece in self._layout.special_tokens.items():
            kwargs.setdefault(name, piece)
        super().__init__(
            special_tokens_pattern=special_tokens_pattern, token_type_ids_pattern=token_type_ids_pattern, **kwargs
        )
        for name in ("layout", "special_tokens_pattern", "token_type_ids_pattern"):  # so that they are saved
            self.init_kwargs[name] = getattr(self, name)

    @property
    def vocab_size(self) -> int:
        """The number of ids without the added tokens."""
        return len(self._layout)

    def get_vocab(self) -> dict[str, int]:
        """Token to id, the added tokens included."""
        if self._vocabulary is None:
            self._vocabulary = self._layout.vocabulary()
        return {**self._vocabulary, **self._added_tokens_encoder}

    def _update_total_vocab_size(self) -> None:
        self.total_vocab_size = self.vocab_size + sum(id >= self.vocab_size for id in self._added_tokens_decoder)

    def _update_trie(self, unique_no_split_tokens: list[str] | None = None) -> None:
        tokens = self._added_tokens_decoder.items()
        self._added = AddedTokens((id, token) for id, token in tokens if token.content not in self._own)

    def _convert_token_to_id(self, token: str) -> int | None:
        if self._vocabulary is None:
            self._vocabulary = self._layout.vocabulary()
        return self._vocabulary.get(token, None if token == self.unk_token else self.unk_token_id)

    def _convert_id_to_token(self, index: int) -> str:
        return self._layout.token(index)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write the model file, and the module of one line by which AutoTokenizer finds this class."""
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        kind = "vocab_file" if self.unigram._model.pipeline is None else "tokenizer_file"
        model = Path(save_directory, prefix + self.vocab_files_names[kind])
        self.unigram.save(model)
        loader = Path(save_directory, f"{LOADER}.py")
        loader.write_text(
            "from viterbi_sampling.pipelines.transformers import ViterbiSamplingTokenizer\n", encoding="utf-8"
        )
        return str(model), str(loader)

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoTokenizer") -> None:
        """Nothing: save_pretrained writes what AutoTokenizer needs, and no copy of this module."""

    def __getstate__(self) -> dict[str, Any]:
        # What calls leave behind is left out, so that the bytes, and what datasets makes of them, stay the same.
        return self.__dict__ | {"_vocabulary": None, "deprecation_warnings": {}}

    def _decode(
        self,
        token_ids: int | Sequence[int],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> str:
        ids = [int(token_ids)] if np.ndim(token_ids) == 0 else [int(id) for id in token_ids]  # type: ignore[arg-type, union-attr]
        left_out = set(self.all_special_ids) if skip_special_tokens else set()
        text = "".join(self._decoded(id for id in ids if id not in left_out))
        clean_up = (
            self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        )
        return self.clean_up_tokenization(text) if clean_up else text

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of a sequence of tokens."""
        return "".join(self._decoded(self.convert_tokens_to_ids(tokens)))

    def _decoded(self, ids: Iterable[int]) -> Iterator[str]:
        """The texts of the stretches of a row: added tokens as they are spelled, the others by the model.

        The model leaves out the space before the first word of a text, which is right for the first stretch only.
        """
        begun = False
        for added, stretch in groupby(ids, key=self._added_tokens_decoder.__contains__):
            if added:
                yield from (self._added_tokens_decoder[id].content for id in stretch)
            else:
                run = list(stretch)
                if begun and self._layout.token(run[0]).startswith(SPACE):
                    yield " "
                yield self._layout.decode(run)
            begun = True
