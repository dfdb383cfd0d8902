"""Columns of other libraries as texts: each gives what a list of the same texts gives, and is read in place."""

from __future__ import annotations

import ctypes
import mmap
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from viterbi_sampling import Tokenizer
from viterbi_sampling.arguments import rows_of, rows_to_gather

TEXTS = [
    "the river was high",
    "",
    "川の水は高く",
    "a\u0301 <x>",
    "a text of more than twelve bytes",
    "\U0001f30a wave",
    " ",
]

ARROW_TYPES = [pa.string(), pa.large_string(), pa.string_view()]
BINARY_TYPES = [pa.binary(), pa.large_binary(), pa.binary_view()]


def in_dictionary(index: pa.DataType, value: pa.DataType) -> Callable[[list[str]], pa.Array]:
    def build(texts: list[str]) -> pa.Array:
        values = pa.array(sorted(set(texts)), value)
        places = {text: i for i, text in enumerate(sorted(set(texts)))}
        return pa.DictionaryArray.from_arrays(pa.array([places[text] for text in texts], index), values)

    return build


COLUMNS: dict[str, Callable[[list[str]], Any]] = {
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "dict values": lambda texts: dict(enumerate(texts)).values(),
    "numpy object": lambda texts: np.array(texts, object),
    "numpy U": np.array,
    "numpy StringDType": lambda texts: np.array(texts, np.dtypes.StringDType()),
    "numpy StringDType, backwards": lambda texts: np.array(texts[::-1], np.dtypes.StringDType())[::-1],
    "numpy StringDType with nulls": lambda texts: np.array(texts, np.dtypes.StringDType(na_object=None)),
    "numpy StringDType, masked": lambda texts: np.ma.array(np.array(texts, np.dtypes.StringDType()), mask=False),
    "numpy, every other": lambda texts: np.repeat(np.array(texts, object), 2)[::2],
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas str": lambda texts: pd.Series(texts),
    "pandas string[python]": lambda texts: pd.Series(texts, dtype="string[python]"),
    "pandas string[pyarrow]": lambda texts: pd.Series(texts, dtype="string[pyarrow]"),
    "pandas ArrowDtype": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.large_string())),
    "pandas category": lambda texts: pd.Series(texts, dtype="category"),
    "pandas index": lambda texts: pd.Index(texts, dtype="string[pyarrow]"),
    "pandas array": lambda texts: pd.array(texts, dtype="string[pyarrow]"),
    "pandas, other row labels": lambda texts: pd.Series(texts, index=range(len(texts), 0, -1)),
    "polars": pl.Series,
    "polars slice": lambda texts: pl.Series(["x", *texts, "y"])[1:-1],
    "polars category": lambda texts: pl.Series(texts, dtype=pl.Categorical),
    "polars chunks": lambda texts: pl.concat([pl.Series(texts[:2]), pl.Series(texts[2:])], rechunk=False),
    **{f"arrow {kind}": lambda texts, kind=kind: pa.array(texts, kind) for kind in ARROW_TYPES},
    **{
        f"arrow {kind} slice": lambda texts, kind=kind: pa.array(["x", None, *texts, "long" * 9], kind)[2:-1]
        for kind in ARROW_TYPES
    },
    "arrow chunks": lambda texts: pa.chunked_array([texts[:3], [], texts[3:]], pa.string()),
    "arrow chunks slice": lambda texts: pa.chunked_array([["x", *texts[:3]], [*texts[3:], None]], pa.string())[1:-1],
    "arrow json": lambda texts: pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(texts, pa.string())),
    **{
        f"dictionary of {index} to {value}": in_dictionary(index, value)
        for index in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())
        for value in ARROW_TYPES[: 3 if index == pa.int32() else 1]
    },
    "dictionary slice": lambda texts: in_dictionary(pa.int16(), pa.string())(["x", *texts, "y"])[1:-1],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_its_texts(bundled: Tokenizer, name: str) -> None:
    expected = bundled.encode_batch(TEXTS, with_offsets=True)
    batch = bundled.encode_batch(COLUMNS[name](TEXTS), with_offsets=True)
    assert batch == expected
    assert batch.spans is not None
    assert np.array_equal(batch.spans, expected.spans), "spans are counted in characters, as in str"
    sampled = bundled.sample_batch(COLUMNS[name](TEXTS), alpha=0.3, seed=1, n=2)
    assert sampled == bundled.sample_batch(TEXTS, alpha=0.3, seed=1, n=2)
    assert bundled.encode_batch(COLUMNS[name]([])).to_list() == []


