"""Every algorithm in plain Python: the specification that the tests hold the engine to.

Slow, short, and without any of the engine's tricks. A text is a normalized str, positions count its
characters (BytePiece's are bytes), a path is a list of edges from position 0 to the end.

Weights are w(edge) = exp(alpha · score(edge)); the law of a path is the product of its weights over
Z, the sum of that product over all paths. Edges are visited by start, then by end, both rising.

Perfect sampling follows this law. Let F[t] be the sum, over all paths from 0 to t, of their weight:
all edges (s, t) offer F[s]·w(e) to it. Once all have done so, one of them is kept, with its share of
F[t] as probability: they divide [0, 1) among them, and a uniform falls into one part. (A reservoir
choice, as published, does so with a uniform an edge: the k-th is taken with its share of the sum of
the first k, and survives edge j > k with probability sum(j - 1) / sum(j); these telescope to its
share of F[t].) The choices of different ends use different uniforms, so reading back from the end
gives the path e1 … en with probability Π F[start]·w / F[end], and all but F[0] / F[end of text]
cancels: Π w / Z. What was kept at an end that the path does not touch changes nothing, so that only
the choices along the path, from the end of the text, need to be made at all.

>>> pieces = {"a": (0, -1.0), "b": (1, -1.0), "ab": (2, -1.5)}
>>> edges = lattice("ab", pieces)
>>> [edge.token for edge in viterbi(edges, 2)]
[2]
>>> {tuple(e.token for e in path): round(p, 3) for path, p in law(edges, 2, alpha=1.0)}
{(2,): 0.622, (0, 1): 0.378}
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

REBASE = 100_000.0
FEW = 64
"""Parts of at most so many paths are drawn with one uniform by the engine, whatever the algorithm."""


class Edge(NamedTuple):
    """A piece at a place: text[start:end] is the piece `token`, or one unknown character."""

    start: int
    end: int
    token: int
    score: float


Text = TypeVar("Text", str, bytes)
Path = list[Edge]
Uniforms = Iterator[float]


def bytepiece_lines(text: str) -> list[bytes]:
    """BytePiece's normalization: NFC, then lines with all newlines that follow. Each is a text of bytes of its own."""
    return [line.encode("utf-8") for line in re.findall(".*\n+|.+", unicodedata.normalize("NFC", text))]


def lattice(
    text: Text, pieces: Mapping[Text, tuple[int, float]], unknown: tuple[int, float] | None = None
) -> list[Edge]:
    """The edges over `text`.

    `pieces` maps a piece to its (token, score); `unknown` is that of a character that no piece of one character covers.
    """
    edges = []
    longest = max(map(len, pieces), default=0)
    for start in range(len(text)):
        single = False
        for end in range(start + 1, min(len(text), start + longest) + 1):
            if text[start:end] in pieces:
                edges.append(Edge(start, end, *pieces[text[start:end]]))
                single = single or end == start + 1
        if not single and unknown is not None:
            edges.append(Edge(start, start + 1, *unknown))
    return edges


def parts(edges: Sequence[Edge], size: int) -> Iterator[tuple[int, int, list[Edge]]]:
    """(start, end, edges) between neighbouring cuts; a cut is a position that no edge of a path passes over.

    Edges that start where no path from 0 leads are left out.
    """
    reached = {0}
    cut = frontier = 0
    part: list[Edge] = []
    by_start: dict[int, list[Edge]] = {}
    for edge in edges:
        by_start.setdefault(edge.start, []).append(edge)
    for position in range(size):
        if position == frontier and position > cut:
            yield cut, position, part
            cut, part = position, []
        if position in reached:
            for edge in by_start.get(position, []):
                part.append(edge)
                reached.add(edge.end)
                frontier = max(frontier, edge.end)
    if size and (size not in reached or frontier != size):
        raise ValueError("no path covers the text")
    if size:
        yield cut, size, part


def read_back(kept: Mapping[int, Edge], start: int, end: int) -> Path:
    """The path from `start` to `end` that is made of the edge kept at each end."""
    path: Path = []
    while end > start:
        path.append(kept[end])
        end = kept[end].start
    return path[::-1]


def viterbi(edges: Sequence[Edge], size: int, single_precision: bool = False, restarts: Collection[int] = ()) -> Path:
    """The best path: scores are added from left to right, and only a strictly greater sum replaces.

    In single precision this is sentencepiece 0.2.3, with its rebase: where the best score at a
    start leaves ±100,000, it is taken from the scores of all ends reached so far. In double precision
    it is Hugging Face's tokenizers and BytePiece, whose sums begin anew at `restarts`: the pre-tokens
    of the one, the lines of the other, which no edge passes over.
    """
    real: Callable[[float], np.floating] = np.float32 if single_precision else np.float64
    best: dict[int, np.floating] = {0: real(0.0)}
    kept: dict[int, Edge] = {}
    start = -1
    for edge in edges:
        if edge.start not in best:
            continue
        if edge.start != start:
            start = edge.start
            if start in restarts:
                best[start] = real(0.0)
            if single_precision and abs(best[start]) > REBASE:
                offset = best[start]
                for position in best:
                    if position >= start:
                        best[position] = best[position] - offset
        candidate = real(edge.score) + best[start]
        if edge.end not in best or candidate > best[edge.end]:
            best[edge.end] = candidate
            kept[edge.end] = edge
    return read_back(kept, 0, size)


