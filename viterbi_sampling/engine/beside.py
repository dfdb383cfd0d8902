"""Threads that live inside one call, with the main thread watching for Ctrl-C."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from types import TracebackType
from typing import Protocol


class Cancelled(Protocol):
    """What is done, as far as it can be stopped."""

    def cancel(self) -> None: ...


class Beside:
    """Calls in threads of their own, ended when the block does. An exception in it, such as Ctrl-C, stops them.

    An exception in one of them is raised at the end. The threads are started without waiting until they run, as
    `threading.Thread` does: what is done in a few milliseconds would feel it.

    >>> from types import SimpleNamespace
    >>> found = []
    >>> with Beside(SimpleNamespace(cancel=lambda: None)) as beside:
    ...     beside.start(lambda: found.append(1))
    >>> found
    [1]
    """

    def __init__(self, task: Cancelled) -> None:
        self._task = task
        self._running: list[_thread.LockType] = []
        self._errors: list[BaseException] = []

    def __enter__(self) -> Beside:
        return self

    def start(self, call: Callable[[], object]) -> None:
        """Make this call in a thread of its own."""
        running = _thread.allocate_lock()
        running.acquire()

        def make() -> None:
            try:
                call()
            except BaseException as error:
                self._errors.append(error)
            finally:
                running.release()

        _thread.start_new_thread(make, ())
        self._running.append(running)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._task.cancel()
            self._wait()
        except BaseException:
            self._task.cancel()
            while self._running:
                try:
                    self._wait()
                except KeyboardInterrupt:
                    continue
            raise
        if kind is None and self._errors:
            raise self._errors[0]

    def _wait(self) -> None:
        while self._running:
            with self._running[-1]:
                pass
            self._running.pop()
