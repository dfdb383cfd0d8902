"""Decoding of many rows at any number of threads: texts of every width, and what is no id."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from viterbi_sampling import Batch, Tokenizer, tokenizer

THREADS = (1, 2, 4)


def texts_of_every_width() -> list[str]:
    """Enough for four threads; of one to four bytes a character in a str, and with the borders of these."""
    draw = random.Random(7)
    alphabets = [
        "the river was high ",
        "the r\x7f",
        "naïve \x80ÿ",
        "naïve \xff\u0100",
        "川の水は高い。",
        "\ud7ff\ue000\uffff\ufffd",
        "a\uffff\U00010000",
        "川🌊\U0010ffff",
        "",
    ]
    return ["".join(draw.choices(alphabet, k=draw.randrange(80))) if alphabet else "" for alphabet in alphabets * 3000]


@pytest.mark.parametrize("threads", THREADS)
def test_texts_of_every_width_come_back(bundled: Tokenizer, threads: int) -> None:
    texts = texts_of_every_width()
    batch = bundled.encode_batch(texts)
    assert len(batch.ids) * 4 > 4 * (1 << 18)
    for given in (batch, batch.to_list(), list(batch), tuple(map(tuple, batch.to_list()))):
        decoded = bundled.decode_batch(given, num_threads=threads)
        assert decoded == texts
        # Equal strings have equal hashes only if none is wider than it needs to be.
        assert set(decoded) == set(texts)
    assert [bundled.decode(row) for row in batch.to_list()[:2000]] == texts[:2000]


@pytest.mark.parametrize("threads", THREADS)
def test_the_first_row_with_what_is_no_id_is_named(bundled: Tokenizer, threads: int) -> None:
    batch = bundled.encode_batch(["the river was high"] * 100_000)
    ids = batch.ids.copy()
    size = len(batch[0])
    for row, wrong in ((99_999, -1), (70_000, 2**31 - 1), (50_001, len(bundled))):
        ids[row * size + 1] = wrong
    with pytest.raises(ValueError, match=rf"^row 50001 of batch: ids\[1\] = {len(bundled)} is not an id of this model"):
        bundled.decode_batch(Batch(ids, batch.offsets), num_threads=threads)
    lists: list[Any] = batch.to_list()
    lists[50_001] = [1, len(bundled)]
    lists[70_000] = ["x"]
    with pytest.raises(ValueError, match=rf"^row 50001 of batch: ids\[1\] = {len(bundled)} is not an id of this model"):
        bundled.decode_batch(lists, num_threads=threads)
    lists[50_001] = [1, True, 2]
    with pytest.raises(TypeError, match=r"^row 70000 of batch: ids must be a flat sequence of int"):
        bundled.decode_batch(lists, num_threads=threads)
    wrong_batch: Any
    for wrong_batch in (5, "text", b"bytes"):
        with pytest.raises(TypeError, match="batch must be a Batch or sequences of ids, not"):
            bundled.decode_batch(wrong_batch, num_threads=threads)


@pytest.mark.parametrize("offsets", [[0, 3], [0, 2, 1], [-1, 2], [0, 2**40], [1, 0]])
def test_offsets_that_lead_outside_are_refused(bundled: Tokenizer, offsets: list[int]) -> None:
    with pytest.raises(IndexError, match="offsets"):
        bundled.decode_batch(Batch(np.array([5, 6], np.int32), np.array(offsets)))


def test_lists_that_change_while_they_are_read(bundled: Tokenizer) -> None:
    """What a row runs when it is asked for its ids may change the others: what is read is what they hold then."""
    ids = bundled.encode("the river was high")
    rows: list[Any] = [list(ids) for _ in range(3000)]

    class Meddler:
        def __len__(self) -> int:
            return 1

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            rows[3] *= 1000
            rows[-1].clear()
            rows[-2][:] = [10**9]
            rows[-2][:] = ids[:1]
            rows[0].clear()
            return np.array(ids)

    rows[2] = Meddler()
    expected = ["the river was high"] * 3000
    expected[3] = bundled.decode(ids * 1000)
    expected[-1] = ""
    expected[-2] = bundled.decode(ids[:1])
    assert bundled.decode_batch(rows, num_threads=2) == expected


def test_bounds_that_change_while_they_are_read(bundled: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked up little by little, and are checked again when they are."""
    count = 300_000
    ids = np.array(bundled.encode("a river " * 3), np.int32)[:2].repeat(count)
    bounds = np.arange(0, 2 * count + 1, 2)
    look = tokenizer.rows_of_array

    def change(*of_array: Any) -> Any:
        rows = look(*of_array)
        bounds[-2] = 2**40
        return rows

    monkeypatch.setattr(tokenizer, "rows_of_array", change)
    with pytest.raises(IndexError, match="row 299998 of batch: its bounds have changed"):
        bundled.decode_batch(Batch(ids, bounds), num_threads=2)
