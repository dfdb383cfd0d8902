"""Threads that live inside one call, with the main thread watching for Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol


class Cancelled(Protocol):
    """What is done, as far as it can be stopped."""

    def cancel(self) -> None: ...


class Beside:
    """Calls in threads of their own, which have ended when the block does; an exception in it, such as Ctrl-C, stops them.

    >>> from types import SimpleNamespace
    >>> found = []
    >>> with Beside(SimpleNamespace(cancel=lambda: None)) as beside:
    ...     beside.start(lambda: found.append(1))
    >>> found
    [1]
    """

    def __init__(self, task: Cancelled) -> None:
        self._task = task
        self._threads: list[threading.Thread] = []
        self._started = 0
        self._done: list[bool] = []

    def __enter__(self) -> Beside:
        return self

    def start(self, call: Callable[[], object]) -> None:
        """Make this call in a thread of its own."""
        number = len(self._threads)

        def make() -> None:
            try:
                call()
            finally:
                self._done[number] = True

        self._done.append(False)
        self._threads.append(threading.Thread(target=make))
        self._threads[-1].start()
        self._started += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._stop()
            return
        try:
            for thread in self._threads:
                thread.join()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        self._task.cancel()
        # An interrupted join can take a running thread for a dead one, so it is asked what is done.
        while not all(self._done[: self._started]):
            try:
                time.sleep(0.001)
            except KeyboardInterrupt:
                continue


def run_beside(calls: Sequence[Callable[[], object]], task: Cancelled, first_here: bool = False) -> None:
    """Make each call in a thread of its own.

    `first_here`: the first call is made in this thread, which saves a thread where none has to watch.
    """
    with Beside(task) as beside:
        for call in calls[first_here:]:
            beside.start(call)
        if first_here:
            calls[0]()
