# Texts made without the interpreter lock, in the form that a str has, one after the other.

from libc.stdint cimport uint8_t

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.objects cimport Objects

# Add a text in UTF-8, which need not be valid. False without memory.
cdef bint add_text(Bytes* out, const uint8_t* text, size_t size) noexcept nogil

cdef class Texts(Objects):      # those in `made.text`, one a row
    cdef bytes errors           # what becomes of bytes that are not UTF-8
