# What a batch is given back as where it is no array: Python objects, made of rows as they are done.

from libc.stdint cimport int64_t

from viterbi_sampling.engine.results cimport Made

cdef class Objects:             # one a path, in the order of the rows
    cdef list found
    # Add those of `count` paths, which are all there is in `made`; each ends at its entry in `ends`, the first begins at 0.
    cdef int add(self, const Made* made, const int64_t* ends, Py_ssize_t count) except -1
    # All of them, once.
    cdef list all(self)

cdef class IdLists(Objects):
    pass
