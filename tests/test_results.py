"""The result of a batch at any number of threads: rows in their order, whoever has made them, and the first error."""

from __future__ import annotations

import gc
import random
from typing import Any

import numpy as np
import pytest

from viterbi_sampling import Batch, Tokenizer
from viterbi_sampling.arguments import rows_of
from viterbi_sampling.engine.driver import run

SIZES = {"even": 300, "rising": 4, "long rows among short ones": 1}


def rows(kind: str) -> list[str | bytes]:
    """About a megabyte: enough for five threads, in rows of all sizes."""
    draw = random.Random(kind)
    words = ["the", "river", "was", "still", "high", "川の水", "́x", "qq", "naïve", "z"]
    found: list[str | bytes] = []
    size = 0
    while size < 1_000_000:
        count = SIZES[kind]
        if kind == "rising":
            count += len(found) // 8
        elif kind.startswith("long") and draw.random() < 0.002:
            count = 30_000
        text = " ".join(draw.choices(words, k=count))
        found.append(text.encode() if draw.random() < 0.3 else text)
        found += [""] * draw.choice([0, 0, 1])
        size += len(text)
    return found


def same(batch: Batch, expected: Batch) -> bool:
    return all(
        (found is None) is (wanted is None) and (found is None or np.array_equal(found, wanted))
        for found, wanted in (
            (getattr(batch, name), getattr(expected, name)) for name in ("ids", "offsets", "spans", "log_probs")
        )
    )


@pytest.mark.parametrize("kind", SIZES)
def test_the_same_batch_at_any_number_of_threads(bundled: Tokenizer, kind: str) -> None:
    texts = rows(kind)
    plain: dict[str, Any] = {}
    for options in (plain, {"with_offsets": True, "add_eos": True}):
        expected = bundled.encode_batch(texts, num_threads=1, **options)
        for threads in (2, 5):
            assert same(bundled.encode_batch(texts, num_threads=threads, **options), expected)
    sampling: dict[str, Any] = {"alpha": 0.3, "n": 2, "seed": 5, "with_offsets": True, "with_log_probs": True}
    expected = bundled.sample_batch(texts, num_threads=1, **sampling)
    for threads in (2, 3):
        assert same(bundled.sample_batch(texts, num_threads=threads, **sampling), expected)


@pytest.mark.parametrize("kind", SIZES)
def test_lists_are_those_of_the_batch(bundled: Tokenizer, kind: str) -> None:
    """And the garbage collector knows them."""
    texts = rows(kind)
    expected = bundled.encode_batch(texts, add_eos=True).to_list()
    for threads in (1, 2, 5):
        lists: Any = bundled.encode_lists(texts, add_eos=True, num_threads=threads)
        assert lists == expected
        assert gc.is_tracked(lists)
        assert all(map(gc.is_tracked, lists))
    assert bundled.encode_lists([]) == []


def test_lists_of_more_text_than_the_calling_thread_takes_part_in(bundled: Tokenizer) -> None:
    texts = ["the river was still high " * 10_000] * 140
    expected = bundled.encode_batch(texts[:1]).to_list()[0]
    for threads in (1, 2):
        lists = bundled.encode_lists(texts, num_threads=threads)
        assert len(lists) == len(texts)
        assert all(row == expected for row in lists)


def test_a_row_alone_is_a_row_of_the_batch(bundled: Tokenizer) -> None:
    texts = rows("rising")
    batch = bundled.encode_batch(texts, num_threads=3)
    for i in range(0, len(texts), 37):
        assert batch[i].tolist() == bundled.encode(texts[i])


def test_what_unknown_tokens_stand_for_is_in_order() -> None:
    tokenizer = Tokenizer.from_pieces({"a": -1.0, " ": -1.0}, unk_score=-10.0)
    texts = [f"a x{i} a é{i}" for i in range(40_000)]
    found: dict[int, list[bytes]] = {}
    for threads in (1, 4):
        found[threads] = []
        run(tokenizer._encoder, rows_of(texts), num_threads=threads, unknown=found[threads])
    assert found[1] == [part.encode() for i in range(40_000) for part in (f"x{i}", f"é{i}")]
    assert found[4] == found[1]


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_bad_row_is_named(threads: int) -> None:
    """Whichever thread meets its row first."""
    tokenizer = Tokenizer.from_pieces({"a": -1.0, " ": -1.0})
    texts = ["a " * 50] * 20_000
    texts[7_000] = texts[12_345] = texts[19_999] = "b"
    for _ in range(5):
        with pytest.raises(ValueError, match="row 7000 of texts has no segmentation"):
            tokenizer.encode_batch(texts, num_threads=threads)
        with pytest.raises(ValueError, match="row 7000 of texts has no segmentation"):
            tokenizer.encode_lists(texts, num_threads=threads)
    wrong: list[Any] = list(texts)
    wrong[7_000] = "a"
    wrong[15_000] = None
    with pytest.raises(TypeError, match="row 15000 of texts must be str or UTF-8 bytes, not NoneType"):
        tokenizer.encode_batch(wrong[:19_999], num_threads=threads)
    with pytest.raises(TypeError, match="row 15000 of texts must be str or UTF-8 bytes, not NoneType"):
        tokenizer.encode_lists(wrong[:19_999], num_threads=threads)
    assert len(tokenizer.encode_batch(["a " * 50] * 20_000, num_threads=threads)) == 20_000


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_are_not_expected_to_go_on_as_they_begin(bundled: Tokenizer, threads: int) -> None:
    """Thousands of tokens for one byte of text, then much text: what is asked for at once is no more than there is."""
    texts = [""] * 2047 + ["a"] + ["the river " * 100_000] * 10
    batch = bundled.encode_batch(texts, add_eos=True, num_threads=threads)
    assert np.array_equal(batch[len(texts) - 1], bundled.encode_batch(texts[-1:], add_eos=True).ids)
    assert batch.offsets[2047] == 2047
