"""Subword Regularization itself: samples of ours and of sentencepiece 0.2.3 on real models are samples of one law."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import sentencepiece
from conftest import SHARED
from test_sampling import SAMPLERS, Oracle, far_tail

from viterbi_sampling import Tokenizer

pytestmark = pytest.mark.shared

FOLDER = SHARED / "models" / "sentencepiece"
AT_ONCE = 100_000


def counts_of_sentencepiece(
    processor: sentencepiece.SentencePieceProcessor, text: str, total: int, alpha: float, nbest_size: int
) -> Counter[tuple[int, ...]]:
    counts: Counter[tuple[int, ...]] = Counter()
    for _ in range(total // AT_ONCE):
        rows = processor.encode(
            [text] * AT_ONCE, enable_sampling=True, nbest_size=nbest_size, alpha=alpha, num_threads=1
        )
        counts.update(map(tuple, rows))
    return counts


def two_samples(first: Counter[tuple[int, ...]], second: Counter[tuple[int, ...]]) -> tuple[float, int]:
    """The likelihood-ratio statistic of two samples of the same size for one law; rare outcomes are taken together."""
    cells: Counter[tuple[int, ...]] = Counter()
    both = first + second
    a: Counter[tuple[int, ...]] = Counter()
    b: Counter[tuple[int, ...]] = Counter()
    for key, n in both.items():
        cell = key if n >= 20 else ()
        a[cell] += first[key]
        b[cell] += second[key]
        cells[cell] += n
    statistic = 0.0
    for cell, n in cells.items():
        for seen in (a[cell], b[cell]):
            statistic += 2 * seen * math.log(2 * seen / n) if seen else 0.0
    return statistic, len(cells) - 1


@pytest.mark.parametrize("name", ["t5_base_32k", "xlmr_250k_rebuilt"])
@pytest.mark.parametrize(
    ("text", "alpha", "algorithm", "nbest_size"),
    [
        ("Tokens", 0.3, "perfect", None),
        ("Tokens", 0.3, "ffbs", None),
        ("a river", 0.1, "perfect", None),
        ("a river", 0.3, "nbest", 12),
    ],
)
def test_two_samples_of_one_law(name: str, text: str, alpha: float, algorithm: str, nbest_size: int | None) -> None:
    """500,000 samples each.

    Under one law the test fails with probability below 1e-6. A total variation of 0.02 between the two laws raises
    the expected statistic by at least 500,000 / 2 · 4 · 0.02² = 400, with a deviation below 60 for the 200 cells or
    fewer here; the threshold lies at most 135 above the degrees of freedom.
    """
    data = (FOLDER / f"{name}.model").read_bytes()
    tokenizer, processor = Tokenizer.from_bytes(data), sentencepiece.SentencePieceProcessor(model_proto=data)
    total = 500_000
    theirs = counts_of_sentencepiece(processor, text, total, alpha, -1 if nbest_size is None else nbest_size)
    ours: Counter[tuple[int, ...]] = Counter()
    if nbest_size is None:
        for first in range(0, total, AT_ONCE):
            batch = tokenizer.sample_batch([text] * AT_ONCE, alpha=alpha, algorithm=algorithm, seed=4, index=first)
            ours.update(map(tuple, batch.to_list()))
    else:
        batch = tokenizer.sample_batch([text], n=total, alpha=alpha, algorithm=algorithm, nbest_size=nbest_size, seed=4)
        ours.update(map(tuple, batch.to_list()))
    statistic, degrees = two_samples(ours, theirs)
    assert 3 <= degrees <= 200
    assert statistic < far_tail(degrees)
    # The mutant: the same at an alpha that is off by a little.
    off = tokenizer.sample_batch([text] * AT_ONCE, n=5, alpha=alpha * 1.3, seed=5)
    statistic, degrees = two_samples(Counter(map(tuple, off.to_list())), theirs)
    assert statistic > far_tail(degrees)


@pytest.mark.parametrize("algorithm", SAMPLERS)
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.model")), ids=lambda path: path.stem)
def test_every_model_samples_as_the_reference(path: object, algorithm: str, sample_lines: list[str]) -> None:
    """Choice by choice, unknown characters, byte fallback and user-defined pieces included."""
    tokenizer = Tokenizer.from_file(path)  # type: ignore[arg-type]
    oracle = Oracle(tokenizer)
    for i, line in enumerate(sample_lines[::3]):
        for alpha in (0.1, 1.0):
            actual = tokenizer.sample(line, alpha=alpha, algorithm=algorithm, seed=6, index=i)
            assert actual == oracle.sample(line, algorithm, alpha, 6, i), line
            assert tokenizer.decode(actual) == tokenizer.decode(tokenizer.encode(line))
