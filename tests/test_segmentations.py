"""Segmentations and marginals as results: what they are equal to, what they hold, and that they stay as they are."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import SAMPLES

from viterbi_sampling import Segmentation, Tokenizer
from viterbi_sampling.engine.alternatives import nbest
from viterbi_sampling.texts import rows_of

PROSE = (SAMPLES / "prose.txt").read_text(encoding="utf-8")


def test_a_segmentation_is_like_the_tuple_of_its_fields(bundled: Tokenizer) -> None:
    (first, *_) = bundled.nbest(PROSE[:200], 3)
    ids, log_prob, log_inclusion = first
    assert type(ids) is list
    assert first.ids is ids
    assert (first.log_prob, first.log_inclusion) == (log_prob, log_inclusion)
    assert first == Segmentation(list(ids), log_prob) == (ids, log_prob, None)
    assert first != Segmentation([*ids, 0], log_prob)
    assert first != Segmentation(ids, log_prob, 0.0)
    assert first != ids
    assert (len(first), first[0], first[-1], first[:2]) == (3, ids, None, (ids, log_prob))
    assert repr(first) == f"Segmentation(ids={ids!r}, log_prob={log_prob!r}, log_inclusion=None)"
    assert eval(repr(first)) == first
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)
    with pytest.raises(AttributeError):
        first.log_prob = 0.0  # type: ignore[misc]
    match first:
        case Segmentation(found, _, None):
            assert found is ids


def test_copies_and_pickles(bundled: Tokenizer) -> None:
    """Whether the ids were asked for before or not."""
    for drawn in (
        bundled.nbest(PROSE[:300], 5),
        bundled.sample_without_replacement(PROSE[:300], 5, alpha=0.5, seed=1, include_best=True),
    ):
        again = pickle.loads(pickle.dumps(drawn))
        assert again == copy.deepcopy(drawn) == [copy.copy(s) for s in drawn] == drawn
        assert pickle.loads(pickle.dumps(drawn)) == again


@pytest.mark.parametrize("text", ["", "a", "\u2603\u2603 \u2603", PROSE[:2000], PROSE[:500] + "\u2603" * 3])
def test_ids_that_are_asked_for_late(bundled: Tokenizer, text: str) -> None:
    """In any order, after the tokenizer is gone: those that the engine gives at once."""
    for data in (None, {"a": -1.0, "b": -1.0, " ": -2.0, "ab": -2.5, "aa": -2.2}):
        tokenizer = bundled if data is None else Tokenizer.from_pieces(data, unk_score=-9.0)
        at_once = [list(s.ids) for s in tokenizer.nbest(text, 20)]
        late = tokenizer.nbest(text, 20)
        drawn = [
            tokenizer.sample_without_replacement(text, 4, alpha=1.0, seed=2),
            tokenizer.sample_without_replacement(text, 4, alpha=1.0, seed=2),
        ]
        tokenizer = None
        assert [s.ids for s in reversed(late)] == at_once[::-1]
        assert [s.ids for s in drawn[0]] == [s.ids for s in reversed(drawn[1])][::-1]


def test_many_paths_take_little_more_memory_than_one(bundled: Tokenizer) -> None:
    """Of a long text the best paths differ in a few places: the others are what they have there."""
    for text in (PROSE * 4, PROSE * 40):
        one, many = (nbest(bundled._encoder, rows_of((text,)), count) for count in (1, 64))
        assert len(many) == 64
        assert many.memory() < 1.2 * one.memory() + 100_000
        assert len({tuple(many.tokens(rank)) for rank in range(64)}) == 64
        with pytest.raises(IndexError, match="path 64 of 64"):
            many.ids(64)
        with pytest.raises(IndexError, match="path -1 of 64"):
            many.score(-1)


def test_results_keep_their_memory(bundled: Tokenizer) -> None:
    """The memory of large results is used again, but only when they are gone: by one thread or by many."""
    texts = [(PROSE * 200)[first:] for first in (0, 1000, 5000)]
    expected = [[column.copy() for column in bundled.marginals(text, alpha=0.3)] for text in texts]
    assert all(columns[3].nbytes > 1 << 20 for columns in expected)

    def check(round: int) -> bool:
        held = [bundled.marginals(texts[(round + i) % 3], alpha=0.3) for i in range(2)]
        for i, found in enumerate(held):
            assert all(map(np.array_equal, found, expected[(round + i) % 3]))
        kept = held[0].probability
        held.clear()
        bundled.marginals(texts[(round + 2) % 3], alpha=0.3)
        assert kept.flags.writeable
        return np.array_equal(kept, expected[round % 3][3])

    assert all(check(round) for round in range(3))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(check, range(12)))
