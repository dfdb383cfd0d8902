"""One long text divided among threads: the path is that of one thread, and sentencepiece's."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from conftest import SAMPLES, train
from models import edited
from peer import both
from test_words import near_ties, words

PROSE = (SAMPLES / "prose.txt").read_text(encoding="utf-8")


def shuffled(seed: int, size: int) -> str:
    """About so many characters of words of the samples, in a new order."""
    rng, found = random.Random(seed), PROSE.split()
    return " ".join(rng.choices(found, k=size // 6))


def mixed(seed: int) -> str:
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
    while sum(map(len, parts)) < 600_000:
        parts.append(rng.choices(makers, weights=[6, 2, 1, 1, 1])[0]())
    return rng.choice([" ", ""]).join(parts)


def greater_scores(model: object) -> None:
    """Scores so great that sums are rebased after every few tokens."""
    for piece in model.pieces[3:]:  # type: ignore[attr-defined]
        piece.score *= 800


TEXTS = {
    "prose": lambda: PROSE * (1_000_000 // len(PROSE)),
    "shuffled": lambda: shuffled(1, 1_000_000),
    "new words": lambda: " ".join(words(60_000, 7)),
    "no cut": lambda: "a" * 700_000,
    "spaces": lambda: " " * 700_000,
    "unknown": lambda: "\u4e00\u4e8c" * 200_000,
    **{f"mixed {seed}": lambda seed=seed: mixed(seed) for seed in range(2)},
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
    for name, text in TEXTS.items():
        given = text()
        expected = tokenizer.encode_batch([given], num_threads=1, with_offsets=True)
        assert expected.ids.tolist() == processor.encode(given), name
        for threads in (2, 5):
            batch = tokenizer.encode_batch([given], num_threads=threads)
            assert np.array_equal(batch.ids, expected.ids), (name, threads)
            assert batch.offsets.tolist() == [0, len(expected.ids)]
        spans = tokenizer.encode_batch([given], num_threads=3, with_offsets=True).spans
        assert np.array_equal(spans, expected.spans), name
        ends = tokenizer.encode_batch([given], num_threads=2, add_bos=True, add_eos=True)
        assert ends.ids.tolist() == [processor.bos_id(), *expected.ids.tolist(), processor.eos_id()]


def test_the_score_before_a_part_decides_something() -> None:
    """The mutant: parts that begin with a score of 0 are not those of the whole text."""
    tokenizer, _ = both(near_ties(1e-5))
    text = shuffled(2, 1_200_000)
    middle = text.index(" ", len(text) // 2)
    apart = np.concatenate([tokenizer.encode_batch([part]).ids for part in (text[:middle], text[middle + 1 :])])
    whole = tokenizer.encode_batch([text], num_threads=2).ids
    assert np.array_equal(whole, tokenizer.encode_batch([text], num_threads=1).ids)
    assert not np.array_equal(whole, apart)
