# What is done to each text of a call.

from libc.stdint cimport int32_t, uint64_t

from viterbi_sampling.engine.choices cimport Algorithm, Weights

cdef struct Job:                # the same for all threads of a call
    Algorithm algorithm
    Weights weights
    size_t nbest_size           # of NBEST
    uint64_t seed
    const uint64_t* indices     # one a text, or NULL: first_index + i
    uint64_t first_index
    uint64_t first_draw
    Py_ssize_t draws            # paths a text: first_draw, first_draw + 1, ...
    int32_t prefix_id           # set before and after each path, -1: none
    int32_t suffix_id
    int cancelled


cdef inline uint64_t index_of(const Job* job, Py_ssize_t row) noexcept nogil:
    """The index of the stream of a row."""
    return job.indices[row] if job.indices != NULL else job.first_index + <uint64_t>row
