"""Exact quantities: the partition, entropy, marginals, counts, the n best, and sampling without replacement.

The oracle is enumeration of all segmentations with 250 decimal digits; on long texts an independent pass in
the log domain, in extended precision.
"""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal, localcontext
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import sentencepiece
from conftest import SAMPLES, SHARED, train
from fit import far_tail
from hypothesis import given, settings
from hypothesis import strategies as st
from models import KINDS
from test_sampling import MIXED, Oracle

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref
from viterbi_sampling.engine.quantities import analyse
from viterbi_sampling.texts import rows_of

ALPHAS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 30.0])
PIECES = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.floats(-25, 1), max_size=10)
TEXTS = st.text("abcd", max_size=12)


def exact_law(edges: list[ref.Edge], size: int, alpha: float) -> tuple[list[ref.Path], list[Decimal]]:
    """All paths and their weights, to 250 digits. To be used inside a context of that precision."""
    paths = list(ref.segmentations(edges, size))
    return paths, [(Decimal(alpha) * sum(Decimal(e.score) for e in path)).exp() for path in paths]


@settings(max_examples=300)
@given(PIECES, TEXTS, ALPHAS)
def test_against_enumeration(pieces: dict[str, float], text: str, alpha: float) -> None:
    """log Z, entropy, marginals and counts to 1e-12, relative to the quantity itself."""
    tokenizer = Tokenizer.from_pieces({"a": -2.0} | pieces, unk_score=-12.0)
    edges = Oracle(tokenizer).edges(text)
    with localcontext() as context:
        context.prec = 250
        context.Emax, context.Emin = 10**9, -(10**9)
        paths, weights = exact_law(edges, len(text), alpha)
        total = sum(weights)
        shares = [weight / total for weight in weights]
        entropy = -sum(p * p.ln() for p in shares if p)
        log_partition = total.ln()
        marginals = {e: sum(p for path, p in zip(paths, shares, strict=True) if e in path) for e in edges}
    assert tokenizer.count_segmentations(text) == len(paths)
    # Near log Z = 0 the sum of its positive and negative terms bounds what can be had.
    assert tokenizer.log_partition(text, alpha=alpha) == pytest.approx(float(log_partition), rel=1e-12, abs=1e-12)
    assert tokenizer.entropy(text, alpha=alpha) == pytest.approx(float(entropy), rel=1e-11, abs=1e-100)
    found = tokenizer.marginals(text, alpha=alpha)
    assert list(zip(found.start.tolist(), found.end.tolist(), strict=True)) == [(e.start, e.end) for e in edges]
    for edge, probability in zip(edges, found.probability.tolist(), strict=True):
        assert probability == pytest.approx(float(marginals[edge]), rel=1e-11, abs=1e-100)


@settings(max_examples=200)
@given(PIECES, TEXTS, st.sampled_from([20.0, 50.0, 100.0, 1000.0]))
def test_shares_that_vanish(pieces: dict[str, float], text: str, alpha: float) -> None:
    """Where one segmentation has nearly all of the probability, what the others have may leave the doubles."""
    tokenizer = Tokenizer.from_pieces({"a": -2.0} | pieces, unk_score=-12.0)
    assert 0 <= tokenizer.entropy(text, alpha=alpha) <= 12
    assert ((marginals := tokenizer.marginals(text, alpha=alpha).probability) >= 0).all()
    assert (marginals <= 1 + 1e-12).all()
    assert math.isfinite(tokenizer.log_partition(text, alpha=alpha))
    for drawn in tokenizer.sample_without_replacement(text, 3, alpha=alpha, seed=1):
        assert drawn.log_prob <= 0


@settings(max_examples=150)
@given(PIECES, TEXTS, ALPHAS)
def test_log_prob_is_that_of_the_ids(pieces: dict[str, float], text: str, alpha: float) -> None:
    """Of all segmentations that have the same ids once unknown characters are merged, together."""
    tokenizer = Tokenizer.from_pieces({"ab": -2.0} | pieces, unk_score=-9.0)
    oracle = Oracle(tokenizer)
    together: dict[tuple[int, ...], float] = {}
    for path, p in ref.law(oracle.edges(text), len(text), alpha):
        key = tuple(oracle.ids(path, text))
        together[key] = together.get(key, 0.0) + p
    for ids, p in together.items():
        if p > 1e-280:
            assert tokenizer.log_prob(text, ids, alpha=alpha) == pytest.approx(math.log(p), rel=1e-9, abs=1e-9)
    assert tokenizer.log_prob(text, [0] * (len(text) + 1), alpha=alpha) == -math.inf


