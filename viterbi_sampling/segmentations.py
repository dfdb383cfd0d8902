"""Lists of segmentations: the n best, and samples without replacement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from viterbi_sampling.batch import Segmentation
from viterbi_sampling.engine.encoder import Encoder
from viterbi_sampling.engine.kbest import PartPaths, best_and_gaps, best_combinations
from viterbi_sampling.engine.quantities import analyse
from viterbi_sampling.engine.replacement import without_replacement
from viterbi_sampling.engine.rows import Rows

if TYPE_CHECKING:
    from viterbi_sampling.engine.encoder import WeightTable


class BestPaths:
    """The paths of a text, best first, worked out as they are asked for.

    Memory: the edges of the lattice, and for each path what differs from the best one.
    """

    def __init__(self, encoder: Encoder, rows: Rows, weights: WeightTable) -> None:
        """`weights` are those of alpha = 1."""
        self.encoder = encoder
        analysis = analyse(encoder, rows, 1.0, weights, True)
        self.text, self.edges, self.parts = analysis.text, analysis.edges, analysis.parts
        self.log_partition = analysis.log_partition
        self.best, self.gaps, self.tokens, self.bounds = best_and_gaps(self.edges, self.parts, encoder.scores)
        self.opened: dict[int, PartPaths] = {}

    def part(self, number: int) -> PartPaths:
        if number not in self.opened:
            begin, first = self.parts[number - 1] if number else (0, 0)
            end, last = self.parts[number]
            self.opened[number] = PartPaths(self.edges[first:last], self.encoder.scores, begin, end)
        return self.opened[number]

    def __call__(self, count: int) -> Iterator[tuple[float, npt.NDArray[np.int32]]]:
        """Up to `count` paths as (score, tokens)."""
        top = math.fsum(self.best)
        for loss, changes in best_combinations(self.part, self.gaps, count):
            runs = []
            at = 0
            for number, rank in sorted(changes):
                runs += [self.tokens[at : self.bounds[number]], np.array(self.part(number).tokens(rank), np.int32)]
                at = int(self.bounds[number + 1])
            yield top - loss, np.concatenate([*runs, self.tokens[at:]]) if runs else self.tokens


def best_segmentations(encoder: Encoder, rows: Rows, weights: WeightTable, count: int) -> list[Segmentation]:
    """The `count` best segmentations, with their log-probabilities under alpha = 1, which `weights` are those of."""
    paths = BestPaths(encoder, rows, weights)
    return [
        Segmentation(encoder.spell(paths.text, tokens), min(0.0, score - paths.log_partition))
        for score, tokens in paths(count)
    ]


class BestLaw:
    """The law p ∝ exp(alpha · score) over the `count` best segmentations of a text."""

    def __init__(self, encoder: Encoder, rows: Rows, weights: WeightTable, count: int, alpha: float) -> None:
        self.encoder = encoder
        paths = BestPaths(encoder, rows, weights)
        self.text = paths.text
        found = list(paths(count))
        self.tokens = [tokens for _, tokens in found]
        self.weights = [math.exp(alpha * (score - found[0][0])) for score, _ in found]
        self.total = math.fsum(self.weights)

    def sample(self, uniform: float) -> tuple[npt.NDArray[np.int32], float]:
        """(tokens, log-probability) of the bracket of `uniform` in the cumulative law, the best segmentation first."""
        share, chosen = 0.0, 0
        for i, weight in enumerate(self.weights):
            share += weight
            chosen = i if weight > 0 else chosen  # rounding can leave the uniform beyond them all
            if uniform < share / self.total:
                break
        log_prob = math.log(self.weights[chosen]) - math.log(self.total)
        return self.tokens[chosen], log_prob

    def ids(self, tokens: npt.NDArray[np.int32]) -> list[int]:
        """The ids of a sample."""
        return self.encoder.spell(self.text, tokens)


def different_segmentations(
    encoder: Encoder,
    rows: Rows,
    weights: WeightTable,
    count: int,
    alpha: float,
    seed: int,
    index: int,
    weights_of_best: WeightTable | None,
) -> list[Segmentation]:
    """Up to `count` segmentations without replacement, with log-probability and log inclusion probability.

    `weights` are those of alpha; with `weights_of_best`, those of alpha = 1, the best segmentation comes first.
    """
    law = analyse(encoder, rows, alpha, weights, True)
    given: list[Segmentation] = []
    best: list[int] | None = None
    if weights_of_best is not None:
        score, tokens = next(iter(BestPaths(encoder, rows, weights_of_best)(1)))
        best = tokens.tolist()
        given.append(Segmentation(encoder.spell(law.text, tokens), min(0.0, alpha * score - law.log_partition), 0.0))
        count -= 1
    drawn = without_replacement(law.edges, law.conditionals, len(law.text), count, seed, index, best)
    # The value of the first path that is left out; where none is, all were certain to come.
    threshold = drawn[count][2] if len(drawn) > count else -math.inf
    for tokens_, log_prob, _ in drawn[:count]:
        ids = encoder.spell(law.text, np.array(tokens_, np.int32))
        given.append(Segmentation(ids, log_prob, _log_inclusion(log_prob - threshold)))
    return given


def _log_inclusion(above: float) -> float:
    """log(1 - exp(-exp(x))): that a Gumbel variable at `above` exceeds 0."""
    if above == math.inf or above > 700:
        return 0.0
    return math.log(-math.expm1(-math.exp(above))) if above > -700 else above


def log_probability(
    encoder: Encoder,
    rows: Rows,
    weights: WeightTable,
    ids: list[int],
    alpha: float,
    unknown_id: int | None,
    byte_values: dict[int, int],
) -> float:
    """The log-probability that a random segmentation has these ids, see Tokenizer.log_prob.

    `byte_values` maps the ids of byte pieces to their bytes; empty without byte fallback.
    """
    law = analyse(encoder, rows, alpha, weights, True)
    unknown = len(encoder.scores) - 1
    edges: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for start, end, token in law.edges.tolist():
        edges.setdefault((start, token), []).append((end, alpha * float(encoder.scores[token])))
    if byte_values:
        # Each character is spelled on its own: its edge stands for itself, and no run of them is merged.
        tokens, merged = _characters_for_bytes(encoder, ids, law.text, byte_values), -1
    else:
        tokens, merged = [unknown if id == unknown_id else id for id in ids], unknown
    found = None if tokens is None else _log_paths(tokens, edges, merged, len(law.text))
    return -math.inf if found is None else min(0.0, found - law.log_partition)


def _characters_for_bytes(
    encoder: Encoder, ids: list[int], text: bytes, byte_values: dict[int, int]
) -> list[int] | None:
    """The engine's tokens for ids in which unknown characters are spelled in bytes, None where they spell none."""
    tokens: list[int] = []
    position = at = 0
    while at < len(ids):
        if ids[at] not in byte_values:
            tokens.append(ids[at])
            position += int(encoder.lengths[ids[at]])
            at += 1
            continue
        end = position + 1
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end += 1
        spelled = encoder.visible(text[position:end])
        if bytes(byte_values.get(id, 0) for id in ids[at : at + len(spelled)]) != spelled:
            return None
        tokens.append(len(encoder.scores) - 1)
        position, at = end, at + len(spelled)
    return tokens


def _log_paths(
    tokens: list[int], edges: dict[tuple[int, int], list[tuple[int, float]]], merged: int, size: int
) -> float | None:
    """The logarithm of the sum of the weights of the paths with these tokens; None where there is none.

    `edges` maps (start, token) to (end, log weight); a run of `merged` edges is one entry of `tokens`.
    """
    reached: dict[int, list[float]] = {0: [0.0]}
    for before, token in pairwise([None, *tokens]):
        following: dict[int, list[float]] = {}
        pending = {position: list(values) for position, values in reached.items()}
        while pending and token is not None:
            position = min(pending)
            values = pending.pop(position)
            for end, weight in edges.get((position, token), ()):
                arrived = [value + weight for value in values]
                following.setdefault(end, []).extend(arrived)
                if token == merged:
                    pending.setdefault(end, []).extend(arrived)
        if before == token == merged or not following:
            return None
        reached = {end: [float(np.logaddexp.reduce(values))] for end, values in following.items()}
    return reached[size][0] if size in reached else None
