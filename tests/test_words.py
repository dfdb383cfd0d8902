"""The cache of words: it changes no result, whatever it holds, however full it is, however close a decision."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES, train
from hypothesis import given, settings
from hypothesis import strategies as st
from models import edited
from peer import assert_same_ids, both
from sentencepiece import sentencepiece_model_pb2 as pb

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref
from viterbi_sampling.engine.cuts import Cuts
from viterbi_sampling.engine.workspace import Workspace

ALGORITHMS = ["perfect", "ffbs", "viterbi_sampling"]


def words(count: int, seed: int, letters: str = string.ascii_lowercase) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randint(1, 40))) for _ in range(count)]


def test_cold_warm_and_mixed(bundled: Tokenizer, sample_lines: list[str]) -> None:
    """A tokenizer that has seen much gives what a new one gives."""
    warm = Tokenizer.default()
    for _ in range(3):
        warm.encode_batch(words(2000, 1) + sample_lines)
        warm.sample_batch(words(2000, 2) + sample_lines, alpha=0.3, seed=4)
    for line in sample_lines:
        assert warm.encode(line) == Tokenizer.default().encode(line)
        for algorithm in ALGORITHMS:
            options = {"alpha": 0.3, "seed": 5, "algorithm": algorithm}
            assert warm.sample(line, **options) == bundled.sample(line, **options)  # type: ignore[arg-type]


def test_words_kept_or_not(bundled: Tokenizer, sample_lines: list[str]) -> None:
    """Without the cache, ids and samples are the same."""
    plain = Tokenizer.default()
    plain._encoder.keep_words(False)
    lines = [*sample_lines, *words(200, 3), " ".join(words(300, 4)), "\n".join(sample_lines)]
    assert plain.encode_batch(lines) == bundled.encode_batch(lines)
    for algorithm in ALGORITHMS:
        options = {"alpha": 0.3, "seed": 6, "algorithm": algorithm}
        assert plain.sample_batch(lines, **options) == bundled.sample_batch(lines, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [0, 1 << 20, 3_000_000, 100 << 20])
def test_limited_cache(bundled: Tokenizer, sample_lines: list[str], most: int) -> None:
    """The limit is kept and changes no result."""
    limited = Tokenizer.default()
    limited.encode_batch(sample_lines)
    limited.cache_bytes = most
    assert limited.cache_bytes == most
    lines = [*sample_lines, *(" ".join(words(1000, seed)) for seed in range(30))]
    options = {"alpha": 0.3, "seed": 7}
    for _ in range(2):
        assert limited.encode_batch(lines, num_threads=1) == bundled.encode_batch(lines)
        expected = bundled.sample_batch(lines, **options)  # type: ignore[arg-type]
        assert limited.sample_batch(lines, num_threads=1, **options) == expected  # type: ignore[arg-type]
    kept = [space.memory() for spaces in limited._encoder.shelf.values() for space in spaces]
    assert len(kept) == 2
    # Beside the words there is scratch, which no text of these makes large.
    assert max(kept) < max(most, 1 << 20) + (1 << 21)


@pytest.mark.parametrize("most", [-1, 1, (1 << 20) - 1])
def test_a_cache_that_is_too_small(most: int) -> None:
    tokenizer = Tokenizer.default()
    with pytest.raises(ValueError, match=f"cache_bytes must be 0 or at least 1048576, got {most}"):
        tokenizer.cache_bytes = most


def test_more_words_than_the_cache_holds() -> None:
    """Half a million new words empty the table several times."""
    tokenizer, processor = both(train())
    for seed in range(3):
        assert_same_ids(tokenizer, processor, [" ".join(words(1000, 1000 * seed + i)) for i in range(170)])


@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
def test_samples_of_more_words_than_the_cache_holds(bundled: Tokenizer, algorithm: str) -> None:
    lines = [" ".join(words(1000, i)) for i in range(60)]
    options = {"alpha": 0.2, "algorithm": algorithm, "seed": 1}
    whole = bundled.sample_batch(lines, num_threads=1, **options)  # type: ignore[arg-type]
    for i in (0, 30, 59):
        fresh = Tokenizer.default().sample(lines[i], index=i, **options)  # type: ignore[arg-type]
        assert whole[i].tolist() == fresh


def near_ties(gap: float) -> bytes:
    """A model whose best two paths lie about `gap` apart: scores that differ in their last bits."""

    def edit(model: object) -> None:
        for i, piece in enumerate(model.pieces):  # type: ignore[attr-defined]
            if piece.type == 1:
                piece.score = -3.0 * len(piece.piece) + gap * ((i * 7) % 5 - 2)

    return edited(train(), edit)


def with_pieces(pieces: Mapping[str, float], **options: Any) -> bytes:
    """A model of these pieces alone."""

    def edit(model: pb.ModelProto) -> None:
        del model.pieces[3:]
        for piece, score in pieces.items():
            model.pieces.add(piece=piece, score=score)

    return edited(train(**options), edit)


@pytest.mark.parametrize("gap", [0.0, 2.0**-21, 1e-5, 1e-3, 0.02])
def test_near_ties(gap: float, sample_lines: list[str]) -> None:
    """Paths so close that the rounding of large sums decides: what the margin is for."""
    pair = both(near_ties(gap))
    text = " ".join(line for line in sample_lines if line) * 3
    lines = [text * 2, *(text[:size] for size in range(0, len(text), 211))]
    assert_same_ids(*pair, lines * 2)
    assert_same_ids(*pair, [(SAMPLES / "prose.txt").read_text(encoding="utf-8") * 400])


def test_the_margin_decides_something(sample_lines: list[str]) -> None:
    """The mutant of test_near_ties: each word decided on its own, from 0, differs from sentencepiece."""
    tokenizer, processor = both(near_ties(1e-5))
    text = " ".join(line for line in sample_lines if line).replace("\u2581", "") * 200
    alone = [id for word in text.split() for id in tokenizer.encode(word)]
    assert alone != processor.encode(text)
    assert tokenizer.encode(text) == processor.encode(text)


@settings(max_examples=200)
@given(
    pieces=st.dictionaries(st.text("ab▁", min_size=1, max_size=4), st.integers(-8, 2), min_size=3, max_size=10),
    scale=st.sampled_from([1.0, 0.1, 0.01, 1e-6, 1000.0, 30000.0]),
    texts=st.lists(st.text("ab ", max_size=60), min_size=1, max_size=6),
)
def test_generated_models_with_many_ties(pieces: dict[str, int], scale: float, texts: list[str]) -> None:
    tokenizer, processor = both(with_pieces({piece: score * scale for piece, score in pieces.items()}))
    assert_same_ids(tokenizer, processor, [*texts, *(text * 40 for text in texts), *texts])


@settings(max_examples=300)
@given(
    pieces=st.dictionaries(
        st.from_regex(r"[ab]{1,4}|[ \n]?[ab]{1,3}", fullmatch=True), st.integers(-8, 2), min_size=3, max_size=10
    ),
    scale=st.sampled_from([1.0, 0.1, 0.01, 1e-15, 1e12]),
    restart=st.sampled_from(["never", "at_space", "after_newline"]),
    covered=st.booleans(),
    texts=st.lists(st.text("ab \n", max_size=60), min_size=1, max_size=6),
)
def test_double_precision_with_many_ties(
    pieces: dict[str, int], scale: float, restart: str, covered: bool, texts: list[str]
) -> None:
    """Sums in double precision, begun anew where the model says, with and without an unknown character's edge."""
    if restart == "after_newline":
        pieces = {piece: score for piece, score in pieces.items() if "\n" not in piece} or {"a": -1}
    unknown = -9 * scale if covered else None
    bare = Tokenizer.from_pieces({piece: score * scale for piece, score in pieces.items()}, unk_score=unknown)
    tokenizer = Tokenizer(replace(bare._model, restart=restart))
    vocabulary = {piece: (i, score * scale) for i, (piece, score) in enumerate(pieces.items())}
    for text in [*texts, *(text * 40 for text in texts), *texts]:
        edges = ref.lattice(text, vocabulary, None if unknown is None else (len(pieces), unknown))
        breaks = {"never": "(?!)", "at_space": " ", "after_newline": r"(?<=\n)(?!\n)"}
        restarts = {place.start() for place in re.finditer(breaks[restart], text)}
        try:
            path = ref.viterbi(edges, len(text), restarts=restarts)
        except KeyError:
            with pytest.raises(ValueError, match="no segmentation"):
                tokenizer.encode(text)
        else:
            assert tokenizer.encode(text) == ref.spell(path, text, len(pieces), len(pieces))