@cache
def real() -> dict[str, Tokenizer]:
    return {kind: Tokenizer.from_bytes(make()) for kind, make in KINDS.items() if kind not in ("no normal piece",)}


@pytest.mark.parametrize("kind", ["nmt_nfkc", "byte fallback", "user-defined", "not escaped", "no unknown piece"])
def test_samples_have_the_log_prob_they_come_with(kind: str, sample_lines: list[str]) -> None:
    tokenizer = real()[kind]
    lines = [line for line in sample_lines if "\u2603" not in line]
    for algorithm in ("perfect", "ffbs"):
        batch = tokenizer.sample_batch(lines, alpha=0.4, seed=3, algorithm=algorithm, with_log_probs=True)
        assert batch.log_probs is not None
        for line, ids, log_prob in zip(lines, batch, batch.log_probs.tolist(), strict=True):
            # Equal where no unknown characters are merged, at least as probable where they are.
            exact = tokenizer.log_prob(line, ids.tolist(), alpha=0.4)
            assert exact >= log_prob - 1e-9
            if tokenizer.unk_id not in ids.tolist():
                assert exact == pytest.approx(log_prob, rel=1e-10, abs=1e-10)
    with pytest.raises(ValueError, match="no closed form"):
        tokenizer.sample_batch(lines, alpha=0.4, algorithm="viterbi_sampling", with_log_probs=True)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 5.0])
def test_long_texts(alpha: float, bundled: Tokenizer) -> None:
    """40,000 characters of a real model, and 20,000 without a cut, against extended precision in the log domain."""
    prose = (SAMPLES / "prose.txt").read_text(encoding="utf-8") * 30
    uncut = Tokenizer.from_pieces({"a": -5.0, "aa": -9.0, "aaa": -14.5, "aaaa": -17.0})
    for tokenizer, text in ((bundled, prose), (uncut, "a" * 20_000)):
        lattice = tokenizer.lattice(text)
        weights = alpha * lattice.score.astype(np.longdouble)
        logs = np.full(len(lattice.text) + 1, -np.inf, np.longdouble)
        logs[0] = 0
        for start, end, weight in zip(lattice.start.tolist(), lattice.end.tolist(), weights, strict=True):
            logs[end] = np.logaddexp(logs[end], logs[start] + weight)
        assert tokenizer.log_partition(text, alpha=alpha) == pytest.approx(float(logs[-1]), rel=1e-12)
        marginals = tokenizer.marginals(text, alpha=alpha)
        # The flow through each position: what ends there is what starts there; over any cut it is 1.
        crossing = np.zeros(len(lattice.text) + 1)
        np.add.at(crossing, marginals.start, marginals.probability)
        np.add.at(crossing, marginals.end, -marginals.probability)
        assert np.cumsum(crossing)[:-1] == pytest.approx(1, abs=1e-9)
        # The entropy is log Z - alpha * expected score.
        expected = float(np.sum(marginals.probability.astype(np.longdouble) * weights))
        assert tokenizer.entropy(text, alpha=alpha) == pytest.approx(float(logs[-1]) - expected, rel=1e-8, abs=1e-6)


