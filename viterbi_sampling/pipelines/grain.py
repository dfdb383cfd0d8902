"""JAX's grain: a map transform that reads its place in the data and samples by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.arguments import inverse_temperature, word
from viterbi_sampling.tokenizer import Tokenizer

try:
    from grain.transforms import MapWithIndex
except ImportError:
    raise ImportError("viterbi_sampling.pipelines.grain needs grain: pip install 'viterbi-sampling[grain]'") from None


class MapToIds(MapWithIndex):
    """Texts to int32 arrays of ids; or, in elements that are dicts, the entry `output` of the one under `column`.

    Put it before ``shuffle`` and ``repeat``: grain then gives it the index epoch · N + i for row i of N, which is the
    sample's key, so that each epoch has samples of its own, the same in any number of workers.

    alpha : None for the best segmentation

    >>> import grain
    >>> from viterbi_sampling import Tokenizer
    >>> tokenizer = Tokenizer.default()
    >>> texts = ["The river was still high.", "probability"]
    >>> rows = grain.MapDataset.source(texts).map_with_index(MapToIds(tokenizer, alpha=0.2, seed=1)).repeat(2)
    >>> rows[2].tolist() == tokenizer.sample(texts[0], alpha=0.2, seed=1, index=2)
    True
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        alpha: float | None = None,
        seed: int = 0,
        column: str | None = None,
        output: str = "ids",
        add_bos: bool = False,
        add_eos: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._alpha = None if alpha is None else inverse_temperature(alpha)
        self._seed = word(seed, "seed")
        self._column = column
        self._output = output
        self._add_bos, self._add_eos = add_bos, add_eos

    def map_with_index(self, index: int, element: Any) -> Any:
        """The ids of one text, or the dict with them."""
        if self._column is None:
            return self._ids(index, element)
        return element | {self._output: self._ids(index, element[self._column])}

    def _ids(self, index: int, text: str | bytes) -> npt.NDArray[np.int32]:
        if self._alpha is None:
            ids = self._tokenizer.encode(text, add_bos=self._add_bos, add_eos=self._add_eos)
        else:
            ids = self._tokenizer.sample(
                text,
                alpha=self._alpha,
                seed=self._seed,
                index=index,
                add_bos=self._add_bos,
                add_eos=self._add_eos,
            )
        return np.array(ids, np.int32)
