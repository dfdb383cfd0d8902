"""Samples of sentencepiece in a process where nobody has set a seed: this imports no other module of the tests."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import sentencepiece


@cache
def processor_of(model: str) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=model)


def rows_of(
    model: str, text: str, count: int, alpha: float, nbest_size: int | None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """`count` samples of one text, on one thread, as (ids, offsets)."""
    options = {"enable_sampling": True, "nbest_size": nbest_size or -1, "alpha": alpha, "num_threads": 1}
    rows = processor_of(model).encode([text] * count, **options)
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)])
