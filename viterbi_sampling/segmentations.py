"""Lists of segmentations: the n best, samples without replacement; and the probability of a given one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.batch import Segmentation
from viterbi_sampling.engine.alternatives import nbest
from viterbi_sampling.engine.encoder import Encoder
from viterbi_sampling.engine.given import log_weight
from viterbi_sampling.engine.quantities import analyse
from viterbi_sampling.engine.replacement import without_replacement
from viterbi_sampling.engine.rows import Rows

if TYPE_CHECKING:
    from viterbi_sampling.engine.encoder import WeightTable


def best_segmentations(encoder: Encoder, rows: Rows, count: int, log_partition: float) -> list[Segmentation]:
    """The `count` best segmentations, with their log-probabilities under alpha = 1, whose log Z is `log_partition`."""
    found = nbest(encoder, rows, count)
    return [
        Segmentation.of_path(
            found, rank, score - log_partition if (score := found.score(rank)) < log_partition else 0.0
        )
        for rank in range(len(found))
    ]


def different_segmentations(
    encoder: Encoder,
    rows: Rows,
    weights: WeightTable,
    count: int,
    alpha: float,
    seed: int,
    index: int,
    include_best: bool,
) -> list[Segmentation]:
    """Up to `count` segmentations without replacement, with log-probability and log inclusion probability.

    `weights` are those of alpha. With `include_best` the best segmentation comes first.
    """
    paths, text = different_paths(encoder, rows, weights, count, alpha, seed, index, include_best)
    found = _Paths(encoder, text, [path.tokens for path in paths])
    return [Segmentation.of_path(found, rank, path.log_prob, path.log_inclusion) for rank, path in enumerate(paths)]


class _Paths(NamedTuple):
    """Paths over a text, whose ids are spelled when they are asked for."""

    encoder: Encoder
    text: bytes
    tokens: list[npt.NDArray[np.int32]]

    def ids(self, rank: int) -> list[int]:
        return self.encoder.spell(self.text, self.tokens[rank])


class DrawnPath(NamedTuple):
    """One path through the lattice, drawn without replacement: the engine's tokens, and what is known of it."""

    tokens: npt.NDArray[np.int32]
    log_prob: float
    log_inclusion: float


def different_paths(
    encoder: Encoder,
    rows: Rows,
    weights: WeightTable,
    count: int,
    alpha: float,
    seed: int,
    index: int,
    include_best: bool,
) -> tuple[list[DrawnPath], bytes]:
    """The paths of different_segmentations, and the normalized text that they go over."""
    law = analyse(encoder, rows, alpha, weights, True, True)
    given: list[DrawnPath] = []
    best: npt.NDArray[np.int32] | None = None
    if include_best:
        found = nbest(encoder, rows, 1)
        best = np.array(found.tokens(0), np.int32)
        given.append(DrawnPath(best, min(0.0, alpha * found.score(0) - law.log_partition), 0.0))
        count -= 1
    drawn = without_replacement(law.starts, law.ends, law.tokens, law.conditionals, count, seed, index, best)
    # The value of the first path that is left out; where none is, all were certain to come.
    threshold = drawn[count][2] if len(drawn) > count else -math.inf
    given += [
        DrawnPath(tokens, log_prob, _log_inclusion(log_prob - threshold)) for tokens, log_prob, _ in drawn[:count]
    ]
    return given, law.text


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
    law = analyse(encoder, rows, alpha, weights)
    unknown = encoder.pieces
    tokens: list[int] | None = ids
    if byte_values:
        # Each character is spelled on its own: its edge stands for itself, and no run of them is merged.
        tokens = _characters_for_bytes(encoder, ids, law.text, byte_values)
    elif unknown_id in ids:
        tokens = [unknown if id == unknown_id else id for id in ids]
    found = None
    if tokens is not None:
        found = log_weight(encoder, law.text, np.array(tokens, np.int32), alpha, not byte_values)
    return -math.inf if found is None else min(0.0, found - law.log_partition)


def _characters_for_bytes(
    encoder: Encoder, ids: list[int], text: bytes, byte_values: dict[int, int]
) -> list[int] | None:
    """The engine's tokens for ids in which unknown characters are spelled in bytes, None where they spell none."""
    tokens: list[int] = []
    position = at = 0
    while at < len(ids):
        if position < len(text) and text[position] >= 0xF5:  # a mark, of an added token or one that is not in the ids
            if text[position : position + 4] != b"\xf5\x80\x80\x80":
                tokens.append(ids[at])
                at += 1
            position += 4
            continue
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
        tokens.append(encoder.pieces)
        position, at = end, at + len(spelled)
    return tokens
