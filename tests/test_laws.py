"""The law of each sampler, end to end: samples against exact probabilities, with the power that fit.py works out.

A total variation of 0.01 is caught with probability above 1 - 1e-6, and a right sampler fails in any of the tests with
probability below 1e-6. `pytest -m long` runs the largest lattices at every alpha.
"""

from __future__ import annotations

import math

import pytest
from fit import Paths, draw
from test_sampling import MIXED, THREE, law_of

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref

ALPHAS = [0.0, 0.1, 0.5, 1.0, 2.0]
LATTICES = {
    2: (MIXED, "ab"),
    3: (THREE, "abc"),
    22: (MIXED, "cabcab"),
    68: (MIXED, "abcabcab"),
    384: (MIXED, "abcabcabcab"),
    12240: (MIXED, "abcabcabcabcabcab"),
}
LARGEST = max(LATTICES)
DEFAULT = {("perfect", 0.0), ("perfect", 1.0), ("ffbs", 0.0), ("ffbs", 0.5)}
"""What the largest lattice is tried with unless all is asked for."""

CASES = [
    pytest.param(
        paths, sampler, alpha, marks=[pytest.mark.long] if paths == LARGEST and (sampler, alpha) not in DEFAULT else []
    )
    for paths in LATTICES
    for sampler in ("perfect", "ffbs", "viterbi_sampling")
    for alpha in ALPHAS
    # The law of the original takes following both outcomes of all coins.
    if sampler != "viterbi_sampling" or paths <= 68
]


def lattice_of(pieces: dict[str, float], text: str) -> list[ref.Edge]:
    return ref.lattice(text, {p: (i, s) for i, (p, s) in enumerate(pieces.items())})


@pytest.mark.parametrize(("paths", "sampler", "alpha"), CASES)
def test_law(paths: int, sampler: str, alpha: float) -> None:
    pieces, text = LATTICES[paths]
    law = law_of(sampler, lattice_of(pieces, text), len(text), alpha)
    assert len(law) == paths
    assert math.fsum(law.values()) == pytest.approx(1, abs=1e-12)
    outcomes = Paths(law)
    counts = draw(
        Tokenizer.from_pieces(pieces), text, outcomes, outcomes.cells.samples, 5, alpha=alpha, algorithm=sampler
    )
    assert outcomes.cells.fits(counts), outcomes.cells.statistic(counts)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("paths", "best"), [(22, 5), (384, 200)])
def test_law_of_nbest(paths: int, best: int, alpha: float) -> None:
    """Its own law: that of the best ones alone."""
    pieces, text = LATTICES[paths]
    every = {
        tuple(edge.token for edge in path): math.fsum(edge.score for edge in path)
        for path in ref.segmentations(lattice_of(pieces, text), len(text))
    }
    tokenizer = Tokenizer.from_pieces(pieces)
    # Of equal scores at the border any may be among the best.
    found = [tuple(segmentation.ids) for segmentation in tokenizer.nbest(text, best)]
    assert len(set(found)) == best
    assert [every[ids] for ids in found] == pytest.approx(sorted(every.values())[: -best - 1 : -1], abs=1e-9)
    total = math.fsum(math.exp(alpha * every[ids]) for ids in found)
    outcomes = Paths({ids: math.exp(alpha * every[ids]) / total for ids in found})
    options = {"alpha": alpha, "algorithm": "nbest", "nbest_size": best}
    batch = tokenizer.sample_batch([text], n=outcomes.cells.samples, seed=8, **options)  # type: ignore[arg-type]
    counts = outcomes.counts(batch.ids, batch.offsets)
    assert outcomes.cells.fits(counts), outcomes.cells.statistic(counts)
    single = tokenizer.sample(text, seed=8, draw=7, **options)  # type: ignore[arg-type]
    assert single == batch[7].tolist()
    assert tokenizer.sample_with_offsets(text, seed=8, draw=7, **options).ids == single  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_biased_law_is_told_from_the_exact_one(alpha: float) -> None:
    """The mutant: samples of the original Viterbi Sampling fail under the exact law."""
    outcomes = Paths(law_of("perfect", lattice_of(MIXED, "cabcab"), 6, alpha))
    tokenizer = Tokenizer.from_pieces(MIXED)
    counts = draw(tokenizer, "cabcab", outcomes, outcomes.cells.samples, 5, alpha=alpha, algorithm="viterbi_sampling")
    assert not outcomes.cells.fits(counts)


@pytest.mark.parametrize("paths", [2, 22, 384])
@pytest.mark.parametrize("best", [None, 20])
def test_an_alpha_that_is_off_is_told(paths: int, best: int | None) -> None:
    """The mutant: an alpha that is off by so much that the total variation is 0.01."""
    pieces, text = LATTICES[paths]
    tokenizer, edges = Tokenizer.from_pieces(pieces), lattice_of(pieces, text)
    kept = [tuple(segmentation.ids) for segmentation in tokenizer.nbest(text, best or paths)]

    def law(alpha: float) -> dict[tuple[int, ...], float]:
        exact = law_of("perfect", edges, len(text), alpha)
        total = math.fsum(exact[ids] for ids in kept)
        return {ids: exact[ids] / total for ids in kept}

    right, low, high = law(1.0), 1.0, 3.0
    for _ in range(30):
        middle = (low + high) / 2
        wrong = law(middle)
        low, high = (middle, high) if sum(abs(wrong[k] - right[k]) for k in right) / 2 < 0.01 else (low, middle)
    outcomes = Paths(right)
    options = {"algorithm": "perfect"} if best is None else {"algorithm": "nbest", "nbest_size": best}
    batch = tokenizer.sample_batch([text], alpha=high, n=outcomes.cells.samples, seed=8, **options)  # type: ignore[arg-type]
    assert not outcomes.cells.fits(outcomes.counts(batch.ids, batch.offsets))


def test_the_example_of_the_article() -> None:
    """Three equally scored candidates: (1/4, 1/4, 1/2) under the original, (1/3, 1/3, 1/3) under perfect sampling."""
    tokenizer = Tokenizer.from_pieces(THREE)
    paths = [(0,), (3, 1), (3, 4, 2)]
    for sampler, expected in [("viterbi_sampling", [0.25, 0.25, 0.5]), ("perfect", [1 / 3] * 3), ("ffbs", [1 / 3] * 3)]:
        law = law_of(sampler, lattice_of(THREE, "abc"), 3, 1.0)
        assert [law[path] for path in paths] == pytest.approx(expected, abs=1e-15)
        outcomes = Paths(dict(zip(paths, expected, strict=True)))
        counts = draw(tokenizer, "abc", outcomes, outcomes.cells.samples, 2, alpha=1.0, algorithm=sampler)
        assert outcomes.cells.fits(counts)
