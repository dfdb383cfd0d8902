"""Orders of ids: what a library counts as id 0, 1, 2 where that is not the order of the model file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from viterbi_sampling.tokenizer import Tokenizer


class Layout:
    """The ids that a library gives the pieces of a model.

    named : the layout called "model" (the file's own ids) or "fairseq" (``<s> <pad> </s> <unk>``, the pieces of the
        file from its third on, ``<mask>``: XLM-R, mBART)
    special_tokens : transformers' name of each special token to its spelling

    >>> tokenizer = Tokenizer.default()
    >>> layout = Layout.named("fairseq", tokenizer)
    >>> layout.ids_of(np.array([tokenizer.unk_id, 3])).tolist(), layout.token(1), len(layout) - len(tokenizer)
    ([3, 4], '<pad>', 2)
    """

    def __init__(self, tokenizer: Tokenizer, ids: npt.NDArray[np.int32], own: dict[int, str]) -> None:
        """`ids`: for each id of the model that of the library. `own`: tokens that only the library has, by id."""
        self._tokenizer = tokenizer
        self._ids = ids
        self._own = own
        self._model_ids = np.full(int(max(ids.max(), *own, 0)) + 1, -1, np.int32)
        self._model_ids[ids] = np.arange(len(ids), dtype=np.int32)
        self.special_tokens: dict[str, str] = {}

    @classmethod
    def named(cls, name: str, tokenizer: Tokenizer) -> Layout:
        """The layout of that name. ValueError where there is none, or where the model does not fit it."""
        ids = np.arange(len(tokenizer), dtype=np.int32)
        if name == "model":
            layout = cls(tokenizer, ids, {})
            special = {
                "bos_token": tokenizer.bos_id,
                "eos_token": tokenizer.eos_id,
                "unk_token": tokenizer.unk_id,
                "pad_token": tokenizer.pad_id,
            }
            layout.special_tokens = {
                token: tokenizer.id_to_piece(id) for token, id in special.items() if id is not None
            }
            return layout
        if name == "fairseq":
            given = tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id
            if given != (0, 1, 2):
                raise ValueError(f"layout 'fairseq' needs a model whose unk, bos and eos ids are 0, 1, 2, got {given}")
            ids += 1
            ids[:3] = 3, 0, 2
            layout = cls(tokenizer, ids, {1: "<pad>", len(ids) + 1: "<mask>"})
            names = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
            layout.special_tokens = {f"{name}_token": token for name, token in names.items()}
            layout.special_tokens |= {"cls_token": "<s>", "sep_token": "</s>"}
            return layout
        raise ValueError(f"layout must be 'model' or 'fairseq', got {name!r}")

    def __len__(self) -> int:
        return len(self._model_ids)

    def ids_of(self, model_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The library's ids of the model's."""
        return self._ids[model_ids]

    def token(self, id: int) -> str:
        """The token of a library's id. ValueError where it is none."""
        if not 0 <= id < len(self):
            raise ValueError(f"id must be 0 to {len(self) - 1} or that of an added token, got {id}")
        return self._own[id] if id in self._own else self._tokenizer.id_to_piece(int(self._model_ids[id]))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the library's ids, all of them of pieces of the model."""
        return self._tokenizer.decode(self._model_ids[np.asarray(ids, np.int64)])

    def vocabulary(self) -> dict[str, int]:
        """Token to id. Of tokens spelled alike the library's own or the control piece has the name, and the others one
        with their id."""
        named = {token: id for id, token in self._own.items()}
        spelled = self._tokenizer.piece_to_id
        vocabulary: dict[str, int] = {}
        for id in range(len(self)):
            token = self.token(id)
            first = named[token] if token in named else int(self._ids[spelled(token)])
            vocabulary[token if first == id else f"{token}<duplicate {id}>"] = id
        return vocabulary
