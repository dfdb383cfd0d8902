# The batch driver: rows of texts in, ids out.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport Bytes, Ints
from viterbi_sampling.engine.cuts cimport Cuts
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.choices cimport Algorithm, Weights
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.trie cimport Trie
from viterbi_sampling.engine.words cimport Words

cdef struct Job:                # what is done to each text; the same for all threads of a call
    Algorithm algorithm
    Weights weights
    uint64_t seed
    const uint64_t* indices     # one a text, or NULL: first_index + i
    uint64_t first_index
    uint64_t first_draw
    Py_ssize_t draws            # paths a text: first_draw, first_draw + 1, ...
    int32_t prefix_id           # set before and after each path, -1: none
    int32_t suffix_id
    int cancelled

cdef class Task:                # the job of one call, and what it points to; alive as long as any of its workers
    cdef Job job
    cdef object owners

cdef class Encoder:
    cdef Vocabulary vocabulary
    cdef Spelling spelling
    cdef bint single_precision
    cdef Normalizer normalizer
    cdef Trie trie
    cdef Cuts cuts
    cdef readonly object scores # these own what `vocabulary` points to
    cdef object single_scores
    cdef readonly object lengths
    cdef readonly object shelf           # tables of words that no worker has now: {(algorithm, alpha): [Words, ...]}

cdef class Worker:
    cdef Encoder encoder
    cdef Rows rows
    cdef Words words
    cdef Task task
    cdef Job* job
    cdef bint finished
    cdef Py_ssize_t first       # the texts it does: first, ..., last - 1
    cdef Py_ssize_t last
    cdef int64_t* sizes         # receives the number of tokens of each path
    cdef double* log_probs      # receives their log-probabilities, unless it is NULL
    cdef Scratch scratch
    cdef Tokens tokens
    cdef Bytes normalized
    cdef Ints origins
    cdef Stream stream
    cdef bint keep_normalized
    cdef int status
    cdef Py_ssize_t failed_row
    cdef int run(self) noexcept nogil
    cdef int run_text(self, Py_ssize_t row) noexcept nogil
    cdef void place(self, Py_ssize_t row, size_t first) noexcept nogil
