# The batch driver: rows of texts in, ids out.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.divisions cimport Divided, Divisions
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.job cimport Job
from viterbi_sampling.engine.kbest cimport BestPaths
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Tokens
from viterbi_sampling.engine.workers cimport Worker
from viterbi_sampling.engine.workspace cimport Workspace

cdef class Task:                # the job of one call, and what it points to; alive as long as any of its workers
    cdef Job job
    cdef object owners

cdef class Segmenter(Worker):
    cdef Encoder encoder
    cdef Rows rows
    cdef Workspace space
    cdef Task task
    cdef Job* job
    cdef int64_t* ends          # receives where the tokens of each path end
    cdef double* log_probs      # receives their log-probabilities, unless it is NULL
    cdef Ints origins
    cdef Stream stream
    cdef const uint64_t* words  # what the stream begins with instead of its own, if there are any
    cdef int word_count
    cdef BestPaths paths        # of NBEST
    cdef bint keep_normalized
    cdef bint with_unknown      # what the normalized text has at unknown tokens is kept
    cdef Tokens spanned         # of a row with unknown tokens
    cdef Divisions divisions    # of the rows that several threads have done already
    cdef int take_divided(self, const Divided* divided) noexcept nogil
    cdef int run_draw(self, Py_ssize_t row, Py_ssize_t draw) noexcept nogil
    cdef int keep_unknown(self, Py_ssize_t row, Py_ssize_t draw, size_t first) noexcept nogil
    cdef void place(self, Py_ssize_t row, size_t first) noexcept nogil

# One path over one text, by any algorithm but NBEST, without what a batch needs. `key`: what a workspace is kept for.
# Not to be interrupted. The workspace holds the tokens and the normalized text, and is to be given back; with `origins`
# the tokens have spans, in the normalized text.
cdef Workspace decide_text(Encoder encoder, Job* job, tuple key, const uint8_t* data, size_t size, Ints* origins)

# The ids of such a path.
cdef list ids_of_one(Encoder encoder, Job* job, tuple key, const uint8_t* data, size_t size)
