"""One long text divided among threads: what comes out is what one thread makes of it, and what sentencepiece gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bytepieces import model_file
from conftest import SAMPLES, SHARED, train
from models import KINDS, edited
from peer import both
from test_words import near_ties, words

from viterbi_sampling import Batch, Tokenizer

PROSE = (SAMPLES / "prose.txt").read_text(encoding="utf-8")


def shuffled(seed: int, size: int) -> str:
    """About so many characters of words of the samples, in a new order."""
    rng, found = random.Random(seed), PROSE.split()
    return " ".join(rng.choices(found, k=size // 6))


def mixed(seed: int, size: int) -> str:
    """What is decided in every way: known and new words, words too long to be kept, unknown characters."""
    rng = random.Random(seed)
    makers: list[Callable[[], str]] = [
        lambda: shuffled(rng.randrange(1000), 4000),
        lambda: " ".join(words(rng.randint(1, 60), rng.randrange(1000))),
        lambda: "".join(rng.choices("abcdefgh", k=rng.randint(64, 900))),
        lambda: "".join(rng.choices("\u4e00\u4e8c\U0001f600", k=rng.randint(1, 50))),
        lambda: " ".join("\u4e00ab\u4e8c" for _ in range(rng.randint(1, 40))),
    ]
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        parts.append(rng.choices(makers, weights=[6, 2, 1, 1, 1])[0]())
    return rng.choice([" ", ""]).join(parts)


# What normalizers change, drop, join or keep apart, and what stands beside it.
ODD = [
    *" \u2581\t\n\r\0\u00a0\u3000\u200b\ufeff",
    *"e\u0301a\u0308o\u0323\u0302\u0345",
    *"\uff21\uff0c\ufb01\ufdfa\u2460\u1100\u1161\u11a8\uac00\u0e33",
    *"\u4e00\u4e8c\u5ddd\U0001f600<>x",
    *["  ", "   ", " \u2581", "<x>", "ab cd", "river", "the river", "er", "\r\n", "\n\n", " \u0301", "\u5ddd\u5ddd"],
]


def odd(seed: int, size: int) -> str:
    """Words of the samples with odd characters between and inside."""
    rng, found = random.Random(seed), PROSE.split()
    often = rng.choice([0.02, 0.1, 0.4])
    parts: list[str] = []
    while len(parts) < size // 4:
        if rng.random() < often:
            parts += rng.choices(ODD, k=rng.choice([1, 1, 2, 5, 40]))
        else:
            parts += [rng.choice(found), rng.choice([" ", " ", " ", "", "\n"])]
    return "".join(parts)


def odd_bytes(seed: int, size: int) -> bytes:
    """The same with bytes that are not valid UTF-8."""
    rng = random.Random(seed)
    data = bytearray(odd(seed, size).encode())
    for _ in range(rng.choice([1, 20, 200])):
        data[rng.randrange(len(data))] = rng.choice([0xFF, 0x80, 0xC3, 0xE2, 0xF0, 0xF5, 0x20, 0])
    return bytes(data)


def shares_little(tokenizer: Tokenizer, bytes_a_thread: int = 64) -> Tokenizer:
    tokenizer._encoder.share_work(bytes_a_thread)
    return tokenizer


def assert_equal(batch: Batch, expected: Batch, name: object) -> None:
    assert np.array_equal(batch.ids, expected.ids), name
    assert np.array_equal(batch.offsets, expected.offsets), name
    assert (batch.spans is None) == (expected.spans is None)
    if expected.spans is not None:
        assert np.array_equal(batch.spans, expected.spans), name
    if expected.log_probs is not None:
        assert np.allclose(batch.log_probs, expected.log_probs, rtol=1e-13), name


def assert_same_at_any_count(
    tokenizer: Tokenizer, texts: Sequence[str | bytes], threads: Sequence[int] = (2, 3), with_samples: bool = True
) -> None:
    calls: dict[str, Callable[[int], Batch]] = {
        "encode": lambda n: tokenizer.encode_batch(texts, num_threads=n),
        "spans": lambda n: tokenizer.encode_batch(texts, num_threads=n, with_offsets=True),
    }
    samples: dict[str, Callable[[int], Batch]] = {
        "sample": lambda n: tokenizer.sample_batch(texts, num_threads=n, alpha=0.3, seed=7, n=2, with_offsets=True),
        "log_probs": lambda n: tokenizer.sample_batch(texts, num_threads=n, alpha=0.9, seed=8, with_log_probs=True),
        "original": lambda n: tokenizer.sample_batch(
            texts, num_threads=n, alpha=0.3, seed=9, algorithm="viterbi_sampling", draw=3
        ),
    }
    for name, call in (calls | samples if with_samples else calls).items():
        expected = call(1)
        for count in threads:
            assert_equal(call(count), expected, (name, count))


@pytest.mark.parametrize("kind", KINDS)
def test_generated_texts_in_short_parts(kind: str) -> None:
    """Every kind of model: all that a normalizer does near a border."""
    tokenizer = shares_little(Tokenizer.from_bytes(KINDS[kind]()))
    with_samples = kind != "no normal piece"  # which has a score that no alpha goes with
    for size in (200, 3000):
        seed = size + len(kind)
        assert_same_at_any_count(tokenizer, [odd(seed, size)], with_samples=with_samples)
        assert_same_at_any_count(tokenizer, [odd_bytes(seed, size)], with_samples=with_samples)


def greater_scores(model: Any) -> None:
    """Scores so great that sums are rebased after every few tokens."""
    for piece in model.pieces[3:]:
        piece.score *= 800


TEXTS = {
    "prose": lambda: PROSE * (30_000 // len(PROSE)),
    "shuffled": lambda: shuffled(1, 60_000),
    "new words": lambda: " ".join(words(5_000, 7)),
    "no cut": lambda: "a" * 20_000,
    "spaces": lambda: " " * 20_000,
    "unknown": lambda: "\u4e00\u4e8c" * 10_000,
    **{f"mixed {seed}": lambda seed=seed: mixed(seed, 30_000) for seed in range(3)},
}
MODELS = {
    "plain": train,
    "near ties": lambda: near_ties(1e-3),
    "nearer ties": lambda: near_ties(1e-6),
    "great scores": lambda: edited(train(), greater_scores),
    "byte fallback": lambda: train(byte_fallback=True, vocab_size=1000),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_same_path_at_every_number_of_threads(model: str) -> None:
    tokenizer, processor = both(MODELS[model]())
    shares_little(tokenizer, 1000)
    for name, text in TEXTS.items():
        given = text()
        expected = tokenizer.encode_batch([given], num_threads=1, with_offsets=True)
        assert expected.ids.tolist() == processor.encode(given), name
        for threads in (2, 5):
            batch = tokenizer.encode_batch([given], num_threads=threads)
            assert np.array_equal(batch.ids, expected.ids), (name, threads)
            assert batch.offsets.tolist() == [0, len(expected.ids)]
        assert_equal(tokenizer.encode_batch([given], num_threads=3, with_offsets=True), expected, name)
        ends = tokenizer.encode_batch([given], num_threads=2, add_bos=True, add_eos=True)
        assert ends.ids.tolist() == [processor.bos_id(), *expected.ids.tolist(), processor.eos_id()]


def test_long_sums() -> None:
    """Texts of the length that is divided without being asked to: sums grow up to many rebases."""
    tokenizer, processor = both(near_ties(1e-5))
    for text in (shuffled(2, 1_000_000), mixed(5, 1_000_000)):
        batch = tokenizer.encode_batch([text], num_threads=2)
        assert np.array_equal(batch.ids, processor.encode(text, return_type="numpy"))


def test_the_score_before_a_part_decides_something() -> None:
    """The mutant: parts that begin with a score of 0 are not those of the whole text."""
    tokenizer, _ = both(near_ties(1e-5))
    text = shuffled(2, 1_200_000)
    middle = text.index(" ", len(text) // 2)
    apart = np.concatenate([tokenizer.encode_batch([part]).ids for part in (text[:middle], text[middle + 1 :])])
    whole = tokenizer.encode_batch([text], num_threads=2).ids
    assert np.array_equal(whole, tokenizer.encode_batch([text], num_threads=1).ids)
    assert not np.array_equal(whole, apart)


@pytest.mark.parametrize("directly", [False, True])
def test_samples_do_not_depend_on_the_number_of_threads(directly: bool) -> None:
    """Draw by draw, with all algorithms, with words kept and without."""
    tokenizer = shares_little(Tokenizer.from_bytes(train()), 500)
    tokenizer._encoder.keep_words(not directly)
    texts = [mixed(3, 20_000), "a" * 3000 + " " + shuffled(3, 5000)]
    for algorithm in ("perfect", "viterbi_sampling", "ffbs"):
        for alpha in (0.05, 1.0):
            options: dict[str, Any] = {"alpha": alpha, "algorithm": algorithm, "seed": 11, "n": 3, "with_offsets": True}
            expected = tokenizer.sample_batch(texts, num_threads=1, **options)
            for threads in (2, 5):
                assert_equal(
                    tokenizer.sample_batch(texts, num_threads=threads, **options), expected, (algorithm, alpha)
                )
    assert len({tuple(row) for row in expected.to_list()}) == 6


@pytest.mark.parametrize("algorithm", ["perfect", "viterbi_sampling", "ffbs", "nbest"])
def test_many_draws_of_a_short_text(algorithm: str) -> None:
    tokenizer = shares_little(Tokenizer.from_bytes(train()), 200)
    options: dict[str, Any] = {"alpha": 0.3, "algorithm": algorithm, "seed": 2, "draw": 5, "with_log_probs": True}
    if algorithm == "nbest":
        options["nbest_size"] = 5
    if algorithm == "viterbi_sampling":
        del options["with_log_probs"]
    for texts in (["the river was high \u4e00"], ["a", "the river " * 8, ""]):
        expected = tokenizer.sample_batch(texts, n=60, num_threads=1, with_offsets=True, **options)
        for threads in (2, 5):
            batch = tokenizer.sample_batch(texts, n=60, num_threads=threads, with_offsets=True, **options)
            assert_equal(batch, expected, (texts, threads))


def test_one_long_row_among_short_ones() -> None:
    tokenizer = shares_little(Tokenizer.from_bytes(train(byte_fallback=True)), 300)
    rows = [*shuffled(4, 3000).split(), mixed(6, 20_000), "", *shuffled(5, 3000).split(), mixed(7, 9_000)]
    for texts in (rows, [row.encode() for row in rows]):
        assert_same_at_any_count(tokenizer, texts)


def test_models_of_bytes() -> None:
    """BytePiece: sums begin anew after newlines, NFC joins characters, pieces end inside them."""
    rng = random.Random(1)
    counts = {
        text.encode()[begin:end]: rng.randint(1, 1000)
        for text in ("the river", " of", "\u5ddd\u4e00\u4e8c", "\n\n", "e\u0301", "ab\ncd")
        for begin in range(len(text.encode()))
        for end in range(begin + 2, len(text.encode()) + 1)
    }
    tokenizer = shares_little(Tokenizer.from_bytes(model_file(counts)))
    for seed in range(3):
        assert_same_at_any_count(tokenizer, [odd(seed, 2000), odd_bytes(seed, 2000), "the river" * 200], threads=(3,))


REAL = [
    ("sentencepiece/t5_base_32k.model", "en_classics.md.txt.xz"),
    ("sentencepiece/nai_t5_32k_extra_ids.model", "adversarial_kitoken_mixed_input.txt"),
    ("sentencepiece/xlmr_250k_rebuilt.model", "zh_four_novels.txt.xz"),
    ("sentencepiece/llmjp_v3.1_98k.model", "ja_wagahaiwa_nekodearu.txt.xz"),
    ("sentencepiece/dzongkha_32k_bytefallback.model", "udhr.tsv.xz"),
    ("sentencepiece/fastai_ar_15k_userdef_unk9.model", "udhr.tsv.xz"),
    ("tokenizers/t5_small_32k.tokenizer.json", "en_classics.md.txt.xz"),
    ("tokenizers/mon_64k_bytefallback.tokenizer.json", "udhr.tsv.xz"),
    ("tokenizers/pegasus_96k.tokenizer.json", "en_classics.md.txt.xz"),
    ("bytepiece/bytepiece_80k.zip", "zh_four_novels.txt.xz"),
]


def read(file: Path, size: int) -> str:
    import lzma

    with lzma.open(file) if file.suffix == ".xz" else file.open("rb") as lines:
        return lines.read(size).decode("utf-8", "ignore")


@pytest.mark.shared
@pytest.mark.parametrize(("model", "corpus"), REAL, ids=lambda name: name.split("/")[-1].split(".")[0])
def test_real_models(model: str, corpus: str) -> None:
    tokenizer = shares_little(Tokenizer.from_file(SHARED / "models" / model), 2000)
    text = read(SHARED / "corpora" / corpus, 60_000)
    assert_same_at_any_count(tokenizer, [text], threads=(2, 5))


@pytest.mark.parametrize("algorithm", ["viterbi", "perfect", "viterbi_sampling"])
def test_an_error_is_that_of_one_thread(algorithm: str) -> None:
    tokenizer = shares_little(Tokenizer.from_pieces({"a": -1.0, "b": -2.0, " ": -1.0}), 100)
    calls: dict[str, Callable[[str, int], Batch]] = {
        "viterbi": lambda text, n: tokenizer.encode_batch(["a", text, text], num_threads=n)
    }
    call = calls.get(
        algorithm,
        lambda text, n: tokenizer.sample_batch(["a", text, text], alpha=1, algorithm=algorithm, num_threads=n),
    )
    for text in ("ab " * 500 + "c" + " ab" * 500, "ab " * 1000 + "c", "c" + " ab" * 1000):
        for threads in (1, 3):
            with pytest.raises(ValueError, match="row 1 of texts has no segmentation"):
                call(text, threads)
