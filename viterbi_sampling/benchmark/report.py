"""A comparison as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from viterbi_sampling.benchmark.comparison import Comparison, Result
from viterbi_sampling.benchmark.machine import described
from viterbi_sampling.benchmark.peers import OURS
from viterbi_sampling.benchmark.works import WORKS


def title(comparison: Comparison, work: str) -> str:
    return f"{WORKS[work].title}, alpha {comparison.alpha:g}" if work == "sample" else WORKS[work].title


def speed(result: Result) -> str:
    """In the unit of the work: MB/s of UTF-8, or milliseconds."""
    return f"{result.speed:,.1f} MB/s" if result.megabytes else f"{1000 * result.seconds:,.1f} ms"


def ratio(result: Result, ours: Result | None) -> str:
    """How many times as fast as the library ours is."""
    if ours is None or result.library == OURS:
        return ""
    times = ours.speed / result.speed
    return f"{times:.1f} ×" if times >= 10 else f"{times:.2f} ×" if times >= 0.1 else f"{times:.2g} ×"


def agreement(result: Result) -> str:
    """In how many lines the result is another than ours."""
    if result.differ is None or result.library == OURS:
        return ""
    return (
        f"{result.differ:,} of {result.compared:,} lines differ"
        if result.differ
        else f"same {WORKS[result.work].compares}"
    )


def text(comparison: Comparison) -> Iterator[str]:
    """The lines of the report."""
    threads = "1 thread" if comparison.threads == 1 else f"{comparison.threads} threads"
    yield f"{comparison.model} on {comparison.corpus}: {comparison.lines:,} lines, {comparison.megabytes:.1f} MB"
    yield described(comparison.environment)
    yield f"{threads}, best of {comparison.repeats} or more turns, {comparison.clock} clock; ours is × times as fast"
    for work in WORKS:
        results = comparison.of(work)
        failed = [(name, reason) for (of, name), reason in comparison.failed.items() if of == work]
        if not results and not failed:
            continue
        ours = results[0] if results and results[0].library == OURS else None
        yield ""
        yield title(comparison, work)
        for result in results:
            share = f"  ({result.megabytes:.1f} MB)" if ours is not None and result.lines < ours.lines else ""
            row = f"  {result.library:18}{speed(result):>14}{ratio(result, ours):>11}  {agreement(result)}{share}"
            yield row.rstrip()
        for name, reason in failed:
            yield f"  {name:18}failed: {reason}"
    yield from _differences(comparison)
    if comparison.left_out:
        yield ""
    for name, reason in comparison.left_out.items():
        yield f"left out: {name}: {reason}"


def _differences(comparison: Comparison) -> Iterator[str]:
    """Of each library and each thing that is compared, the first difference."""
    shown: dict[tuple[str, str], Result] = {}
    for result in comparison.results:
        if result.first_difference is not None:
            shown.setdefault((result.library, WORKS[result.work].compares), result)
    if shown:
        yield ""
        yield "the first differences, from where they begin"
    for (library, compares), result in shown.items():
        first = result.first_difference
        assert first is not None
        yield f"  {library}, {compares} of {first.line}: ours {first.ours}, theirs {first.theirs}"
