"""The samplers: the reference's choices from the same uniforms, and what a sample may depend on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from conftest import train
from hypothesis import given
from hypothesis import strategies as st

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref
from viterbi_sampling.engine import stream
from viterbi_sampling.model import PieceType

SAMPLERS: dict[str, Callable[..., ref.Path]] = {
    "perfect": partial(ref.perfect, few=ref.FEW),
    "ffbs": partial(ref.ffbs, few=ref.FEW),
    "viterbi_sampling": ref.viterbi_sampling,
}
ALPHAS = [0.0, 0.1, 0.5, 1.0, 2.0]


class Oracle:
    """What the reference says about a tokenizer's model: its lattice, and the ids of a path."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        model = tokenizer._model
        matched = np.isin(model.pieces.types, (PieceType.NORMAL, PieceType.USER_DEFINED))
        self.pieces = {}
        for id in np.flatnonzero(matched).tolist():
            piece = model.pieces[id]
            defined = model.pieces.types[id] == PieceType.USER_DEFINED
            # sentencepiece's GetUserDefinedScore, of the length in characters when it samples
            score = float(np.float32(0.1 * (len(piece) - 1))) if defined else float(model.pieces.scores[id])
            self.pieces[piece] = (id, score)
        self.unknown = len(tokenizer)
        score = model.unknown_score
        self.unknown_edge = None if score is None else (self.unknown, score)
        self.byte_ids = model.byte_pieces().tolist() if model.byte_fallback else None

    def edges(self, text: str) -> list[ref.Edge]:
        return ref.lattice(text, self.pieces, self.unknown_edge)

    def ids(self, path: ref.Path, text: str) -> list[int]:
        unk = -1 if self.tokenizer.unk_id is None else self.tokenizer.unk_id
        return ref.spell(path, text, self.unknown, unk, self.byte_ids)

    def sample(self, text: str, algorithm: str, alpha: float, seed: int, index: int, draw: int = 0) -> list[int]:
        """The reference's sample of `text`, fed with the uniforms of the engine's stream."""
        normalized = self.tokenizer.normalize(text)
        edges = self.edges(normalized)
        uniforms = iter(stream.uniforms(seed, index, draw, len(edges) + 1))
        return self.ids(SAMPLERS[algorithm](edges, len(normalized), alpha, uniforms), normalized)


@pytest.fixture(scope="module")
def tokenizers() -> list[Tokenizer]:
    return [
        Tokenizer.default(),
        Tokenizer.from_bytes(train()),
        Tokenizer.from_bytes(train(byte_fallback=True, user_defined_symbols=["river", "er", "<x>"])),
        Tokenizer.from_bytes(train(user_defined_symbols=["th", "the", "川"], split_by_whitespace=False)),
    ]


@pytest.mark.parametrize("algorithm", SAMPLERS)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_same_choices_as_the_reference(
    tokenizers: list[Tokenizer], sample_lines: list[str], algorithm: str, alpha: float
) -> None:
    for tokenizer in tokenizers:
        oracle = Oracle(tokenizer)
        for i, line in enumerate(sample_lines):
            actual = tokenizer.sample(line, alpha=alpha, algorithm=algorithm, seed=9, index=i)
            assert actual == oracle.sample(line, algorithm, alpha, 9, i), line


PIECES = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.floats(-30, 3), max_size=10)


@given(PIECES, st.text("abcd", max_size=30), st.sampled_from([*ALPHAS, 20.0]), st.sampled_from([*SAMPLERS]))
def test_same_choices_on_generated_vocabularies(
    pieces: dict[str, float], text: str, alpha: float, algorithm: str
) -> None:
    tokenizer = Tokenizer.from_pieces({"a": -2.0} | pieces, unk_score=-12.0)
    oracle = Oracle(tokenizer)
    for index in range(3):
        actual = tokenizer.sample(text, alpha=alpha, algorithm=algorithm, seed=1, index=index)
        assert actual == oracle.sample(text, algorithm, alpha, 1, index)


@pytest.mark.parametrize("algorithm", SAMPLERS)
def test_same_choices_in_a_part_of_many_edges(algorithm: str) -> None:
    """More than are held at a time: what a later end needs is kept, and no uniform is taken twice or left out."""
    pieces = {"a" * size: -1.3 * size - (7 * size % 5) / 3 for size in range(1, 9)} | {
        "b": -1.5,
        "bbb": -2.0,
        "aab": -3.5,
    }
    tokenizer = Tokenizer.from_pieces(pieces)
    oracle = Oracle(tokenizer)
    text = "a" * 1500 + "aab" * 150 + "b" * 20 + "a" * 700
    assert len(oracle.edges(text)) > 3 * 4096
    for alpha in (0.3, 0.5):  # of others the sums of the reference leave the doubles
        actual = tokenizer.sample(text, alpha=alpha, algorithm=algorithm, seed=4)
        assert actual == oracle.sample(text, algorithm, alpha, 4, 0)


