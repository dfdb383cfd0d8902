"""exp(alpha * score), against Python's exact fractions."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from viterbi_sampling.engine.weights import edge_weights


def exact(x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        context.Emin, context.Emax = -(10**9), 10**9
        return Decimal(x).exp()


def value(weight: float, exponent: int) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        context.Emin, context.Emax = -(10**9), 10**9
        return Decimal(weight) * Decimal(2) ** int(exponent)


@pytest.mark.parametrize("span", [0.5, 30.0, 300.0, 100_000.0])
def test_relative_error_below_two_ulp(span: float) -> None:
    scores = np.random.default_rng(3).uniform(-span, span / 10, 400)
    weights, exponents = edge_weights(scores, 1.0)
    for i, score in enumerate(scores.tolist()):
        want = exact(score)
        got = value(weights[i], 0 if exponents is None else exponents[i])
        with localcontext() as context:
            context.prec = 60
            # Above 2^20 ln 2 the rounding of n ln 2 adds what rounding the score itself would.
            assert abs(got / want - 1) < Decimal(2**-51), score


def test_plain_and_split_tables() -> None:
    weights, exponents = edge_weights(np.array([0.0, -1.0, 2.0]), 1.0)
    assert exponents is None
    assert weights.tolist() == pytest.approx([1.0, math.exp(-1), math.exp(2)], rel=1e-15)
    assert weights[0] == 1.0
    weights, exponents = edge_weights(np.array([-1000.0, 0.0]), 1.0)
    assert exponents is not None
    assert ((weights >= 1) & (weights < 2)).all()


def test_alpha_zero_makes_all_equal() -> None:
    weights, _ = edge_weights(np.array([-1e9, 0.0, 5.0]), 0.0)
    assert weights.tolist() == [1.0, 1.0, 1.0]


def test_too_large_an_alpha_is_an_error() -> None:
    with pytest.raises(ValueError, match="alpha"):
        edge_weights(np.array([-10.0]), 1e300)
