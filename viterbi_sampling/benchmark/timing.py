"""Times that can be compared: the calls take turns in one process, and the best of each counts.

On a machine that others use too, a speed means little and the ratio of two that were measured in
turns means something. What disturbs a call only ever makes it slower, so the shortest of its times
is the least disturbed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""`cpu` is the time that all threads of the process took: right for works of one thread where the cores are shared."""

LONGEST = 1.0
"""Seconds: calls that take together less than this are measured more often than asked for, up to ten times."""


def take_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int, clock: str = "wall", warm: bool = True
) -> dict[str, list[float]]:
    """The times of each call in seconds, `repeats` or more of them, in the order they were taken.

    With `warm` each call is made once before, untimed. What lived before is kept from the garbage
    collector meanwhile, which runs as it always does.

    >>> times = take_turns({"one": lambda: sum(range(10)), "two": lambda: sum(range(10))}, repeats=3)
    >>> len(times["one"]) >= 3 and len(times["one"]) == len(times["two"])
    True
    """
    now = CLOCKS[clock]
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()
    try:
        for name in names if warm else ():
            calls[name]()
        start = time.perf_counter()
        turns = 0
        while turns < repeats or (time.perf_counter() - start < LONGEST and turns < 10 * repeats):
            # Each begins as often as it comes last: none always finds the caches as the same other left them.
            for name in names[turns % len(names) :] + names[: turns % len(names)]:
                before = now()
                calls[name]()
                times[name].append(now() - before)
            turns += 1
    finally:
        gc.unfreeze()
    return times
