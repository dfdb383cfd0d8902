"""Matching many positions at once and the sweeps over their edges, against the lattice that is built edge by edge.

A BytePiece model that lacks a byte, here one that no text holds, is not complete and takes the way of all other models.
"""

from __future__ import annotations

import json
import random
from base64 import b64decode, b64encode

import numpy as np
import pytest
from bytepieces import expected_ids, model_file, scored
from conftest import SHARED
from hypothesis import given, settings
from hypothesis import strategies as st

from viterbi_sampling import Tokenizer
from viterbi_sampling.engine.driver import segment
from viterbi_sampling.formats import bytepiece
from viterbi_sampling.texts import rows_of

NEVER_MATCHED = b"\na"
ALPHAS = [0.0, 0.1, 1.0, 4.0, 15.0, 60.0]  # sums beyond 2^200; far apart; weights beyond 2^500
PIECES = st.dictionaries(
    st.binary(min_size=1, max_size=5).map(lambda piece: bytes(b"ab\0 \xc3\xa9"[byte % 6] for byte in piece)),
    st.sampled_from([1, 2, 1000, 10**6, 10**9]),
    max_size=16,
)
WORDS = st.lists(st.sampled_from(["a", "b", "ab", "\0", " ", "é", "aaaa", "\n"]), max_size=300).map("".join)


def pair(counts: dict[bytes, int]) -> tuple[Tokenizer, Tokenizer, dict[int, int]]:
    """A model; the same without the byte 0xFF, with the same scores; the id in the second of each id of the first."""
    data = model_file(counts | {NEVER_MATCHED: 5})
    whole = {b64decode(key): entry for key, entry in json.loads(data).items()}
    kept = [piece for piece in whole if piece != b"\xff"]
    entries = {
        b64encode(piece).decode(): [i + 3, "", whole[piece][2] + (piece == NEVER_MATCHED) * whole[b"\xff"][2]]
        for i, piece in enumerate(kept)
    }
    ids = {whole[piece][0]: i + 3 for i, piece in enumerate(kept)}
    return Tokenizer.from_bytes(data), Tokenizer.from_bytes(json.dumps(entries).encode(), format="bytepiece"), ids


def assert_same(complete: Tokenizer, other: Tokenizer, ids: dict[int, int], texts: list[str]) -> None:
    for mine, theirs in zip(complete.encode_batch(texts), other.encode_batch(texts), strict=True):
        assert [ids[id] for id in mine.tolist()] == theirs.tolist()
    for algorithm in ("perfect", "ffbs", "viterbi_sampling"):
        for alpha in ALPHAS:
            batches = [
                side.sample_batch(texts, alpha=alpha, seed=7, algorithm=algorithm, num_threads=1)
                for side in (complete, other)
            ]
            for mine, theirs, text in zip(*batches, texts, strict=True):
                assert [ids[id] for id in mine.tolist()] == theirs.tolist(), (algorithm, alpha, text)


@settings(max_examples=60, deadline=None)
@given(PIECES, st.lists(WORDS, min_size=1, max_size=3))
def test_generated_models(counts: dict[bytes, int], texts: list[str]) -> None:
    complete, other, ids = pair(counts)
    assert_same(complete, other, ids, texts)


def test_pieces_longer_than_a_block() -> None:
    """Edges that end some blocks later, no cut for hundreds of bytes, texts that end at the end of a block."""
    rng = random.Random(4)
    counts = {b"ab" * n: 10**9 // n for n in range(1, 300)} | {b"b" + b"ab" * n: 10**5 for n in (70, 150, 280)}
    complete, other, ids = pair(counts)
    texts = ["ab" * n + "a" * k for n in (1, 63, 64, 65, 128, 700) for k in (0, 1, 2)]
    texts += ["".join(rng.choice(["ab" * rng.randint(1, 90), "b", "\n"]) for _ in range(20)) for _ in range(10)]
    assert_same(complete, other, ids, texts)
    assert complete.encode(texts[-1]) == expected_ids(scored(model_file(counts | {NEVER_MATCHED: 5})), texts[-1])


def test_parts_of_many_blocks() -> None:
    """No cut for thousands of bytes, many pieces at each end, uniforms by the thousand, sums that leave the doubles."""
    rng = random.Random(5)
    counts = {b"ab" * n: 10**9 // n for n in range(1, 60)} | {b"b" + b"ab" * n: 10**5 for n in (1, 7, 100)}
    complete, other, ids = pair(counts)
    texts = ["ab" * n + "a" * k for n in (511, 512, 513, 1500) for k in (0, 1)]
    texts += ["".join(rng.choice(["ab" * rng.randint(1, 900), "b", "\n"]) for _ in range(9)) for _ in range(4)]
    assert_same(complete, other, ids, texts)


def test_parts_beyond_what_is_read_at_once() -> None:
    """A part of more than 2^20 bytes between others."""
    complete, other, ids = pair({b"aa": 10**9, b"\n": 10})
    for side in (complete, other):
        assert len(side.encode("a" * 1_100_000)) == 550_000
    texts = ["b\n" + "a" * 1_100_000 + "b"]
    batches = [side.sample_batch(texts, alpha=0.0, seed=3, num_threads=1) for side in (complete, other)]
    assert [ids[id] for id in batches[0][0].tolist()] == batches[1][0].tolist()


def test_draws_on_borders() -> None:
    """A uniform on the border of two paths, and those next to it: sums in another order cannot tell the paths apart."""
    complete, other, ids = pair({b"ab": 10**6, b"ba": 10**6, b"aba": 10**3, b"abab": 10})
    for text in ("ab", "aba", "ababa", "abababa"):
        count = complete.count_segmentations(text)
        for k in range(count + 1):
            for unit in range(-(-(k << 53) // count) - 2, -(-(k << 53) // count) + 3):
                words = np.array([min(max(unit, 0), 2**53 - 1) << 11], np.uint64)
                found = [
                    segment(side._encoder, rows_of((text,)), "perfect", 0.0, side._encoder.weights(0.0), words=words)[0]
                    for side in (complete, other)
                ]
                assert [ids[id] for id in found[0]] == found[1], (text, k, unit)


@pytest.mark.shared
@pytest.mark.parametrize("file", ["en_botchan.txt", "adversarial_kitoken_mixed_input.txt"])
def test_real_model(file: str) -> None:
    data = bytepiece.unpack((SHARED / "models" / "bytepiece" / "bytepiece_80k.zip").read_bytes())
    counts = {b64decode(key): entry[2] for key, entry in json.loads(data).items()}
    complete, other, ids = pair(counts)
    text = (SHARED / "corpora" / file).read_text("utf-8")[:12_000]
    assert_same(complete, other, ids, [text, *text.split("\n")])
