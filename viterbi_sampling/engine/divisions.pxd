# The rows of a batch that several threads do together.

from libc.stdint cimport int64_t

from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.job cimport Job
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.tokens cimport Tokens

cdef struct Divided:            # a row that is done
    Py_ssize_t row
    int status
    Tokens* tokens
    const int64_t* ends         # of its draws

cdef class Divisions:
    cdef list divisions
    cdef Divided* rows
    cdef int count
    cdef const Divided* find(self, Py_ssize_t row) noexcept nogil

# Do the rows of a batch that are so long beside the others that one thread would be left alone with them, each with
# `count` threads.
cdef Divisions divide_rows(Encoder encoder, Rows rows, Job* job, task, tuple key, int count, bint with_spans,
                           double* log_probs, bint first_here)
