"""Encoding and decoding are sentencepiece's, on models of every kind and on texts that nobody would write."""

from __future__ import annotations

from functools import cache

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from models import KINDS
from peer import assert_same, assert_same_ids, both

from viterbi_sampling import Tokenizer

Pair = tuple[Tokenizer, sentencepiece.SentencePieceProcessor]


@cache
def pair_of(kind: str) -> Pair:
    return both(KINDS[kind]())


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return pair_of(request.param)


def test_sample_texts(pair: Pair, sample_lines: list[str]) -> None:
    assert_same(*pair, sample_lines)
    assert_same(*pair, [line.encode() for line in sample_lines])


def test_vocabulary(pair: Pair) -> None:
    tokenizer, processor = pair
    assert len(tokenizer) == processor.vocab_size()
    for id in range(len(tokenizer)):
        assert tokenizer.id_to_piece(id) == processor.id_to_piece(id)
        assert tokenizer.score(id) == processor.get_score(id)
        if tokenizer.id_to_piece(id) != "\0":
            assert tokenizer.piece_to_id(tokenizer.id_to_piece(id)) == processor.piece_to_id(processor.id_to_piece(id))
    for name in ("unk_id", "bos_id", "eos_id", "pad_id"):
        ours = getattr(tokenizer, name)
        assert (-1 if ours is None else ours) == getattr(processor, name)()


def test_bos_and_eos(pair: Pair) -> None:
    tokenizer, processor = pair
    for bos, eos in [(True, False), (False, True), (True, True)]:
        if (bos and tokenizer.bos_id is None) or (eos and tokenizer.eos_id is None):
            with pytest.raises(ValueError, match="control piece"):
                tokenizer.encode("the river", add_bos=bos, add_eos=eos)
        else:
            expected = processor.encode("the river", add_bos=bos, add_eos=eos)
            assert tokenizer.encode("the river", add_bos=bos, add_eos=eos) == expected
            assert tokenizer.encode_batch(["the river"], add_bos=bos, add_eos=eos).to_list() == [expected]


ALPHABET = st.one_of(
    st.sampled_from(" \u2581\u3000\t\n\0\u00a0\u200b\u00ad\ufffd"),
    st.sampled_from("aeiorthnsuv.,<>x/"),
    st.sampled_from("A\u0300\u0301\u3099が川河的。ﬁｆ①㍿한글\u1100\u1161"),
    st.characters(exclude_categories=["Cs"]),
)
WORDS = st.sampled_from(["the", "river", "er", "<x>", "ab cd", " the ", "<s>", "</s>", "<unk>", "<0x41>", "川", "  "])
TEXTS = st.lists(st.one_of(ALPHABET, ALPHABET, WORDS), max_size=30).map("".join)


@settings(max_examples=60)
@given(texts=st.lists(TEXTS, min_size=5, max_size=20))
@pytest.mark.parametrize("kind", KINDS)
def test_generated_texts(kind: str, texts: list[str]) -> None:
    assert_same(*pair_of(kind), texts)


@settings(max_examples=30)
@given(texts=st.lists(st.one_of(st.binary(max_size=24), TEXTS.map(lambda t: t.encode()[1:])), min_size=5, max_size=20))
@pytest.mark.parametrize("kind", KINDS)
def test_generated_bytes(kind: str, texts: list[bytes]) -> None:
    """Most of these are not valid UTF-8."""
    assert_same(*pair_of(kind), texts)


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_decoding_any_ids(kind: str, data: st.DataObject) -> None:
    tokenizer, processor = pair_of(kind)
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=20))
    special = data.draw(st.lists(st.integers(0, min(270, len(tokenizer) - 1)), max_size=12))
    for row in (ids, special, special + ids):
        assert tokenizer.decode(row) == processor.decode(row)


@pytest.mark.parametrize("kind", ["nmt_nfkc", "byte fallback", "all scores tie", "huge scores", "pieces cross spaces"])
def test_long_line(kind: str, sample_lines: list[str]) -> None:
    """Sums far from zero, where float32 rounds to quarters, and across the rebase at 100,000."""
    assert_same_ids(*pair_of(kind), [" ".join(sample_lines) * 600, "ab" * 200_000, "the" * 100_000, "☃" * 100_000])


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_any_number_of_threads(sample_lines: list[str], threads: int) -> None:
    tokenizer, processor = pair_of("nmt_nfkc")
    lines = sample_lines * 200
    batch = tokenizer.encode_batch(lines, num_threads=threads)
    assert batch.to_list() == processor.encode(lines)
    spans = tokenizer.encode_batch(lines, num_threads=threads, with_offsets=True).spans
    assert spans is not None
    assert spans.tolist() == [
        [a, b] for m in processor.encode(lines, return_type="offset_mapping") for a, b in m["offsets"]
    ]
