"""The specification itself: by hand, and against enumeration."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viterbi_sampling import reference as ref

VOCABULARIES = st.dictionaries(
    st.text("ab", min_size=1, max_size=4), st.floats(-8, 0).map(lambda x: round(x, 3)), min_size=1, max_size=8
).map(lambda pieces: {"a": -3.0, "b": -4.0} | pieces)


def edges_of(pieces: dict[str, float], text: str) -> list[ref.Edge]:
    return ref.lattice(text, {piece: (i, score) for i, (piece, score) in enumerate(pieces.items())})


@given(VOCABULARIES, st.text("ab", max_size=9))
def test_viterbi_is_the_best_of_all(pieces: dict[str, float], text: str) -> None:
    edges = edges_of(pieces, text)
    best = max(sum(e.score for e in path) for path in ref.segmentations(edges, len(text)))
    assert sum(e.score for e in ref.viterbi(edges, len(text))) == pytest.approx(best, abs=1e-9)


@given(VOCABULARIES, st.text("ab", min_size=1, max_size=9), st.sampled_from([0.0, 0.1, 1.0, 3.0]))
def test_forward_sum_is_the_sum_over_paths(pieces: dict[str, float], text: str, alpha: float) -> None:
    edges = edges_of(pieces, text)
    total = math.fsum(math.exp(alpha * sum(e.score for e in p)) for p in ref.segmentations(edges, len(text)))
    assert ref.forward_sums(edges, alpha)[len(text)] == pytest.approx(total, rel=1e-12)


@given(VOCABULARIES, st.text("ab", max_size=9))
def test_parts_join_to_the_whole(pieces: dict[str, float], text: str) -> None:
    edges = edges_of(pieces, text)
    parts = list(ref.parts(edges, len(text)))
    assert [start for start, _, _ in parts] == [0, *(end for _, end, _ in parts)][: len(parts)]
    assert [edge for _, _, part in parts for edge in part] == edges
    assert math.prod(sum(1 for _ in ref.segmentations(part, end, start)) for start, end, part in parts) == sum(
        1 for _ in ref.segmentations(edges, len(text))
    )


def test_ties_go_to_the_earliest_start() -> None:
    edges = edges_of({"a": -1.0, "aa": -2.0, "aaa": -3.0}, "aaa")
    assert [e.token for e in ref.viterbi(edges, 3)] == [2]


def exact_law(
    sampler: object, edges: list[ref.Edge], size: int, alpha: float, grid: int
) -> dict[tuple[int, ...], float]:
    """The law of a sampler, from all combinations of a grid of uniforms: exact where the brackets lie on the grid."""
    law: dict[tuple[int, ...], float] = {}
    midpoints = [(i + 0.5) / grid for i in range(grid)]
    for uniforms in product(midpoints, repeat=2):
        path = sampler(edges, size, alpha, iter(uniforms))  # type: ignore[operator]
        key = tuple(e.token for e in path)
        law[key] = law.get(key, 0.0) + 1 / grid**2
    return law


# The example of the article on Viterbi Sampling: three candidates for one end, on paths of the same score, -3.
EQUAL = {"abc": -3.0, "bc": -2.0, "c": -1.0, "a": -1.0, "b": -1.0}


def equal_edges() -> list[ref.Edge]:
    return edges_of(EQUAL, "abc")


def test_the_original_lets_the_last_of_three_equals_win_half_the_time() -> None:
    law = exact_law(ref.viterbi_sampling, equal_edges(), 3, 1.0, 12)
    assert [round(law[key], 12) for key in [(0,), (3, 1), (3, 4, 2)]] == [0.25, 0.25, 0.5]


def test_perfect_sampling_gives_three_equals_a_third_each() -> None:
    law = exact_law(ref.perfect, equal_edges(), 3, 1.0, 12)
    assert [round(law[key], 12) for key in [(0,), (3, 1), (3, 4, 2)]] == [round(1 / 3, 12)] * 3


@given(VOCABULARIES, st.text("ab", min_size=1, max_size=8), st.sampled_from([0.0, 0.5, 2.0]))
def test_quantities_against_enumeration(pieces: dict[str, float], text: str, alpha: float) -> None:
    edges = edges_of(pieces, text)
    law = ref.law(edges, len(text), alpha)
    expected = [math.fsum(p for path, p in law if edge in path) for edge in edges]
    assert ref.marginals(edges, len(text), alpha) == pytest.approx(expected, abs=1e-12)
    assert ref.entropy(edges, len(text), alpha) == pytest.approx(-math.fsum(p * math.log(p) for _, p in law), abs=1e-9)
    best = sorted((math.fsum(e.score for e in path) for path, _ in law), reverse=True)
    found = ref.nbest(edges, len(text), 7)
    assert [math.fsum(e.score for e in path) for path in found] == pytest.approx(best[:7], abs=1e-9)
    drawn = ref.without_replacement(edges, len(text), 3, alpha, iter([0.1 * i for i in range(len(law))]))
    assert len({tuple(path) for path, _ in drawn}) == len(drawn) == min(3, len(law))
    assert all(inclusion <= 0 for _, inclusion in drawn)
