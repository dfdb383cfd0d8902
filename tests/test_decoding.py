"""Decoding of many rows at any number of threads: texts of every width, and what is no id."""

from __future__ import annotations

import random
import sys
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from viterbi_sampling import Batch, Tokenizer, tokenizer

THREADS = (1, 2, 4)

LISTED = 4 * (1 << 16)
"""So many ids are worth four threads."""


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


class Number(IntEnum):
    SIX = 6


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 1])
@pytest.mark.parametrize("lists", [0, LISTED])
def test_rows_of_every_kind_are_decoded(bundled: Tokenizer, lists: int, share: float, threads: int) -> None:
    """After so many ids in lists of int, a share of the rows is something else."""
    kinds: list[Any] = [
        tuple,
        np.array,
        lambda ids: np.array(ids, np.uint16)[::-1],
        lambda ids: [np.int64(id) for id in ids],
        lambda ids: [*ids, True, False],
        lambda ids: [*ids, Number.SIX],
        lambda ids: [],
        lambda ids: (),
        lambda ids: np.array([], np.int32),
    ]
    draw = random.Random(11)
    rows: list[Any] = []
    count = 0
    while count < lists + LISTED // 4:
        ids = draw.choices(range(len(bundled)), k=draw.randrange(1, 60))
        rows.append(draw.choice(kinds)(ids) if count >= lists and draw.random() < share else ids)
        count += len(ids)
    expected = [bundled.decode(row) for row in rows]
    assert bundled.decode_batch(rows, num_threads=threads) == expected
    assert bundled.decode_batch(iter(rows), num_threads=threads) == expected
    assert bundled.decode_batch(rows[-70:], num_threads=threads) == expected[-70:]
    # Of few rows each is read by itself.
    long: list[Any] = [[int(id) for row in rows[first::7] for id in row] for first in range(7)]
    long[5] = tuple(long[5])
    assert bundled.decode_batch(long, num_threads=threads) == [bundled.decode(row) for row in long]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_first_of_several_wrong_rows_is_named(bundled: Tokenizer, threads: int) -> None:
    """Wherever they are, in whatever order threads meet them; the other rows are decoded afterwards as ever."""
    size = len(bundled)
    wrong: list[tuple[Any, type[Exception], str]] = [
        ([5, -1], ValueError, r"ids\[1\] = -1 is"),
        ([size], ValueError, rf"ids\[0\] = {size} is"),
        ([5, 2**30], ValueError, r"ids\[1\] = 1073741824 is"),
        ([2**31], ValueError, r"ids\[0\] = 2147483648 is"),
        ([2**32 + 5], ValueError, r"ids\[0\] = 4294967301 is"),
        ([-(2**70)], ValueError, r"ids\[0\] = -1180591620717411303424 is"),
        ([1.0], TypeError, "ids must be a flat sequence of int, got float64"),
        ([5, None], TypeError, "ids must be a flat sequence of int"),
        ([[1], [2, 3]], TypeError, "ids must be a flat sequence of int"),
        ("12", TypeError, "ids must be a sequence of int, not str"),
        (np.array([5, size], np.uint64), ValueError, rf"ids\[1\] = {size} is"),
        ((5, -1), ValueError, r"ids\[1\] = -1 is"),
    ]
    draw = random.Random(13)
    rows: list[Any] = [draw.choices(range(size), k=draw.randrange(60)) for _ in range(LISTED // 25)]
    expected = [bundled.decode(row) for row in rows]
    for row, error, message in wrong:
        first, *others = sorted(draw.sample(range(len(rows)), 3))
        given = list(rows)
        given[first] = row
        for other in others:
            given[other] = draw.choice(wrong)[0]
        with pytest.raises(error, match=f"^row {first} of batch: {message}"):
            bundled.decode_batch(given, num_threads=threads)
        for place in (first, *others):
            given[place] = rows[place]
        assert bundled.decode_batch(given, num_threads=threads) == expected


@pytest.mark.parametrize("threads", [2, 3])
def test_the_first_of_wrong_rows_that_are_met_at_once_is_named(bundled: Tokenizer, threads: int) -> None:
    """One thread comes upon its row at once, another has begun to read the next block, and comes upon its own later."""
    block = 100
    rows: list[Any] = [[5] * 60 for _ in range(64 * block)]
    for first in range(2 * block, 62 * block, 3 * block):
        given = list(rows)
        given[first] = given[first + 2 * block - 1] = [-1]
        with pytest.raises(ValueError, match=f"^row {first} of batch"):
            bundled.decode_batch(given, num_threads=threads)


class Meddler:
    """A row of `ids`, which does something before it says them."""

    def __init__(self, ids: list[int], meddle: Any) -> None:
        self.ids = ids
        self.meddle = meddle

    def __len__(self) -> int:
        return 1

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        self.meddle()
        return np.array(self.ids)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("place", [2, 2000])
def test_lists_that_change_while_they_are_read(bundled: Tokenizer, place: int, threads: int) -> None:
    """What a row runs when it is asked for its ids may change the others: what is read is what they hold then."""
    text = "the river was high " * 40
    ids = bundled.encode(text)
    rows: list[Any] = [list(ids) for _ in range(3000)]
    assert 2000 * len(ids) > LISTED

    def meddle() -> None:
        given[place + 1] *= 1000
        given[-1].clear()
        given[-2][:] = [10**9]
        given[-2][:] = ids[:1]
        given[0].clear()
        rows.clear()
        assert bundled.decode_batch([ids] * 1000, num_threads=threads) == [text] * 1000

    rows[place] = Meddler(ids, meddle)
    given = list(rows)
    expected = [text] * 3000
    expected[place + 1] = bundled.decode(ids * 1000)
    expected[-1] = ""
    expected[-2] = bundled.decode(ids[:1])
    assert bundled.decode_batch(rows, num_threads=threads) == expected
    assert rows == []


@pytest.mark.parametrize("change", [list.pop, list.clear, lambda rows: rows.append([5])])
def test_rows_that_come_or_go_before_they_are_read(
    bundled: Tokenizer, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = tokenizer.rows_of_lists

    def changed(given: Any, *rest: Any) -> Any:
        rows = look(given, *rest)
        change(given)
        return rows

    monkeypatch.setattr(tokenizer, "rows_of_lists", changed)
    for threads in THREADS:
        with pytest.raises(RuntimeError, match=r"there were 5000 rows, and now there are (4999|0|5001)$"):
            bundled.decode_batch([[5] * 60 for _ in range(5000)], num_threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_reading_leaves_no_references(bundled: Tokenizer, threads: int) -> None:
    """Nor does it drop any, whether all rows are read or one is wrong."""
    number = 12_345
    assert number < len(bundled)
    row: Any = [number] * 50
    rows = [row] * (LISTED // 40)
    counts = [sys.getrefcount(thing) for thing in (number, row, rows)]
    for wrong in (None, [-1], (-1,)):
        if wrong is None:
            bundled.decode_batch(rows, num_threads=threads)
        else:
            with pytest.raises(ValueError, match=f"row {len(rows)} of batch"):
                bundled.decode_batch([*rows, wrong], num_threads=threads)
        found = [sys.getrefcount(thing) for thing in (number, row, rows)]
        assert found == counts


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
