"""Keys of the parts of a text that are sampled one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def keys_of_parts(keys: Keys, parts: Keys) -> Keys:
    """The key of each part of a text: part 0 keeps the text's own, so that a text in one piece is sampled as ever.

    The others are hashed (the finalizer of SplitMix64), so that parts are independent of each other and of other rows.

    >>> keys_of_parts(np.array([5, 5], np.uint64), np.array([0, 1], np.uint64))[0]
    np.uint64(5)
    """
    with np.errstate(over="ignore"):
        mixed = keys + parts * GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.where(parts == 0, keys, mixed)
