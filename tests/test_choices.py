"""The map from uniforms to choices: each uniform falls into its bracket of the exact cumulative law.

A sampler's law is that of its uniforms seen through this map; where every bracket is right, nothing is left to chance.
The borders between brackets are worked out in fractions, from weights of 60 digits. Each is tried from both sides, as
near as double precision can tell: a few units of 2^-53 relative to the border, once below and once above, among other
uniforms with which the choice shows in the path.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import pytest
from test_sampling import Oracle

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref
from viterbi_sampling.engine.driver import segment
from viterbi_sampling.texts import rows_of

ONE = 2**53
"""A uniform is a whole number of units, from 0 to ONE - 1."""
NEAR_OF_NBEST = 1024
"""There a weight is exp(-alpha · loss), and a loss the difference of two sums of scores."""
LEAST = Fraction(1, 2**1022)
"""A border below may have left the doubles, and with it what the uniform 0 chooses."""


class Border(NamedTuple):
    """Between the brackets of two candidates, in units: rounding may move it as far as `low` and `high`."""

    below: int  # the last uniform below it
    low: int
    high: int

    @classmethod
    def at(cls, share: Fraction, near: int) -> Border:
        place, slack = share * ONE, near * share
        low = math.ceil(place - slack) if share >= LEAST else 0
        return cls(math.ceil(place) - 1, low, math.floor(place + slack))

    def sides(self) -> list[int]:
        """The uniforms nearest to it that rounding cannot take across it: below, above, or one of these."""
        return [unit for unit in (self.low - 1, self.high + 1) if 0 <= unit < ONE]


def exact_exp(exponent: Decimal) -> Fraction:
    return to_200_bits(Fraction(exponent.exp()))


def to_200_bits(number: Fraction) -> Fraction:
    """Rounded, so that the numbers stay short."""
    power = 200 - (number.numerator.bit_length() - number.denominator.bit_length())
    return Fraction(math.floor(number * Fraction(2) ** power)) / Fraction(2) ** power


def nearness(edges: Sequence[ref.Edge]) -> int:
    """How far rounding may move a border, relative to itself, in units.

    What the paths to an end have in common cancels, so they differ by no more pieces than the longest has characters;
    a weight errs by two units at most.
    """
    return 8 + 2 * max(edge.end - edge.start for edge in edges)


def borders_of(shares: Sequence[Fraction], near: int) -> list[Border]:
    """Above each candidate but the last; a single candidate has none, and takes no uniform."""
    return [Border.at(total, near) for total in accumulate(shares[:-1])]


class Uniforms:
    """Chooses by given uniforms, one a choice, and remembers the borders that each of them was held against."""

    def __init__(self, units: Sequence[int]) -> None:
        self.units = units
        self.borders: list[list[Border]] = []

    def choose(self, borders: list[Border]) -> int:
        if not borders:
            return 0
        unit = self.units[len(self.borders)]
        self.borders.append(borders)
        return sum(unit > border.below for border in borders)

    def are_clear(self) -> bool:
        """Whether rounding cannot take any of them across a border."""
        return not any(
            border.low <= unit <= border.high
            for unit, borders in zip(self.units, self.borders, strict=False)
            for border in borders
        )


class ExactLaw:
    """The exact conditional laws of the choices over a lattice."""

    def __init__(self, edges: list[ref.Edge], size: int, alpha: float) -> None:
        with localcontext() as context:
            context.prec, context.Emax, context.Emin = 60, 10**9, -(10**9)
            scores = {edge.score for edge in edges}
            weights = {score: exact_exp(Decimal(alpha) * Decimal(score)) for score in scores}
        near = nearness(edges)
        self.parts = []
        for start, end, part in ref.parts(edges, size):
            sums = {start: Fraction(1)}
            arriving: dict[int, list[ref.Edge]] = {}
            weight = {}
            for edge in part:
                weight[edge] = sums[edge.start] * weights[edge.score]
                arriving.setdefault(edge.end, []).insert(0, edge)
                sums[edge.end] = to_200_bits(sums.get(edge.end, Fraction(0)) + weight[edge])
            share = {edge: to_200_bits(weight[edge] / sums[edge.end]) for edge in part}
            few = ref.few_paths(part, start, end, ref.FEW)
            at_once = borders_of([math.prod((share[edge] for edge in path), start=Fraction(1)) for path in few], near)
            borders = {position: borders_of([share[e] for e in ending], near) for position, ending in arriving.items()}
            self.parts.append((start, end, few, at_once, arriving, borders))

    def path(self, algorithm: str, uniforms: Uniforms) -> ref.Path:
        path: ref.Path = []
        for start, end, few, at_once, arriving, borders in self.parts:
            kept: dict[int, ref.Edge] = {}
            if few:
                path += few[uniforms.choose(at_once)]
            elif algorithm == "perfect":
                for position in sorted(arriving):
                    kept[position] = arriving[position][uniforms.choose(borders[position])]
                path += ref.read_back(kept, start, end)
            else:
                position = end
                while position > start:
                    kept[position] = arriving[position][uniforms.choose(borders[position])]
                    position = kept[position].start
                path += ref.read_back(kept, start, end)
        return path


def engine_choice(
    tokenizer: Tokenizer, text: str, algorithm: str, alpha: float, units: Sequence[int], nbest_size: int = 0
) -> list[int]:
    """What the engine gives when its first uniforms are these."""
    words = np.array([unit << 11 for unit in units], np.uint64)
    weights = tokenizer._weight_table(alpha)
    ids, _, _ = segment(tokenizer._encoder, rows_of((text,)), algorithm, alpha, weights, nbest_size, words=words)
    return ids


def any_uniforms(rng: random.Random, count: int) -> list[int]:
    """Of the ends, of a grid of 1/16, and of all."""
    kinds: list[Callable[[], int]] = [
        lambda: rng.choice([0, 1, ONE // 2 - 1, ONE // 2, ONE - 2, ONE - 1]),
        lambda: rng.randrange(16) * (ONE // 16),
        lambda: rng.randrange(ONE),
    ]
    favourite = rng.choice(kinds)
    return [(favourite if rng.random() < 0.9 else rng.choice(kinds))() for _ in range(count)]


def tried_borders(
    tokenizer: Tokenizer, text: str, algorithm: str, alpha: float, edges: list[ref.Edge] | None = None
) -> int:
    """Hold the engine to the exact law until every border has been tried from both sides; how many there are."""
    oracle = Oracle(tokenizer)
    law = ExactLaw(oracle.edges(text) if edges is None else edges, len(text), alpha)
    rng = random.Random(text)
    met: set[Border] = set()
    tried: set[Border] = set()
    for attempt in range(5000):
        units = any_uniforms(rng, 500)
        uniforms = Uniforms(units)
        path = law.path(algorithm, uniforms)
        if uniforms.are_clear():
            assert engine_choice(tokenizer, text, algorithm, alpha, units) == oracle.ids(path, text)
        for at, borders in enumerate(uniforms.borders):
            for border in borders:
                near = border.sides()
                if len(near) < 2 or border in tried:
                    continue
                met.add(border)
                both = [Uniforms([*units[:at], unit, *units[at + 1 :]]) for unit in near]
                paths = [law.path(algorithm, side) for side in both]
                if paths[0] == paths[1] or not all(side.are_clear() for side in both):
                    continue  # among these uniforms the choice does not show
                for side, path in zip(both, paths, strict=True):
                    found = engine_choice(tokenizer, text, algorithm, alpha, side.units)
                    assert found == oracle.ids(path, text), (border, side.units[: at + 1])
                tried.add(border)
        if attempt >= 20 and tried == met:
            return len(tried)
    raise AssertionError(f"{len(met - tried)} of {len(met)} borders never showed")


TILES = {"a": -1.0, "aa": -2.3, "aaa": -3.1}
MANY_TILES = {"a" * size: -1.3 * size - (7 * size % 5) / 3 for size in range(1, 9)}
FAR_APART = {"a": -1000.0, "b": -2000.0, "ab": -3000.5, "ba": -3037.0, "bab": -5000.0, "aba": -4708.0, "aab": -4745.2,
             "aa": -4000.0}  # fmt: skip
"""Shares down to exp(-750), which no double holds."""

CASES = {
    "a word of few paths, a table": (TILES, "aaaaaa"),
    "a word of many paths, a record": (TILES, "a" * 60),
    "a record with many edges to an end": (MANY_TILES, "a" * 14),
    "a word of several parts": (TILES | {"b": -1.5, "bb": -2.2, "abz": -1.0}, "aaaabbbbb" + "a" * 9),
    "a part too long to keep": (TILES, "a" * 100),
    "a part of too many edges to keep": (TILES | {"a" * 4: -4.9, "a" * 5: -5.2}, "a" * 54),
    "a long part of few paths": (
        {"a": -1.0, "b": -2.1, "a" * 70 + "b": -71.0, "bb": -2.0, "ab": -3.5},
        "a" * 70 + "bb",
    ),
    "choices and single candidates in turn": (TILES | {"b": -1.5, "bb": -2.2, "c": -3.0}, "aabcbb" + "a" * 14 + "cbb"),
    "unknown characters": (
        {"a": -1.0, "aa": -2.3, "aa\u2603": -7.1, "\u2603\u2603": -9.0},
        "aa\u2603a\u2603\u2603\u2603aa",
    ),
    "a table of weights far apart": (FAR_APART, "aabababaab"),
    "a record of weights far apart": (FAR_APART, "aabababaababaaabbababaababa"),
    "a long part of weights far apart": (FAR_APART, "aabababaababaaabbababaababa" * 3),
}


@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
@pytest.mark.parametrize("case", CASES)
def test_every_border(case: str, algorithm: str) -> None:
    pieces, text = CASES[case]
    tokenizer = Tokenizer.from_pieces(pieces, unk_score=-10.0)
    for alpha in (0.0, 0.1, 1.0, 2.0):
        assert tried_borders(tokenizer, text, algorithm, alpha) >= 3


def test_a_part_that_is_let_go_of_on_the_way() -> None:
    """More edges than perfect sampling holds at a time."""
    tokenizer = Tokenizer.from_pieces({"a": -1.0, "a" * 5000: -5000.5})
    edges = [ref.Edge(i, i + 1, 0, -1.0) for i in range(5000)]
    edges.insert(1, ref.Edge(0, 5000, 1, -5000.5))
    for algorithm in ("perfect", "ffbs"):
        assert tried_borders(tokenizer, "a" * 5000, algorithm, 1.0, edges) == 1


@pytest.mark.parametrize("text", ["a" * 6, "a" * 60, "a" * 100])
@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
def test_the_smallest_error_shows(text: str, algorithm: str) -> None:
    """The mutant: a score that is off by 1e-13 of itself."""
    right, wrong = Tokenizer.from_pieces(TILES), Tokenizer.from_pieces(TILES | {"aa": -2.3 * (1 + 1e-13)})
    law = ExactLaw(Oracle(right).edges(text), len(text), 1.0)
    rng = random.Random(1)
    missed = 0
    for _ in range(300):
        units = any_uniforms(rng, 200)
        uniforms = Uniforms(units)
        law.path(algorithm, uniforms)
        at = rng.randrange(len(uniforms.borders))
        for unit in rng.choice(uniforms.borders[at]).sides():
            side = Uniforms([*units[:at], unit, *units[at + 1 :]])
            path = law.path(algorithm, side)
            if side.are_clear():
                missed += engine_choice(wrong, text, algorithm, 1.0, side.units) != Oracle(right).ids(path, text)
    assert missed > 10


@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
def test_to_the_unit(algorithm: str) -> None:
    """Where the shares are powers of two, nothing is rounded: a uniform equal to a border lies above it."""
    two, four = Tokenizer.from_pieces({"a": 0.0, "aa": 0.0}), Tokenizer.from_pieces({"a": 0.0, "aa": 0.0, "aaa": 0.0})
    for tokenizer, text, paths in ((two, "aa", 2), (four, "aaa", 4)):
        edges = Oracle(tokenizer).edges(text)
        ordered = ref.few_paths(edges, 0, len(text), paths)
        for k in range(paths):
            for unit in (k * ONE // paths, (k + 1) * ONE // paths - 1):
                expected = [edge.token for edge in ordered[k]]
                assert engine_choice(tokenizer, text, algorithm, 0.0, [unit]) == expected


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 2.0])
@pytest.mark.parametrize(("pieces", "text"), [(TILES, "a" * 9), (MANY_TILES, "a" * 12), (FAR_APART, "aabababaab")])
def test_every_border_of_nbest(pieces: dict[str, float], text: str, alpha: float) -> None:
    """One uniform a text, the best path first."""
    tokenizer = Tokenizer.from_pieces(pieces)
    for size in (1, 2, 7, 200):
        best = [segmentation.ids for segmentation in tokenizer.nbest(text, size)]
        scores = [sum((Fraction(list(pieces.values())[id]) for id in ids), Fraction(0)) for ids in best]
        with localcontext() as context:
            context.prec, context.Emax, context.Emin = 60, 10**9, -(10**9)
            losses = [Decimal((scores[0] - s).numerator) / Decimal((scores[0] - s).denominator) for s in scores]
            weights = [exact_exp(-Decimal(alpha) * loss) for loss in losses]
        total = to_200_bits(sum(weights, Fraction(0)))
        borders = borders_of([to_200_bits(weight / total) for weight in weights], NEAR_OF_NBEST)
        tried = 0
        for unit in [0, ONE - 1, *(unit for border in borders for unit in border.sides())]:
            uniforms = Uniforms([unit])
            expected = best[uniforms.choose(borders)]
            if not borders or uniforms.are_clear():
                assert engine_choice(tokenizer, text, "nbest", alpha, [unit], size) == expected
                tried += 1
        assert tried >= 1
