"""The comparison with bytepiece 0.6.3 itself, where it is installed (see CONTRIBUTING.md); VITERBI_SAMPLING_BYTEPIECE=1
makes it an error that it is not."""

from __future__ import annotations

import inspect
import json
import lzma
import os
import random
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bytepieces import model_file
from conftest import SHARED
from fit import far_tail
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bytepiece_models import COMPOSABLE, COUNTS, GENERATED, MODEL, PIECES, TEXTS

from viterbi_sampling import Tokenizer
from viterbi_sampling.compat import bytepiece as compat
from viterbi_sampling.formats import bytepiece as files

if not os.environ.get("VITERBI_SAMPLING_BYTEPIECE"):
    pytest.importorskip("bytepiece", reason="bytepiece is not installed")
peer: Any = __import__("bytepiece")

NAMES = ["bytepiece.plus.40k", "bytepiece.id.plus.80k", "bytepiece_80k"]
ENGLISH, CHINESE = "en_classics.md.txt.xz", "zh_four_novels.txt.xz"
# Half of what was seen on a machine that others kept busy.
FLOORS = {(ENGLISH, "encode"): 16.0, (ENGLISH, "sample"): 14.0, (CHINESE, "encode"): 15.0, (CHINESE, "sample"): 12.0}


@cache
def both(name: str) -> tuple[Any, Tokenizer]:
    data = files.unpack((SHARED / "models" / "bytepiece" / f"{name}.zip").read_bytes())
    return peer.Tokenizer(json.loads(data)), Tokenizer.from_bytes(data)


@cache
def corpus(path: Path) -> str:
    return (lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()).decode("utf-8")


def excerpts(size: int = 12_000, count: int = 5) -> list[str]:
    """Parts of every corpus, with their newlines, and the lines of each."""
    texts = []
    for path in sorted(path for path in (SHARED / "corpora").iterdir() if path.is_file()):
        text = corpus(path)
        parts = [text[i * len(text) // count :][:size] for i in range(count)]
        texts += parts + [line for part in parts for line in part.split("\n")]
    return texts


def assert_same(theirs: Any, ours: Tokenizer, texts: list[str]) -> None:
    for text, row in zip(texts, ours.encode_batch(texts), strict=True):
        expected = theirs.encode(text)
        assert row.tolist() == expected, text
        assert ours.decode(row) == theirs.decode(expected)
        assert [ours._model.pieces.bytes_of(int(id)) for id in row] == theirs.tokenize(text)


def test_small_models() -> None:
    theirs, ours = peer.Tokenizer(json.loads(MODEL)), Tokenizer.from_bytes(MODEL)
    assert_same(theirs, ours, TEXTS)


@given(PIECES, st.lists(st.one_of(GENERATED, st.text(), st.text(COMPOSABLE)), min_size=1, max_size=5))
def test_generated_models_and_texts(counts: dict[bytes, int], texts: list[str]) -> None:
    data = model_file(counts)
    assert_same(peer.Tokenizer(json.loads(data)), Tokenizer.from_bytes(data), texts * 2)


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_excerpts_of_every_corpus(name: str) -> None:
    assert_same(*both(name), excerpts())


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_repeated_pieces_tie(name: str) -> None:
    """Runs, in which the same pieces in another order have the same sum but for its rounding."""
    rng = random.Random(1)
    runs = ["-", " ", "=", "\n", "啊", "ha", "0", "\t", "。", "\u3000"]
    texts = ["".join(rng.choice(runs) * rng.randint(1, 90) for _ in range(rng.randint(1, 12))) for _ in range(400)]
    assert_same(*both(name), texts)


@pytest.mark.shared
@settings(max_examples=300)
@given(st.text(max_size=80))
def test_arbitrary_characters(text: str) -> None:
    for name in NAMES:
        assert_same(*both(name), [text])


@pytest.mark.shared
@pytest.mark.whole
@pytest.mark.parametrize("name", NAMES)
def test_whole_corpora(name: str) -> None:
    theirs, ours = both(name)
    for path in sorted(path for path in (SHARED / "corpora").iterdir() if path.is_file()):
        lines = corpus(path).split("\n")
        for line, row in zip(lines, ours.encode_batch(lines), strict=True):
            assert row.tolist() == theirs.encode(line), line


# -- the API -------------------------------------------------------------------------------------------


def test_the_whole_api_is_there() -> None:
    assert compat.__version__ == peer.__version__
    for name in ("normalize", "convert_to_bytepiece"):
        assert _parameters(getattr(compat, name)) == _parameters(getattr(peer, name))
    public = [name for name in dir(peer.Tokenizer) if not name.startswith("_")]
    assert len(public) >= 9
    for name in [*public, "__init__"]:
        assert _parameters(getattr(compat.Tokenizer, name)) == _parameters(getattr(peer.Tokenizer, name)), name
    assert isinstance(compat.Trainer(order=3, max_vocab_size=300), peer.Trainer)


def _parameters(function: Any) -> list[tuple[str, Any]]:
    return [(parameter.name, parameter.default) for parameter in inspect.signature(function).parameters.values()]


@given(st.text(), st.sampled_from([0, 1, 2, 5, 90]), st.booleans())
def test_normalize(text: str, maxlen: int, isolate_digits: bool) -> None:
    assert compat.normalize(text, maxlen, isolate_digits) == peer.normalize(text, maxlen, isolate_digits)


def test_the_methods_give_the_same() -> None:
    theirs, ours = peer.Tokenizer(json.loads(MODEL)), compat.Tokenizer(json.loads(MODEL))
    assert ours.vocab_size == theirs.vocab_size
    every = list(range(ours.vocab_size))
    assert ours.ids_to_pieces(every) == theirs.ids_to_pieces(every)
    assert ours.pieces_to_ids(ours.ids_to_pieces(every)) == every
    rng = random.Random(2)
    for text in TEXTS:
        assert ours.tokenize(text) == theirs.tokenize(text) == list(ours.tokenize(text, iter=True))
        for bos in (False, True):
            assert ours.encode(text, bos, not bos) == theirs.encode(text, bos, not bos)
            assert list(ours.encode(text, add_bos=bos, iter=True)) == list(theirs.encode(text, add_bos=bos, iter=True))
        ids = [rng.choice(every) for _ in range(20)]
        assert ours.decode(ids) == theirs.decode(ids)
        assert [*map(type, ours.ids_to_pieces(ids))] == [*map(type, theirs.ids_to_pieces(ids))]


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5])
def test_both_samplers_have_one_law(alpha: float) -> None:
    """40,000 samples of each, a test of two samples: a total variation of 0.05 between the laws would fail."""
    theirs, ours = peer.Tokenizer(json.loads(MODEL), seed=11), compat.Tokenizer(json.loads(MODEL), seed=11)
    text, total = "今aa\naaa", 40_000
    counts = [Counter(tuple(side.encode(text, alpha=alpha)) for _ in range(total)) for side in (theirs, ours)]
    # The homogeneity statistic of two samples of equal size; rare outcomes together in one cell.
    cells: dict[object, list[int]] = {}
    for key in set(counts[0]) | set(counts[1]):
        cell = key if counts[0][key] + counts[1][key] >= 20 else "rare"
        for side in range(2):
            cells.setdefault(cell, [0, 0])[side] += counts[side][key]
    statistic = sum((a - b) ** 2 / (a + b) for a, b in cells.values())
    assert len(cells) > 3
    assert statistic < far_tail(len(cells) - 1)