def variation(tokenizer: Tokenizer, text: bytes, alpha: float) -> float:
    """A bound of the total variation of a sample from the law: the errors of its choices in extended precision, summed.

    Each choice counts with the probability that a path makes it.
    """
    found = analyse(tokenizer._encoder, rows_of((text,)), alpha, tokenizer._encoder.weights(alpha), True, True)
    weights = np.exp(np.longdouble(alpha) * tokenizer._encoder.scores.astype(np.longdouble))
    total = np.longdouble(0)
    first = begin = 0
    for end, last in found.parts.tolist():
        sums = {begin: np.longdouble(1)}
        edges = np.stack([found.starts, found.ends, found.tokens], axis=1)[first:last].tolist()
        through = []
        for start, stop, token in edges:
            through.append(sums[start] * weights[token])
            sums[stop] = sums.get(stop, np.longdouble(0)) + through[-1]
        for k, (_, stop, _) in enumerate(edges):
            share = found.conditionals[first + k]
            if share > 0:
                passing = found.marginals[first + k] / share
                total += passing * abs(np.longdouble(share) - through[k] / sums[stop]) / 2
        begin, first = end, last
    return float(total)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_total_variation_of_a_megabyte(bundled: Tokenizer, alpha: float) -> None:
    """The promise: at most 1e-9 for 1 MB."""
    text = "".join((SAMPLES / name).read_text(encoding="utf-8") for name in ("prose.txt", "code.txt")).encode() * 8
    assert variation(bundled, text, alpha) * 1e6 / len(text) < 1e-9


@pytest.mark.shared
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_total_variation_of_a_megabyte_of_t5(alpha: float) -> None:
    tokenizer = Tokenizer.from_file(SHARED / "models" / "sentencepiece" / "t5_base_32k.model")
    text = (SHARED / "corpora" / "en_botchan.txt").read_bytes()[:100_000]
    assert variation(tokenizer, text, alpha) * 1e6 / len(text) < 1e-9


def test_counts_are_exact_beyond_64_bits() -> None:
    tokenizer = Tokenizer.from_pieces({"a": 0.0, "aa": 0.0, " ": 0.0})
    a, b = 1, 1
    for _ in range(299):
        a, b = b, a + b
    assert tokenizer.count_segmentations("a" * 299) == a
    assert tokenizer.count_segmentations(" ".join(["a" * 299] * 50)) == a**50


# -- the n best --------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(PIECES, TEXTS, st.integers(1, 60))
def test_nbest_is_the_head_of_all(pieces: dict[str, float], text: str, k: int) -> None:
    tokenizer = Tokenizer.from_pieces({p: round(s, 1) for p, s in ({"a": -2.0} | pieces).items()}, unk_score=-12.0)
    oracle = Oracle(tokenizer)
    scores = sorted(
        (math.fsum(e.score for e in p) for p in ref.segmentations(oracle.edges(text), len(text))), reverse=True
    )
    total = tokenizer.log_partition(text)
    found = tokenizer.nbest(text, k)
    assert [s.log_prob + total for s in found] == pytest.approx(scores[:k], abs=1e-9)
    every = Counter(tuple(oracle.ids(p, text)) for p in ref.segmentations(oracle.edges(text), len(text)))
    assert not Counter(tuple(s.ids) for s in found) - every


@pytest.mark.parametrize("kind", ["nmt_nfkc", "byte fallback", "pieces cross spaces", "all scores tie"])
def test_nbest_begins_with_the_best(kind: str, sample_lines: list[str]) -> None:
    """Its score is that of the decoder's path, which may be another one where the two are equal in single precision."""
    tokenizer = real()[kind]
    same = 0
    for line in sample_lines:
        best = tokenizer.nbest(line, 3)
        decoded = tokenizer.log_prob(line, tokenizer.encode(line))
        assert best[0].log_prob <= decoded + 1e-9 or best[0].log_prob == pytest.approx(decoded, abs=1e-3)
        same += best[0].ids == tokenizer.encode(line)
        assert all(a.log_prob >= b.log_prob - 1e-12 for a, b in pairwise(best))
    assert same > 0.9 * len(sample_lines)


def test_nbest_agrees_with_sentencepiece(sample_lines: list[str]) -> None:
    data = train()
    tokenizer, processor = Tokenizer.from_bytes(data), sentencepiece.SentencePieceProcessor(model_proto=data)
    for line in sample_lines:
        theirs = processor.nbest_encode(line, nbest_size=40, return_type=int) if tokenizer.encode(line) else [[]]
        ours = [s.ids for s in tokenizer.nbest(line, 40)]
        assert len(ours) == len(theirs)
        scores = [tokenizer.log_prob(line, ids) for ids in theirs]
        assert [tokenizer.log_prob(line, ids) for ids in ours] == pytest.approx(scores, abs=1e-3)


