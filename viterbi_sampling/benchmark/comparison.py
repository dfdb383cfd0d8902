"""The comparison: the libraries do the same works in turns, and what they give is compared first."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from viterbi_sampling.benchmark import DISTRIBUTIONS
from viterbi_sampling.benchmark.machine import cores, environment
from viterbi_sampling.benchmark.peers import OURS, Act, Acts, ModelFile, Settings, Unable, acts_of, attempt
from viterbi_sampling.benchmark.timing import Times, take_turns
from viterbi_sampling.benchmark.works import WORKS, Work

LONGEST_TURN = 2.0
"""Seconds: a library that would take longer is given every k-th line only, and its speed is counted for these."""

SHOWN = 24
"""Characters or ids of a difference that are shown."""

PROBED = 64
"""The share of the lines, one of so many, on which is seen how slow a library is."""


@dataclass(frozen=True)
class Difference:
    """The first line for which a library gives something else than ours, and both from the first other entry on."""

    line: str
    ours: str
    theirs: str


@dataclass(frozen=True)
class Result:
    """One library at one work.

    `lines` and `megabytes` (of UTF-8) are what it was given, `seconds` the best of `times`; `differ`
    counts the lines for which it gives something else than ours among the `compared` ones, None where
    nothing is compared.
    """

    work: str
    library: str
    lines: int
    megabytes: float
    seconds: float
    times: Times
    compared: int = 0
    differ: int | None = None
    first_difference: Difference | None = None

    @property
    def speed(self) -> float:
        """MB/s; for a work that is given nothing, times a second."""
        return (self.megabytes or 1.0) / self.seconds


@dataclass(frozen=True)
class Comparison:
    """All results, and what could not be had: libraries by name, and works as (work, library), with the reasons."""

    model: str
    corpus: str
    lines: int
    megabytes: float
    threads: int
    repeats: int
    clock: str
    alpha: float
    environment: dict[str, object]
    results: list[Result] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, work: str) -> list[Result]:
        """The results of a work, ours first and the others by speed."""
        found = [result for result in self.results if result.work == work]
        return sorted(found, key=lambda result: (result.library != OURS, -result.speed))

    def as_json(self) -> dict[str, object]:
        """Everything, as JSON can hold it."""
        document = asdict(self)
        document["results"] = [asdict(result) | {"speed": result.speed} for result in self.results]
        document["failed"] = [
            {"work": work, "library": library, "reason": reason} for (work, library), reason in self.failed.items()
        ]
        return document


def compare(
    model: ModelFile,
    lines: Sequence[str],
    *,
    model_name: str = "",
    corpus_name: str = "",
    libraries: Sequence[str] = tuple(DISTRIBUTIONS),
    works: Sequence[str] = tuple(WORKS),
    threads: int = 1,
    alpha: float = 0.1,
    repeats: int = 5,
    clock: str = "wall",
    progress: Callable[[str], object] = lambda _: None,
) -> Comparison:
    """Compare with each of `libraries` that is installed and can load the model, at each of `works`.

    While it runs the process uses `threads` cores only. `progress` is told what is being done.

    >>> from viterbi_sampling import Tokenizer
    >>> tokenizer = Tokenizer.default()
    >>> model = ModelFile(tokenizer._model.source, tokenizer)
    >>> result = compare(model, ["The river", "was high."], libraries=[], works=["lists"], repeats=1)
    >>> [(one.library, one.lines, one.differ) for one in result.results]
    [('viterbi_sampling', 2, 0)]
    """
    lines = list(lines)
    settings = Settings(threads, alpha)
    comparison = Comparison(
        model_name, corpus_name, len(lines), megabytes(lines), threads, repeats, clock, alpha,
        environment(DISTRIBUTIONS[name] for name in libraries),
    )  # fmt: skip
    with cores(threads):
        acts: dict[str, Acts] = {}
        for name in (OURS, *libraries):
            progress(f"{name}: load")
            try:
                acts[name] = acts_of(name, model, settings)
            except Unable as error:
                comparison.left_out[name] = str(error)
        ids = model.tokenizer.encode_batch(lines, num_threads=1).to_list()
        for work in works:
            offered = {name: found[work] for name, found in acts.items() if work in found}
            _measure(comparison, model, work, offered, lines, ids, progress)
    return comparison


def megabytes(lines: Sequence[str]) -> float:
    return sum(len(line.encode("utf-8", "surrogatepass")) for line in lines) / 1e6


@dataclass
class _Given:
    """What a library is given at a work, every `step`-th line, and its answer for every `compared`-th of all lines.

    Both are powers of two.
    """

    act: Act
    input: Any
    step: int
    compared: int
    rows: list[Any]

    def call(self) -> object:
        return self.act.call(self.input)


def _measure(
    comparison: Comparison, model: ModelFile, work: str, acts: Mapping[str, Act], lines: list[str],
    ids: list[list[int]], progress: Callable[[str], object],
) -> None:  # fmt: skip
    kind = WORKS[work]
    given: dict[str, _Given] = {}
    for name, act in acts.items():
        progress(f"{work}: {name}: compare")
        try:
            given[name] = attempt(partial(_prepare, act, kind, model, lines, ids))
        except Unable as error:
            comparison.failed[work, name] = str(error)
    if OURS not in given:
        return
    compared = {name: _differences(kind, lines, given[OURS], one) for name, one in given.items()}
    for one in given.values():
        one.rows = []
    progress(f"{work}: measure")
    # They were called to be compared: they are warm.
    times = take_turns({name: one.call for name, one in given.items()}, comparison.repeats, warm=False)
    for name, one in given.items():
        best = times[name].best(comparison.clock)
        count, size = 0, 0.0
        if kind.given != "nothing":
            count, size = len(one.input), megabytes(lines[:: one.step])
        comparison.results.append(Result(work, name, count, size, best, times[name], *compared[name]))


def _prepare(act: Act, kind: Work, model: ModelFile, lines: list[str], ids: list[list[int]]) -> _Given:
    if kind.given == "nothing":
        act.call(None)
        return _Given(act, None, 1, 1, [])
    inputs: list[Any] = lines if kind.given == "lines" else ids
    best = math.inf
    for _ in range(2):  # the first may have much to set up
        start = time.perf_counter()
        act.call(inputs[::PROBED])
        best = min(best, time.perf_counter() - start)
    step = 1 << max(0, math.ceil(math.log2(max(best * PROBED / LONGEST_TURN, sys.float_info.min))))
    # Ids are compared on all lines, whatever it takes; all else on those that are timed.
    compared = 1 if kind.compares == "ids" else step
    rows = act.rows(act.call(inputs[::compared]))
    if len(rows) != len(inputs[::compared]):
        raise Unable(f"gave {len(rows)} results for {len(inputs[::compared])} lines")
    if kind is WORKS["sample"]:
        rows = model.tokenizer.decode_batch(rows)
    return _Given(act, inputs[::step], step, compared, rows)


def _differences(
    kind: Work, lines: list[str], ours: _Given, theirs: _Given
) -> tuple[int, int | None, Difference | None]:
    """How many lines are compared, how many differ, and the first of these."""
    if not kind.compares:
        return 0, None, None
    step = max(ours.compared, theirs.compared)  # each a multiple of the other: both gave these lines
    our_rows, their_rows = ours.rows[:: step // ours.compared], theirs.rows[:: step // theirs.compared]
    places = [i for i, (a, b) in enumerate(zip(our_rows, their_rows, strict=True)) if a != b]
    if not places:
        return len(our_rows), 0, None
    a, b = our_rows[places[0]], their_rows[places[0]]
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    first = Difference(_short(lines[places[0] * step]), _short(a[start:]), _short(b[start:]))
    return len(our_rows), len(places), first


def _short(value: Any) -> str:
    spelled = repr(value[:SHOWN])
    return spelled if len(value) <= SHOWN else f"{spelled[:-1]} …{spelled[-1]}"
