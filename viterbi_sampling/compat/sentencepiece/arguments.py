"""Arguments as sentencepiece's extension takes them, and refuses them: with the same types of exceptions."""

from __future__ import annotations

import math
import operator
import os
from typing import Any

from viterbi_sampling.formats.wire import BEYOND_FLOAT32

ReturnType = Any
"""int, str, bytes, "numpy", "proto", "serialized_proto", "offset_mapping", or "immutable_proto"."""

RETURN_TYPES = (int, str, bytes, "proto", "serialized_proto", "numpy", "offset_mapping", "immutable_proto")
PROTO_TYPES = ("proto", "serialized_proto", "immutable_proto", "offset_mapping")
MOST_THREADS = 1024
MOST_NBEST = 512


def is_return_type(value: Any) -> bool:
    """Whether a value is one of the return types."""
    return isinstance(value, type | str) and value in RETURN_TYPES


def return_type_of(return_type: ReturnType, out_type: ReturnType, default: ReturnType) -> ReturnType:
    """The one of the two that is given, `default` where none is; ValueError where both are, or for another value."""
    if out_type is not None:
        if return_type is not None:
            raise ValueError("give return_type or its old name out_type, not both")
        return_type = out_type
    if return_type is None:
        return default
    if not is_return_type(return_type):
        raise ValueError(f"return_type must be one of {RETURN_TYPES}, got {return_type!r}")
    return return_type


def flag(value: Any, name: str) -> bool:
    """A truth value; TypeError for what has none of its own, such as str and list."""
    if not hasattr(type(value), "__bool__"):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return bool(value)


def integer(value: Any, name: str, lowest: int = -(2**31), highest: int = 2**31 - 1) -> int:
    """An int within bounds; TypeError for anything else, so also for a float."""
    try:
        number = operator.index(value)
    except TypeError:
        if isinstance(value, float) or not hasattr(type(value), "__int__"):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
        number = int(value)
    if not lowest <= number <= highest:
        raise TypeError(f"{name} must be from {lowest} to {highest}, got {value}")
    return number


def number(value: Any, name: str) -> float:
    """A number; TypeError for anything else, so also for a str."""
    if not (hasattr(type(value), "__float__") or hasattr(type(value), "__index__")):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    return float(value)


def inverse_temperature(alpha: float) -> float:
    """`alpha` for sampling; RuntimeError where it is not finite in float32, or below 0."""
    if not (math.isfinite(alpha) and 0 <= alpha < BEYOND_FLOAT32):
        raise RuntimeError(f"alpha must be finite and at least 0, got {alpha!r}")
    return alpha


def nbest_count(nbest_size: int) -> int:
    """`nbest_size`; RuntimeError above 512, which is the most that sentencepiece allows."""
    if nbest_size > MOST_NBEST:
        raise RuntimeError(f"nbest_size must be at most {MOST_NBEST}, got {nbest_size}")
    return nbest_size


def one_text(text: Any) -> str | bytes:
    """`text`; TypeError where it is not str or bytes, RuntimeError for a str that has no UTF-8."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"input must be str or bytes, or a list of them, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RuntimeError(f"input holds a lone surrogate, which has no UTF-8: {error}") from None
    return text


def texts_of(texts: list[Any]) -> list[str | bytes]:
    """The texts of a list; TypeError where one is not str, bytes or bytearray, or has no UTF-8."""
    checked: list[str | bytes] = []
    for i, text in enumerate(texts):
        if isinstance(text, bytearray):
            text = bytes(text)
        elif not isinstance(text, str | bytes):
            raise TypeError(f"input[{i}] must be str or bytes, not {type(text).__name__}")
        checked.append(text)
    return checked


def utf8_of(texts: list[str | bytes]) -> list[bytes]:
    """The UTF-8 of checked texts; TypeError where a str has none."""
    try:
        return [text.encode("utf-8") if isinstance(text, str) else text for text in texts]
    except UnicodeEncodeError as error:
        raise TypeError(f"input holds a str with a lone surrogate, which has no UTF-8: {error}") from None


class ThreadPool:
    """A number of threads, to be given to several calls; a negative one is that of the cores, at most 1024.

    Threads live within a call here, so nothing is kept. Positional only, as in sentencepiece.

    >>> ThreadPool(2).num_threads()
    2
    """

    def __init__(self, num_threads: int, /) -> None:
        self._num_threads = thread_count(integer(num_threads, "num_threads"))

    def num_threads(self) -> int:
        """The number of threads."""
        return self._num_threads


def thread_count(num_threads: int) -> int:
    """From 1 to 1024; a negative number stands for that of the cores."""
    count = (os.cpu_count() or 1) if num_threads < 0 else num_threads
    return max(1, min(count, MOST_THREADS))


def threads_of(num_threads: Any, thread_pool: Any) -> int:
    """The number of threads of a call; RuntimeError where the pool is none."""
    if thread_pool is None:
        return thread_count(integer(num_threads, "num_threads"))
    count = getattr(thread_pool, "num_threads", None)  # a pool of this module or of the library
    if not callable(count):
        raise RuntimeError(f"thread_pool must be a ThreadPool, not {type(thread_pool).__name__}")
    return thread_count(count())
