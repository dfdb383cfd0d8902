"""The bundled model: small, lossless, and like any other to sentencepiece."""

from __future__ import annotations

from importlib import resources

import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from peer import assert_same

from viterbi_sampling import Tokenizer

DATA = resources.files("viterbi_sampling.data").joinpath("default.model").read_bytes()
TOKENIZER = Tokenizer.default()
SPECIAL = st.sampled_from([" ", "  ", "\u2581", "\n", "\t", "\r\n", "\0", "\ufffd", "<unk>", "<0x0A>", "the", "</s>"])
TEXTS = st.lists(st.one_of(st.text(max_size=8), SPECIAL), max_size=20).map("".join)


def test_size() -> None:
    assert len(DATA) <= 1_000_000


@settings(max_examples=1000)
@given(TEXTS)
def test_lossless(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert TOKENIZER.normalize(text) == text
    assert TOKENIZER.decode(TOKENIZER.sample(text, alpha=0.1, seed=1)) == text


def test_lossless_on_every_character() -> None:
    text = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_sample_texts(sample_lines: list[str]) -> None:
    assert_same(TOKENIZER, sentencepiece.SentencePieceProcessor(model_proto=DATA), sample_lines)


@given(st.lists(TEXTS, min_size=1, max_size=10))
def test_generated_texts(texts: list[str]) -> None:
    assert_same(TOKENIZER, sentencepiece.SentencePieceProcessor(model_proto=DATA), texts)
