"""The 39 real models on real text, against sentencepiece: what it says to the last bit, and faster to load."""

from __future__ import annotations

import json
import lzma
import time
from functools import cache
from pathlib import Path

import pytest
import sentencepiece
from conftest import SHARED
from peer import assert_same, assert_same_ids, both

from viterbi_sampling import ModelError, Tokenizer

pytestmark = pytest.mark.shared

MODELS = sorted((SHARED / "models" / "sentencepiece").glob("*.model"))
OTHERS = sorted((SHARED / "models" / "sentencepiece-other-types").glob("*.model"))
SAMPLE_BYTES = 2_200_000


@cache
def corpus(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def corpora() -> list[Path]:
    return sorted(path for path in (SHARED / "corpora").iterdir() if path.is_file())


@cache
def sample() -> tuple[bytes, ...]:
    """Lines from all over every corpus, at least 2 MB together: small corpora whole, the others in equal shares."""
    paths = sorted(corpora(), key=lambda path: len(corpus(path)))
    left, taken = SAMPLE_BYTES, []
    for i, path in enumerate(paths):
        share = left // (len(paths) - i)
        lines = corpus(path).split(b"\n")
        step = max(1, len(corpus(path)) // share)
        size = 0
        for start in range(step):
            for line in lines[start::step]:
                if size >= share:
                    break
                taken.append(line)
                size += len(line)
        left -= size
    assert sum(map(len, taken)) >= 2_000_000
    return tuple(taken)


@cache
def valid_sample() -> tuple[str, ...]:
    return tuple(line.decode("utf-8") for line in sample())


def test_there_are_39() -> None:
    assert len(MODELS) == 39


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_sample_of_every_corpus(path: Path) -> None:
    """Ids, pieces, character and byte offsets, normalized and decoded text."""
    pair = both(path.read_bytes())
    assert_same(*pair, valid_sample())
    assert_same(*pair, [line for line in sample() if not line.isascii()][::4])


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_adversarial_files_as_bytes(path: Path) -> None:
    """Whole, in lines, and cut at every seventh byte, which breaks characters."""
    pair = both(path.read_bytes())
    texts = [corpus(file) for file in corpora() if file.name.startswith("adversarial")]
    for text in texts:
        head = text[:60_000]
        assert_same(*pair, [head, *head.split(b"\n"), *(head[i : i + 7] for i in range(0, 14_000, 7))])


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_save(path: Path, tmp_path: Path) -> None:
    """sentencepiece loads what is saved, and encodes the same."""
    Tokenizer.from_file(path).save(tmp_path / "saved.model")
    saved = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "saved.model"))
    lines = list(valid_sample()[::50])
    assert Tokenizer.from_file(path).encode_batch(lines).to_list() == saved.encode(lines)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_other_types_are_refused(path: Path) -> None:
    kind = {"bpe": "BPE", "char": "character", "word": "word"}[path.stem.split("_")[0]]
    with pytest.raises(ModelError, match=f"{path.name}: this is a sentencepiece {kind} model"):
        Tokenizer.from_file(path)


@pytest.mark.parametrize("name", ["t5_base_32k", "xlmr_250k_rebuilt", "llmjp_v3.1_98k", "bigbird_gpt2_50k"])
def test_one_line_of_20_mb(name: str) -> None:
    text = corpus(SHARED / "corpora" / "en_classics.md.txt.xz")[:20_000_000].replace(b"\n", b" ")
    assert_same_ids(*both((SHARED / "models" / "sentencepiece" / f"{name}.model").read_bytes()), [text])


def unescaped(line: str) -> str:
    return line.replace("\\n", "\n").replace("\\s", " ")


@pytest.mark.parametrize("kind", ["small", "mixed", "utf8"])
@pytest.mark.parametrize(
    ("recorded", "name"), [("nai-t5", "nai_t5_32k_extra_ids"), ("xlnet_base_cased", "xlnet_base_cased_32k")]
)
def test_outputs_recorded_by_kitoken(recorded: str, name: str, kind: str) -> None:
    folder = SHARED / "expected" / "kitoken"
    tokenizer = Tokenizer.from_file(SHARED / "models" / "sentencepiece" / f"{name}.model")
    text = (folder / f"{kind}_input.txt").read_text(encoding="utf-8")
    tokens = (folder / "sentencepiece" / f"{kind}_tokens_{recorded}.txt").read_text(encoding="utf-8")
    decoded = (folder / "sentencepiece" / f"{kind}_output_{recorded}.txt").read_text(encoding="utf-8")
    expected = [[int(word) for word in line.split(", ")] for line in tokens.split("\n") if line]
    texts = [text] if kind == "utf8" else text.split("\n")[: len(expected)]
    outputs = [decoded] if kind == "utf8" else [unescaped(line) for line in decoded.split("\n")[: len(expected)]]
    if kind == "small":
        texts = [unescaped(text) for text in texts]
    assert len(texts) == len(expected) >= (1 if kind == "utf8" else 20)
    assert tokenizer.encode_batch(texts).to_list() == expected
    assert tokenizer.decode_batch(expected) == outputs


def test_outputs_recorded_by_transformers() -> None:
    recorded = json.loads((SHARED / "expected" / "transformers_integration.json").read_text(encoding="utf-8"))
    compared = 0
    for entry in recorded:
        if entry.get("sentencepiece_agrees"):
            tokenizer = Tokenizer.from_file(SHARED / "models" / "sentencepiece" / entry["model"])
            assert tokenizer.encode(entry["text"]) == entry["spm_ids"]
            compared += 1
    assert compared > 10


def test_the_250k_model_loads_in_half_the_time_of_sentencepiece() -> None:
    data = (SHARED / "models" / "sentencepiece" / "xlmr_250k_rebuilt.model").read_bytes()
    best = [float("inf")] * 2
    for _ in range(5):
        for i, load in enumerate((Tokenizer.from_bytes, lambda d: sentencepiece.SentencePieceProcessor(model_proto=d))):
            start = time.perf_counter()
            load(data)
            best[i] = min(best[i], time.perf_counter() - start)
    assert best[0] <= best[1] / 2, best


@pytest.mark.whole
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_whole_corpora(path: Path) -> None:
    pair = both(path.read_bytes())
    for file in corpora():
        lines = corpus(file).split(b"\n")
        assert_same_ids(*pair, lines)
        assert_same(*pair, [line.decode("utf-8") for line in lines[::10]])
