"""Wrong samplers fail: each mutant has an error that was made somewhere, and the tests of the law notice it.

A test of a law is worth what it would catch. The mutants are plain Python, so they get fewer samples than the
engine gets in test_laws.py, which only makes it harder to tell them.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fit import VARIATION, Paths, draw, far_tail, noncentrality
from test_sampling import MIXED, law_of

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref

TEXT = "abcabc"
EDGES = ref.lattice(TEXT, {p: (i, s) for i, (p, s) in enumerate(MIXED.items())})
SAMPLES = 60_000

Sampler = Callable[[list[ref.Edge], int, float, Iterator[float]], ref.Path]


def uniforms(seed: int) -> Iterator[float]:
    rng = random.Random(seed)
    while True:
        yield rng.random()


def bracket(uniform: float, weights: list[float]) -> int:
    """Which of the cumulative weights' brackets the uniform falls into."""
    return min(int(np.searchsorted(np.cumsum(weights), uniform * sum(weights), side="right")), len(weights) - 1)


def accumulated_twice(edges: list[ref.Edge], size: int, alpha: float, uniform: Iterator[float]) -> ref.Path:
    """Hugging Face tokenizers 0.23.3: alpha is applied again to the accumulated weight."""
    sums = ref.forward_sums(edges, alpha)
    path: ref.Path = []
    while size:
        candidates = [e for e in edges if e.end == size]
        weights = [math.exp(alpha * (math.log(sums[e.start]) + e.score)) for e in candidates]
        edge = candidates[bracket(next(uniform), weights)]
        path.insert(0, edge)
        size = edge.start
    return path


def noise_on_each_edge(edges: list[ref.Edge], size: int, alpha: float, uniform: Iterator[float]) -> ref.Path:
    """The law of sentencepiece's Lite runtime: Gumbel noise on every edge, then the best path."""
    noisy = [e._replace(score=alpha * e.score - math.log(-math.log(next(uniform) or 1e-300))) for e in edges]
    return ref.viterbi(noisy, size)


def one_uniform_twice(edges: list[ref.Edge], size: int, alpha: float, uniform: Iterator[float]) -> ref.Path:
    """Each uniform decides at two places."""

    def doubled() -> Iterator[float]:
        for u in uniform:
            yield u
            yield u

    return ref.perfect(edges, size, alpha, doubled())


def unshared_total(edges: list[ref.Edge], size: int, alpha: float, uniform: Iterator[float]) -> ref.Path:
    """The reservoir choice against the sum without the candidate."""
    sums = {0: 1.0}
    kept: dict[int, ref.Edge] = {}
    for edge in edges:
        weight = sums[edge.start] * math.exp(alpha * edge.score)
        if edge.end not in sums or next(uniform) * (sums[edge.end] + 0.5 * weight) < weight:
            kept[edge.end] = edge
        sums[edge.end] = sums.get(edge.end, 0.0) + weight
    return ref.read_back(kept, 0, size)


MUTANTS: list[Sampler] = [
    accumulated_twice,
    noise_on_each_edge,
    one_uniform_twice,
    unshared_total,
    ref.viterbi_sampling,
]


def fits(sampler: Sampler, alpha: float) -> bool:
    stream = uniforms(17)
    counts = Counter(tuple(e.token for e in sampler(EDGES, len(TEXT), alpha, stream)) for _ in range(SAMPLES))
    outcomes = Paths(law_of("perfect", EDGES, len(TEXT), alpha))
    return outcomes.cells.fits(np.array([counts[path] for path in outcomes.paths]))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_sampler_fails(mutant: Sampler) -> None:
    assert not fits(mutant, 0.5)


@pytest.mark.parametrize("sampler", [ref.perfect, ref.ffbs], ids=lambda sampler: sampler.__name__)
def test_the_specification_passes(sampler: Sampler) -> None:
    assert fits(sampler, 0.5)


# -- independence ------------------------------------------------------------------------------------


