"""The arguments of calls: checked, and turned into what the engine takes."""

from __future__ import annotations

import math
import operator
import os
import sys
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from viterbi_sampling.arrow_texts import rows_of_array, rows_of_stream
from viterbi_sampling.engine.driver import ALGORITHMS
from viterbi_sampling.engine.rows import Rows
from viterbi_sampling.numpy_texts import rows_of_fixed_width, rows_of_variable_width
from viterbi_sampling.texts import rows_of as rows_of_objects

SAMPLERS = tuple(name for name in ALGORITHMS if name != "viterbi")

Text = str | bytes
Texts = Iterable[Text] | Rows
Seed: TypeAlias = "int | np.random.Generator | None"  # a string: numpy.random is not imported for it


def one_row(text: Text) -> Rows:
    if not isinstance(text, str | bytes):
        raise TypeError(f"text must be str or UTF-8 bytes, not {type(text).__name__}")
    return rows_of_objects((text,)).complete()


def rows_of(texts: Texts, keep_nulls: bool = False) -> Rows:
    """The rows of any column of texts: Arrow and numpy's S in place, what holds str or bytes by reference.

    A null is a TypeError that names its row; `keep_nulls` keeps those of Arrow columns.
    """
    return rows_to_gather(texts, keep_nulls).complete()


def rows_to_gather(texts: Texts, keep_nulls: bool = False) -> Rows:
    """`rows_of`, for the engine's driver: it gathers what holds str or bytes while the first rows are at work."""
    if type(texts) is list or type(texts) is tuple:  # another class may give other texts than it holds
        return rows_of_objects(texts)
    if isinstance(texts, str | bytes):
        raise TypeError(f"texts must be a sequence of texts, not one {type(texts).__name__}; encode takes one text")
    if isinstance(texts, Rows):
        return texts
    column: Any = _column_of_pandas(texts)
    if isinstance(column, np.ndarray):
        return _rows_of_array(column)
    if hasattr(column, "validate") and type(column).__module__.startswith("pyarrow"):
        column.validate()  # cheap: that the ends of the offsets lie inside the data
    if hasattr(column, "__arrow_c_array__"):
        return rows_of_array(column.__arrow_c_array__(), keep_nulls)
    if hasattr(column, "__arrow_c_stream__"):
        return rows_of_stream(column.__arrow_c_stream__(), keep_nulls)
    try:
        held = tuple(column)
    except TypeError:
        raise TypeError(f"texts must be a sequence of str or bytes, not {type(texts).__name__}") from None
    return rows_of_objects(held)


def _rows_of_array(array: npt.NDArray[Any]) -> Rows:
    if array.ndim != 1:
        raise TypeError(f"texts must be a flat sequence of texts, got an array of shape {array.shape}")
    if array.dtype.kind == "S" and not isinstance(array, np.ma.MaskedArray):
        return rows_of_fixed_width(array)
    if array.dtype.kind == "T" and not isinstance(array, np.ma.MaskedArray):
        return rows_of_variable_width(array)
    return rows_of_objects(array.tolist())


def _column_of_pandas(texts: Any) -> Any:
    """What holds the texts of a pandas column, an Arrow or a numpy array; anything else as it is."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(texts, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray):
        return texts
    if getattr(texts.dtype, "storage", None) == "pyarrow" or isinstance(texts.dtype, pandas.ArrowDtype):
        return getattr(texts, "array", texts).__arrow_array__()
    return np.asarray(texts, object)


def thread_count(num_threads: int | None) -> int:
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = operator.index(num_threads)
    if count < 1:
        raise ValueError(f"num_threads must be at least 1, or None for all, got {num_threads}")
    return min(count, 1024)


def key_of_seed(seed: Seed) -> int:
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(seed, int):
        return word(seed, "seed")
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(0, 2**64, dtype=np.uint64))
    return word(seed, "seed")


def word(value: Any, name: str) -> int:
    try:
        word = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
    if not 0 <= word < 2**64:
        raise ValueError(f"{name} must be from 0 to 2**64 - 1, got {word}")
    return word


def indices_of(index: int | npt.ArrayLike, rows: int) -> tuple[int, npt.NDArray[np.uint64] | None]:
    """(index of the first row, None), or (0, one index a row)."""
    if np.ndim(index) == 0:
        return word(index, "index"), None
    array = np.asarray(index)
    if array.dtype.kind == "f" and not hasattr(index, "dtype"):  # numpy makes floats of ints on both sides of 2**63
        array = np.array(index, object)
    if array.shape != (rows,):
        raise ValueError(f"index must be an int or have one entry a text: {rows} texts, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        array = np.array([word(entry, f"index[{i}]") for i, entry in enumerate(array.tolist())], np.uint64)
    if array.size and array.dtype.kind == "i" and array.min() < 0:
        at = int(np.argmin(array))
        raise ValueError(f"index[{at}] must be from 0 to 2**64 - 1, got {array[at]}")
    return 0, np.ascontiguousarray(array, np.uint64)


def inverse_temperature(alpha: Any) -> float:
    """`alpha` as a float that is finite and at least 0."""
    try:
        value = float(alpha)
    except (TypeError, ValueError):
        raise TypeError(f"alpha must be a number, not {type(alpha).__name__}") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"alpha must be finite and at least 0, got {alpha!r}")
    return value


def checked_law(alpha: Any, algorithm: str, nbest_size: int | None, with_log_probs: bool = False) -> float:
    """`alpha` as a float, once the law of samples that it is part of makes sense."""
    if algorithm not in SAMPLERS:
        raise ValueError(f"algorithm must be one of {', '.join(SAMPLERS)}, got {algorithm!r}")
    if algorithm == "nbest":
        if nbest_size is None or operator.index(nbest_size) < 1:
            raise ValueError(f"algorithm='nbest' needs an nbest_size of at least 1, got {nbest_size!r}")
    elif nbest_size is not None:
        raise ValueError(f"nbest_size goes with algorithm='nbest' only, got {nbest_size!r} with {algorithm!r}")
    if with_log_probs and algorithm == "viterbi_sampling":
        raise ValueError("with_log_probs: the probability of a sample of 'viterbi_sampling' has no closed form")
    return inverse_temperature(alpha)
