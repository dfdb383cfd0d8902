"""Model files: what is read, what is refused and how it is said, what is written."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import time
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from models import KINDS, edited
from peer import assert_same, both
from sentencepiece import sentencepiece_model_pb2 as pb

from viterbi_sampling import ModelError, Tokenizer
from viterbi_sampling.engine.faults import first_fault
from viterbi_sampling.formats import protobuf
from viterbi_sampling.formats.wire import bytes_field


@pytest.mark.parametrize("kind", KINDS)
def test_saved_file_is_the_same_model(kind: str, tmp_path: Path, sample_lines: list[str]) -> None:
    tokenizer = Tokenizer.from_bytes(KINDS[kind]())
    tokenizer.save(tmp_path / "saved", format="sentencepiece")
    assert_same(*both((tmp_path / "saved").read_bytes()), sample_lines)
    assert (tmp_path / "saved").read_bytes() == KINDS[kind]()


def test_from_pieces_saves_what_sentencepiece_can_hold(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -2.0, "ab": -2.5, " ": -3.0, "\u2581": -4.0}, unk_score=-14.0)
    tokenizer.save(tmp_path / "bare.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bare.model"))
    for text in ["ab", "aab b", " abc ", "xxay", "\u2581 a"]:
        assert Tokenizer.from_file(tmp_path / "bare.model").encode(text) == tokenizer.encode(text)
        assert processor.encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize(
    ("pieces", "unk_score", "message"),
    [
        ({"a": -1.0}, None, "needs an unknown piece"),
        ({"a": -1.0}, -5.0, "scores 10 less than the worst piece"),
        ({"a": -1.1}, -11.1, "float32"),
    ],
)
def test_from_pieces_does_not_save_what_it_cannot_hold(
    pieces: dict[str, float], unk_score: float | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_pieces(pieces, unk_score=unk_score).save(tmp_path / "no.model")
    assert not (tmp_path / "no.model").exists()


def test_the_format_is_told_from_the_content_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(KINDS["nmt_nfkc"]())
    assert Tokenizer.from_file(tmp_path / "model.json").encode("the")
    with pytest.raises(ValueError, match="format must be one of"):
        Tokenizer.from_bytes(KINDS["nmt_nfkc"](), format="word2vec")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'{"model": {}}', "model.vocab is missing"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x89PNG\r\n\x1a\n", "broken or truncated|not a sentencepiece model"),
        (b"just a text file\n", "broken or truncated|not a sentencepiece model"),
        (b"\x00" * 100, "broken or truncated"),
        (b"\xff" * 100, "broken or truncated"),
    ],
)
def test_foreign_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.model"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        Tokenizer.from_file(path)
    assert str(error.value).startswith(str(path))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.model"):
        Tokenizer.from_file(tmp_path / "nowhere.model")


@pytest.mark.parametrize("kind", ["nmt_nfkc", "byte fallback"])
def test_truncated_files(kind: str) -> None:
    """A file cut anywhere is refused, or by its luck is a whole message that sentencepiece reads the same."""
    data = KINDS[kind]()
    refused = 0
    for size in [*range(0, 2000, 7), *range(2000, len(data), 997)]:
        try:
            tokenizer = Tokenizer.from_bytes(data[:size])
        except ModelError:
            refused += 1
        else:
            processor = sentencepiece.SentencePieceProcessor(model_proto=data[:size])
            assert tokenizer.encode("the river") == processor.encode("the river")
    assert refused > 250


def _repeat(model: pb.ModelProto) -> None:
    model.pieces.add(piece="the", score=-1.0)
    model.pieces.add(piece="the", score=-1.0)


def _edit_piece(**fields: object) -> object:
    def edit(model: pb.ModelProto) -> None:
        for name, value in fields.items():
            setattr(model.pieces[300], name, value)

    return edit


def _charsmap(change: object) -> object:
    def edit(model: pb.ModelProto) -> None:
        model.normalizer_spec.precompiled_charsmap = change(model.normalizer_spec.precompiled_charsmap)  # type: ignore[operator]

    return edit


BROKEN = {
    "is there twice": _repeat,
    "piece 300 is empty": _edit_piece(piece=""),
    "piece 300 has 8000 bytes or more": _edit_piece(piece="x" * 8000),
    "piece 300 has a score that is not a finite number": _edit_piece(score=float("nan")),
    "piece 300 has a score .* inf": _edit_piece(score=float("inf")),
    "null character": _edit_piece(piece="a\0b"),
    "both have the type UNKNOWN": _edit_piece(type=2),
    "byte_fallback is off": _edit_piece(piece="<0x41>", type=6),
    "the precompiled_charsmap .* cannot have": _charsmap(lambda m: m[:1000]),
    "the precompiled_charsmap .* it has 3 bytes": _charsmap(lambda m: m[:3]),
    "the last replacement string does not end": _charsmap(lambda m: m + b"x"),
    "the root of its trie": _charsmap(lambda m: m[:4] + b"\0" * 4 + m[8:]),
    "of its trie (points outside|has no value|points to no)": _charsmap(
        lambda m: m[:4] + m[4:8] + b"\xff\x7f\xff\xff" * 500 + m[2008:]
    ),
    "type UNKNOWN, and byte_fallback is off": _edit_piece(),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_vocabularies(message: str) -> None:
    data = edited(KINDS["nmt_nfkc"](), BROKEN[message])  # type: ignore[arg-type]
    if message.startswith("type UNKNOWN"):
        data = edited(data, lambda model: model.pieces.pop(0) and None)
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_bytes(data)


def test_equal_control_pieces() -> None:
    with pytest.raises(ModelError, match="are both '<c>'"):
        Tokenizer.from_bytes(
            edited(
                KINDS["nmt_nfkc"](), lambda m: m.pieces.extend([pb.ModelProto.SentencePiece(piece="<c>", type=3)] * 2)
            )
        )


def test_missing_byte_piece() -> None:
    with pytest.raises(ModelError, match="<0x07> is missing"):
        Tokenizer.from_bytes(edited(KINDS["byte fallback"](), lambda m: setattr(m.pieces[3 + 7], "type", 3)))


def test_not_utf8_pieces() -> None:
    data = KINDS["nmt_nfkc"]()
    at = data.index("川".encode())
    with pytest.raises(ModelError, match=r"piece \d+ is not valid UTF-8"):
        Tokenizer.from_bytes(data[:at] + b"\xff" + data[at + 1 :])


def test_many_fields_that_nobody_knows() -> None:
    """They are passed over in time that grows with their number, not with its square."""
    data = KINDS["nmt_nfkc"]()
    begin = time.perf_counter()
    tokenizer = Tokenizer.from_bytes(data + b"\x22\x00" * 100_000)
    assert time.perf_counter() - begin < 20
    assert tokenizer.encode("the river") == Tokenizer.from_bytes(data).encode("the river")


@settings(max_examples=400)
@given(
    pieces=st.lists(
        st.tuples(
            st.one_of(st.text(max_size=3).map(str.encode), st.binary(max_size=6)),
            st.sampled_from([-1.0, 0.0, math.nan, math.inf]),
        )
    ),
    bytewise=st.booleans(),
)
def test_first_fault(pieces: list[tuple[bytes, float]], bytewise: bool) -> None:
    def fault(piece: bytes, score: float) -> str | None:
        if not 0 < len(piece) < 5:
            return "has 5 bytes or more" if piece else "is empty"
        if not math.isfinite(score):
            return "has a score that is not a finite number"
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError:
            return None if bytewise else "is not valid UTF-8"
        return None

    expected = next(((i, what) for i, one in enumerate(pieces) if (what := fault(*one)) is not None), None)
    offsets = np.array([0, *itertools.accumulate(len(piece) for piece, _ in pieces)], np.int64)
    scores = np.array([score for _, score in pieces], np.float64)
    assert first_fault(b"".join(piece for piece, _ in pieces), offsets, scores, 5, bytewise) == expected


@pytest.mark.parametrize(
    ("offsets", "scores"), [([0, 1], []), ([0, 3], [0.0]), ([0, 2, 1], [0.0, 0.0]), ([-1, 1], [0.0]), ([], [])]
)
def test_first_fault_within_the_text(offsets: list[int], scores: list[float]) -> None:
    with pytest.raises(IndexError):
        first_fault(b"ab", np.array(offsets, np.int64), np.array(scores, np.float64), 5, False)


def test_many_pieces_of_few_bytes() -> None:
    """More than are made room for at first."""
    pieces = [chr(0x100 + i) for i in range(3000)]
    message = b"".join(b"\x0a" + bytes([len(part)]) + part for part in (bytes_field(1, p.encode()) for p in pieces))
    text, offsets, scores, types, others = protobuf.read_pieces(message, 1)
    assert len(message) < 8 * len(pieces)
    assert text == "".join(pieces).encode()
    assert np.diff(offsets).tolist() == [len(piece.encode()) for piece in pieces]
    assert (scores.tolist(), types.tolist(), others) == ([0.0] * 3000, [1] * 3000, [])


def test_the_largest_trie() -> None:
    """8,388,608 places, most of them of nodes: as many as a step can lead to."""
    rng = random.Random(1)
    pieces = ["".join(rng.choices("abcdefgh", k=7990)) for _ in range(1055)]
    tokenizer = Tokenizer.from_pieces(dict.fromkeys(pieces[:950], -1.0))
    assert tokenizer.encode_batch(pieces[:950:100]).to_list() == [[i] for i in range(0, 950, 100)]
    with pytest.raises(ModelError, match="the pieces need more than 8,388,608 places in the trie"):
        Tokenizer.from_pieces(dict.fromkeys(pieces, -1.0))


@settings(max_examples=400)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("kind", ["byte fallback", "user-defined"])
def test_damaged_files_never_do_harm(kind: str, seed: int) -> None:
    """Random bytes changed: a ModelError, or a model that encodes, samples and decodes."""
    rng = random.Random(seed)
    data = bytearray(KINDS[kind]())
    for _ in range(rng.choice([1, 3, 30])):
        data[rng.randrange(rng.choice([300, len(data)]))] = rng.randrange(256)
    try:
        tokenizer = Tokenizer.from_bytes(bytes(data))
    except ModelError:
        return
    for text in ["the river", "川 <x> ab cd \u3000ﬁ a\u0301\u0327", b"\xe3\x81\xff"]:
        tokenizer.decode(tokenizer.encode(text))
        with contextlib.suppress(ValueError):  # a score so large that alpha times it is refused
            tokenizer.sample(text, alpha=0.5, seed=1)


@given(st.binary(max_size=60))
def test_wire_format_agrees_with_protobuf(data: bytes) -> None:
    """What the reader accepts, protocol buffers accepts; what it finds in known fields, they find."""
    try:
        fields = protobuf.fields(data, "message")
    except ModelError:
        return
    spec = pb.NormalizerSpec()
    try:
        spec.ParseFromString(data)
    except Exception:
        return  # not UTF-8 in a string field, which the caller checks
    names = [value for number, value in fields if number == 2 and isinstance(value, bytes)]
    assert spec.precompiled_charsmap == (names[-1] if names else b"")