@given(PIECES, st.text("abcd", max_size=30))
def test_viterbi_is_the_reference(pieces: dict[str, float], text: str) -> None:
    tokenizer = Tokenizer.from_pieces({"a": -2.0} | pieces, unk_score=-12.0)
    oracle = Oracle(tokenizer)
    assert tokenizer.encode(text) == oracle.ids(ref.viterbi(oracle.edges(text), len(text)), text)


def test_viterbi_is_the_reference_on_real_models(tokenizers: list[Tokenizer], sample_lines: list[str]) -> None:
    for tokenizer in tokenizers:
        oracle = Oracle(tokenizer)
        pieces = dict(oracle.pieces)
        for piece, (id, _) in oracle.pieces.items():
            if tokenizer._model.pieces.types[id] == PieceType.USER_DEFINED:
                # when it decodes, sentencepiece takes the length in bytes
                pieces[piece] = (id, float(np.float32(0.1 * (len(piece.encode()) - 1))))
        for line in sample_lines:
            text = tokenizer.normalize(line)
            path = ref.viterbi(ref.lattice(text, pieces, oracle.unknown_edge), len(text), single_precision=True)
            assert tokenizer.encode(line) == oracle.ids(path, text)


# -- laws that are known exactly ---------------------------------------------------------------------

THREE = {"abc": -3.0, "bc": -2.0, "c": -1.0, "a": -1.0, "b": -1.0}
MIXED = {"a": -1.2, "b": -1.9, "c": -2.3, "ab": -2.4, "bc": -3.0, "abc": -4.2, "ca": -2.2, "cab": -3.9}


def law_of(sampler: str, edges: list[ref.Edge], size: int, alpha: float) -> dict[tuple[int, ...], float]:
    """The exact law; of the biased sampler by following both outcomes of each of its coins."""
    if sampler != "viterbi_sampling":
        return {tuple(e.token for e in path): p for path, p in ref.law(edges, size, alpha)}
    states: list[tuple[float, dict[int, tuple[float, tuple[int, ...]]]]] = [(1.0, {0: (0.0, ())})]
    for edge in edges:
        after = []
        for probability, kept in states:
            score, path = kept[edge.start][0] + edge.score, (*kept[edge.start][1], edge.token)
            coin = 1.0 if edge.end not in kept else ref.sigmoid(alpha * (score - kept[edge.end][0]))
            after.append((probability * coin, kept | {edge.end: (score, path)}))
            if coin < 1.0:
                after.append((probability * (1 - coin), kept))
        states = after
    law: dict[tuple[int, ...], float] = {}
    for probability, kept in states:
        law[kept[size][1]] = law.get(kept[size][1], 0.0) + probability
    return law


# -- extremes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_large_alpha_is_the_best_path(bundled: Tokenizer, sample_lines: list[str], sampler: str) -> None:
    for line in sample_lines:
        sampled = bundled.sample(line, alpha=1e6, algorithm=sampler, seed=1)
        score = sum(bundled.score(i) for i in sampled)
        best = sum(bundled.score(i) for i in bundled.encode(line))
        if bundled.unk_id not in sampled and not any(bundled.id_to_piece(i).startswith("<0x") for i in sampled):
            assert score == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("sampler", ["perfect", "ffbs"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 40.0, 1000.0])
