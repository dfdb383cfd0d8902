# The result of a batch: what its workers make of runs of rows, in the order of the rows.

from libc.stdint cimport int64_t

from viterbi_sampling.engine.buffer cimport Bytes, Ints
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.tokens cimport Tokens

cdef extern from "<mutex>" namespace "std" nogil:
    cppclass mutex:
        void lock() noexcept
        void unlock() noexcept

cdef struct Run:                # of rows: first, ..., last - 1
    Py_ssize_t number           # how many were handed out before it
    Py_ssize_t first
    Py_ssize_t last
    int64_t bytes

cdef struct Made:               # of a run
    Tokens tokens
    Bytes unknown               # what the normalized text has at its unknown tokens, where that is wanted,
    Ints unknown_ends           # ... and where each of them ends

cdef struct Waiting:            # what was made of a run before that of an earlier one
    Run run
    Made made
    Waiting* next               # of those that are free

cdef class Results:
    cdef Rows rows
    cdef Py_ssize_t draws
    cdef const int* cancelled
    cdef int workers            # one alone has all runs: it goes on in the same memory
    cdef mutex lock             # of all below
    cdef Py_ssize_t next_row    # the first that is not handed out
    cdef Py_ssize_t handed      # runs
    cdef int64_t handed_bytes
    cdef bint stopped           # nothing more is handed out
    cdef Made made              # of the first `placed` runs
    cdef int64_t cost           # of the rows that are done: bytes of text, and some for each row
    cdef Py_ssize_t placed
    cdef Waiting** waiting      # by the number of the run; NULL: not made yet, or placed
    cdef size_t waiting_count
    cdef size_t waiting_capacity
    cdef Waiting* free
    cdef readonly object offsets        # int64[rows · draws + 1]: where the tokens of each path begin
    cdef int64_t* ends          # those of the paths, in `offsets`. Of a run they are counted from its first token first

    # The next run; False if there is none. Waits for rows that are not gathered yet.
    cdef bint take(self, Run* run) noexcept nogil
    # Put what was made of a run in its place, as soon as all before it are; `made` is empty then.
    cdef int deliver(self, const Run* run, Made* made) noexcept nogil
    # Hand out nothing more: a row has failed.
    cdef void stop(self) noexcept nogil
    cdef bint put(self, const Run* run, Made* made) noexcept nogil
    cdef bint keep(self, const Run* run, Made* made) noexcept nogil
    # Room for the tokens of a run that is one long text, which are then not moved as they become more; if there is memory.
    cdef void expect(self, const Run* run, Made* made) noexcept nogil
    cdef bint make_room(self, Tokens* tokens, size_t made, size_t more) noexcept nogil

cdef void made_free(Made* made) noexcept nogil
