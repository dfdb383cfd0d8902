"""Threads that live inside one call, with the main thread watching for Ctrl-C."""

from __future__ import annotations

import _thread
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

T = TypeVar("T")


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


def run_beside(calls: Sequence[Callable[[], object]], task: Cancelled, first_here: bool = False) -> None:
    """Make each call in a thread of its own.

    `first_here`: the first call is made in this thread, which saves a thread where none has to watch.
    """
    with Beside(task) as beside:
        for call in calls[first_here:]:
            beside.start(call)
        if first_here:
            calls[0]()


class _Blocks:
    """The numbers of blocks of work, for whoever comes next."""

    def __init__(self, count: int) -> None:
        self._left = list(range(count))[::-1]

    def __iter__(self) -> Iterator[int]:
        while True:
            try:
                yield self._left.pop()
            except IndexError:
                return

    def cancel(self) -> None:
        self._left.clear()


def share_out(work: Callable[[int], T], count: int, threads: int) -> list[T]:
    """[work(0), ..., work(count - 1)], each done by the first thread that is free.

    >>> share_out(lambda block: block * block, 4, threads=2)
    [0, 1, 4, 9]
    """
    blocks = _Blocks(count)
    found: dict[int, T] = {}

    def take() -> None:
        for block in blocks:
            found[block] = work(block)

    with Beside(blocks) as beside:
        for _ in range(threads - 1):
            beside.start(take)
        take()
    return [found[block] for block in range(count)]