BYTES: dict[str, Callable[[list[bytes]], Any]] = {
    "numpy S": np.array,
    "numpy S, backwards": lambda texts: np.array(texts[::-1])[::-1],
    "numpy S of a record": lambda texts: np.array(list(zip(range(len(texts)), texts, strict=True)), "i1,S40")["f1"],
    "numpy object": lambda texts: np.array(texts, object),
    "masked": np.ma.array,
    **{f"arrow {kind}": lambda texts, kind=kind: pa.array(texts, kind) for kind in BINARY_TYPES},
    "polars": lambda texts: pl.Series(texts, dtype=pl.Binary),
}


@pytest.mark.parametrize("name", BYTES)
def test_a_column_of_bytes(bundled: Tokenizer, name: str) -> None:
    texts = [text.encode() for text in TEXTS] + [b"a\xff\xfeb", b"\xe5\xb7", b"\xed\xa0\x80 and more than twelve"]
    expected = bundled.encode_batch(texts, with_offsets=True)
    batch = bundled.encode_batch(BYTES[name](texts), with_offsets=True)
    assert batch == expected
    assert batch.spans is not None
    assert np.array_equal(batch.spans, expected.spans), "spans are counted in bytes"


def test_bytes_of_a_string_array_that_are_no_utf8(bundled: Tokenizer) -> None:
    broken = pa.array([b"a\xff\xfeb", b"\xe5\xb7"]).view(pa.string())
    assert bundled.encode_batch(broken).to_list() == [bundled.encode(b"a\xff\xfeb"), bundled.encode(b"\xe5\xb7")]


@pytest.mark.parametrize(
    "column",
    [
        ["a", "b", None],
        ["a", "b", float("nan")],
        ["a", "b", pd.NA],
        np.array(["a", "b", None], object),
        np.array(["a", "b", None], np.dtypes.StringDType(na_object=None)),
        np.array(["a", "b", np.nan], np.dtypes.StringDType(na_object=np.nan)),
        np.ma.array([b"a", b"b", b"c"], mask=[0, 0, 1]),
        pd.Series(["a", "b", None]),
        pd.Series(["a", "b", None], dtype=object),
        pd.Series(["a", "b", None], dtype="string[python]"),
        pd.Series(["a", "b", None], dtype="string[pyarrow]"),
        pd.Series(["a", "b", None], dtype="category"),
        pl.Series(["a", "b", None]),
        *(pa.array(["a", "b", None], kind) for kind in ARROW_TYPES),
        pa.array(["x", "a", "b", None, "c"])[1:],
        pa.chunked_array([["a"], [], ["b", None]]),
        pa.array(["a", "b", None]).dictionary_encode(),
        pa.DictionaryArray.from_arrays([1, 1, 0], pa.array([None, "b"])),
    ],
)
def test_a_null_is_named(bundled: Tokenizer, column: Any) -> None:
    with pytest.raises(TypeError, match=r"row 2 of texts .*null"):
        bundled.encode_batch(column)


