"""The process-wide seed of sentencepiece's API, as a key and a count of the rows that were sampled.

Each sampled row takes the next index of the seed's streams, so no two rows share one, and what a row
gets depends on the seed and on how many rows came before it in this process, not on threads.
"""

from __future__ import annotations

import os
import threading

from viterbi_sampling.compat.sentencepiece.arguments import integer

RESERVED_SEED = 2**32 - 1
"""sentencepiece keeps this seed for itself, and ignores it where it is set."""


class RowCounter:
    """Hands out (seed, index) to rows; thread-safe. Without a seed it takes one from the system, anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seed: int | None = None
        self._process = 0
        self._given = False
        self._next = 0

    def restart(self, seed: int) -> None:
        """Begin with index 0 of `seed`."""
        with self._lock:
            self._seed = seed
            self._given = True
            self._next = 0

    def take(self, rows: int) -> tuple[int, int]:
        """(seed, index of the first of `rows` rows); the others follow it."""
        with self._lock:
            if not self._given and self._process != os.getpid():
                # A child of a fork must not draw what its parent and its siblings draw.
                self._seed = int.from_bytes(os.urandom(8), "little")
                self._process = os.getpid()
                self._next = 0
            assert self._seed is not None
            first = self._next
            self._next = (first + rows) % 2**64
            return self._seed, first


ROWS = RowCounter()
"""The one that all processors share, as sentencepiece has one seed for all of them."""


def SetRandomGeneratorSeed(seed: int, /) -> None:
    """Set the seed of all sampling in this process, from 0 to 2^32 - 1; TypeError for anything else.

    The rows that are sampled from now on, whatever their processor, have the streams 0, 1, ... of this
    seed. The same calls in the same order give the same samples in every process, on every platform, at
    every number of threads. Programs that fork should set a seed of its own in each child.

    >>> from viterbi_sampling.compat import sentencepiece as spm
    >>> spm.set_random_generator_seed(7)
    """
    value = integer(seed, "seed", 0, RESERVED_SEED)
    if value != RESERVED_SEED:
        ROWS.restart(value)


set_random_generator_seed = SetRandomGeneratorSeed
