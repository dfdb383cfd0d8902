# One long text divided among threads.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.tokens cimport Tokens
from viterbi_sampling.engine.viterbi cimport Score
from viterbi_sampling.engine.workspace cimport Workspace

cdef class Share:                # text[begin:end], between cuts
    cdef Encoder encoder
    cdef Workspace space
    cdef const uint8_t* text
    cdef int32_t begin
    cdef int32_t end
    cdef int32_t prefix_id      # before the first share, -1: none
    cdef Score score            # at its end
    cdef Tokens tokens
    cdef Ints marks             # of the others (position, tokens before it, limit of the run that begins here; negative: with unknown ones)
    cdef int status
    cdef int decide(self) noexcept nogil
    cdef int assume(self) noexcept nogil
    cdef bint add(self, int32_t at, const int32_t* tokens, int32_t count, bint has_unknown) noexcept nogil
    cdef int settle(self, Score* score, Workspace space, Tokens* out) noexcept nogil

# Cut a normalized text into one to `count` shares of about one size.
cdef list shares_of(Encoder encoder, const uint8_t* text, int32_t size, int count)