@settings(max_examples=300)
@given(
    pieces=st.dictionaries(st.text("\x01\x7fab\x80\xff", min_size=1, max_size=4), st.integers(-8, 0), min_size=1),
    text=st.text("\x00\x01\x7fab\x80\xff\u0100", max_size=40),
)
def test_any_bytes(pieces: dict[str, int], text: str) -> None:
    """Pieces of bytes that lie close to each other, in texts of others, too: a walk leaves the trie where they end."""
    tokenizer = Tokenizer.from_pieces({piece: float(score) for piece, score in pieces.items()}, unk_score=-9.0)
    vocabulary = {piece: (i, float(score)) for i, (piece, score) in enumerate(pieces.items())}
    path = ref.viterbi(ref.lattice(text, vocabulary, (len(pieces), -9.0)), len(text))
    assert tokenizer.encode(text) == ref.spell(path, text, len(pieces), len(pieces))


def test_paths_that_are_not_looked_at_count() -> None:
    """A path left out as no better than 0.03 below the best one still bounds the sums up to which the best is known."""
    pieces = {"!": -1e15, "ab": -1.07, "a": -0.55, "b": -0.55}
    tokenizer = Tokenizer.from_pieces(pieces)
    vocabulary = {piece: (i, score) for i, (piece, score) in enumerate(pieces.items())}
    for text, expected in (("ab", [1]), ("!ab", [0, 2, 3]), ("ab", [1])):
        assert [edge.token for edge in ref.viterbi(ref.lattice(text, vocabulary), len(text))] == expected
        assert tokenizer.encode(text) == expected


