# What the engine filled, for Python: its memory as numpy arrays, without a copy, or its numbers as lists.

from libc.stdint cimport int32_t, int64_t

from viterbi_sampling.engine.buffer cimport Ints

cdef class Memory:
    cdef void* data
    cdef Py_ssize_t size        # bytes

# A one-dimensional numpy array of these numbers, whose memory it owns from now on: there are none left.
cdef object array_from(Ints* numbers)

# A list of int. Those of ids are shared among all lists: making an int object for each would take most of the time.
cdef list list_from(const int32_t* values, size_t count)

# Add `count` such lists to `found`: of the numbers up to each of `ends`, the first from `begin` on.
cdef int add_lists(list found, const int32_t* values, int64_t begin, const int64_t* ends, Py_ssize_t count) except -1

# A list of `count` tuples of two int each.
cdef list pairs_from(const int32_t* values, size_t count)

# IndexError where offsets fall or lead outside of `size` values.
cdef int check_bounds(const int64_t[::1] offsets, Py_ssize_t size) except -1
