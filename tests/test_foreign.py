"""Foreign characters, those that no piece holds: a run of them is passed over as one word, which changes no result."""

from __future__ import annotations

import random
from itertools import groupby

import numpy as np
import pytest
from conftest import SAMPLES, train
from hypothesis import given
from hypothesis import strategies as st
from models import KINDS
from peer import assert_same, assert_same_ids, both
from test_divided import shares_little
from test_huggingface import SMALL, check, small
from test_words import ALGORITHMS, cuts_of, near_ties

from viterbi_sampling import Tokenizer

PROSE = (SAMPLES / "prose.txt").read_text(encoding="utf-8").split()
FOREIGN = "\u0436\u05d0\u5ddd\u6c34\u3042\uac00\U0001f600\U00020000\U0010ffff"
"""Of two, three and four bytes. The first, and a user-defined piece of some of the models: \u5ddd."""


def texts(seed: int, count: int = 40, known: list[str] = PROSE) -> list[str]:
    """Runs of foreign characters of all lengths, between what the models know."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        parts: list[str] = []
        for _ in range(rng.choice([1, 5, 60])):
            alphabet = rng.choice([FOREIGN, *FOREIGN])
            parts += rng.choices(alphabet, k=rng.choice([1, 2, 3, 10, 22, 100]))
            parts += rng.choices([*known, " ", ",", ", "], k=rng.choice([0, 1, 1, 30]))
        made.append("".join(parts))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(kind: str) -> None:
    tokenizer, processor = both(KINDS[kind]())
    assert_same(tokenizer, processor, texts(1) + texts(2))


@pytest.mark.parametrize("gap", [0.0, 1e-5, 1e-3])
def test_the_sum_that_a_run_leaves(gap: float) -> None:
    """Rebases inside of runs, and words behind them whose paths are so close that the rounding of the sum decides."""
    tokenizer, processor = both(near_ties(gap))
    runs = [length * character for length in (100, 3000, 30_000) for character in "\u6c34\u0436\U0001f600"]
    words = " ".join(PROSE)
    assert_same_ids(tokenizer, processor, [words.join(["", *runs, ""]), *texts(3), words.join(runs * 2)])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("byte_fallback", [False, True])
def test_samples(algorithm: str, byte_fallback: bool) -> None:
    """The uniforms are used as they are without the cache, where each character is a part of its own."""
    data = train(byte_fallback=byte_fallback)
    keeping, plain = Tokenizer.from_bytes(data), Tokenizer.from_bytes(data)
    plain._encoder.keep_words(False)
    lines = texts(4)
    for seed in (1, 2):
        options = {"alpha": 0.3, "seed": seed, "algorithm": algorithm, "with_offsets": True}
        expected, found = plain.sample_batch(lines, **options), keeping.sample_batch(lines, **options)  # type: ignore[arg-type]
        assert found == expected
        assert found.spans is not None
        np.testing.assert_array_equal(found.spans, expected.spans)


def test_log_probabilities() -> None:
    """A run has one path: it adds nothing."""
    tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -2.0, "ab": -2.5}, unk_score=-20.0)
    text = "".join(f"ab{n * character}" for n in (1, 5, 40) for character in FOREIGN) * 5
    batch = tokenizer.sample_batch([text] * 3, alpha=0.7, seed=1, with_log_probs=True)
    assert batch.log_probs is not None
    for ids, log_prob in zip(batch.to_list(), batch.log_probs.tolist(), strict=True):
        assert log_prob == pytest.approx(tokenizer.log_prob(text, ids, alpha=0.7), abs=1e-9)


def test_one_text_among_threads() -> None:
    for byte_fallback in (False, True):
        data = train(byte_fallback=byte_fallback)
        alone, tokenizer = Tokenizer.from_bytes(data), shares_little(Tokenizer.from_bytes(data))
        for seed in range(6):
            text = " ".join(texts(seed, 20))
            assert tokenizer.encode_batch([text], num_threads=2) == alone.encode_batch([text], num_threads=1)
            options = {"alpha": 0.3, "seed": 1}
            expected = alone.sample_batch([text], num_threads=1, **options)  # type: ignore[arg-type]
            assert tokenizer.sample_batch([text], num_threads=2, **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parts",
    [{}, {"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}}],
)
@pytest.mark.parametrize("byte_fallback", [False, True])
def test_runs_in_tokenizers(parts: dict[str, object], byte_fallback: bool) -> None:
    """There the unknown piece spelled out joins them, and a space may end them."""
    vocabulary = [*SMALL["model"]["vocab"]]
    if byte_fallback:
        vocabulary += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
    model = SMALL["model"] | {"vocab": vocabulary, "byte_fallback": byte_fallback}
    known = ["a", "ab", " ", "  ", "<unk>", "c", "\u2581"]
    check(small(model=model, **parts), texts(5, known=known) + texts(6, known=known))


def test_without_an_unknown_edge() -> None:
    tokenizer = Tokenizer.from_pieces({"a": -1.0})
    for text in ("\u6c34" * 2, "\u6c34" * 100, "a" * 100 + "\u6c34" * 100 + "a"):
        with pytest.raises(ValueError, match="no segmentation"):
            tokenizer.encode(text)
        with pytest.raises(ValueError, match="no segmentation"):
            tokenizer.sample(text, alpha=0.5)


@given(
    st.dictionaries(st.text("ab\u00e9\u5ddd\U0001f600 ", min_size=1, max_size=4), st.just(0.0), min_size=1),
    st.text("abc\u00e9\u00ea\u5ddd\u6c34\U0001f600\U00020000 ", max_size=40),
)
def test_a_run_is_one_word(pieces: dict[str, float], text: str) -> None:
    """From its first to its last character, all of one length in bytes."""
    bounds = {0, *cuts_of(pieces).split(text.encode())}
    at = 0
    for length, run in groupby(
        text, lambda c: 0 if c.isascii() or any(c in piece for piece in pieces) else len(c.encode())
    ):
        size = len("".join(run).encode())
        if length:
            assert bounds & set(range(at, at + size + 1)) == {at, at + size}
        at += size
