"""What no piece of a vocabulary may be: the engine relies on it."""

from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint8_t, uint32_t

from viterbi_sampling.engine.utf8 cimport decode


cdef bint is_text(const uint8_t* piece, Py_ssize_t size) noexcept nogil:
    cdef uint32_t codepoint
    cdef Py_ssize_t at = 0
    cdef int length
    while at < size:
        length = decode(piece + at, size - at, &codepoint)
        if length == 0:
            return False
        at += length
    return True


def first_fault(const uint8_t[::1] text not None, const int64_t[::1] offsets not None, const double[::1] scores not None,
                Py_ssize_t limit, bint bytewise):
    """(index, what is wrong with it) of the first piece that cannot be used, or None.

    Piece i is text[offsets[i]:offsets[i + 1]]. A piece has 1 to limit - 1 bytes, which are UTF-8 unless `bytewise`, and a score
    that is a finite number. IndexError where offsets fall or lead outside.
    """
    cdef Py_ssize_t i, size
    if offsets.shape[0] != scores.shape[0] + 1 or offsets[0] < 0:
        raise IndexError(f"{scores.shape[0]} pieces need {scores.shape[0] + 1} offsets from 0 on")
    for i in range(scores.shape[0]):
        size = offsets[i + 1] - offsets[i]
        if size < 0 or offsets[i + 1] > text.shape[0]:
            raise IndexError(f"offsets[{i}:{i + 2}] = {offsets[i]}, {offsets[i + 1]} are no bounds in {text.shape[0]} bytes")
        if size == 0:
            return i, "is empty"
        if size >= limit:
            return i, f"has {limit} bytes or more"
        if not isfinite(scores[i]):
            return i, "has a score that is not a finite number"
        if not bytewise and not is_text(&text[offsets[i]], size):
            return i, "is not valid UTF-8"
    return None
