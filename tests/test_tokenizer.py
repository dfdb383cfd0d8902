"""The public face: loading, vocabulary, arguments and their errors, pickling, kinds of input."""

from __future__ import annotations

import math
import pickle
import threading
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from models import KINDS

from viterbi_sampling import Batch, Encoding, ModelError, Tokenizer

TEXTS = ["the river was high", "", "川の水は高く", "a\u0301 <x>"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_bytes(KINDS["byte fallback"]())


def test_pickle_keeps_the_bytes(tokenizer: Tokenizer) -> None:
    bare = Tokenizer.from_pieces({"a": -1.25, "b": math.log(0.3)}, unk_score=-20.0)
    for original in (tokenizer, bare, Tokenizer.from_pieces({"a": -1.0}), Tokenizer.default()):
        copy = pickle.loads(pickle.dumps(original))
        assert pickle.dumps(copy) == pickle.dumps(original)
        assert copy.encode("aaa") == original.encode("aaa")
        assert copy.sample("aaa", alpha=0.3, seed=1) == original.sample("aaa", alpha=0.3, seed=1)


def test_vocabulary_errors(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == len(tokenizer)
    for bad in (-1, len(tokenizer), 10**30):
        with pytest.raises(ValueError, match=f"id must be 0 to {len(tokenizer) - 1}, got"):
            tokenizer.id_to_piece(bad)
        with pytest.raises(ValueError, match="id must be"):
            tokenizer.score(bad)
        with pytest.raises(ValueError, match=r"ids\[1\] = .* is not an id"):
            tokenizer.decode([3, bad])
    with pytest.raises(KeyError, match="no piece 'nonesuch'"):
        tokenizer.piece_to_id("nonesuch")
    with pytest.raises(TypeError):
        tokenizer.piece_to_id(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tokenizer.id_to_piece("the")  # type: ignore[arg-type]


def test_from_pieces() -> None:
    tokenizer = Tokenizer.from_pieces({"b": -1.0, "a": -2.0}, unk_score=-9.0)
    assert [tokenizer.id_to_piece(i) for i in range(3)] == ["b", "a", "<unk>"]
    assert (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (2, None, None, None)
    assert tokenizer.encode("bxya ") == [0, 2, 1, 2]
    assert tokenizer.encode_with_offsets("bxya ") == Encoding(
        [0, 2, 1, 2], ["b", "xy", "a", " "], [(0, 1), (1, 3), (3, 4), (4, 5)]
    )
    closed = Tokenizer.from_pieces({"a": -1.0, "ab": -1.0, "bc": -1.0})
    assert closed.encode("abcab") == [0, 2, 1]
    for text in ("b", "ba", "abb", "aabcb", "x"):
        with pytest.raises(ValueError, match="row 0 of texts has no segmentation"):
            closed.encode(text)
        for algorithm in ("perfect", "ffbs", "viterbi_sampling"):
            with pytest.raises(ValueError, match="has no segmentation"):
                closed.sample(text, alpha=1.0, algorithm=algorithm)
    with pytest.raises(ValueError, match="row 1 of texts has no segmentation"):
        closed.encode_batch(["a", "b"])


def test_from_pieces_in_double_precision() -> None:
    """1e-12 decides here; in single precision the two paths would tie."""
    assert Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -2.0 + 1e-12}).encode("ab") == [2]
    assert Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -2.0 - 1e-12}).encode("ab") == [0, 1]


