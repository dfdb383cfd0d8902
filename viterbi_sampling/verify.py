"""The exactness check of a model: exact probabilities beside the frequencies of samples.

For a text with few enough segmentations their law is known exactly, and the likelihood-ratio
statistic of the observed frequencies tells how well a sampler follows it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from viterbi_sampling.tokenizer import Tokenizer

MOST_SEGMENTATIONS = 10_000
EXACT_SAMPLERS = ("perfect", "ffbs")
FALSE_ALARM = 1e-6
SAMPLES_AT_ONCE = 100_000


@dataclass(frozen=True)
class Row:
    """One segmentation: its pieces, its exact probability, and the frequency among the samples of each algorithm."""

    pieces: list[str]
    probability: float
    frequencies: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """How well one algorithm follows the exact law.

    `distance`: total variation between frequencies and probabilities; `expected_distance`: what a
    right sampler has on average from chance alone, about; `statistic` is the likelihood-ratio
    statistic, which a right sampler lifts above `threshold` with probability below 1e-6.
    """

    algorithm: str
    distance: float
    expected_distance: float
    statistic: float
    threshold: float

    @property
    def follows(self) -> bool:
        return self.statistic < self.threshold


@dataclass(frozen=True)
class Verification:
    """The check of one text: `rows` by probability, falling; `verdicts` one an algorithm."""

    text: str
    alpha: float
    samples: int
    rows: list[Row]
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        """Whether every algorithm whose law is claimed to be exact follows it."""
        return all(verdict.follows for verdict in self.verdicts if verdict.algorithm in EXACT_SAMPLERS)


def chance_threshold(degrees: int) -> float:
    """A bound that a chi-square variable exceeds with probability below 1e-6 (Laurent and Massart 2000, lemma 1)."""
    x = -math.log(FALSE_ALARM)
    return degrees + 2 * math.sqrt(degrees * x) + 2 * x


def verify(tokenizer: Tokenizer, text: str, *, alpha: float, samples: int = 1_000_000, seed: int = 0) -> Verification:
    """Compare `samples` samples of `text` by each algorithm with the exact law.

    ValueError where the text has more than 10,000 segmentations (take a shorter one) or none.

    >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
    >>> verify(tokenizer, "abab", alpha=0.5, samples=10_000).passed
    True
    """
    count = tokenizer.count_segmentations(text)
    if count > MOST_SEGMENTATIONS:
        raise ValueError(f"the text has {count} segmentations, more than {MOST_SEGMENTATIONS}; take a shorter one")
    # Segmentations whose ids are alike once unknown characters are merged count as one.
    different = {tuple(segmentation.ids) for segmentation in tokenizer.nbest(text, count)}
    law = {ids: math.exp(tokenizer.log_prob(text, ids, alpha=alpha)) for ids in different}
    verdicts: list[Verdict] = []
    observed: dict[str, Counter[tuple[int, ...]]] = {}
    for algorithm in (*EXACT_SAMPLERS, "viterbi_sampling"):
        counts: Counter[tuple[int, ...]] = Counter()
        for first in range(0, samples, SAMPLES_AT_ONCE):
            rows = min(SAMPLES_AT_ONCE, samples - first)
            batch = tokenizer.sample_batch([text] * rows, alpha=alpha, algorithm=algorithm, seed=seed, index=first)
            counts.update(map(tuple, batch.to_list()))
        observed[algorithm] = counts
        verdicts.append(_verdict(algorithm, counts, law, samples))
    ordered = sorted(law, key=lambda key: -law[key])
    table = [
        Row(_pieces(tokenizer, key), law[key], {name: observed[name][key] / samples for name in observed})
        for key in ordered
    ]
    return Verification(text, alpha, samples, table, verdicts)


def _pieces(tokenizer: Tokenizer, ids: tuple[int, ...]) -> list[str]:
    return [tokenizer.id_to_piece(id) for id in ids]


def _verdict(
    algorithm: str, counts: Counter[tuple[int, ...]], law: dict[tuple[int, ...], float], samples: int
) -> Verdict:
    distance = sum(abs(counts[key] / samples - p) for key, p in law.items()) / 2
    # The mean deviation of a binomial share is about sqrt(2 / pi) times its standard deviation.
    chance = sum(math.sqrt(2 * p * (1 - p) / (math.pi * samples)) for p in law.values()) / 2
    statistic = math.inf
    if set(counts) <= set(law):
        statistic = 2 * sum(n * math.log(n / (samples * law[key])) for key, n in counts.items())
    return Verdict(algorithm, distance, chance, statistic, chance_threshold(len(law) - 1))


def draw_svg(verification: Verification, path: Any, rows: int = 24) -> None:
    """Write a picture of the first `rows` segmentations as SVG: exact probabilities beside observed frequencies.

    ImportError names the extra to install where matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError:
        raise ImportError("drawing needs matplotlib: pip install 'viterbi-sampling[plot]'") from None
    matplotlib.use("svg")
    from matplotlib import pyplot

    shown = verification.rows[:rows]
    names = list(shown[0].frequencies)
    places = np.arange(len(shown))
    with matplotlib.rc_context({"svg.hashsalt": "viterbi_sampling"}):
        figure, axes = pyplot.subplots(figsize=(9, 0.34 * len(shown) + 1.4))
        axes.barh(places, [row.probability for row in shown], 0.8, color="#d0d7de", label="exact probability")
        for name, mark, color in zip(names, "o+x", ("#0969da", "#1a7f37", "#cf222e"), strict=False):
            axes.plot([row.frequencies[name] for row in shown], places, mark, color=color, label=name, fillstyle="none")
        axes.set_yticks(places, [" ".join(row.pieces) for row in shown], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(f"frequency among {verification.samples:,} samples, alpha = {verification.alpha:g}")
        axes.legend(frameon=False)
        figure.tight_layout()
        figure.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close(figure)
