"""pipelines.arrow: what one text gives alone, for every row of any batch."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xxhash

from viterbi_sampling import Tokenizer
from viterbi_sampling.arguments import rows_of
from viterbi_sampling.engine.hashing import hashes
from viterbi_sampling.pipelines import arrow
from viterbi_sampling.pipelines.arrow import Tokenize, tokenize

TEXTS = ["the river was high", None, "", "川の水は高く", "a\u0301 <x>", None, "the river was high"]


@pytest.fixture
def table() -> pa.Table:
    columns = {"doc": pa.array(range(70, 77), pa.int64()), "text": TEXTS, "name": [f"n{i}" for i in range(7)]}
    return pa.table(columns, schema=pa.schema({"doc": pa.int64(), "text": pa.string(), "name": pa.string()}))


def test_encode(bundled: Tokenizer, table: pa.Table) -> None:
    expected = [None if text is None else bundled.encode(text) for text in TEXTS]
    result = tokenize(table, bundled)
    assert isinstance(result, pa.Table)
    assert result.schema.names == ["doc", "text", "name", "ids"]
    assert result.schema.field("ids").type == pa.list_(pa.int32())
    assert result["ids"].to_pylist() == expected
    assert result.select(["doc", "text", "name"]).equals(table)
    batch = tokenize(table.to_batches()[0], bundled, output="input_ids", keep_columns=["doc"], large_lists=True)
    assert isinstance(batch, pa.RecordBatch)
    assert batch.schema == pa.schema({"doc": pa.int64(), "input_ids": pa.large_list(pa.int32())})
    assert batch["input_ids"].to_pylist() == expected
    for value in (result, batch):
        value.validate(full=True)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_any_kind_of_text_chunk_and_slice(bundled: Tokenizer, table: pa.Table, kind: pa.DataType) -> None:
    expected = tokenize(table, bundled, alpha=0.2, seed=1, with_offsets=True, with_log_probs=True, with_length=True)
    text = pa.array(TEXTS).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(TEXTS, kind)
    column = pa.chunked_array([text[:2], text[2:2], text[2:]])
    got = tokenize(pa.table({"text": column}), bundled, alpha=0.2, seed=1, with_offsets=True, with_log_probs=True,
                   with_length=True)  # fmt: skip
    for name in ("ids", "offsets", "log_prob", "length"):
        assert got[name].to_pylist() == expected[name].to_pylist()
    for first in range(len(TEXTS)):
        part = tokenize(table[first : first + 3], bundled, alpha=0.2, seed=1, first_row=first)
        assert part["ids"].to_pylist() == expected["ids"].to_pylist()[first : first + 3]


def test_everything_that_can_be_asked_for(bundled: Tokenizer, table: pa.Table) -> None:
    tokenizer = bundled
    result = tokenize(table, tokenizer, alpha=0.4, seed=9, with_offsets=True, with_log_probs=True, with_length=True)
    result.validate(full=True)
    for i, row in enumerate(result.to_pylist()):
        if TEXTS[i] is None:
            assert [row[name] for name in ("ids", "offsets", "log_prob", "length")] == [None] * 4
            continue
        drawn = tokenizer.sample_with_offsets(TEXTS[i], alpha=0.4, seed=9, index=i)
        assert row["ids"] == drawn.ids
        assert [tuple(pair) for pair in row["offsets"]] == drawn.offsets
        assert row["length"] == len(drawn.ids)
        assert row["log_prob"] == pytest.approx(tokenizer.log_prob(TEXTS[i], drawn.ids, alpha=0.4), abs=1e-9)


def test_ends(table: pa.Table, bundled: Tokenizer) -> None:
    result = tokenize(table, bundled, add_eos=True, with_length=True) if bundled.eos_id is not None else None
    if result is None:
        with pytest.raises(ValueError, match="add_eos"):
            tokenize(table, bundled, add_eos=True)
        return
    expected = [None if text is None else bundled.encode(text, add_eos=True) for text in TEXTS]
    assert result["ids"].to_pylist() == expected
    assert result["length"].to_pylist() == [None if ids is None else len(ids) for ids in expected]


def test_the_key_of_a_row(bundled: Tokenizer, table: pa.Table) -> None:
    def sampled(index: Any, draw: int) -> list[Any]:
        return [
            None if text is None else bundled.sample(text, alpha=0.2, seed=3, index=index(i), draw=draw)
            for i, text in enumerate(TEXTS)
        ]

    def got(**settings: Any) -> list[Any]:
        return tokenize(table, bundled, alpha=0.2, seed=3, **settings)["ids"].to_pylist()  # type: ignore[no-any-return]

    assert got() == sampled(lambda i: i, 0)
    assert got(first_row=1000, epoch=2) == sampled(lambda i: 1000 + i, 2)
    assert got(index="doc") == sampled(lambda i: 70 + i, 0)
    assert got(index="doc", epoch=5, first_row=99) == sampled(lambda i: 70 + i, 5)
    assert got(index="hash", epoch=1) == sampled(lambda i: xxhash.xxh64_intdigest((TEXTS[i] or "").encode()), 1)
    assert got(index="name") == sampled(lambda i: xxhash.xxh64_intdigest(f"n{i}".encode()), 0)
    negative = table.set_column(0, "doc", pa.array([-1, -2, 3, -4, 5, 6, -7], pa.int16()))
    keys = [k % 2**64 for k in negative["doc"].to_pylist()]
    ids = tokenize(negative, bundled, alpha=0.2, seed=3, index="doc")["ids"].to_pylist()
    assert ids == sampled(lambda i: keys[i], 0)


def test_many_samples_a_row(bundled: Tokenizer, table: pa.Table) -> None:
    result = tokenize(table, bundled, alpha=0.2, seed=3, n=3, epoch=2, with_log_probs=True)
    assert result["doc"].to_pylist() == [doc for doc in range(70, 77) for _ in range(3)]
    assert result["ids"].to_pylist() == [
        None if text is None else bundled.sample(text, alpha=0.2, seed=3, index=i, draw=2 * 3 + j)
        for i, text in enumerate(TEXTS)
        for j in range(3)
    ]
    bare = tokenize(table.to_batches()[0], bundled, alpha=0.2, seed=3, n=3, epoch=2, keep_columns=False)
    assert bare["ids"].to_pylist() == result["ids"].to_pylist()


def test_the_hash_is_xxh64() -> None:
    random = np.random.default_rng(1)
    texts = [random.bytes(size) for size in [*range(100), 1000, 1001, 12345]]
    assert hashes(rows_of(texts)).tolist() == [xxhash.xxh64_intdigest(text) for text in texts]
    assert hashes(rows_of(pa.array(["a", None]), keep_nulls=True)).tolist() == [xxhash.xxh64_intdigest(b"a"), 0]


def test_ids_are_not_copied(bundled: Tokenizer) -> None:
    """The memory of the ids is where the engine wrote them, and no Python object is made a row."""
    table = pa.table({"text": pa.array(["the river was high and the water was cold"] * 20_000)})
    job = Tokenize(bundled, keep_columns=False, with_offsets=True, with_length=True)
    job(table)
    tracemalloc.start()
    result = job(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ids = result["ids"].combine_chunks().values
    arrays = 4 * len(ids) + 8 * len(ids) + 20_000 * (8 + 8 + 4 + 4)
    assert peak < 1.2 * arrays + 100_000, f"{peak} bytes at once, the arrays hold {arrays}"
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    job(table)
    sys.setprofile(None)
    assert calls < 2000, "a call a row"


def test_empty(bundled: Tokenizer) -> None:
    for column in (pa.array([], pa.string()), pa.array([]), pa.array([], pa.dictionary(pa.int8(), pa.string()))):
        result = tokenize(pa.table({"text": column}), bundled, alpha=0.1, n=2, with_offsets=True, index="hash")
        assert result["ids"].to_pylist() == []
        assert result.schema.field("ids").type == pa.list_(pa.int32())
        assert tokenize(pa.record_batch({"text": column}), bundled).num_rows == 0
    assert tokenize(pa.table({"text": pa.chunked_array([], pa.string())}), bundled)["ids"].to_pylist() == []
    assert tokenize(pa.table({"text": pa.array([None, None])}), bundled)["ids"].to_pylist() == [None, None]


def test_more_ids_than_a_list_array_counts(
    bundled: Tokenizer, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tokenize(table, bundled, with_offsets=True, with_length=True)
    most = max(len(ids) for ids in expected["ids"].to_pylist() if ids)
    monkeypatch.setattr(arrow, "MOST_IDS", most)
    result = tokenize(table, bundled, with_offsets=True, with_length=True)
    assert result["ids"].num_chunks > 1
    assert result.equals(expected)
    result.validate(full=True)
    with pytest.raises(ValueError, match="make batches smaller, or set large_lists=True"):
        tokenize(table.to_batches()[0], bundled)
    assert tokenize(table, bundled, large_lists=True)["ids"].num_chunks == 1


def test_other_frames(bundled: Tokenizer, table: pa.Table) -> None:
    expected = tokenize(table, bundled)["ids"].to_pylist()
    assert tokenize(pl.DataFrame({"text": TEXTS}), bundled)["ids"].to_pylist() == expected
    assert tokenize(pd.DataFrame({"text": TEXTS}), bundled)["ids"].to_pylist() == expected


def test_stream(bundled: Tokenizer, table: pa.Table) -> None:
    job = Tokenize(bundled, alpha=0.2)
    whole = job(table, first_row=10)
    parts = list(job.stream(table.to_batches(max_chunksize=2), first_row=10))
    assert all(isinstance(part, pa.RecordBatch) for part in parts)
    assert pa.Table.from_batches(parts).equals(whole)
    assert parts[0].schema == job.schema(table.schema)


def test_metadata_of_kept_columns_stays(bundled: Tokenizer) -> None:
    field = pa.field("text", pa.string(), nullable=False, metadata={"a": "b"})
    table = pa.table({"text": ["x"]}, schema=pa.schema([field], metadata={"c": "d"}))
    schema = tokenize(table, bundled).schema
    assert schema.field("text").equals(field, check_metadata=True)
    assert schema.metadata == {b"c": b"d"}


def test_settings_travel(bundled: Tokenizer, table: pa.Table, tmp_path: Path) -> None:
    bundled.save(tmp_path / "m.model")
    for tokenizer in (bundled, str(tmp_path / "m.model"), tmp_path / "m.model"):
        job = Tokenize(tokenizer, alpha=0.2, seed=3, index="hash", keep_columns=["doc"])
        data = pickle.dumps(job)
        result = job(table)
        assert pickle.dumps(job) == data, "use does not change it"
        copy = pickle.loads(data)
        assert pickle.dumps(copy) == data
        assert copy(table).equals(result)
    code = (
        "import pickle, sys\n"
        "from viterbi_sampling import Tokenizer\n"
        "from viterbi_sampling.pipelines.arrow import Tokenize\n"
        f"job = Tokenize({str(tmp_path / 'm.model')!r}, alpha=0.2, seed=3, index='hash', keep_columns=['doc'])\n"
        "sys.stdout.buffer.write(pickle.dumps(job))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert elsewhere == pickle.dumps(
        Tokenize(str(tmp_path / "m.model"), alpha=0.2, seed=3, index="hash", keep_columns=["doc"])
    )
    assert repr(pickle.loads(elsewhere)).startswith("Tokenize(tokenizer='")
    with pytest.raises(AttributeError):
        job.seed = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"column": "body"}, ValueError, "column: the batch has no column 'body'; it has 'doc', 'text', 'name'"),
        ({"column": "doc"}, TypeError, "column 'doc': texts must be an Arrow array of type string"),
        ({"column": 3}, TypeError, "column must be the name of a column, got 3"),
        ({"output": "doc"}, ValueError, "two columns 'doc'"),
        ({"output": "length", "with_length": True}, ValueError, "two columns 'length'"),
        ({"keep_columns": ["nope"]}, ValueError, "keep_columns: the batch has no column 'nope'"),
        ({"keep_columns": "doc"}, TypeError, "keep_columns must be"),
        ({"alpha": -1.0}, ValueError, "alpha must be finite and at least 0"),
        ({"alpha": 1.0, "algorithm": "gibbs"}, ValueError, "algorithm must be one of"),
        ({"alpha": 1.0, "algorithm": "nbest"}, ValueError, "nbest_size"),
        ({"alpha": 1.0, "algorithm": "viterbi_sampling", "with_log_probs": True}, ValueError, "no closed form"),
        ({"alpha": 1.0, "index": "nope"}, ValueError, "index: the batch has no column 'nope'"),
        ({"alpha": 1.0, "index": 5}, TypeError, "index must be None"),
        (
            {"alpha": 1.0, "index": "text"},
            TypeError,
            "index column 'text' must hold integers or strings: row 1 .* is null",
        ),
        ({"alpha": 1.0, "n": 0}, ValueError, "n must be at least 1"),
        ({"alpha": 1.0, "seed": -1}, ValueError, "seed must be"),
        ({"alpha": 1.0, "seed": None}, TypeError, "seed must be an int"),
        ({"alpha": 1.0, "epoch": -1}, ValueError, "epoch must be"),
        ({"seed": 4}, ValueError, "seed=4 is for samples: give alpha, too"),
        ({"with_log_probs": True}, ValueError, "with_log_probs=True is for samples"),
        ({"num_threads": 0}, ValueError, "num_threads"),
        ({"colunm": "text"}, TypeError, "colunm"),
    ],
)
def test_errors(bundled: Tokenizer, table: pa.Table, settings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tokenize(table, bundled, **settings)


def test_more_errors(bundled: Tokenizer, table: pa.Table) -> None:
    with pytest.raises(ValueError, match="samples need a key: give first_row, or set index"):
        Tokenize(bundled, alpha=1.0)(table)
    with pytest.raises(TypeError, match="tokenizer must be a Tokenizer or a path, not NoneType"):
        Tokenize(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has a column of that name"):
        tokenize(table.rename_columns(["hash", "text", "name"]), bundled, alpha=1.0, index="hash")
    with pytest.raises(ValueError, match="two columns 'text'"):
        tokenize(table.rename_columns(["text", "text", "name"]), bundled)
    nulls = table.set_column(0, "doc", pa.array([None, 1, 2, 3, 4, 5, 6]))
    with pytest.raises(ValueError, match="index column 'doc' has 1 nulls"):
        tokenize(nulls, bundled, alpha=1.0, index="doc")
    with pytest.raises(TypeError, match="must hold integers or strings"):
        tokenize(table.set_column(0, "doc", pa.array([0.5] * 7)), bundled, alpha=1.0, index="doc")