@pytest.mark.parametrize(
    ("pieces", "error", "message"),
    [
        ({}, ModelError, "no pieces"),
        ({"": -1.0}, ModelError, "piece 0 is empty"),
        ({"a": math.nan}, ModelError, "not a finite"),
        ({"a\0": 0.0}, ModelError, "null character"),
        ({b"a": 0.0}, TypeError, "pieces must be str"),
        ({"a": "x"}, ValueError, "could not convert"),
    ],
)
def test_bad_pieces(pieces: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Tokenizer.from_pieces(pieces)


@pytest.mark.parametrize("bad", [None, 3, ["a"], 1.5, bytearray(b"x")])
def test_text_must_be_str_or_bytes(tokenizer: Tokenizer, bad: Any) -> None:
    name = type(bad).__name__
    for call in (tokenizer.encode, tokenizer.tokenize, tokenizer.encode_with_offsets, tokenizer.normalize):
        with pytest.raises(TypeError, match=f"text must be str or UTF-8 bytes, not {name}"):
            call(bad)
    with pytest.raises(TypeError, match=f"not {name}"):
        tokenizer.sample(bad, alpha=1.0)
    with pytest.raises(TypeError, match=f"row 1 of texts must be str or UTF-8 bytes, not {name}"):
        tokenizer.encode_batch(["x", bad])


def test_lone_surrogates_have_no_utf8(tokenizer: Tokenizer) -> None:
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode("\ud800")
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode_batch(["x", "\ud800"])


@pytest.mark.parametrize("texts", ["one text", b"one text", 7, None])
def test_texts_must_be_many(tokenizer: Tokenizer, texts: Any) -> None:
    with pytest.raises(TypeError, match="texts must be a sequence"):
        tokenizer.encode_batch(texts)
    with pytest.raises(TypeError, match="texts must be a sequence"):
        tokenizer.sample_batch(texts, alpha=1.0)


@pytest.mark.parametrize(
    "column",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS),
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        [text.encode() for text in TEXTS],
        iter(TEXTS),
    ],
    ids=lambda column: type(column).__name__,
)
def test_columns(tokenizer: Tokenizer, column: Any) -> None:
    assert tokenizer.encode_batch(column).to_list() == [tokenizer.encode(text) for text in TEXTS]


