"""Subword Regularization itself: samples of ours and of sentencepiece 0.2.3 on real models are samples of one law."""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import numpy as np
import pytest
from conftest import SHARED
from fit import Counts, Paths, draw, two_samples
from test_sampling import SAMPLERS, Oracle
from unseeded import rows_of

from viterbi_sampling import Tokenizer

pytestmark = pytest.mark.shared

FOLDER = SHARED / "models" / "sentencepiece"
AT_ONCE = 100_000
OURS = 4
"""We draw so many times as often as sentencepiece, which is slow; its samples then weigh 4/5."""
FEWER = 4
"""Among the n best sentencepiece is slower still: the tests that always run have a quarter of the samples there, which
catches a total variation of 0.02; `pytest -m long` has all."""


@cache
def tokenizer_of(name: str) -> Tokenizer:
    return Tokenizer.from_file(FOLDER / f"{name}.model")


@cache
def outcomes_of(name: str, text: str, alpha: float, nbest_size: int | None) -> Paths:
    tokenizer = tokenizer_of(name)
    count = tokenizer.count_segmentations(text)
    kept = tokenizer.nbest(text, nbest_size or count)
    law = {tuple(s.ids): math.exp(tokenizer.log_prob(text, s.ids, alpha=alpha)) for s in kept}
    total = math.fsum(law.values())
    return Paths({ids: p / total for ids, p in law.items()})


@cache
def counts_of_sentencepiece(name: str, text: str, alpha: float, nbest_size: int | None, total: int) -> Counts:
    """Its own generator, on one thread of a new process.

    A seed that another test has set holds for the whole process, cannot be taken back, and makes each call draw the
    same samples again.
    """
    outcomes = outcomes_of(name, text, alpha, nbest_size)
    counts = np.zeros(len(outcomes.paths), np.int64)
    model = str(FOLDER / f"{name}.model")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        for first in range(0, total, AT_ONCE):
            rows = min(AT_ONCE, total - first)
            counts += outcomes.counts(*fresh.submit(rows_of, model, text, rows, alpha, nbest_size).result())
    return counts


SAMPLED = [("Tokens", 0.3, None), ("a sea", 0.1, None), ("Tokens", 0.3, 12)]


@pytest.mark.parametrize("name", ["t5_base_32k", "xlmr_250k_rebuilt"])
@pytest.mark.parametrize(
    ("text", "alpha", "nbest_size", "algorithm"),
    [
        (*sampled, algorithm)
        for sampled in SAMPLED
        for algorithm in (("perfect", "ffbs") if sampled[2] is None else ("nbest",))
    ],
)
def test_two_samples_of_one_law(name: str, text: str, alpha: float, nbest_size: int | None, algorithm: str) -> None:
    """With the power of fit.py: a total variation of 0.01 between the two laws is caught.

    Nothing is taken from the exact law but which outcomes are rare and taken together.
    """
    compare(name, text, alpha, nbest_size, algorithm, 1 if nbest_size is None else FEWER)


@pytest.mark.long
@pytest.mark.parametrize("name", ["t5_base_32k", "xlmr_250k_rebuilt"])
@pytest.mark.parametrize(("text", "alpha"), [("Tokens", 0.3), ("Tokens", 1.0), ("a river", 0.1)])
def test_two_samples_among_the_best(name: str, text: str, alpha: float) -> None:
    compare(name, text, alpha, 12, "nbest", 1)


def compare(name: str, text: str, alpha: float, nbest_size: int | None, algorithm: str, fewer: int) -> None:
    tokenizer, outcomes = tokenizer_of(name), outcomes_of(name, text, alpha, nbest_size)
    cells = outcomes.cells
    assert len(cells.probabilities) >= 3
    total = math.ceil(cells.samples / fewer * (1 + 1 / OURS))
    theirs = counts_of_sentencepiece(name, text, alpha, nbest_size, total)
    if nbest_size is None:
        ours = draw(tokenizer, text, outcomes, OURS * total, seed=4, alpha=alpha, algorithm=algorithm)
        off = draw(tokenizer, text, outcomes, total, seed=5, alpha=alpha * 1.3, algorithm=algorithm)
    else:
        options = {"algorithm": algorithm, "nbest_size": nbest_size, "n": OURS * total}
        batch = tokenizer.sample_batch([text], alpha=alpha, seed=4, **options)  # type: ignore[arg-type]
        ours = outcomes.counts(batch.ids, batch.offsets)
        batch = tokenizer.sample_batch([text], alpha=alpha * 1.3, seed=5, **options)  # type: ignore[arg-type]
        off = outcomes.counts(batch.ids, batch.offsets)
    assert two_samples(cells, ours, theirs) < cells.threshold
    # The mutant: the same at an alpha that is off by a little.
    assert two_samples(cells, off, theirs) > cells.threshold


@pytest.mark.parametrize("algorithm", SAMPLERS)
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.model")), ids=lambda path: path.stem)
def test_every_model_samples_as_the_reference(path: object, algorithm: str, sample_lines: list[str]) -> None:
    """Choice by choice, unknown characters, byte fallback and user-defined pieces included."""
    tokenizer = Tokenizer.from_file(path)  # type: ignore[arg-type]
    oracle = Oracle(tokenizer)
    for i, line in enumerate(sample_lines[::3]):
        for alpha in (0.1, 1.0):
            actual = tokenizer.sample(line, alpha=alpha, algorithm=algorithm, seed=6, index=i)
            assert actual == oracle.sample(line, algorithm, alpha, 6, i), line
            assert tokenizer.decode(actual) == tokenizer.decode(tokenizer.encode(line))
