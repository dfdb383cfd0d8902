"""BytePiece models: what is read, refused and written; byte lattices, against the reference."""

from __future__ import annotations

import io
import json
import math
import pickle
import random
import re
import unicodedata
import zipfile
from pathlib import Path

import pytest
from bytepieces import assert_follows, expected_ids, model_file, scored
from conftest import SHARED
from fit import cells_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sampling import ALPHAS, SAMPLERS

from viterbi_sampling import ModelError, Tokenizer
from viterbi_sampling import reference as ref
from viterbi_sampling.engine import stream
from viterbi_sampling.engine.normalizer import Normalizer
from viterbi_sampling.formats import bytepiece

TEXTS = [
    "",
    "a",
    "\n",
    "\n\n",
    "\n\n\na\n\n",
    "今天天气不错，今天天气\n今\n天",
    "the the then\r\n\r\nthen",
    "\u00e9 e\u0301 \u1100\u1161\u11a8 \u0344\u0958 \ufa1e\u2126",
    "\0a\0\0b",
    "𓀀𓀁\U0010ffff\u0080",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaa\naaaaaaa",
]
COUNTS: dict[bytes, int] = {
    "今天".encode(): 90,
    "天气".encode(): 70,
    "天".encode(): 50,
    "，今".encode(): 9,
    "今".encode()[1:] + "天".encode()[:1]: 3000,  # the end of a character and the beginning of the next
    "气".encode()[2:] + b"\xe4": 100,
    "天".encode()[:2]: 800,
    b"\x80\x80": 30,
    b"the": 40,
    b" the": 60,
    b"the then": 5,
    b" \xc3": 400,
    b"a": 100,
    b"aa": 120,
    b"aaa": 130,
    b"aaaa": 130,
    b"a\n": 50,
    b"\n\n": 20,
    b"n\r\n": 9,
    b"\na": 10**6,  # can match nowhere
    b"\n\xe4\xbb": 10**6,
    b"<0xE4>": 3,
    b"<pad>": 2,
    b"\0\0": 5,
}
MODEL = model_file(COUNTS)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_bytes(MODEL)