def test_weights_far_apart_keep_their_law(sampler: str, alpha: float) -> None:
    """Scores whose weights leave the doubles: what is left is the choice that still has weight."""
    pieces = {"a": -1000.0, "b": -2000.0, "ab": -3000.0 + math.log(2) / max(alpha, 1e-9), "c": 500.0}
    pieces["ab"] = -3000.0 if alpha == 0 else pieces["ab"]
    tokenizer = Tokenizer.from_pieces(pieces)
    text = "abc" * 400
    batch = tokenizer.sample_batch([text] * 50, alpha=alpha, algorithm=sampler, seed=3)
    joined = int((batch.ids == 2).sum())
    expected = 20_000 * (1 / 2 if alpha == 0 else 2 / 3)
    assert abs(joined - expected) < 6 * math.sqrt(20_000 / 4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_long_word(sampler: str) -> None:
    """No cut anywhere in 300,000 characters: sums are rescaled on the way, and the mean length is the exact one."""
    tokenizer = Tokenizer.from_pieces({"a": -50.0, "aa": -100.0})
    ids = tokenizer.sample("a" * 300_000, alpha=1.0, algorithm=sampler, seed=4)
    assert sum(1 + id for id in ids) == 300_000
    if sampler != "viterbi_sampling":
        # Uniform over tilings by 1 and 2: the share of singles among the pieces tends to 1/phi.
        assert ids.count(0) / len(ids) == pytest.approx((math.sqrt(5) - 1) / 2, abs=0.01)


# -- what a sample depends on ------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_row_of_a_batch_is_the_single_call(
    bundled: Tokenizer, sample_lines: list[str], sampler: str, threads: int
) -> None:
    lines = sample_lines * 60
    batch = bundled.sample_batch(lines, alpha=0.3, algorithm=sampler, n=3, seed=77, index=10, num_threads=threads)
    assert len(batch) == 3 * len(lines)
    for i in range(0, len(lines), 41):
        for j in range(3):
            single = bundled.sample(lines[i], alpha=0.3, algorithm=sampler, seed=77, index=10 + i, draw=j)
            assert batch[3 * i + j].tolist() == single
        offsets = bundled.sample_with_offsets(lines[i], alpha=0.3, algorithm=sampler, seed=77, index=10 + i)
        assert offsets.ids == batch[3 * i].tolist()


def test_index_array_and_order(bundled: Tokenizer, sample_lines: list[str]) -> None:
    keys = np.array([(i * 7919) % 2**40 for i in range(len(sample_lines))], np.uint64) + np.uint64(2**63)
    batch = bundled.sample_batch(sample_lines, alpha=0.1, seed=5, index=keys)
    backwards = bundled.sample_batch(sample_lines[::-1], alpha=0.1, seed=5, index=keys[::-1])
    assert batch.to_list() == backwards.to_list()[::-1]
    assert batch[3].tolist() == bundled.sample(sample_lines[3], alpha=0.1, seed=5, index=int(keys[3]))


def test_the_last_index_is_followed_by_the_first(bundled: Tokenizer) -> None:
    batch = bundled.sample_batch(["international headquarters"] * 2, alpha=0.1, seed=5, index=2**64 - 1)
    assert batch[1].tolist() == bundled.sample("international headquarters", alpha=0.1, seed=5, index=0)


def test_seeds(bundled: Tokenizer) -> None:
    text = "Unbelievably, the reorganization of the international headquarters"

    def samples(**options: object) -> list[list[int]]:
        return bundled.sample_batch([text] * 20, alpha=0.1, **options).to_list()  # type: ignore[arg-type]

    assert samples(seed=1) == samples(seed=1)
    assert samples(seed=1) != samples(seed=2)
    assert samples() != samples()
    assert samples(seed=np.random.default_rng(3)) == samples(seed=np.random.default_rng(3))
    generator = np.random.default_rng(3)
    assert samples(seed=generator) != samples(seed=generator)
    assert len({tuple(ids) for ids in samples(seed=1)}) == 20


def test_neighbouring_streams_differ(bundled: Tokenizer) -> None:
    """No two of (seed, index, draw) around the borders of 32 and 64 bits share their samples."""
    text = "Unbelievably, the reorganization of the international headquarters took thirteen years!"
    words = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**64 - 2, 2**64 - 1]
    samples = {
        (seed, index, draw): tuple(bundled.sample(text, alpha=0.0, seed=seed, index=index, draw=draw))
        for seed in words
        for index in words
        for draw in words[:4]
    }
    assert len(set(samples.values())) == len(samples)


def test_golden_samples() -> None:
    """The same on every platform; where they change, the changelog says so."""
    tokenizer = Tokenizer.from_pieces(MIXED)
    assert set(GOLDEN) == set(SAMPLERS)
    for sampler, expected in GOLDEN.items():
        assert tokenizer.sample_batch(["abcabcabc"] * 4, alpha=0.5, algorithm=sampler, seed=42).to_list() == expected


GOLDEN = {
    "perfect": [[3, 7, 7, 2], [0, 1, 6, 1, 2, 3, 2], [3, 7, 2, 5], [0, 4, 0, 4, 0, 1, 2]],
    "ffbs": [[5, 5, 0, 4], [5, 0, 1, 6, 1, 2], [3, 7, 2, 0, 4], [5, 3, 2, 0, 4]],
    "viterbi_sampling": [[3, 6, 1, 6, 4], [0, 4, 3, 2, 5], [3, 7, 6, 4], [3, 6, 1, 2, 5]],
}
