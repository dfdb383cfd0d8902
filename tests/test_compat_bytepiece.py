"""bytepiece's API without the library: what does not need it to be compared with."""

from __future__ import annotations

import base64
import json
import pickle
import sys
import unicodedata
from pathlib import Path

import pytest
import sentencepiece
from bytepieces import assert_follows, model_file, scored
from fit import cells_of
from test_bytepiece_models import COUNTS, MODEL, TEXTS, zipped

from viterbi_sampling import ModelError
from viterbi_sampling import Tokenizer as Engine
from viterbi_sampling import reference as ref
from viterbi_sampling.compat.bytepiece import Tokenizer, Trainer, convert_to_bytepiece, normalize


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer(json.loads(MODEL), seed=3)


def test_loading(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name, content in (("a.model", MODEL), ("b.zip", zipped(MODEL))):
        (tmp_path / name).write_bytes(content)
        for path in (tmp_path / name, str(tmp_path / name)):
            assert Tokenizer(path).encode("the then") == tokenizer.encode("the then")
    (tmp_path / "c").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError):
        Tokenizer(tmp_path / "c")
    Engine.default().save(tmp_path / "d")
    with pytest.raises(ModelError, match="not a BytePiece model, but one of the format 'sentencepiece'"):
        Tokenizer(tmp_path / "d")
    with pytest.raises(TypeError, match="pieces must be a path or a dict, not int"):
        Tokenizer(3)  # type: ignore[arg-type]


def test_pieces_and_ids(tokenizer: Tokenizer) -> None:
    pieces = scored(MODEL)
    assert tokenizer.vocab_size == len(pieces) + 3
    assert tokenizer.ids_to_pieces([0, 1, 2]) == ["<pad>", "<bos>", "<eos>"]
    assert tokenizer.pieces_to_ids(["<pad>", "<bos>", "<eos>"]) == [0, 1, 2]
    for piece, (id, _) in pieces.items():
        assert tokenizer.piece_to_id(piece) == id
        assert tokenizer.id_to_piece(id) == piece
    for call in (tokenizer.piece_to_id, tokenizer.id_to_piece):
        with pytest.raises(KeyError):
            call(-1)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        tokenizer.decode([10**6])


@pytest.mark.parametrize("text", TEXTS)
def test_texts(tokenizer: Tokenizer, text: str) -> None:
    ids = Engine.from_bytes(MODEL).encode(text)
    assert tokenizer.encode(text) == ids
    assert tokenizer.encode(text, True, True) == [1, *ids, 2]
    generator = tokenizer.encode(text, add_eos=True, iter=True)
    assert not isinstance(generator, list)
    assert list(generator) == [*ids, 2]
    pieces = tokenizer.tokenize(text)
    assert pieces == tokenizer.ids_to_pieces(ids) == list(tokenizer.tokenize(text, iter=True))
    assert b"".join(pieces) == unicodedata.normalize("NFC", text).encode() == b"".join(normalize(text))
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    assert tokenizer.decode([-5, 0, 1, *ids, 2]) == unicodedata.normalize("NFC", text)


def test_samples_repeat_with_the_seed(tokenizer: Tokenizer) -> None:
    first = [tokenizer.encode("今天天气 the then", alpha=0) for _ in range(30)]
    assert len(set(map(tuple, first))) > 5
    assert [Tokenizer(json.loads(MODEL), seed=3).encode("今天天气 the then", alpha=0)] == first[:1]
    tokenizer.set_seed(3)
    tokenizer.set_seed(None)
    half = [tokenizer.encode("今天天气 the then", alpha=0) for _ in range(15)]
    rest = pickle.loads(pickle.dumps(tokenizer))
    assert half + [rest.encode("今天天气 the then", alpha=0) for _ in range(15)] == first
    assert Tokenizer(json.loads(MODEL)).encode("a" * 60, alpha=0) != Tokenizer(json.loads(MODEL)).encode(
        "a" * 60, alpha=0
    )


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_the_law(tokenizer: Tokenizer, alpha: float) -> None:
    text = "今aaa"
    data = text.encode()
    law = {tuple(e.token for e in path): p for path, p in ref.law(ref.lattice(data, scored(MODEL)), len(data), alpha)}
    cells = cells_of(list(law.values()))
    assert_follows(law, cells, (tokenizer.encode(text, alpha=alpha) for _ in range(cells.samples)))


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_an_alpha_that_is_none(tokenizer: Tokenizer, alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be finite"):
        tokenizer.encode("a", alpha=alpha)


def test_normalize() -> None:
    assert normalize("") == []
    assert normalize("a\n\nb\r\n\nc") == [b"a\n\n", b"b\r\n\n", b"c"]
    assert normalize("abcde\nf", maxlen=2) == [b"ab", b"cd", b"e\n", b"f"]
    assert normalize("a12\nb", 0, True) == [b"a", b"1", b"2", b"\n", b"b"]
    assert normalize("\n" * 150, maxlen=9) == [b"\n" * 100, b"\n" * 50]
    assert normalize("e\u0301") == ["\u00e9".encode()]


def test_convert_to_sentencepiece(tmp_path: Path) -> None:
    counts = {piece: count for piece, count in COUNTS.items() if piece.decode(errors="ignore").encode() == piece}
    counts = {piece: count for piece, count in counts.items() if b"\0" not in piece}
    Tokenizer(json.loads(model_file(counts))).convert_to_sentencepiece(tmp_path / "s.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "s.model"))
    assert processor.encode("今天 the", out_type=str) == ["今天", "\u2581the"]
    assert Engine.from_file(tmp_path / "s.model").encode("今天 the a") == processor.encode("今天 the a")
    with pytest.raises(ModelError, match="is not UTF-8"):
        Tokenizer(json.loads(MODEL)).convert_to_sentencepiece(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_convert_to_bytepiece(tmp_path: Path) -> None:
    """All bytes are there, a piece that its parts beat is gone, and what is left is stable."""
    convert_to_bytepiece({"ab": 500, b"a": 400, "b": 300, "ba": 1, "aba": 0.5, b"\xe4\xbb": 3}, tmp_path / "a.model")
    entries = json.loads((tmp_path / "a.model").read_text(encoding="utf-8"))
    counts = {base64.b64decode(key): count for key, (_, _, count) in entries.items()}
    assert {bytes([value]) for value in range(256)} <= set(counts)
    assert b"ba" not in counts
    assert b"aba" not in counts
    assert counts[b"ab"] == 500.5
    assert counts[b"a"] == 401.5
    for piece in counts:
        if piece.decode(errors="ignore").encode() == piece and b"\n" not in piece:
            assert Tokenizer(tmp_path / "a.model").tokenize(piece.decode()) == [piece]
            break
    for bad in ({"": 1}, {"a": 0}, {"a": -1}, {"ab": float("nan")}, {"a": 2**63}):
        with pytest.raises(ValueError, match=r"pieces must not be empty|count of piece"):
            convert_to_bytepiece(bad, tmp_path / "b")  # type: ignore[arg-type]


def test_a_trainer_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bytepiece", None)
    with pytest.raises(ImportError, match="AHOCORASICK_BYTES=1 pip install"):
        Trainer(order=4)