@pytest.mark.parametrize(
    ("pieces", "unknown", "texts"),
    [
        ({"abc": -1.0, "a": -2.0, "b": -2.0, "c": 5.0, "ab": -4.5}, None, ["abc", "abcc", "abcabc", "aabbc"]),
        ({"abdef": 1.8, "a": -0.5, "b": -0.5}, 1.0, ["abdef", "aabdef", "abdefg"]),
    ],
)
def test_scores_that_raise_the_sum(pieces: dict[str, float], unknown: float | None, texts: list[str]) -> None:
    """What comes after a position may add to the sum: it is not left out for what it has so far."""
    tokenizer = Tokenizer.from_pieces(pieces, unk_score=unknown)
    vocabulary = {piece: (i, score) for i, (piece, score) in enumerate(pieces.items())}
    for text in texts:
        edges = ref.lattice(text, vocabulary, None if unknown is None else (len(pieces), unknown))
        path = ref.viterbi(edges, len(text))
        assert tokenizer.encode(text) == ref.spell(path, text, len(pieces), len(pieces))


def cuts_of(pieces: Iterable[str]) -> Cuts:
    blob = [piece.encode() for piece in pieces]
    offsets = np.cumsum([0, *map(len, blob)]).astype(np.int64)
    return Cuts(np.frombuffer(b"".join(blob), np.uint8), offsets, np.arange(len(blob), dtype=np.int32))


