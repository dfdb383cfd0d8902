# What the engine filled, for Python: its memory as numpy arrays, without a copy, or its numbers as lists.

from libc.stdint cimport int32_t

cdef class Memory:
    cdef void* data
    cdef Py_ssize_t size        # bytes

# A one-dimensional numpy array over the first `size` bytes of malloc's memory, which it owns from now on: the pointer to
# it, which lies at `place`, becomes NULL.
cdef object array_from(void* place, size_t size, object dtype)

# A list of int. Those of ids are shared among all lists: making an int object for each would take most of the time.
cdef list list_from(const int32_t* values, size_t count)

# A list of `count` tuples of two int each.
cdef list pairs_from(const int32_t* values, size_t count)
