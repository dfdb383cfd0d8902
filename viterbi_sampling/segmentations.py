"""Lists of segmentations: the n best, and samples without replacement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from viterbi_sampling.batch import Segmentation
from viterbi_sampling.engine.encoder import Encoder
from viterbi_sampling.engine.kbest import PartPaths, best_and_gaps, best_combinations
from viterbi_sampling.engine.quantities import analyse
from viterbi_sampling.engine.replacement import without_replacement
from viterbi_sampling.engine.rows import Rows


class BestPaths:
    """The paths of a text, best first, worked out as they are asked for.

    Memory: the edges of the lattice, and for each path what differs from the best one.
    """

    def __init__(self, encoder: Encoder, rows: Rows) -> None:
        self.encoder = encoder
        analysis = analyse(encoder, rows, with_edges=True)
        self.text, self.edges, self.parts = analysis.text, analysis.edges, analysis.parts
        self.best, self.gaps = best_and_gaps(self.edges, self.parts, encoder.scores)
        self.opened: dict[int, PartPaths] = {}

    def part(self, number: int) -> PartPaths:
        if number not in self.opened:
            begin, first = self.parts[number - 1] if number else (0, 0)
            end, last = self.parts[number]
            self.opened[number] = PartPaths(
                np.ascontiguousarray(self.edges[first:last]), self.encoder.scores, begin, end
            )
        return self.opened[number]

    def __call__(self, count: int) -> Iterator[tuple[float, npt.NDArray[np.int32]]]:
        """Up to `count` paths as (score, tokens)."""
        top = math.fsum(self.best)
        pieces = [np.array(self._best_of(number), np.int32) for number in range(len(self.parts))]
        bounds = np.cumsum([0, *map(len, pieces)])
        joined = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
        for loss, changes in best_combinations(self.part, self.best, self.gaps, count):
            runs = []
            at = 0
            for number, rank in sorted(changes):
                runs += [joined[at : bounds[number]], np.array(self.part(number).tokens(rank), np.int32)]
                at = int(bounds[number + 1])
            yield top - loss, np.concatenate([*runs, joined[at:]]) if runs else joined

    def _best_of(self, number: int) -> list[int]:
        first = self.parts[number - 1][1] if number else 0
        if self.parts[number][1] == first + 1:
            return [int(self.edges[first, 2])]
        return self.part(number).tokens(0)


def best_segmentations(encoder: Encoder, rows: Rows, count: int, log_partition: float) -> list[Segmentation]:
    """The `count` best segmentations, with their log-probabilities under alpha = 1."""
    paths = BestPaths(encoder, rows)
    return [Segmentation(encoder.spell(paths.text, tokens), score - log_partition) for score, tokens in paths(count)]


class BestLaw:
    """The law p ∝ exp(alpha · score) over the `count` best segmentations of a text."""

    def __init__(self, encoder: Encoder, rows: Rows, count: int, alpha: float) -> None:
        self.encoder = encoder
        paths = BestPaths(encoder, rows)
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
    encoder: Encoder, rows: Rows, count: int, alpha: float, seed: int, index: int, include_best: bool
) -> list[Segmentation]:
    """Up to `count` segmentations without replacement, with log-probability and log inclusion probability."""
    law = analyse(encoder, rows, alpha, encoder.weights(alpha), True)
    given: list[Segmentation] = []
    best: list[int] | None = None
    if include_best:
        score, tokens = next(iter(BestPaths(encoder, rows)(1)))
        best = tokens.tolist()
        given.append(Segmentation(encoder.spell(law.text, tokens), alpha * score - law.log_partition, 0.0))
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
    encoder: Encoder, rows: Rows, ids: list[int], alpha: float, unknown_id: int | None, byte_values: dict[int, int]
) -> float:
    """The log-probability that a random segmentation has these ids, see Tokenizer.log_prob.

    `byte_values` maps the ids of byte pieces to their bytes; empty without byte fallback.
    """
    law = analyse(encoder, rows, alpha, encoder.weights(alpha), True)
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
    return -math.inf if found is None else found - law.log_partition


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
