"""How well samples follow a law: the statistic, its threshold, and the sample size that the power takes.

The statistic is the likelihood ratio G = 2 Σ n log(n / Np) over k cells; where the law is right it is about chi-square
with k - 1 degrees of freedom. With x = -log(1e-6) and y = x + log(TESTS) it exceeds `far_tail`, which is
k - 1 + 2 sqrt((k - 1) y) + 2y, with probability below 1e-6 / TESTS (Laurent and Massart 2000, lemma 1), so that any of
TESTS tests of a right sampler fails with probability below 1e-6.

An error of total variation d has a relative entropy of at least 2d² (Pinsker), so that G is about noncentral with
λ >= 4Nd². It stays below k - 1 + λ - 2 sqrt((k - 1 + 2λ) x) with probability below 1e-6 (Birgé 2001, lemma 8.1).
`sample_size` is the N for which that bound reaches the threshold.

Cells that few samples fall into are taken together, the rarest first, as long as they have no more than POOLED of the
probability; as much of the error may hide in there, so that N is worked out for an error of 0.01 - POOLED. Where a cell
is expected less than RARE times, the chi-square law of its part of G is far off; that part exceeds g with probability
at most 2 exp(-g / 2) (Chernoff), so it counts as two degrees of freedom. test_fit.py tries the approximations out: on
the right law, which must not fail, and on the least favourable one at a distance of 0.01, which must.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling import Tokenizer

TESTS = 200
"""More than there are tests of a law."""
VARIATION = 0.01
POOLED = 0.001
RARE = 5
X = math.log(1e6)

Path = tuple[int, ...]
Counts = npt.NDArray[np.int64]


def far_tail(degrees: int, tests: int = TESTS) -> float:
    """What a chi-square variable exceeds with probability below 1e-6 / tests."""
    y = X + math.log(tests)
    return degrees + 2 * math.sqrt(degrees * y) + 2 * y


def noncentrality(degrees: int) -> float:
    """The λ at which a noncentral chi-square variable stays below `far_tail` with probability below 1e-6.

    λ - 2 sqrt((degrees + 2λ) x) = c, a quadratic equation in λ.
    """
    c = far_tail(degrees) - degrees
    return c + 4 * X + math.sqrt(max(0.0, (c + 4 * X) ** 2 - c**2 + 4 * X * degrees))


class Cells(NamedTuple):
    """The outcomes of a law as cells: `cell` of each outcome; the last cell holds the rare ones, if there are any."""

    cell: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    samples: int

    def statistic(self, counts: Counts) -> float:
        """G of how often each outcome came, in any number of samples."""
        seen = np.bincount(self.cell, counts, len(self.probabilities))
        expected = counts.sum() * self.probabilities
        some = seen > 0
        return float(2 * np.sum(seen[some] * np.log(seen[some] / expected[some])))

    @property
    def threshold(self) -> float:
        return far_tail(degrees_of(self.probabilities, self.samples))

    def fits(self, counts: Counts) -> bool:
        return self.statistic(counts) < self.threshold


def cells_of(law: npt.ArrayLike) -> Cells:
    """Cells for the probabilities of all outcomes, and the sample size that has the power."""
    p = np.asarray(law, np.float64)
    order = np.argsort(p, kind="stable")
    pooled = int(np.searchsorted(np.cumsum(p[order]), POOLED, side="right"))
    pooled = 0 if pooled == 1 else pooled
    cell = np.empty(len(p), np.int64)
    cell[order[pooled:]] = np.arange(len(p) - pooled)
    cell[order[:pooled]] = len(p) - pooled
    probabilities = np.bincount(cell, p)
    samples = sample_size(len(probabilities) - 1)
    while samples < (needed := sample_size(degrees_of(probabilities, samples))):
        samples = needed
    return Cells(cell, probabilities, samples)


def sample_size(degrees: int) -> int:
    return math.ceil(noncentrality(degrees) / (4 * (VARIATION - POOLED) ** 2))


def degrees_of(probabilities: npt.NDArray[np.float64], samples: int) -> int:
    return len(probabilities) - 1 + int((samples * probabilities < RARE).sum())


class Paths:
    """The outcomes of a law, by number: told apart by a hash of their ids, which is checked to tell them apart."""

    def __init__(self, law: Mapping[Path, float]) -> None:
        self.paths = list(law)
        ids = np.array([id for path in self.paths for id in path], np.int64)
        offsets = np.cumsum([0, *map(len, self.paths)])
        self.hashes = self.hashed(ids, offsets)
        self.order = np.argsort(self.hashes)
        assert len(np.unique(self.hashes)) == len(self.paths)
        self.cells = cells_of(list(law.values()))

    @staticmethod
    def hashed(ids: npt.NDArray[np.integer], offsets: npt.NDArray[np.integer]) -> npt.NDArray[np.uint64]:
        place = np.arange(len(ids)) - np.repeat(offsets[:-1], np.diff(offsets))
        with np.errstate(over="ignore"):
            factors = np.uint64(0x9E3779B97F4A7C15) ** np.arange(1, place.max() + 2, dtype=np.uint64)
            return np.add.reduceat((ids.astype(np.uint64) + np.uint64(1)) * factors[place], offsets[:-1])

    def numbers(self, ids: npt.NDArray[np.integer], offsets: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Which outcome each row is; an AssertionError where one is none of them."""
        hashes = self.hashed(ids, offsets)
        at = np.minimum(np.searchsorted(self.hashes, hashes, sorter=self.order), len(self.order) - 1)
        found = self.order[at]
        assert (self.hashes[found] == hashes).all(), "a sample is impossible under the law"
        return found

    def counts(self, ids: npt.NDArray[np.integer], offsets: npt.NDArray[np.integer]) -> Counts:
        return np.bincount(self.numbers(ids, offsets), minlength=len(self.paths))


AT_ONCE = 400_000


def draw(tokenizer: Tokenizer, text: str, paths: Paths, total: int, seed: int, **options: object) -> Counts:
    """How often each outcome comes in at least `total` samples: two draws of each of half as many indices."""
    counts = np.zeros(len(paths.paths), np.int64)
    for first in range(0, total, AT_ONCE):
        rows = (min(AT_ONCE, total - first) + 1) // 2
        batch = tokenizer.sample_batch([text] * rows, n=2, seed=seed, index=first, **options)  # type: ignore[arg-type]
        counts += paths.counts(batch.ids, batch.offsets)
    return counts


def two_samples(cells: Cells, first: Counts, second: Counts) -> float:
    """G of two samples, of any sizes, of one unknown law; about chi-square as above.

    With sizes N and M, and d between the two laws, λ >= 4d²NM / (N + M): both differ from their mixture.
    """
    seen = [np.bincount(cells.cell, counts, len(cells.probabilities)) for counts in (first, second)]
    both = (seen[0] + seen[1]) / (first.sum() + second.sum())
    return float(sum(2 * np.sum(n[n > 0] * np.log(n[n > 0] / (n.sum() * both[n > 0]))) for n in seen))
