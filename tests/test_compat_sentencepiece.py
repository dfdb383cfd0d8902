"""What the drop-in gives is what sentencepiece 0.2.3 gives: every return type and keyword, on models of every kind."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece as theirs
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st
from models import KINDS
from sentencepiece import sentencepiece_pb2 as pb
from test_identical import TEXTS

import viterbi_sampling.compat.sentencepiece as ours

RETURN_TYPES: tuple[Any, ...] = (int, str, bytes, "numpy", "proto", "serialized_proto", "offset_mapping")
Pair = tuple[Any, Any]
SHORT = [
    "the river was high",
    "",
    " ",
    "  a ",
    "川の水 ☃☃ x",
    "ﬁ ㍻a\u0301",
    "<s> <unk> </s> <x>",
    "\0a",
    "ab cd<0x41>",
    "\u2581 \u2581",
]
BROKEN = [b"\xff\xfe a", b"\xe5\xb7", b"a\xf0\x9f\x98 b\x80", b"\xc0\x80"]


@cache
def pair_of(kind: str) -> Pair:
    data = KINDS[kind]()
    return theirs.SentencePieceProcessor(model_proto=data), ours.SentencePieceProcessor(model_proto=data)


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return pair_of(request.param)


def plain(value: Any) -> Any:
    """Results of both libraries as what can be compared."""
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    if isinstance(value, np.ndarray):
        return (value.tolist(), value.dtype, value.flags.writeable)
    return [plain(item) for item in value] if isinstance(value, list) else value


def same(pair: Pair, call: Any) -> None:
    """Both give the same, or raise errors of the same type."""
    results = []
    for processor in pair:
        try:
            results.append(plain(call(processor)))
        except Exception as error:
            results.append(type(error))
    assert results[1] == results[0]


def test_every_return_type_and_keyword(pair: Pair) -> None:
    """One by one and as a list, str and bytes; the flags in every combination."""
    texts: list[str | bytes] = [*SHORT, *(text.encode() for text in SHORT), *BROKEN]
    for kind in RETURN_TYPES:
        for flags in itertools.product([False, True], repeat=4):
            keywords = dict(zip(("add_bos", "add_eos", "reverse", "emit_unk_piece"), flags, strict=True))
            same(pair, lambda sp: sp.encode(texts, return_type=kind, **keywords))  # noqa: B023
            if sum(flags) in (0, 4) or kind in (int, str):
                for text in texts:
                    same(pair, lambda sp: sp.encode(text, return_type=kind, **keywords))  # noqa: B023


def test_offset_mappings_in_bytes_and_characters(pair: Pair) -> None:
    texts: list[str | bytes] = [*SHORT, *BROKEN]
    for return_bytes in (None, True, False):
        for text in texts:
            same(pair, lambda sp: sp.encode(text, return_type="offset_mapping", return_bytes=return_bytes))  # noqa: B023
        for rows in (texts, texts[::-1]):
            same(pair, lambda sp: sp.encode(rows, return_type="offset_mapping", return_bytes=return_bytes))  # noqa: B023


def test_sample_texts(pair: Pair, sample_lines: list[str]) -> None:
    for kind in RETURN_TYPES:
        same(pair, lambda sp: sp.encode(sample_lines, return_type=kind, num_threads=2))  # noqa: B023
    for line in sample_lines[::7]:
        for kind in (int, str, "offset_mapping", "serialized_proto"):
            same(pair, lambda sp: sp.encode(line, return_type=kind))  # noqa: B023


def test_parallel_encode(pair: Pair, sample_lines: list[str]) -> None:
    text = " ".join(sample_lines)
    for kind in (int, str, "numpy", "serialized_proto"):
        expected = pair[0].encode(text, return_type=kind)
        assert plain(pair[1].parallel_encode(text, chunk_len=1000, return_type=kind)) == plain(expected)
        if pair[0] is not pair_of("no normal piece")[0]:  # there the library cuts a run of unknown characters in chunks
            same(pair, lambda sp: sp.parallel_encode(text, chunk_len=1000, return_type=kind))  # noqa: B023
    same(pair, lambda sp: sp.parallel_encode(SHORT, chunk_len=3, return_type=str, reverse=True, add_eos=True))


def test_decode_ids_and_pieces(pair: Pair, sample_lines: list[str]) -> None:
    lines = [*SHORT, *sample_lines[::5]]
    ids = pair[0].encode(lines)
    pieces = pair[0].encode(lines, return_type=str)
    for kind in (str, bytes, "proto", "serialized_proto", "offset_mapping"):
        same(pair, lambda sp: sp.decode(ids, return_type=kind))  # noqa: B023
        same(pair, lambda sp: sp.decode(pieces, return_type=kind))  # noqa: B023
        same(pair, lambda sp: sp.decode(ids[0], return_type=kind))  # noqa: B023
        same(pair, lambda sp: sp.decode([p.encode() for p in pieces[4]], return_type=kind))  # noqa: B023
    same(pair, lambda sp: sp.decode(ids, return_type="offset_mapping", return_bytes=True))


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_decoding_any_sequence(kind: str, data: st.DataObject) -> None:
    """Any ids, and any mixture of pieces of the vocabulary with others."""
    pair = pair_of(kind)
    size = len(pair[1])
    low = st.integers(0, min(270, size - 1))
    ids = data.draw(st.lists(st.one_of(st.integers(0, size - 1), low), max_size=15))
    others = st.sampled_from(["▁zz", "zz", "☃", "<0xE5>", "<0xB7>", "<0x9D>", "<s>", "<unk>", "▁", "▁▁x", " "])
    pieces = data.draw(st.lists(st.one_of(others, low.map(pair[0].id_to_piece)), min_size=1, max_size=15))
    pieces = [piece for piece in pieces if piece != "\0"]
    for row in (ids, pieces):
        for return_type in ("serialized_proto", "offset_mapping", str):
            same(pair, lambda sp: sp.decode(row, return_type=return_type))  # noqa: B023


@settings(max_examples=25)
@given(texts=st.lists(TEXTS, min_size=3, max_size=12))
@pytest.mark.parametrize("kind", KINDS)
def test_generated_texts(kind: str, texts: list[str]) -> None:
    pair = pair_of(kind)
    for return_type in (str, "serialized_proto", "offset_mapping"):
        same(pair, lambda sp: sp.encode(texts, return_type=return_type))  # noqa: B023
    same(pair, lambda sp: sp.normalize(texts, with_offsets=True))
    same(pair, lambda sp: sp.normalize([text.encode() for text in texts], with_offsets=True))


def test_normalize(pair: Pair) -> None:
    for with_offsets in (None, False, True):
        same(pair, lambda sp: sp.normalize(SHORT, with_offsets=with_offsets))  # noqa: B023
        same(pair, lambda sp: sp.normalize(BROKEN, with_offsets))  # noqa: B023
        for text in SHORT:
            same(pair, lambda sp: sp.normalize(text, with_offsets))  # noqa: B023


def test_vocabulary(pair: Pair) -> None:
    ids = list(range(len(pair[0])))
    for name in ("id_to_piece", "get_score", "is_unknown", "is_control", "is_unused", "is_byte"):
        same(pair, lambda sp: getattr(sp, name)(ids))  # noqa: B023
        same(pair, lambda sp: [getattr(sp, name)(id) for id in ids[:300]])  # noqa: B023
    pieces = [piece for piece in pair[0].id_to_piece(ids) if "\0" not in piece]
    same(pair, lambda sp: sp.piece_to_id([*pieces, "zzzz", "☃☃"]))
    same(pair, lambda sp: [sp.piece_to_id(piece) for piece in pieces[:300]])
    same(pair, lambda sp: (sp.unk_id(), sp.bos_id(), sp.eos_id(), sp.pad_id(), len(sp), sp.vocab_size()))
    if pair[0] is not pair_of("null piece")[0]:  # which the library gives back with another type
        same(pair, lambda sp: sp.serialized_model_proto())


# -- n best ----------------------------------------------------------------------------------------------------------


def scores_and_ids(message: Any) -> list[tuple[float, list[int]]]:
    return [(hypothesis.score, [piece.id for piece in hypothesis.pieces]) for hypothesis in message.nbests]


def assert_same_nbest(pair: Pair, text: str, size: int) -> None:
    """The same scores in the same order, to float32; the same segmentations where no two scores are that close."""
    expected, actual = (
        scores_and_ids(
            pb.NBestSentencePieceText.FromString(sp.nbest_encode(text, nbest_size=size, return_type="serialized_proto"))
        )
        for sp in pair
    )
    assert len(actual) == len(expected), text
    tolerance = 1e-5 * max(1.0, abs(expected[0][0]))
    np.testing.assert_allclose([s for s, _ in actual], [s for s, _ in expected], rtol=0, atol=tolerance)
    bounds = [i for i in range(1, len(actual)) if actual[i - 1][0] - actual[i][0] > 4 * tolerance]
    for first, last in itertools.pairwise([0, *bounds]):
        assert sorted(i for _, i in actual[first:last]) == sorted(i for _, i in expected[first:last]), text


def test_nbest(pair: Pair, sample_lines: list[str]) -> None:
    for text in [*SHORT, *sample_lines[::11]]:
        assert_same_nbest(pair, text[:40], 12)


def test_nbest_in_every_return_type(pair: Pair) -> None:
    """One best in every way, and the forms of several agree with the message that was compared above."""
    for kind in ("serialized_proto", int, str, bytes, "numpy"):
        same(pair, lambda sp: sp.nbest_encode(SHORT, nbest_size=1, return_type=kind))  # noqa: B023
    processor = pair[1]
    for text in SHORT:
        message = pb.NBestSentencePieceText.FromString(
            processor.nbest_encode(text, nbest_size=7, return_type="serialized_proto")
        )
        ids = [[piece.id for piece in hypothesis.pieces] for hypothesis in message.nbests]
        pieces = [[piece.piece for piece in hypothesis.pieces] for hypothesis in message.nbests]
        assert processor.nbest_encode(text, nbest_size=7) == ids
        assert processor.nbest_encode_as_pieces(text, 7, reverse=True) == [row[::-1] for row in pieces]
        assert [row.tolist() for row in processor.nbest_encode_as_numpy(text, 7)] == ids
        assert all(hypothesis.text == text for hypothesis in message.nbests)
        best = pb.SentencePieceText.FromString(processor.encode(text, return_type="serialized_proto"))
        if ids[0] == [piece.id for piece in best.pieces]:
            assert list(message.nbests[0].pieces) == list(best.pieces)


# -- the real models -------------------------------------------------------------------------------------------------

MODELS = sorted((SHARED / "models" / "sentencepiece").glob("*.model"))


@pytest.mark.shared
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_real_models(path: Path) -> None:
    from test_shared_models import sample

    pair = (theirs.SentencePieceProcessor(model_file=str(path)), ours.SentencePieceProcessor(model_file=str(path)))
    lines = [line.decode("utf-8") for line in sample()[::23]]
    for kind in RETURN_TYPES:
        if kind != "proto":
            same(pair, lambda sp: sp.encode(lines, return_type=kind))  # noqa: B023
    ids = pair[0].encode(lines)
    for kind in (str, "serialized_proto"):
        same(pair, lambda sp: sp.decode(ids, return_type=kind))  # noqa: B023
    for line in lines[::60]:
        same(pair, lambda sp: sp.encode(line, return_type=str, add_bos=True, reverse=True))  # noqa: B023
        same(pair, lambda sp: sp.normalize(line, with_offsets=True))  # noqa: B023
        same(pair, lambda sp: sp.encode(line.encode(), return_type="offset_mapping"))  # noqa: B023
        assert_same_nbest(pair, line[:60], 5)
    assert pair[1].serialized_model_proto() == pair[0].serialized_model_proto()