def zipped(content: bytes, **options: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:  # type: ignore[arg-type]
        archive.writestr("a.model", content)
    return out.getvalue()


# -- segmentations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_the_best_path_is_the_references(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids == expected_ids(scored(MODEL), text)
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    assert tokenizer.encode(text.encode()) == ids
    for _ in range(2):  # cold and warm
        assert tokenizer.encode_batch([text, *TEXTS, text])[0].tolist() == ids


ALPHABET = st.sampled_from(["a", "b", "\n", "é", "e\u0301", "今", "仌", "天", " ", "\u0301", "𓀀", "\0"])
FRAGMENTS = st.lists(ALPHABET, min_size=1, max_size=4).map(lambda parts: "".join(parts).encode())
PIECES = st.dictionaries(
    st.tuples(FRAGMENTS, st.integers(0, 3), st.integers(0, 3)).map(lambda t: t[0][t[1] : len(t[0]) - t[2]] or t[0]),
    st.integers(1, 10**9),
    max_size=16,
)
GENERATED = st.lists(ALPHABET, max_size=40).map("".join)


@given(PIECES, st.lists(GENERATED, min_size=1, max_size=4))
def test_generated_vocabularies(counts: dict[bytes, int], texts: list[str]) -> None:
    """Pieces that begin and end anywhere inside characters, ties, newlines: ids, edges, sums, the best."""
    data = model_file(counts)
    pieces, tokenizer = scored(data), Tokenizer.from_bytes(data)
    batch = tokenizer.encode_batch([*texts, *texts])
    for i, text in enumerate([*texts, *texts]):
        assert batch[i].tolist() == expected_ids(pieces, text)
    for text in texts:
        edges, begin = [], 0
        for line in ref.bytepiece_lines(text):
            edges += [
                edge._replace(start=edge.start + begin, end=edge.end + begin) for edge in ref.lattice(line, pieces)
            ]
            begin += len(line)
        lattice = tokenizer.lattice(text)
        assert lattice.text == unicodedata.normalize("NFC", text).encode()
        assert list(zip(lattice.start, lattice.end, lattice.id, strict=True)) == [edge[:3] for edge in edges]
        sums = ref.forward_sums(edges, 0.5)
        assert tokenizer.log_partition(text, alpha=0.5) == pytest.approx(math.log(sums[begin]), abs=1e-9)
        assert tokenizer.nbest(text, 1)[0].log_prob == pytest.approx(tokenizer.log_prob(text, tokenizer.encode(text)))


@given(PIECES, GENERATED, st.sampled_from([*ALPHAS, 20.0]), st.sampled_from([*SAMPLERS]))
def test_samples_are_the_references(counts: dict[bytes, int], text: str, alpha: float, algorithm: str) -> None:
    data = model_file(counts)
    pieces, tokenizer = scored(data), Tokenizer.from_bytes(data)
    uniforms = iter(stream.uniforms(3, 5, 0, 8 * len(text.encode()) * 8 + 1))
    expected = []
    for line in ref.bytepiece_lines(text):
        expected += SAMPLERS[algorithm](ref.lattice(line, pieces), len(line), alpha, uniforms)
    actual = tokenizer.sample(text, alpha=alpha, algorithm=algorithm, seed=3, index=5)
    assert actual == [edge.token for edge in expected]


@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
def test_the_law(tokenizer: Tokenizer, algorithm: str, alpha: float) -> None:
    """A text whose pieces begin inside characters: an error of 0.01 in total variation would fail, see fit.py."""
    text = "今天a\naa"
    laws = [ref.law(ref.lattice(line, scored(MODEL)), len(line), alpha) for line in ref.bytepiece_lines(text)]
    law = {tuple(edge.token for edge in [*first, *second]): p * q for first, p in laws[0] for second, q in laws[1]}
    cells = cells_of(list(law.values()))
    batch = tokenizer.sample_batch([text] * cells.samples, alpha=alpha, algorithm=algorithm, seed=8)
    assert len(law) > 5
    assert_follows(law, cells, batch.to_list())


def test_log_probabilities_of_samples(tokenizer: Tokenizer) -> None:
    text = "今天天气 the then\na"
    batch = tokenizer.sample_batch([text] * 50, alpha=0.4, seed=2, with_log_probs=True)
    assert batch.log_probs is not None
    for row, log_prob in zip(batch, batch.log_probs, strict=True):
        assert tokenizer.log_prob(text, row.tolist(), alpha=0.4) == pytest.approx(log_prob, abs=1e-9)


# -- normalization ---------------------------------------------------------------------------------------


def test_nfc_of_every_character() -> None:
    """Each character alone, and between marks of all classes and parts of syllables."""
    normalizer = Normalizer(b"", None, False, False, False, False, True)
    for around in ("{}", "a{}\u0301", "\u0345{}\u0334\u0323", "\u1100{}\u1161\u11a8{}"):
        for block in range(0, 0x110000, 0x1000):
            points = [chr(c) for c in range(block, block + 0x1000) if not 0xD800 <= c < 0xE000]
            text = "\n".join(around.format(c, c) for c in points)
            assert normalizer.normalize(text.encode()).decode() == unicodedata.normalize("NFC", text)


COMPOSABLE = st.one_of(
    st.characters(categories=["Mn", "Mc"]),
    st.sampled_from("aeouAEO\u09c7\u1100\u1161\u11a8\uac00\u212b\u0958\u0dd9\u1b05\U00011347\u304b ,\n今"),
    st.integers(0xAC00, 0xD7A3).map(chr),
    st.integers(0xF900, 0xFAFF).map(chr),
)


@settings(max_examples=1000)
@given(st.text(COMPOSABLE, max_size=30))
def test_nfc_of_generated_text(text: str) -> None:
    normalizer = Normalizer(b"", None, False, False, False, False, True)
    assert normalizer.normalize(text.encode()).decode() == unicodedata.normalize("NFC", text)


def test_nfc_is_linear() -> None:
    """Half a million pairs of marks on one character, which unicodedata itself sorts in an hour."""
    normalizer = Normalizer(b"", None, False, False, False, False, True)
    for count in (1, 5, 500_000):
        text = "a" + "\u0301\u0323" * count
        expected = "\u1ea1" + "\u0323" * (count - 1) + "\u0301" * count
        assert count > 5 or unicodedata.normalize("NFC", text) == expected
        assert normalizer.normalize(text.encode()).decode() == expected


@given(st.text(COMPOSABLE, max_size=20))
def test_spans_of_rewritten_text(text: str) -> None:
    """Spans cover the text from end to end, and outside what NFC joins each holds what its tokens say."""
    tokenizer = Tokenizer.from_bytes(MODEL)
    encoding = tokenizer.encode_with_offsets(text)
    ends = [0, *(end for _, end in encoding.offsets)]
    assert [start for start, _ in encoding.offsets] == ends[:-1]
    assert ends[-1] == len(text)
    assert ends == sorted(ends)
    if unicodedata.is_normalized("NFC", text):
        pieces = [tokenizer._model.pieces.bytes_of(id) for id in encoding.ids]
        for i in range(len(pieces) + 1):
            spelled = b"".join(pieces[:i])
            assert ends[i] == len(spelled.decode(errors="ignore"))


def test_spans_of_parts_of_characters(tokenizer: Tokenizer) -> None:
    """The piece that ends a character has its span; in bytes spans are exact."""
    encoding = tokenizer.encode_with_offsets("a仌天")
    assert encoding.pieces == ["a", "<0xE4>", "<0xBB>", "<0x8C>", "天"]
    assert encoding.offsets == [(0, 1), (1, 1), (1, 1), (1, 2), (2, 3)]
    assert tokenizer.encode_with_offsets("a仌天".encode()).offsets == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 7)]


