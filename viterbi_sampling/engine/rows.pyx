"""Rows: what a batch of texts looks like below Python."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc


cdef class Rows:
    """Pointers to the UTF-8 of the texts of a batch, kept alive by `owner`."""

    def __dealloc__(self):
        free(self.data)
        free(self.sizes)
        free(self.in_characters)

    cdef int allocate(self, Py_ssize_t count) except -1:
        self.count = count
        self.data = <const uint8_t**>malloc((count + 1) * sizeof(uint8_t*))
        self.sizes = <int64_t*>malloc((count + 1) * sizeof(int64_t))
        self.in_characters = <uint8_t*>calloc(count + 1, 1)
        if not self.data or not self.sizes or not self.in_characters:
            raise MemoryError()
        return 0