def test_an_array_of_nulls(bundled: Tokenizer) -> None:
    assert len(bundled.encode_batch(pa.array([]))) == 0
    with pytest.raises(TypeError, match="row 0 of texts is null"):
        bundled.encode_batch(pa.array([None, None]))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1, 2]), r"texts must be an Arrow array of type string.* not of format 'l' \(int64\)"),
        (pa.array([["a"]]), "list"),
        (pa.table({"text": ["a"]}), "of a table take one column"),
        (pa.record_batch({"text": ["a"]}), "of a table take one column"),
        (pl.DataFrame({"text": ["a"]}), "of a table take one column"),
        (pl.Series([1.5]), "float64"),
        (pd.Series([1, 2]), "row 0 of texts must be str or UTF-8 bytes, not int"),
        (np.array([1, 2]), "row 0 of texts must be str or UTF-8 bytes, not int"),
        (np.array([["a", "b"]]), r"shape \(1, 2\)"),
        (np.array("a"), r"shape \(\)"),
        (pa.array([1, 2]).dictionary_encode(), "int64"),
        (7, "texts must be a sequence of str or bytes, not int"),
        ("text", "not one str"),
        (["a", bytearray(b"b")], "row 1 of texts must be str or UTF-8 bytes, not bytearray"),
    ],
)
def test_what_is_no_column_of_texts(bundled: Tokenizer, column: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        bundled.encode_batch(column)


def offsets_of(kind: pa.DataType, offsets: list[int], data: bytes = b"abcdef") -> pa.Array:
    width = np.int64 if kind in (pa.large_string(), pa.large_binary()) else np.int32
    buffers = [None, pa.py_buffer(np.array(offsets, width)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("offsets", [[0, 4, 2, 6], [0, 1, 2, 7], [-1, 1, 2, 3], [0, 900, 2, 6], [0, -5, 2, 6]])
def test_offsets_that_lead_outside(bundled: Tokenizer, kind: pa.DataType, offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offset"):
        bundled.encode_batch(offsets_of(kind, offsets))


def view(size: int, buffer: int, offset: int) -> bytes:
    return np.array([size, 0, buffer, offset], np.int32).tobytes()


@pytest.mark.parametrize(
    "bad", [(-1, 0, 0), (20, 1, 0), (20, -1, 0), (20, 0, 1), (20, 0, -1), (2**31 - 1, 0, 2**31 - 1)]
)
def test_views_that_lead_outside(bundled: Tokenizer, bad: tuple[int, int, int]) -> None:
    data = b"twenty bytes of text"
    for place, wrong in (((20, 0, 0), False), (bad, True)):
        buffers = [None, pa.py_buffer(view(20, 0, 0) + view(*place)), pa.py_buffer(data)]
        array = pa.Array.from_buffers(pa.string_view(), 2, buffers)
        if wrong:
            with pytest.raises(ValueError, match=r"row 1 of texts: .*view"):
                bundled.encode_batch(array)
        else:
            assert bundled.encode_batch(array).to_list() == [bundled.encode(data)] * 2


def test_indices_that_lead_outside(bundled: Tokenizer) -> None:
    for bad in (2, -1, 2**63 - 1):
        array = pa.DictionaryArray.from_arrays(pa.array([0, bad]), pa.array(["a", "b"]), safe=False)
        with pytest.raises(ValueError, match=f"row 1 of texts: index {bad} of an Arrow dictionary of 2"):
            bundled.encode_batch(array)


def test_what_lies_under_a_null_is_not_read(bundled: Tokenizer) -> None:
    validity = pa.py_buffer(b"\x01")
    views = pa.Array.from_buffers(pa.string_view(), 2, [validity, pa.py_buffer(view(1, 97, 0) + view(-9, 9, 9))])
    indices = pa.Array.from_buffers(pa.int32(), 2, [validity, pa.py_buffer(np.array([0, 77], np.int32))])
    for array in (views, pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)):
        with pytest.raises(TypeError, match="row 1 of texts is null"):
            bundled.encode_batch(array)


class Stream:
    """A producer that speaks the protocol only, and fails after `good` chunks."""

    def __init__(self, good: int) -> None:
        self.good = good

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        schema = pa.schema([("text", pa.string())])

        def batches() -> Any:
            for _ in range(self.good):
                yield pa.record_batch({"text": ["a"]}, schema)
            raise OSError("the disk is gone")

        return pa.RecordBatchReader.from_batches(schema, batches()).__arrow_c_stream__()


def test_a_stream_that_fails(bundled: Tokenizer) -> None:
    with pytest.raises(ValueError, match="the disk is gone"):
        bundled.encode_batch(Stream(2))  # type: ignore[arg-type]


def test_a_released_array(bundled: Tokenizer) -> None:
    array = pa.array(["a"])

    class Once:
        capsules = array.__arrow_c_array__()

        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            return self.capsules

    once = Once()
    assert len(bundled.encode_batch(once)) == 1  # type: ignore[arg-type]
    pa.Array._import_from_c_capsule(*once.capsules)
    with pytest.raises(ValueError, match="has been released"):
        bundled.encode_batch(once)  # type: ignore[arg-type]


def test_columns_are_let_go(bundled: Tokenizer) -> None:
    """Every buffer goes back: Arrow's pool holds as much after many calls as before."""
    texts = ["some text " * 20] * 2000
    for make in (COLUMNS["arrow string"], COLUMNS["arrow chunks"], COLUMNS["dictionary of int32 to string"]):
        for _ in range(3):
            before = pa.total_allocated_bytes()
            bundled.encode_batch(make(texts))
            with pytest.raises(TypeError):
                bundled.encode_batch(pa.array([*texts, None]))
            assert pa.total_allocated_bytes() == before
    array = np.array(["x"], object)
    references = sys.getrefcount(array)
    bundled.encode_batch(array)
    assert sys.getrefcount(array) == references


@pytest.mark.skipif(sys.platform == "win32", reason="pages are protected by mprotect")
def test_nothing_is_read_outside_a_buffer(bundled: Tokenizer) -> None:
    """The texts end where the memory that may be read ends, and begin where it begins."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 3 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for text in (
        "x",
        "the river",
        "the river was high and the water cold, " * 9,
        "川の水は高く",
        "é",
        "\ufb01",
        "a ",
        "\u3000 \u2581",
    ):
        for data in (text.encode(), text.encode()[:-1], text.encode() + b"\xe5"):
            expected = [bundled.encode(data), bundled.sample(data, alpha=0.3, seed=3)]
            for start in (2 * page - len(data), page):
                memory[start : start + len(data)] = data
                for at in (address, address + 2 * page):
                    assert protect(at, page, 0) == 0
                buffers = [
                    None,
                    pa.py_buffer(np.array([0, len(data)], np.int32)),
                    pa.foreign_buffer(address + start, len(data)),
                ]
                array = pa.Array.from_buffers(pa.binary(), 1, buffers)
                got = [bundled.encode_batch(array), bundled.sample_batch(array, alpha=0.3, seed=3)]
                assert [batch.to_list()[0] for batch in got] == expected
                assert bundled.encode_batch(array, with_offsets=True) == got[0]
                for at in (address, address + 2 * page):
                    assert protect(at, page, 3) == 0


# -- lists, which are read in place --------------------------------------------------------------------


def test_texts_outlive_their_list(bundled: Tokenizer) -> None:
    texts = [f"the river {i} 川 " * 2 for i in range(3_000)]
    expected = bundled.encode_batch(tuple(texts)).to_list()
    before = sys.getrefcount(texts[7])
    rows = rows_of(texts)
    held = sys.getrefcount(texts[7])
    assert held == before + 1
    texts.clear()
    assert bundled.encode_batch(rows).to_list() == expected
    kept: list[Any] = [text for text in ("ab" * 3, b"ba" * 3) for _ in range(2_000)]
    before = sys.getrefcount(kept[0]), sys.getrefcount(kept[-1])
    for threads in (1, 3):
        bundled.encode_lists(kept, num_threads=threads)
        with pytest.raises(TypeError, match="row 4000 of texts"):
            bundled.encode_lists([*kept, 5], num_threads=threads)
    after = sys.getrefcount(kept[0]), sys.getrefcount(kept[-1])
    assert after == before


@pytest.mark.parametrize("change", [list.pop, list.clear, lambda texts: texts.append("a")])
def test_lists_that_change_before_they_are_read(change: Callable[[list[str]], Any]) -> None:
    texts = ["ab"] * 5_000
    rows = rows_to_gather(texts)
    change(texts)
    with pytest.raises(RuntimeError, match=r"there were 5000, and now there are (4999|0|5001)"):
        rows.complete()


def test_errors_leave_no_references(bundled: Tokenizer) -> None:
    text = "".join(["a ", "text"])
    before = sys.getrefcount(text)
    rows = rows_to_gather([text, 5])
    for _ in range(3):
        with pytest.raises(TypeError, match="row 1 of texts"):
            rows.complete()
    del rows
    after = sys.getrefcount(text)
    assert after == before


def test_classes_of_lists_give_what_they_say(bundled: Tokenizer) -> None:
    class Lower(list[str]):
        def __iter__(self) -> Iterator[str]:
            return iter([text.lower() for text in list.__iter__(self)])

    class Named(tuple[str, ...]):
        def __iter__(self) -> Iterator[str]:
            return iter(["a", "b"])

    class Short(list[str]):
        def __len__(self) -> int:
            return 1

    for texts, given in ((Lower(["The", "River"]), ["the", "river"]), (Named(), ["a", "b"]), (Short("ab"), ["a", "b"])):
        assert bundled.encode_batch(texts) == bundled.encode_batch(given)


def test_lists_that_change_while_they_are_read(bundled: Tokenizer) -> None:
    """Another thread takes texts away and puts others in their place: each row is one of them, or an error says so."""
    tokenizer, stop = bundled, threading.Event()
    texts = [f"the river {i % 10}" for i in range(40_000)]
    known = {tuple(tokenizer.encode(text)) for text in {*texts, "a new text"}}

    def change() -> None:
        rng = random.Random(1)
        while not stop.is_set():
            texts[rng.randrange(len(texts))] = "".join(["a new ", "text"])
            if rng.random() < 0.001:
                texts.append(texts.pop(0))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(20):
            try:
                rows = tokenizer.encode_lists(texts, num_threads=2)
            except RuntimeError:
                continue  # it got longer or shorter
            else:
                assert len(rows) in (39_999, 40_000)
                assert {tuple(row) for row in rows} <= known
    finally:
        stop.set()
        thread.join()
