# The parts of a text between its cuts: the best path over each, and how far the second best lies behind.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.queue cimport Queue
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.words cimport Table

cdef enum:
    CLOSED = -1                 # of a part that was not opened: see enumeration.pxd

cdef struct Part:
    int32_t begin
    int32_t end
    int32_t first_token         # of its best path
    int32_t positions           # where its positions are kept, CLOSED until it is opened
    double best                 # the score of its best path
    double gap                  # how far the second best lies behind; infinite where there is none

cdef struct Parts:
    Ints tokens                 # of the best path over the text
    Part* parts
    size_t count
    size_t capacity
    Queue near                  # those with more than one path of the smallest gaps, by their gaps
    bint has_unknown            # some best path has an unknown character

# The parts of text[:size], and in `near` those of the `most` smallest gaps. A Status.
cdef int find_parts(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t most,
                    Table* known, Scratch* scratch, Parts* parts) noexcept nogil

cdef void parts_free(Parts* parts) noexcept nogil
