"""The law on texts with too many segmentations to enumerate: what can be had of it exactly, against samples.

The number of tokens and the score of a random segmentation have distributions that a pass over the lattice gives
exactly; the frequency of each edge has its marginal. By the inequality of Dvoretzky, Kiefer and Wolfowitz, with
Massart's constant, the distribution function of N samples strays from the right one by more than
sqrt(log(2 TESTS / 1e-6) / 2N) with probability below 1e-6 / TESTS, whatever the law. With N = 350,000 that is 0.0054,
and a distribution function that is off by 0.01 anywhere is caught with probability above 1 - 1e-6.

The frequency f of an edge with marginal m exceeds (or stays below) a bound with N · KL(f, m) > y with probability below
exp(-y) (Chernoff), for each edge y = log(2 · edges · TESTS / 1e-6). A marginal that is off by 0.012 is caught
(Pinsker), a small one that is off by much less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from conftest import SAMPLES
from fit import TESTS
from test_sampling import MIXED

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref

SAMPLES_DRAWN = 350_000
AT_ONCE = 50_000
DEVIATION = math.sqrt(math.log(2e6 * TESTS) / (2 * SAMPLES_DRAWN))
GRID = 4
"""Scores are whole numbers of 1/4, so that there are few sums of them."""

Distribution = npt.NDArray[np.float64]
Marginals = dict[tuple[int, int], float]


class Case(NamedTuple):
    tokenizer: Tokenizer
    text: str
    edges: list[ref.Edge]


def case_of(name: str) -> Case:
    if name == "without a cut":
        pieces, text = {piece: round(score * GRID) / GRID for piece, score in MIXED.items()}, "abcabcaabcab" * 7
    else:
        # 120 characters of prose, with the pieces of the bundled model that occur there.
        bundled = Tokenizer.default()
        lattice = bundled.lattice((SAMPLES / "prose.txt").read_text(encoding="utf-8")[:120])
        ids = sorted(set(lattice.id.tolist()))
        pieces = {bundled.id_to_piece(id): round(bundled.score(id) * GRID) / GRID for id in ids}
        text = lattice.text
    edges = ref.lattice(text, {piece: (id, score) for id, (piece, score) in enumerate(pieces.items())})
    return Case(Tokenizer.from_pieces(pieces), text, edges)


def exact(
    case: Case, alpha: float, value: Callable[[ref.Edge], int]
) -> tuple[Distribution, dict[tuple[int, int], float]]:
    """The distribution of the sum of `value`, at least 0, over the edges of a random path; and all marginals."""
    size = len(case.text)
    logs = {0: 0.0}
    for edge in case.edges:
        logs[edge.end] = np.logaddexp(logs.get(edge.end, -np.inf), logs[edge.start] + alpha * edge.score)
    shares = [math.exp(logs[e.start] + alpha * e.score - logs[e.end]) for e in case.edges]
    most = {0: 0}
    for edge in case.edges:
        most[edge.end] = max(most.get(edge.end, 0), most[edge.start] + value(edge))
    sums = {position: np.zeros(length + 1) for position, length in most.items()}
    sums[0][0] = 1.0
    for edge, share in zip(case.edges, shares, strict=True):
        before = sums[edge.start]
        sums[edge.end][value(edge) : value(edge) + len(before)] += share * before
    passing, marginals = {size: 1.0}, {}
    for edge, share in sorted(zip(case.edges, shares, strict=True), key=lambda pair: -pair[0].end):
        marginals[edge.start, edge.end] = passing[edge.end] * share
        passing[edge.start] = passing.get(edge.start, 0.0) + marginals[edge.start, edge.end]
    return sums[size], marginals


class Drawn(NamedTuple):
    """How often each number of tokens, each sum of scores (in -1/GRID) and each edge came."""

    tokens: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]


def drawn(case: Case, lengths: tuple[int, int], samples: int = SAMPLES_DRAWN, **options: object) -> Drawn:
    """`lengths` are those of the two distributions; an edge is start · (size + 1) + end."""
    size = len(case.text) + 1
    loss = np.array([round(-case.tokenizer.score(id) * GRID) for id in range(len(case.tokenizer))])
    counts = Drawn(np.zeros(lengths[0], int), np.zeros(lengths[1], int), np.zeros(size**2, int))
    for first in range(0, samples, AT_ONCE):
        batch = case.tokenizer.sample_batch([case.text] * AT_ONCE, seed=11, index=first, with_offsets=True, **options)  # type: ignore[arg-type]
        assert batch.spans is not None
        counts.tokens[:] += np.bincount(np.diff(batch.offsets), minlength=lengths[0])
        counts.scores[:] += np.bincount(np.add.reduceat(loss[batch.ids], batch.offsets[:-1]), minlength=lengths[1])
        counts.edges[:] += np.bincount(batch.spans[:, 0] * size + batch.spans[:, 1], minlength=size**2)
    return counts


def deviation(counts: npt.NDArray[np.int64], law: Distribution) -> float:
    return float(np.abs(np.cumsum(counts) / counts.sum() - np.cumsum(law)).max())


def excess(counts: npt.NDArray[np.int64], marginals: Marginals, size: int) -> float:
    """The greatest N · KL(frequency, marginal) of an edge, over what chance allows; infinite for what cannot be."""
    bound = math.log(2e6 * TESTS * len(marginals))
    m = np.zeros((size, size))
    for (start, end), marginal in marginals.items():
        m[start, end] = min(marginal, 1.0)
    samples = counts[:size].sum()
    f, m = counts / samples, m.ravel()
    if (f[m == 0] > 0).any() or (f[m == 1] < 1).any():
        return math.inf
    f, m = f[(m > 0) & (m < 1 - 1e-12)], m[(m > 0) & (m < 1 - 1e-12)]
    terms = np.where(f > 0, f * np.log(np.maximum(f, 1e-300) / m), 0)
    terms += np.where(f < 1, (1 - f) * np.log(np.maximum(1 - f, 1e-300) / (1 - m)), 0)
    return float(samples * terms.max() / bound)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
@pytest.mark.parametrize("name", ["prose", "without a cut"])
def test_distributions_and_edges(name: str, alpha: float) -> None:
    """Both exact samplers follow all three. The original fails, and an alpha that is off by half."""
    case = case_of(name)
    size = len(case.text) + 1
    tokens, marginals = exact(case, alpha, lambda edge: 1)
    scores, _ = exact(case, alpha, lambda edge: round(-edge.score * GRID))
    assert tokens.sum() == pytest.approx(1, abs=1e-9)
    lengths = len(tokens), len(scores)
    for algorithm in ("perfect", "ffbs"):
        counts = drawn(case, lengths, alpha=alpha, algorithm=algorithm)
        assert deviation(counts.tokens, tokens) < DEVIATION
        assert deviation(counts.scores, scores) < DEVIATION
        assert excess(counts.edges, marginals, size) < 1
    for wrong in ({"algorithm": "viterbi_sampling", "alpha": alpha}, {"algorithm": "perfect", "alpha": 1.5 * alpha}):
        counts = drawn(case, lengths, 2 * AT_ONCE, **wrong)
        assert deviation(counts.tokens, tokens) > DEVIATION
        assert deviation(counts.scores, scores) > DEVIATION
        assert excess(counts.edges, marginals, size) > 1
