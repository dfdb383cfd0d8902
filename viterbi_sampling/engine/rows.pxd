# Texts as the engine takes them: pointers to UTF-8 and sizes.

from libc.stdint cimport int64_t, uint8_t
from libcpp.atomic cimport atomic

cdef enum:
    NULL_TEXT = -1              # the size of a null, which has no segmentation

cdef class Rows:
    cdef const uint8_t** data
    cdef int64_t* sizes
    cdef uint8_t* in_characters     # spans are counted in characters, not in bytes
    cdef readonly Py_ssize_t count
    cdef atomic[Py_ssize_t] ready   # the first rows, which may be read: all of them once they are complete
    cdef readonly int64_t total     # bytes of these
    cdef object owner               # keeps the texts alive
    cdef int allocate(self, Py_ssize_t count) except -1
    # Gather some more rows.
    cdef int more(self) except -1
    # Take part in that, in any other thread; False where there is nothing to do for it.
    cdef bint help(self) noexcept nogil


# Raise the error of a Status other than OK, which concerns a row.
cdef int raise_for_status(int status, Py_ssize_t row) except -1