def test_nbest_of_a_long_text_is_complete(bundled: Tokenizer) -> None:
    """512 of 4,000 characters: where sentencepiece gives the best path only."""
    text = (SAMPLES / "prose.txt").read_text(encoding="utf-8")[:1300] * 3
    found = bundled.nbest(text, 512)
    assert len({tuple(s.ids) for s in found}) == 512
    assert all(bundled.decode(s.ids) == text for s in found[::50])
    assert all(a.log_prob >= b.log_prob - 1e-9 for a, b in pairwise(found))
    uncut = Tokenizer.from_pieces({"a": -1.0, "aa": -2.1, "aaa": -3.3})
    assert len({tuple(s.ids) for s in uncut.nbest("a" * 4000, 512)}) == 512


def test_nbest_errors(bundled: Tokenizer) -> None:
    for bad in (0, -1):
        with pytest.raises(ValueError, match="k must be at least 1"):
            bundled.nbest("x", bad)
        with pytest.raises(ValueError, match="k must be at least 1"):
            bundled.sample_without_replacement("x", bad, alpha=1.0)
        with pytest.raises(ValueError, match="needs an nbest_size of at least 1"):
            bundled.sample("x", alpha=1.0, algorithm="nbest", nbest_size=bad)
    with pytest.raises(ValueError, match="needs an nbest_size"):
        bundled.sample("x", alpha=1.0, algorithm="nbest")


# -- without replacement -----------------------------------------------------------------------------


@settings(max_examples=100)
@given(PIECES, st.text("abcd", max_size=7), st.integers(1, 12), st.integers(0, 1000), st.booleans())
def test_without_replacement(pieces: dict[str, float], text: str, k: int, seed: int, include_best: bool) -> None:
    """k different paths, all of them where there are no more; their probabilities are those of the law."""
    tokenizer = Tokenizer.from_pieces({"a": -2.0, "b": -3.0, "c": -4.0, "d": -2.0} | pieces)
    edges = Oracle(tokenizer).edges(text)
    law = {tuple(e.token for e in path): p for path, p in ref.law(edges, len(text), 0.7)}
    drawn = tokenizer.sample_without_replacement(text, k, alpha=0.7, seed=seed, include_best=include_best)
    assert len({tuple(s.ids) for s in drawn}) == len(drawn) == min(k, len(law))
    for s in drawn:
        assert s.log_prob == pytest.approx(math.log(law[tuple(s.ids)]), abs=1e-9)
        assert s.log_inclusion is not None
        assert s.log_inclusion <= 0
    if k >= len(law):
        assert all(s.log_inclusion == 0 for s in drawn)
    if include_best:
        assert drawn[0].ids == tokenizer.encode(text)
        assert drawn[0].log_inclusion == 0


def test_law_without_replacement() -> None:
    """The pair (first, second) of 40,000 draws follows p(i)·p(j) / (1 - p(i)), and the weights estimate a mean.

    A total-variation error of 0.05 raises the statistic by 400; the threshold lies at most 260 above the degrees of
    freedom.
    """
    tokenizer = Tokenizer.from_pieces(MIXED)
    edges = ref.lattice("abcab", {p: (i, s) for i, (p, s) in enumerate(MIXED.items())})
    law = {tuple(e.token for e in path): p for path, p in ref.law(edges, 5, 1.0)}
    total = 40_000
    pairs: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    estimate = 0.0
    for index in range(total):
        first, second = tokenizer.sample_without_replacement("abcab", 2, alpha=1.0, seed=6, index=index)
        pairs[tuple(first.ids), tuple(second.ids)] += 1
        for s in (first, second):
            assert s.log_inclusion is not None
            estimate += math.exp(s.log_prob - s.log_inclusion) * len(s.ids) / total
    expected = {(i, j): total * p * q / (1 - p) for i, p in law.items() for j, q in law.items() if i != j}
    statistic = 2 * sum(n * math.log(n / expected[pair]) for pair, n in pairs.items())
    assert statistic < far_tail(len(expected) - 1)
    assert estimate == pytest.approx(sum(p * len(i) for i, p in law.items()), rel=0.01)