@pytest.mark.parametrize("column", [pa.array(["a", None]), pd.Series(["a", None]), ["a", None]])
def test_nulls_are_errors(tokenizer: Tokenizer, column: Any) -> None:
    with pytest.raises(TypeError, match="row 1 of texts"):
        tokenizer.encode_batch(column)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": -0.1}, ValueError, "alpha must be finite and at least 0, got -0.1"),
        ({"alpha": math.nan}, ValueError, "alpha must be finite"),
        ({"alpha": math.inf}, ValueError, "alpha must be finite"),
        ({"alpha": "high"}, TypeError, "alpha must be a number, not str"),
        ({"alpha": None}, TypeError, "alpha must be a number, not NoneType"),
        ({"alpha": 1e300}, ValueError, "too large for this model"),
        (
            {"alpha": 1.0, "algorithm": "gibbs"},
            ValueError,
            "algorithm must be one of perfect, ffbs, viterbi_sampling, nbest, got 'gibbs'",
        ),
        ({"alpha": 1.0, "nbest_size": 5}, ValueError, "nbest_size"),
        ({"alpha": 1.0, "seed": -1}, ValueError, "seed must be from 0"),
        ({"alpha": 1.0, "seed": 2**64}, ValueError, "seed must be from 0"),
        ({"alpha": 1.0, "seed": "x"}, TypeError, "seed must be an int"),
        ({"alpha": 1.0, "index": -1}, ValueError, "index must be from 0"),
        ({"alpha": 1.0, "index": 1.5}, TypeError, "index must be an int"),
    ],
)
def test_bad_sampling_arguments(tokenizer: Tokenizer, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tokenizer.sample("the river", **options)
    with pytest.raises(error, match=message):
        tokenizer.sample_with_offsets("the river", **options)
    with pytest.raises(error, match=message):
        tokenizer.sample_batch(["the river"], **options)


def test_bad_batch_arguments(tokenizer: Tokenizer) -> None:
    for n in (0, -3):
        with pytest.raises(ValueError, match="n must be at least 1"):
            tokenizer.sample_batch(["x"], alpha=1.0, n=n)
    with pytest.raises(ValueError, match="num_threads must be at least 1"):
        tokenizer.encode_batch(["x"], num_threads=0)
    with pytest.raises(ValueError, match="one entry a text: 1 texts, got shape"):
        tokenizer.sample_batch(["x"], alpha=1.0, index=[1, 2])
    with pytest.raises(ValueError, match=r"index\[1\] must be from 0"):
        tokenizer.sample_batch(["x", "y"], alpha=1.0, index=[1, -2])
    with pytest.raises(TypeError, match="alpha"):
        tokenizer.sample("x")  # type: ignore[call-arg]


@pytest.mark.parametrize("ids", ["12", b"12", [1.5], [[1], [2]], ["x"], 7, [None]])
def test_ids_must_be_a_flat_sequence_of_int(tokenizer: Tokenizer, ids: Any) -> None:
    with pytest.raises(TypeError, match="ids must be"):
        tokenizer.decode(ids)


def test_decode_takes_arrays_and_batches(tokenizer: Tokenizer) -> None:
    batch = tokenizer.encode_batch(TEXTS)
    texts = [tokenizer.decode(ids) for ids in batch.to_list()]
    assert tokenizer.decode_batch(batch) == texts
    assert tokenizer.decode_batch(batch.to_list()) == texts
    assert tokenizer.decode_batch(list(batch)) == texts
    assert tokenizer.decode(batch[0].astype(np.int64)) == texts[0]
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode_batch([]) == []
    assert tokenizer.decode_batch([[], tuple(batch[1]), batch[2]]) == ["", *texts[1:3]]


@pytest.mark.parametrize(
    ("row", "error"),
    [([10**6], ValueError), ([-1], ValueError), ([2**31], ValueError), ([2**70], ValueError), ([1.5], TypeError),
     (["x"], TypeError), ("12", TypeError), (7, TypeError), ([[1]], TypeError)],
)  # fmt: skip
def test_decode_batch_refuses_what_decode_refuses(tokenizer: Tokenizer, row: Any, error: type[Exception]) -> None:
    for rows in ([row], [[1, 2], row], [row, [1]]):
        with pytest.raises(error, match="ids"):
            tokenizer.decode_batch(rows)


def test_empty_batch(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_batch([]).to_list() == []
    assert tokenizer.sample_batch([], alpha=1.0).to_list() == []


def test_threads_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    expected = tokenizer.encode_batch(TEXTS * 50).to_list()
    sampled = tokenizer.sample_batch(TEXTS * 50, alpha=0.2, seed=1).to_list()
    wrong: list[object] = []

    def run() -> None:
        for _ in range(20):
            if tokenizer.encode_batch(TEXTS * 50).to_list() != expected:
                wrong.append("encode")
            if tokenizer.sample_batch(TEXTS * 50, alpha=0.2, seed=1).to_list() != sampled:
                wrong.append("sample")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_alphas_in_turn(tokenizer: Tokenizer) -> None:
    first = [tokenizer.sample("the river was high", alpha=a / 20, seed=3) for a in range(20)]
    assert [tokenizer.sample("the river was high", alpha=a / 20, seed=3) for a in range(20)] == first


def test_batch() -> None:
    batch = Batch(np.array([1, 2, 3, 4], np.int32), np.array([0, 3, 3, 4]))
    assert (len(batch), batch[0].tolist(), batch[-1].tolist(), batch[1].tolist()) == (3, [1, 2, 3], [4], [])
    assert [row.tolist() for row in batch] == batch.to_list() == [[1, 2, 3], [], [4]]
    assert [row.tolist() for row in batch[1:]] == [[], [4]]
    assert np.shares_memory(batch[0], batch.ids)
    for bad in (3, -4):
        with pytest.raises(IndexError, match="batch of 3"):
            batch[bad]
    assert batch.to_padded(0).tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert batch.to_padded(0, side="left").tolist() == [[1, 2, 3], [0, 0, 0], [0, 0, 4]]
    assert batch.to_padded(9, length=2).tolist() == [[1, 2], [9, 9], [4, 9]]
    assert batch.to_padded(9, length=2, side="left").tolist() == [[1, 2], [9, 9], [9, 4]]
    assert batch.to_padded(9, length=0).shape == (3, 0)
    for bad_call in ({"side": "top"}, {"length": -1}):
        with pytest.raises(ValueError, match="must be"):
            batch.to_padded(0, **bad_call)  # type: ignore[arg-type]
    arrow = batch.to_arrow()
    assert arrow.to_pylist() == batch.to_list()
    assert arrow.values.buffers()[1].address == batch.ids.ctypes.data
    assert Batch(np.zeros(0, np.int32), np.zeros(1, np.int64)).to_padded(0).shape == (0, 0)
    assert batch == Batch(batch.ids.copy(), batch.offsets.copy())
    assert "3 rows, 4 ids" in repr(batch)


def test_decoding_by_several_threads(bundled: Tokenizer, sample_lines: list[str]) -> None:
    """Rows of all lengths, empty ones included, more of them than one thread takes at once."""
    lines = [line * (i % 7) for i, line in enumerate(sample_lines * 400)]
    batch = bundled.encode_batch(lines)
    assert len(batch.ids) > 4 * (1 << 16)
    assert bundled.decode_batch(batch, num_threads=1) == lines
    assert bundled.decode_batch(batch, num_threads=4) == lines
    assert bundled.decode_batch(batch.to_list(), num_threads=3) == lines
