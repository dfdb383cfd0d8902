# The pieces of a vocabulary as Python strings.

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef class PieceStrings:
    cdef const uint8_t[::1] text        # of all pieces
    cdef const int64_t[::1] offsets
    cdef readonly int32_t unknown_id    # its pieces are what the text has, -1 for none
    cdef list strings                   # str of each piece, None until it is asked for
    cdef list spelled                   # the same as bytes
    cdef object make(self, int32_t id, bint as_bytes)

    # The pieces of `count` ids, those of unknown tokens taken from `unknown`, the first being number `at`.
    cdef list of(self, const int32_t* ids, size_t count, bint as_bytes, list unknown, Py_ssize_t at)
