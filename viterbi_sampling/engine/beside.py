"""Threads that live inside one call, with the main thread watching for Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol


class Cancelled(Protocol):
    """What is done, as far as it can be stopped."""

    def cancel(self) -> None: ...


def run_beside(calls: Sequence[Callable[[], object]], task: Cancelled, first_here: bool = False) -> None:
    """Make each call in a thread of its own; an exception here, such as Ctrl-C, stops them first.

    `first_here`: the first call is made in this thread, which saves a thread where none has to watch.
    """
    done = [False] * len(calls)

    def make(i: int) -> None:
        try:
            calls[i]()
        finally:
            done[i] = True

    here = [0] if first_here else []
    threads = [threading.Thread(target=make, args=(i,)) for i in range(len(here), len(calls))]
    started = len(here)
    try:
        for thread in threads:
            thread.start()
            started += 1
        for i in here:
            make(i)
        for thread in threads:
            thread.join()
    except BaseException:
        task.cancel()
        # An interrupted join can take a running thread for a dead one, so it is asked what is done.
        while not all(done[len(here) : started]):
            try:
                time.sleep(0.001)
            except KeyboardInterrupt:
                continue
        raise
