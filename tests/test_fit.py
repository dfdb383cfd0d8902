"""The tests of a law are tested: with the right law they pass, with one at a total variation of 0.01 they fail."""

from __future__ import annotations

import numpy as np
import pytest
from fit import VARIATION, cells_of, far_tail, noncentrality

LAWS = {
    "two": np.array([0.3, 0.7]),
    "ten, even": np.full(10, 0.1),
    "sixty, steep": 0.8 ** np.arange(60),
    "ten thousand, even": np.full(10_000, 1e-4),
    "ten thousand, steep": np.exp(-3.0 * np.random.default_rng(1).normal(size=10_000) ** 2),
    "ten thousand, steeper": np.random.default_rng(2).pareto(0.7, size=10_000),
}


@pytest.mark.parametrize("name", LAWS)
def test_power(name: str) -> None:
    """Forty samples of each. The error is spread evenly, which is what relative entropy sees least.

    In terms of the deviation of the statistic the worst sample stays clear of the threshold, too.
    """
    law = LAWS[name] / LAWS[name].sum()
    cells = cells_of(law)
    rng = np.random.default_rng(7)
    # Half of the probability is raised, half lowered.
    order = rng.permutation(len(law))
    upper = np.zeros(len(law), bool)
    upper[order] = np.cumsum(law[order]) < 0.5 + law[order] / 2
    share = law[upper].sum()
    tilted = np.where(upper, law * (1 + VARIATION / share), law * (1 - VARIATION / (1 - share)))
    assert abs(tilted - law).sum() / 2 == pytest.approx(VARIATION)
    right = np.array([cells.statistic(rng.multinomial(cells.samples, law)) for _ in range(40)])
    wrong = np.array([cells.statistic(rng.multinomial(cells.samples, tilted)) for _ in range(40)])
    assert right.max() < cells.threshold < wrong.min()
    assert right.mean() + 4.75 * right.std() < cells.threshold
    assert wrong.mean() - 4.5 * wrong.std() > cells.threshold


def test_formulas() -> None:
    """The bounds against what they bound, drawn."""
    rng = np.random.default_rng(3)
    for degrees in (1, 9, 60, 10_000):
        needed = noncentrality(degrees)
        assert needed - 2 * np.sqrt((degrees + 2 * needed) * np.log(1e6)) == pytest.approx(far_tail(degrees) - degrees)
        assert rng.chisquare(degrees, 100_000).max() < far_tail(degrees)
        assert rng.noncentral_chisquare(degrees, needed, 100_000).min() > far_tail(degrees)
