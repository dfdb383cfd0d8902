"""Times that can be compared: the calls take turns in one process, and the best of each counts.

On a machine that others use too, a speed means little and the ratio of two that were measured in
turns means something. What disturbs a call only ever makes it slower, so the shortest of its times
is the least disturbed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

CLOCKS = ("wall", "cpu")
"""`cpu` is the time that all threads of the process took: right for works of one thread where others use the cores."""

LONGEST = 1.0
"""Seconds: calls that take together less than this are measured more often than asked for, up to ten times."""


@dataclass
class Times:
    """The times of the turns of a call, in seconds and in their order.

    wall : by the clock on the wall
    cpu : the time that all threads of the process took
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def best(self, clock: str = "wall") -> float:
        """The shortest by one of CLOCKS."""
        return min(self.cpu if clock == "cpu" else self.wall)

    def on_free_cores(self, threads: int) -> float:
        """The least wall time that the best turn can have on free cores: were all of the work shared evenly."""
        return min(self.cpu) / threads

    def measure(self, call: Callable[[], object]) -> object:
        """What the call returns; its time is added."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return result


def take_turns(calls: Mapping[str, Callable[[], object]], repeats: int, warm: bool = True) -> dict[str, Times]:
    """The times of `repeats` turns of each call, of more where they are short.

    With `warm` each call is made once before, untimed. What lived before is kept from the garbage
    collector meanwhile, which runs as it always does.

    >>> times = take_turns({"one": lambda: sum(range(10)), "two": lambda: sum(range(10))}, repeats=3)
    >>> len(times["one"].wall) >= 3 and times["one"].best() > 0
    True
    """
    names = list(calls)
    times = {name: Times() for name in names}
    gc.collect()
    gc.freeze()
    try:
        for name in names if warm else ():
            calls[name]()
        start = time.perf_counter()
        turns = 0
        while turns < repeats or (time.perf_counter() - start < LONGEST and turns < 10 * repeats):
            # Who begins changes, so that none always finds the processor's caches as the same other left them.
            first = turns % len(names) if names else 0
            for name in names[first:] + names[:first]:
                times[name].measure(calls[name])
            turns += 1
    finally:
        gc.unfreeze()
    return times
