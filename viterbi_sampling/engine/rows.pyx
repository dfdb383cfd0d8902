"""Rows: what a batch of texts looks like below Python, and what can go wrong with them."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc

import numpy as np

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, NO_PATH, TOO_LONG


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
        self.ready.store(count)
        return 0

    cdef int more(self) except -1:
        return 0

    cdef bint help(self) noexcept nogil:
        return False

    def complete(self):
        """Gather all rows, and give them back."""
        while self.ready.load() < self.count:
            self.more()
        return self

    def nulls(self):
        """Which rows are null: a bool array, or None where none is."""
        cdef Py_ssize_t i, count = 0
        self.complete()
        result = np.zeros(self.count, np.uint8)
        cdef uint8_t[::1] view = result
        for i in range(self.count):
            view[i] = self.sizes[i] == NULL_TEXT
            count += view[i]
        return result.view(np.bool_) if count else None

    def texts(self):
        """The texts as they were given: str where spans are in characters, bytes, or None for a null."""
        cdef Py_ssize_t i
        self.complete()
        found = []
        for i in range(self.count):
            text = None if self.sizes[i] == NULL_TEXT else self.data[i][:self.sizes[i]]
            found.append(text.decode("utf-8") if self.in_characters[i] and text is not None else text)
        return found


cdef int raise_for_status(int status, Py_ssize_t row) except -1:
    if status == NO_MEMORY:
        raise MemoryError()
    if status == TOO_LONG:
        raise ValueError(f"row {row} of texts is too long: a text must be shorter than {MAX_TEXT} bytes, before and after "
                         "normalization, and what is asked of it must fit into 2^31 numbers")
    if status == NO_PATH:
        raise ValueError(f"row {row} of texts has no segmentation into the pieces of this model (give unk_score to allow "
                         "unknown characters)")
    return 0
