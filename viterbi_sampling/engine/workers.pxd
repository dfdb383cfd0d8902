# The threads of a batch: workers, each of which makes something of rows.

from viterbi_sampling.engine.objects cimport Objects
from viterbi_sampling.engine.results cimport Made, Own, Results

cdef class Worker:              # what one thread needs
    cdef Results results
    cdef Made made
    cdef Own own
    cdef int status
    cdef Py_ssize_t failed_row
    # Do runs of rows until there are none, or, if the worker `collects`, many rows wait for that. A Status.
    cdef int run(self, bint collects) noexcept nogil
    # Add what the row becomes to `made`: for each kind of worker another thing. A Status.
    cdef int run_row(self, Py_ssize_t row) noexcept nogil

# Do all rows, each worker in a thread of its own but for the first, unless `watched`: then the calling thread only looks
# out for Ctrl-C. What goes wrong raises the `flag` that `results` look at. With `objects`, which may be None, it also makes
# them, as far as no row fails.
cdef int do_rows(list workers, Results results, int* flag, bint watched, Objects objects) except -1

# Raise what went wrong with the first row that has failed, if any has.
cdef int raise_first(list workers) except -1
