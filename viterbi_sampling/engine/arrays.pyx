"""Memory that the engine filled, as numpy arrays, without a copy."""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

import numpy as np


cdef class Memory:
    """A block of malloc's memory, freed with the last array over it."""

    def __dealloc__(self):
        free(self.data)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, False, flags)


cdef object array_from(void* place, size_t size, object dtype):
    cdef Memory memory
    cdef void* fitted
    if size == 0:
        return np.empty(0, dtype)
    memory = Memory()
    memcpy(&memory.data, place, sizeof(void*))
    memset(place, 0, sizeof(void*))
    memory.size = size
    fitted = realloc(memory.data, size)     # gives back what was reserved beyond
    if fitted != NULL:
        memory.data = fitted
    return np.frombuffer(memory, dtype)