@given(
    st.dictionaries(st.text("abcé川 ", min_size=1, max_size=5), st.just(0.0), min_size=1),
    st.text("abcdé川水 ", max_size=30),
)
def test_no_edge_passes_over_a_cut(pieces: dict[str, float], text: str) -> None:
    """Words are found by what the pieces hold; every edge of the lattice lies inside one."""
    bounds = cuts_of(pieces).split(text.encode())
    positions = {len(text[:i].encode()): i for i in range(len(text) + 1)}
    in_characters = {positions[bound] for bound in bounds}
    edges = ref.lattice(text, dict.fromkeys(pieces, (0, 0.0)), (1, 0.0))
    crossed = {p for edge in edges for p in range(edge.start + 1, edge.end)}
    assert not crossed & in_characters
    if text.isascii():
        # A cut before a letter is only looked for after what is neither letter nor space.
        assert in_characters == set(range(1, len(text) + 1)) - {
            i
            for i in range(1, len(text))
            if any(text[i - 1 : i + 1] in piece for piece in pieces)
            or (i > 1 and text[i].isalpha() and (text[i - 1].isalpha() or text[i - 1] == " "))
        }


def test_memory_is_bounded() -> None:
    tokenizer = Tokenizer.default()
    for seed in range(4):
        tokenizer.sample_batch([" ".join(words(1000, 100 * seed + i)) for i in range(60)], alpha=0.1, num_threads=1)
    spaces = [space for spaces in tokenizer._encoder.shelf.values() for space in spaces]
    assert spaces
    assert all(isinstance(space, Workspace) and space.memory() < 64_000_000 for space in spaces)
    for alpha in range(20):
        tokenizer.sample("the river", alpha=alpha / 10)
    assert len(tokenizer._encoder.shelf) <= 4


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.7, 3.0])
@pytest.mark.parametrize("algorithm", ["perfect", "ffbs"])
def test_log_probabilities_of_words_kept_or_not(sample_lines: list[str], alpha: float, algorithm: str) -> None:
    """To the last bit: what is known of a word loses nothing of its sums."""
    plain, keeping = Tokenizer.default(), Tokenizer.default()
    plain._encoder.keep_words(False)
    lines = [
        *sample_lines,
        *words(300, 5),
        " ".join(words(300, 6)),
        "\n".join(sample_lines),
        "the river - was don't! 川",
    ]
    options: dict[str, Any] = {"alpha": alpha, "seed": 8, "n": 5, "with_log_probs": True, "algorithm": algorithm}
    for _ in range(2):
        found, expected = keeping.sample_batch(lines, **options), plain.sample_batch(lines, **options)
        assert found == expected
        assert found.log_probs is not None
        assert expected.log_probs is not None
        assert found.log_probs.tolist() == expected.log_probs.tolist()


MILD = {
    "▁": -8, "a": -5, "▁a" + "c" * 20: -1, "▁a": -5, "cz": -1, "▁f": -10, "q": -15, "▁xy": -2.0, "▁x": -1.0,
    "y": -0.9995,
}  # fmt: skip
FAR = {
    "▁": -8, "a": -5, "▁acd": -1, "▁a": -5, "cz": -1, "d": -3, "q": -1e6, "▁f": -100, "▁xy": -2.0, "▁x": -1.0,
    "y": -0.9995,
}  # fmt: skip


@pytest.mark.parametrize(
    ("pieces", "words"), [(MILD, ["f"] * n + ["a" + "c" * 20]) for n in (9955, 9960)] + [(FAR, ["f"] * 500 + ["acd"])]
)
def test_sums_that_paths_reach_which_are_not_looked_at(pieces: dict[str, float], words: list[str]) -> None:
    """Where such a sum is so far down that it is rebased, that changes the rounding of all that follows."""
    tokenizer, processor = both(with_pieces(pieces, normalization_rule_name="identity"))
    text = " ".join([*words, "xy"])
    assert tokenizer.encode(text) == processor.encode(text)