def test_bytes_that_are_not_utf8_become_replacement_characters(tokenizer: Tokenizer) -> None:
    for data in (b"a\xffb", b"\xe4\xbb", b"\x80", b"a\xcc\x81\xff\xcc\x81", b"\xed\xa0\x80"):
        text = "".join(chunk if isinstance(chunk, str) else "\ufffd" * len(chunk) for chunk in _valid_and_invalid(data))
        assert tokenizer.encode(data) == tokenizer.encode(text)


def _valid_and_invalid(data: bytes) -> list[str | bytes]:
    chunks: list[str | bytes] = []
    while data:
        try:
            return [*chunks, data.decode()]
        except UnicodeDecodeError as error:
            # Python takes a broken beginning of a character for one error; here each byte is one.
            chunks += [data[: error.start].decode(), data[error.start : error.end]]
            data = data[error.end :]
    return chunks


# -- the vocabulary --------------------------------------------------------------------------------------


def test_vocabulary(tokenizer: Tokenizer) -> None:
    pieces = scored(MODEL)
    assert len(tokenizer) == len(pieces) + 3
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 1, 2, None)
    for piece, (id, score) in pieces.items():
        assert tokenizer.piece_to_id(piece) == id
        assert tokenizer.score(id) == score
    assert tokenizer.id_to_piece(tokenizer.piece_to_id(b"\xe4")) == "<0xE4>"
    assert tokenizer.piece_to_id("<0xE4>") == tokenizer.piece_to_id(b"<0xE4>")
    assert tokenizer.piece_to_id("<0xE5>") == tokenizer.piece_to_id(b"\xe5")
    assert tokenizer.piece_to_id("<pad>") == 0
    with pytest.raises(KeyError, match="no piece"):
        tokenizer.piece_to_id(b"nonesuch")
    with pytest.raises(TypeError, match="piece must be str"):
        Tokenizer.default().piece_to_id(b"a")


def test_decode_leaves_out_what_is_not_utf8(tokenizer: Tokenizer) -> None:
    pieces = {id: piece for piece, (id, _) in scored(MODEL).items()}
    rng = random.Random(3)
    for _ in range(300):
        ids = [rng.randrange(len(tokenizer)) for _ in range(rng.randrange(12))]
        expected = b"".join(pieces[id] for id in ids if id > 2).decode(errors="ignore")
        assert tokenizer.decode(ids) == expected