def test_converted_files_are_equal(tmp_path: Path) -> None:
    whole = {k: v for k, v in COUNTS.items() if k.decode(errors="ignore").encode() == k}
    for i, counts in enumerate([COUNTS, whole, {"ab": 500, b"a": 400, "b": 300, "ba": 1}, {}]):
        for module in (peer, compat):
            module.convert_to_bytepiece(counts, str(tmp_path / f"{module.__name__}.{i}"))
        made = [(tmp_path / f"{module.__name__}.{i}").read_bytes() for module in (peer, compat)]
        assert made[0] == made[1]
        if i:
            for module in (peer, compat):
                module.Tokenizer(str(tmp_path / f"bytepiece.{i}")).convert_to_sentencepiece(
                    str(tmp_path / f"{module.__name__}.{i}.sp")
                )
            assert (tmp_path / f"bytepiece.{i}.sp").read_bytes() == (
                tmp_path / f"{compat.__name__}.{i}.sp"
            ).read_bytes()
    with pytest.raises(UnicodeDecodeError):
        peer.Tokenizer(json.loads(MODEL)).convert_to_sentencepiece(str(tmp_path / "no"))


# -- speed ---------------------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize("file", [ENGLISH, CHINESE])
@pytest.mark.parametrize("name", NAMES[1:])
def test_speed(name: str, file: str) -> None:
    """Lines on one core, in turns with bytepiece, by the clock of the thread: at least FLOORS times as fast."""
    theirs, ours = both(name)
    lines = [line for line in corpus(SHARED / "corpora" / file).split("\n") if line]
    lines = lines[:: max(1, len(lines) // 15_000)]
    few = lines[::30]
    work = {
        "encode": (lambda: [theirs.encode(line) for line in few], lambda: ours.encode_batch(lines, num_threads=1)),
        "sample": (
            lambda: [theirs.encode(line, alpha=0.1) for line in few],
            lambda: ours.sample_batch(lines, alpha=0.1, seed=1, num_threads=1),
        ),
    }
    sizes = [sum(len(line.encode()) for line in texts) for texts in (few, lines)]
    ratios = {}
    for what, sides in work.items():
        best = [float("inf")] * 2
        for _ in range(5):
            for side in range(2):
                start = time.thread_time()
                sides[side]()
                best[side] = min(best[side], (time.thread_time() - start) / sizes[side])
        ratios[what] = best[0] / best[1]
    print(f"{name} {file}: " + ", ".join(f"{what} {ratio:.0f} times" for what, ratio in ratios.items()))
    for what, ratio in ratios.items():
        assert ratio >= FLOORS[file, what], (name, file, ratios)
