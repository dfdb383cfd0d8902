# The result of a batch: what its workers make of runs of rows, in the order of the rows.

from libc.stdint cimport int64_t

from viterbi_sampling.engine.buffer cimport Bytes, Ints
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.threads cimport mutex
from viterbi_sampling.engine.tokens cimport Tokens

cdef struct Run:                # of rows: first, ..., last - 1
    Py_ssize_t number           # how many were handed out before it
    Py_ssize_t first
    Py_ssize_t last
    int64_t bytes

cdef struct Made:               # of a run
    Tokens tokens
    Bytes text                  # what the normalized text has at its unknown tokens, where that is wanted,
    Ints text_ends              # ... and where each of them ends; or what the rows decode to

cdef struct Waiting:            # what was made of a run, until it is in its place or collected
    Run run
    Made made
    size_t place                # of its first token, once all runs before it are made
    Waiting* next               # of its worker's, or of those that are free
    Waiting* other              # all that there are

cdef struct Own:                # what a worker has made that is not in its place yet, in the order of the runs, and what it
    Waiting* first              # can use again: it is in the near caches of its core
    Waiting* last
    Waiting* free

cdef class Results:
    cdef Rows rows
    cdef Py_ssize_t draws
    cdef const int* cancelled   # `given_up` where nobody says otherwise
    cdef int given_up
    cdef int workers
    cdef bint collects          # what is made, little by little
    cdef bint alone             # one worker has all runs, and nothing is collected: it goes on in the same memory
    cdef mutex lock             # of all below
    cdef Py_ssize_t next_row    # the first that is not handed out
    cdef Py_ssize_t handed      # runs
    cdef int64_t handed_bytes
    cdef bint stopped           # nothing more is handed out
    cdef int copying            # so many threads put runs in their place: it must not move
    cdef Made made              # of the first `placed` runs, unless they are collected: there is a place for all of their
                                # tokens, where their workers put them
    cdef int64_t cost           # of the rows that are placed: bytes of text, and some for each row
    cdef int64_t collected_cost
    cdef Py_ssize_t placed
    cdef Py_ssize_t placed_rows
    cdef Py_ssize_t collected   # rows,
    cdef Py_ssize_t collected_runs
    cdef Waiting** waiting      # by the number of the run; NULL: not made yet, or placed, or collected
    cdef size_t waiting_count
    cdef size_t waiting_capacity
    cdef Own left               # what workers have left
    cdef Waiting* every
    cdef readonly object offsets        # int64[rows · draws + 1]: where the tokens of each path begin
    cdef int64_t* ends          # those of the paths, in `offsets`. Of a run they are counted from its first token first

    # The next run; False if there is none, or if who `collects`, too, has enough to do. Waits for rows that are not
    # gathered yet, and helps with that.
    cdef bint take(self, Run* run, bint collects) noexcept nogil
    # Put what was made of a run in its place, as soon as all before it are made, or let it be collected; `made` is empty
    # then. What has to wait is put there by the next calls for the same worker, or at the end, when all workers have ended,
    # by `finish`: a worker has to `leave` it. A Status.
    cdef int deliver(self, const Run* run, Made* made, Own* own) noexcept nogil
    cdef void leave(self, Own* own) noexcept nogil
    cdef int finish(self) except -1
    # What was made of the first run that is not collected yet, in exchange for `made`, which is empty: how many paths these
    # are, whose ends are at `ends`. Waits for it, or if `patient` until it pays, unless a row has failed; `patient` not for
    # long, so that the caller can look at signals.
    cdef Py_ssize_t collect(self, Made* made, int64_t** ends, bint patient) noexcept nogil
    # Whether there is, or will be, anything to be collected.
    cdef bint goes_on(self) noexcept nogil
    # Hand out nothing more: a row has failed.
    cdef void stop(self) noexcept nogil
    cdef bint many_wait(self) noexcept nogil
    cdef bint place_next(self) noexcept nogil
    cdef bint put(self, Own* own) noexcept nogil
    cdef bint has_room(self) noexcept nogil
    cdef void copy(self, const Waiting* kept) noexcept nogil
    cdef bint keep(self, const Run* run, Made* made, Own* own) noexcept nogil
    # Room for the tokens of a run that is one long text, which are then not moved as they become more; if there is memory.
    cdef void expect(self, const Run* run, Made* made) noexcept nogil
    cdef bint make_room(self, Tokens* tokens, size_t made, size_t more) noexcept nogil

cdef void made_empty(Made* made) noexcept nogil
cdef void made_free(Made* made) noexcept nogil