def forward_sums(edges: Sequence[Edge], alpha: float, start: int = 0) -> dict[int, float]:
    """F[t], the sum of the weights of all paths from `start` to t, for each t that a path reaches."""
    sums = {start: 1.0}
    for edge in edges:
        if edge.start in sums:
            sums[edge.end] = sums.get(edge.end, 0.0) + sums[edge.start] * math.exp(alpha * edge.score)
    return sums


def few_paths(part: Sequence[Edge], start: int, end: int, most: int) -> list[Path]:
    """The paths over a part in the order of the choices from its end; [] where there are more than `most`.

    Of the edges of one end the shortest comes first. A part of more than 254 edges counts as one with more paths.
    """
    counts = {start: 1}
    for edge in part:
        counts[edge.end] = counts.get(edge.end, 0) + counts[edge.start]
    if len(part) > 254 or counts[end] > most:
        return []

    def paths_to(position: int) -> Iterator[Path]:
        if position == start:
            yield []
        for edge in reversed([edge for edge in part if edge.end == position]):
            for path in paths_to(edge.start):
                yield [*path, edge]

    return list(paths_to(end))


def at_once(paths: Sequence[Path], alpha: float, uniforms: Uniforms) -> Path:
    """One of a few paths: that into whose bracket of the cumulative law the uniform falls; a single one needs none."""
    if len(paths) == 1:
        return paths[0]
    scores = [alpha * math.fsum(edge.score for edge in path) for path in paths]
    weights = [math.exp(score - max(scores)) for score in scores]
    uniform, share = next(uniforms), 0.0
    for path, weight in zip(paths[:-1], weights, strict=False):
        share += weight
        if uniform < share / math.fsum(weights):
            return path
    return paths[-1]


def at_an_end(arriving: Sequence[Edge], sums: Mapping[int, float], alpha: float, uniforms: Uniforms) -> Edge:
    """One of the edges to one end: the shortest first, the longest takes the rest; a single one takes no uniform."""
    if len(arriving) > 1:
        uniform, share = next(uniforms), 0.0
        for edge in arriving[:-1]:
            share += sums[edge.start] * math.exp(alpha * edge.score)
            if uniform < share / sums[edge.end]:
                return edge
    return arriving[-1]


def by_ends(part: Sequence[Edge]) -> dict[int, list[Edge]]:
    """The edges of each end, from the shortest to the longest; the ends rise."""
    arriving: dict[int, list[Edge]] = {}
    for edge in sorted(part, key=lambda edge: (edge.end, -edge.start)):
        arriving.setdefault(edge.end, []).append(edge)
    return arriving


def perfect(edges: Sequence[Edge], size: int, alpha: float, uniforms: Uniforms, few: int = 1) -> Path:
    """Perfect sampling: in one pass, at each end the forward sum and a choice among all edges to it.

    Parts of at most `few` paths are drawn at once; the engine does so up to 64 (FEW).
    """
    path: Path = []
    for start, end, part in parts(edges, size):
        if paths := few_paths(part, start, end, few):
            path += at_once(paths, alpha, uniforms)
            continue
        sums = forward_sums(part, alpha, start)
        kept = {position: at_an_end(arriving, sums, alpha, uniforms) for position, arriving in by_ends(part).items()}
        path += read_back(kept, start, end)
    return path


def ffbs(edges: Sequence[Edge], size: int, alpha: float, uniforms: Uniforms, few: int = 1) -> Path:
    """Forward filtering, backward sampling: the sums first, then one choice a token from the end.

    Parts of at most `few` paths are drawn at once; the engine does so up to 64 (FEW).
    """
    path: Path = []
    for start, position, part in parts(edges, size):
        if paths := few_paths(part, start, position, few):
            path += at_once(paths, alpha, uniforms)
            continue
        sums, arriving = forward_sums(part, alpha, start), by_ends(part)
        kept: dict[int, Edge] = {}
        end = position
        while position > start:
            kept[position] = at_an_end(arriving[position], sums, alpha, uniforms)
            position = kept[position].start
        path += read_back(kept, start, end)
    return path