ABCA = law_of("perfect", ref.lattice("abca", {p: (i, s) for i, (p, s) in enumerate(MIXED.items())}), 4, 0.7)
PAIRS = 800_000
NEAR = [0, 2**32 - PAIRS // 2, 2**64 - PAIRS]


def dependence(first: np.ndarray, second: np.ndarray) -> float:
    """G of the pairs of outcomes against the product of the exact law with itself, over its threshold."""
    p = np.array(list(ABCA.values()))
    seen = np.bincount(first * len(p) + second, minlength=len(p) ** 2)
    expected = len(first) * np.outer(p, p).ravel()
    some = seen > 0
    return float(2 * np.sum(seen[some] * np.log(seen[some] / expected[some])) / far_tail(len(p) ** 2 - 1))


@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
@pytest.mark.parametrize("base", NEAR)
def test_neighbours_are_independent(algorithm: str, base: int) -> None:
    """Neighbouring indices, neighbouring seeds, two draws of one text; indices and seeds around 0, 2^32 and 2^64.

    The pairs are tested against the product of the exact law with itself. A joint law at a total variation of 0.01
    from it is caught as in fit.py.
    """
    assert noncentrality(len(ABCA) ** 2 - 1) / (4 * VARIATION**2) < PAIRS
    tokenizer = Tokenizer.from_pieces(MIXED)
    outcomes = Paths(ABCA)
    keys = np.arange(base, base + PAIRS, dtype=np.uint64)

    def samples(seed: int, n: int = 1) -> np.ndarray:
        options = {"alpha": 0.7, "algorithm": algorithm, "seed": seed % 2**64, "n": n}
        batch = tokenizer.sample_batch(["abca"] * PAIRS, index=keys, **options)  # type: ignore[arg-type]
        return outcomes.numbers(batch.ids, batch.offsets)

    seed = base + PAIRS - 1  # 2^64 - 1, whose neighbour is 0
    ordinary = samples(seed)
    for other in (np.roll(ordinary, 1), samples(seed + 1), samples(seed, n=2)[1::2]):
        assert dependence(ordinary, other) < 1
    # The mutants: one stream for two indices; for one in thirty of them.
    assert dependence(ordinary, ordinary) > 1
    some = np.where(np.arange(PAIRS) % 30 == 0, ordinary, np.roll(ordinary, 1))
    assert dependence(ordinary, some) > 1


@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
def test_one_seed_on_many_texts(algorithm: str) -> None:
    """With n draws of one index, and one draw of n indices, the law is the same."""
    tokenizer = Tokenizer.from_pieces(MIXED)
    outcomes = Paths(ABCA)
    counts = draw(tokenizer, "abca", outcomes, outcomes.cells.samples, 2**64 - 1, alpha=0.7, algorithm=algorithm)
    batch = tokenizer.sample_batch(["abca"], alpha=0.7, algorithm=algorithm, n=outcomes.cells.samples, seed=2**32)
    assert outcomes.cells.fits(counts)
    assert outcomes.cells.fits(outcomes.counts(batch.ids, batch.offsets))


# -- long texts --------------------------------------------------------------------------------------

TILES = {"a": -7.3, "aa": -14.9, "aaa": -21.7}


def single_precision_sums(size: int, seed: int) -> float:
    """The share of single tiles in a sample whose forward sums are float32 logarithms, as in sentencepiece."""
    scores = [np.float32(score) for score in TILES.values()]
    sums = np.full(size + 1, -np.inf, np.float32)
    sums[0] = 0
    for end in range(1, size + 1):
        terms = [sums[end - k - 1] + scores[k] for k in range(min(3, end))]
        top = max(terms)
        sums[end] = top + np.float32(math.log(sum(math.exp(float(t - top)) for t in terms)))
    stream = uniforms(seed)
    counts = [0, 0, 0]
    end = size
    while end:
        weights = [math.exp(float(sums[end - k - 1] + scores[k] - sums[end])) for k in range(min(3, end))]
        k = bracket(next(stream), weights)
        counts[k] += 1
        end -= k + 1
    return counts[0] / sum(counts)


def test_long_text_and_single_precision() -> None:
    """100,000 characters without a cut: the share of single tiles is the exact one; float32 sums miss it.

    The share of a tile tends to w·r^length with r the root of sum(w·r^length) = 1. Over 40 samples of some 57,000
    tiles its standard error is at most 0.0004.
    """
    weights = [math.exp(score) for score in TILES.values()]
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        if sum(w * middle ** (k + 1) for k, w in enumerate(weights)) < 1:
            low = middle
        else:
            high = middle
    exact = weights[0] * low
    tokenizer = Tokenizer.from_pieces(TILES)
    for algorithm in ("perfect", "ffbs"):
        batch = tokenizer.sample_batch(["a" * 100_000], alpha=1.0, algorithm=algorithm, n=40, seed=3)
        assert (batch.ids == 0).mean() == pytest.approx(exact, abs=0.002)
    assert abs(np.mean([single_precision_sums(100_000, seed) for seed in range(3)]) - exact) > 0.002
