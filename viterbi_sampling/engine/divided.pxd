# One long text divided among threads.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from viterbi_sampling.engine.borders cimport Grounds
from viterbi_sampling.engine.buffer cimport Bytes, Ints, Sum
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.job cimport Job
from viterbi_sampling.engine.placing cimport Cursor, Given
from viterbi_sampling.engine.threads cimport mutex
from viterbi_sampling.engine.tokens cimport Tokens
from viterbi_sampling.engine.viterbi cimport Score
from viterbi_sampling.engine.workspace cimport Workspace

cdef struct Stretch:            # of the text, between borders
    int32_t begin
    int32_t end
    uint64_t uniforms           # that a path takes in it,
    uint64_t before             # ... and before it
    bint counted

cdef struct Part:               # of a path: what is made of a stretch
    Stretch* stretch
    Py_ssize_t number           # how many were begun before it
    Py_ssize_t draw
    Bytes own                   # the stretch normalized, unless the whole text is
    Ints origins
    const uint8_t* text         # the normalized text, and the part of it: text[at:stop]
    int32_t at
    int32_t stop
    int32_t characters          # of the given text, where spans are counted in them
    Tokens tokens
    bint assumed                # decided without the score before it, and to be settled:
    Ints marks                  # (position, tokens before it, limit of the run that begins here; negative: with unknown ones)
    Score score                 # at its end, where it is not
    Sum log_prob
    Part* next                  # of those that are free

cdef class Division:
    cdef object owners          # keep alive what is pointed to
    cdef Encoder encoder
    cdef const Job* job
    cdef uint64_t index         # of the stream of the text
    cdef Given given
    cdef const uint8_t* text    # what is divided: the given text, or the normalized one
    cdef int32_t size
    cdef int32_t stretch        # bytes of a stretch, up to the next border
    cdef bint whole             # the text is normalized before it is divided
    cdef Bytes normalized
    cdef Ints origins
    cdef bint with_borders      # or it is one stretch
    cdef Grounds grounds        # of its borders
    cdef bint chained           # scores depend on those before
    cdef mutex lock             # of all below
    cdef Stretch* stretches     # as far as they are found
    cdef Py_ssize_t found
    cdef Py_ssize_t counted     # of these so many know the uniforms before them
    cdef bint complete          # all are found
    cdef Py_ssize_t begun       # parts
    cdef Py_ssize_t placed      # so many are in `tokens`
    cdef Part** waiting         # by number: made, and not placed yet
    cdef bint placing           # a thread places parts; what it writes (from `score` on, but `status`) is its own then
    cdef Part* free
    cdef Score score            # of the path in `tokens`
    cdef int64_t base           # bytes or characters of the given text before the next part to be placed
    cdef int64_t normalized_size        # of what is placed
    cdef Sum log_prob
    cdef int status
    cdef Tokens tokens
    cdef int64_t* ends          # of the tokens of each draw; those of the first draw begin at 0
    cdef double* log_probs      # receives one a draw, unless it is NULL
    # Do the text with a thread for each workspace, one of which is the calling one if `first_here`. What goes wrong raises the
    # `flag` of the job.
    cdef int run(self, list spaces, int* flag, bint first_here) except -1
    cdef int begin_part(self, Part** part) noexcept nogil
    cdef int end_part(self, Part* part, Workspace space) noexcept nogil
    cdef int make(self, Part* part, Workspace space) noexcept nogil
    cdef int decide(self, Part* part, Workspace space) noexcept nogil
    cdef int assume(self, Part* part, Workspace space) noexcept nogil
    cdef int draw_part(self, Part* part, Workspace space) noexcept nogil
    cdef int wait_for_count(self, Part* part) noexcept nogil
    cdef bint add(self, Part* part, int32_t at, const int32_t* tokens, int32_t count, bint has_unknown) noexcept nogil
    cdef int put(self, Part* part, Workspace space) noexcept nogil
    cdef int settle(self, Part* part, Workspace space) noexcept nogil
    cdef void place(self, Part* part, Cursor* cursor, Tokens* tokens, size_t first) noexcept nogil
    cdef void fail(self, int status) noexcept nogil
    cdef int work_on(self, Workspace space) noexcept nogil
    cdef void place_whole(self) noexcept nogil