def viterbi_sampling(edges: Sequence[Edge], size: int, alpha: float, uniforms: Uniforms) -> Path:
    """The original Viterbi Sampling, whose law is biased: a coin for each candidate against the kept one.

    The coin falls for the candidate with probability sigmoid(alpha · (its path's score - the kept
    path's score)). Of three equal candidates the last is taken half the time: (1/4, 1/4, 1/2).
    """
    path: Path = []
    for start, end, part in parts(edges, size):
        scores = {start: 0.0}
        kept: dict[int, Edge] = {}
        for edge in part:
            score = scores[edge.start] + edge.score
            if edge.end not in kept or next(uniforms) < sigmoid(alpha * (score - scores[edge.end])):
                scores[edge.end] = score
                kept[edge.end] = edge
        path += read_back(kept, start, end)
    return path


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0


def backward_sums(edges: Sequence[Edge], size: int, alpha: float) -> dict[int, float]:
    """B[s], the sum of the weights of all paths from s to the end, for each s from which a path leads there."""
    sums = {size: 1.0}
    for edge in sorted(edges, key=lambda e: -e.start):
        if edge.end in sums:
            sums[edge.start] = sums.get(edge.start, 0.0) + math.exp(alpha * edge.score) * sums[edge.end]
    return sums


def marginals(edges: Sequence[Edge], size: int, alpha: float) -> list[float]:
    """For each edge F[start] · w · B[end] / Z, the probability that a random path goes through it."""
    before, after = forward_sums(edges, alpha), backward_sums(edges, size, alpha)
    total = before[size]
    return [before.get(e.start, 0.0) * math.exp(alpha * e.score) * after.get(e.end, 0.0) / total for e in edges]


def entropy(edges: Sequence[Edge], size: int, alpha: float) -> float:
    """The entropy of a random path in nats, log Z - alpha · expected score."""
    shares = marginals(edges, size, alpha)
    expected = math.fsum(p * e.score for p, e in zip(shares, edges, strict=True))
    return math.log(forward_sums(edges, alpha)[size]) - alpha * expected


def nbest(edges: Sequence[Edge], size: int, k: int) -> list[Path]:
    """The k best paths, best first: the k best to each end, from those to the starts of its edges."""
    best: dict[int, list[tuple[float, Path]]] = {0: [(0.0, [])]}
    for end in range(1, size + 1):
        candidates = [
            (score + edge.score, [*path, edge])
            for edge in edges
            if edge.end == end
            for score, path in best.get(edge.start, [])
        ]
        best[end] = sorted(candidates, key=lambda candidate: -candidate[0])[:k]
    return [path for _, path in best[size]]


def without_replacement(
    edges: Sequence[Edge], size: int, k: int, alpha: float, gumbels: Iterator[float]
) -> list[tuple[Path, float]]:
    """k different paths: those with the greatest log p + Gumbel noise, each with its log inclusion probability.

    That is log P(log p + Gumbel > kappa), kappa being the greatest perturbed value that was left out.
    """
    perturbed = sorted(((math.log(p) + next(gumbels), math.log(p), path) for path, p in law(edges, size, alpha)),
                       key=lambda entry: -entry[0])  # fmt: skip
    if len(perturbed) <= k:
        return [(path, 0.0) for _, _, path in perturbed]
    kappa = perturbed[k][0]
    return [(path, math.log(-math.expm1(-math.exp(p - kappa)))) for _, p, path in perturbed[:k]]


def segmentations(edges: Sequence[Edge], size: int, start: int = 0) -> Iterator[Path]:
    """All paths from `start` to the end, longest first piece first."""
    if start == size:
        yield []
    for edge in sorted((e for e in edges if e.start == start), key=lambda e: -e.end):
        for rest in segmentations(edges, size, edge.end):
            yield [edge, *rest]


def law(edges: Sequence[Edge], size: int, alpha: float) -> list[tuple[Path, float]]:
    """Each path with its probability under p ∝ exp(alpha · score), by enumeration."""
    paths = list(segmentations(edges, size))
    scores = [alpha * math.fsum(edge.score for edge in path) for path in paths]
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    total = math.fsum(weights)
    return [(path, weight / total) for path, weight in zip(paths, weights, strict=True)]


def spell(path: Path, text: str, unknown: int, unknown_id: int, byte_ids: Sequence[int] | None = None) -> list[int]:
    """The ids of a path: a run of unknown characters is one `unknown_id`, or with `byte_ids` its bytes."""
    ids: list[int] = []
    after_unknown = False
    for edge in path:
        is_unknown = edge.token == unknown
        if is_unknown and byte_ids is not None:
            ids += [byte_ids[byte] for byte in text[edge.start : edge.end].encode("utf-8")]
        elif not is_unknown:
            ids.append(edge.token)
        elif not after_unknown:
            ids.append(unknown_id)
        after_unknown = is_unknown
    return ids
