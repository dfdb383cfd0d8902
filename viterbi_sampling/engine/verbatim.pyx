"""Texts that plain Python has prepared, since the engine has not all steps of their pipeline."""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, reserve_bytes, reserve_ints
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.words cimport SLACK


cdef int verbatim(const void* pipeline, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil:
    cdef size_t i
    if size > MAX_TEXT // 2:
        return TOO_LONG
    if not reserve_bytes(out, size + SLACK) or (origins != NULL and not reserve_ints(origins, 2 * size)):
        return NO_MEMORY
    if size:
        memcpy(out.data, text, size)
    out.size = size
    if origins != NULL:
        for i in range(size):
            origins.data[2 * i] = <int32_t>i
            origins.data[2 * i + 1] = <int32_t>i + 1
        origins.size = 2 * size
    return OK


cdef class Verbatim(Normalizer):
    """Rows are texts that plain Python has prepared."""

    def __init__(self):
        memset(&self.rules, 0, sizeof(self.rules))
        self.rules.prepare = verbatim