def test_bos_and_eos(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("a", add_bos=True, add_eos=True) == [1, tokenizer.piece_to_id("a"), 2]


# -- files -----------------------------------------------------------------------------------------------


def test_zip_save_and_pickle(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name, content in (
        ("a", MODEL),
        ("b.json", zipped(MODEL)),
        ("c", zipped(MODEL, compression=8)),
        ("d", b" " + MODEL),
    ):
        (tmp_path / name).write_bytes(content)
        loaded = Tokenizer.from_file(tmp_path / name)
        for text in TEXTS:
            assert loaded.encode(text) == tokenizer.encode(text)
        loaded.save(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes().lstrip() == MODEL
        again = pickle.loads(pickle.dumps(loaded))
        assert pickle.dumps(again) == pickle.dumps(loaded)
        assert again.sample("the then", alpha=0.3, seed=1) == tokenizer.sample("the then", alpha=0.3, seed=1)
    assert Tokenizer.from_bytes(MODEL, format="bytepiece").encode("the") == tokenizer.encode("the")
    with pytest.raises(ModelError, match="scores that no counts give"):
        Tokenizer.default().save(tmp_path / "no", format="bytepiece")
    assert not (tmp_path / "no").exists()


def entries_of(edit: object) -> bytes:
    entries = json.loads(MODEL)
    edit(entries)  # type: ignore[operator]
    return json.dumps(entries).encode()


def changed(key: str, value: object) -> bytes:
    return entries_of(lambda entries: entries.update({key: value}))


def with_count(count: object) -> bytes:
    return changed("AA==", [3, "", count])


def several(count: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(count):
            archive.writestr(f"{i}.model", MODEL)
    return out.getvalue()


def bomb() -> bytes:
    """A few hundred kB that unpack to 300 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.model", "w") as file:
        for _ in range(300):
            file.write(bytes(1_000_000))
    return out.getvalue()


def lying_bomb() -> bytes:
    """The same, with a central directory that says it has 1000 bytes."""
    data = bytearray(bomb())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (MODEL[:-1], "not valid JSON, or truncated"),
        (MODEL[:2000], "not valid JSON, or truncated"),
        (b'{"AA==": [3, "\xff", 1]}', "not valid UTF-8 at byte"),
        (b'{"AA==": [' * 100_000, "nested too deeply"),
        (b'{"AA==": [3, "", ' + b"[" * 100_000 + b"]" * 100_000 + b"]}", "nested too deeply"),
        (b'{"AA==": [3, "", 1], "AA==": [4, "", 1]}', "has the piece .* twice, as 'AA==' and 'AA=='"),
        (b'{"AA==": [3, "", 1], "AB==": [4, "", 1]}', "has the piece .* twice, as 'AA==' and 'AB=='"),
        (b'{"AA==": [3, "", 1], "A*==": [4, "", 1]}', "the key 'A\\*==' is not base64"),
        (b'{"AA==": [3, "", 1], "\\u4eca": [4, "", 1]}', "is not base64"),
        (b'{"AA==": [3, "", 1], "": [4, "", 1]}', "the key '' spells an empty piece"),
        (changed("AA==", [4, "", 1]), "both have the id 4"),
        (changed("AA==", [2, "", 1]), "id of entry 'AA==' must be one of 3 to"),
        (changed("AA==", [-1, "", 1]), "id of entry 'AA==' must be one of 3 to"),
        (changed("AA==", [10**9, "", 1]), "id of entry 'AA==' must be one of 3 to"),
        (changed("AA==", [3.0, "", 1]), "id of entry 'AA==' must be one of 3 to .*, not 3.0"),
        (changed("AA==", [True, "", 1]), "id of entry 'AA==' must be one of 3 to .*, not True"),
        (changed("AA==", ["3", "", 1]), "id of entry 'AA==' must be one of 3 to .*, not '3'"),
        (changed("AA==", [3, 1]), "entry 'AA==' must be .*, not an array of 2"),
        (changed("AA==", {"id": 3}), "entry 'AA==' must be .*, not an object"),
        (changed("AA==", 3), "entry 'AA==' must be .*, not 3"),
        (with_count(0), "count of entry 'AA==' must be a number above 0 .*, not 0"),
        (with_count(-5), "count of entry 'AA==' must be .*, not -5"),
        (with_count(2**63), "count of entry 'AA==' must be .*, not 9223372036854775808"),
        (with_count(1e300), "count of entry 'AA==' must be .*, not 1e\\+300"),
        (with_count(math.nan), "NaN is no JSON number"),
        (with_count("9"), "count of entry 'AA==' must be .*, not '9'"),
        (with_count(None), "count of entry 'AA==' must be .*, not None"),
        (with_count([1]), "count of entry 'AA==' must be .*, not an array of 1"),
        (changed("A" * 11000, [3, "", 1]), r"pieces b'.x00' and b'[^ ]{,80} both have the id 3"),
        (entries_of(lambda entries: entries.update({"A" * 11000: [len(entries) + 3, "", 1]})), "8000 bytes or more"),
        (
            entries_of(lambda entries: [value.__setitem__(2, 2**63 - 1) for value in entries.values()]),
            "counts must add up to at most",
        ),
        (zipped(MODEL)[:-30], "the zip is broken"),
        (zipped(MODEL)[:100], "the zip is broken"),
        (zipped(MODEL, compression=8)[:60] + b"\0\0\0\0" + zipped(MODEL, compression=8)[64:], "the zip is broken"),
        (zipped(MODEL, compression=12), "is compressed by method 12"),
        (zipped(zipped(MODEL)), "not valid|UTF-8"),
        (zipped(b"[]"), "is a JSON object of .*, not an array of 0"),
        (zipped(b"{}"), "has no pieces"),
        (several(0), "the zip is broken|holds 0 files"),
        (several(2), "holds 2 files: '0.model', '1.model'"),
        (bomb(), "has more than 268435456 bytes"),
        (lying_bomb(), "the zip is broken|has more than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        bytepiece.read(data)


@settings(max_examples=500)
@given(st.randoms(use_true_random=False), st.booleans())
def test_broken_files_are_errors_and_nothing_worse(rng: random.Random, in_zip: bool) -> None:
    """Bytes changed, cut out and put in, anywhere: a ModelError, or a model that works."""
    small = json.dumps(dict(list(json.loads(MODEL).items())[:40])).encode()
    data = bytearray(zipped(small, compression=8) if in_zip else small)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 30)]
        elif kind == 2:
            data[at:at] = rng.choice([b"-", b"9", b"[", b'"', b"e9", b"null", b"\\u0000", b"="])
        else:
            del data[at + 1 :]
    try:
        tokenizer = Tokenizer.from_bytes(bytes(data), format="bytepiece") if data else None
    except ModelError:
        return
    if tokenizer is not None:
        tokenizer.decode(tokenizer.encode("\0\1\2"))


def test_a_model_without_a_byte_says_so_where_it_is_needed() -> None:
    data = b'{"YQ==": [3, "a", 5], "Yg==": [4, "b", 2.5]}'
    tokenizer = Tokenizer.from_bytes(data)
    assert tokenizer.encode("abba") == [3, 4, 4, 3]
    for call in (tokenizer.encode, lambda text: tokenizer.sample(text, alpha=0.1)):
        with pytest.raises(ValueError, match=r"no segmentation|covers"):
            call("abc")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bytepiece.plus.40k", "bytepiece.id.plus.80k", "bytepiece_80k"])
def test_real_models(name: str) -> None:
    """The reference on real text, cold and warm; texts come back; spans are what the pieces say."""
    data = (SHARED / "models" / "bytepiece" / f"{name}.zip").read_bytes()
    tokenizer = Tokenizer.from_bytes(data)
    pieces = scored(bytepiece.unpack(data))
    texts = (SHARED / "corpora" / "adversarial_kitoken_small_input.txt").read_text(encoding="utf-8").split("\n")
    texts += (SHARED / "corpora" / "adversarial_blns.txt").read_text(encoding="utf-8").split("\n")[::4]
    texts += [re.sub("", "\n", text)[:50] for text in texts[::5]]
    for _ in range(2):
        rows = tokenizer.encode_batch(texts)
        for text, row in zip(texts, rows, strict=True):
            assert row.tolist() == expected_ids(pieces, text)
    assert tokenizer.decode_batch(rows) == [unicodedata.normalize("NFC", text) for text in texts]
