# Memory that the engine filled, as numpy arrays, without a copy.

cdef class Memory:
    cdef void* data
    cdef Py_ssize_t size        # bytes

# A one-dimensional numpy array over `size` bytes of malloc's memory, which it owns from now on; NULL'd at its owner.
cdef object array_from(void** data, size_t size, object dtype)
