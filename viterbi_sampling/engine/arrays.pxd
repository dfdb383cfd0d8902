# Memory that the engine filled, as numpy arrays, without a copy.

cdef class Memory:
    cdef void* data
    cdef Py_ssize_t size        # bytes

# A one-dimensional numpy array over the first `size` bytes of malloc's memory, which it owns from now on: the pointer to
# it, which lies at `place`, becomes NULL.
cdef object array_from(void* place, size_t size, object dtype)
