# The paths over a part of a text, the best first, as many as are asked for.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.lattice cimport Edge, Vocabulary
from viterbi_sampling.engine.parts cimport Part
from viterbi_sampling.engine.scratch cimport Scratch

cdef enum:
    NONE = -1                   # no path
    UNKNOWN = -2                # a path that is not worked out yet

cdef struct Path:               # to a position of an opened part
    double score
    int32_t edge                # its last edge
    int32_t before              # the path to the start of that edge; NONE at the beginning of the part
    int32_t next                # the next best path to the same position

cdef struct Candidate:          # for the next best path to a position: an edge after a path to its start
    double score
    int32_t edge
    int32_t before

cdef struct Position:           # of an opened part
    int32_t first               # its candidates
    int32_t waiting             # how many there are
    int32_t best                # the best path, NONE where no path leads here
    int32_t last                # the last one that is known

cdef struct Opened:             # the opened parts of a text
    Edge* edges                 # in the order of the lattice
    size_t edge_count
    size_t edge_capacity
    Position* positions         # one more than the bytes of each part
    size_t position_count
    size_t position_capacity
    Candidate* candidates       # room for one an edge
    size_t candidate_capacity
    Path* paths
    size_t path_count
    size_t path_capacity
    Ints asked                  # positions whose next best path is being worked out
    bint has_unknown            # some path may have an unknown character

cdef void opened_clear(Opened* opened) noexcept nogil
cdef void opened_free(Opened* opened) noexcept nogil

# Open a part: find its edges, and the best path to each position. A Status.
cdef int open_part(const Vocabulary* vocabulary, const uint8_t* text, Part* part, Scratch* scratch,
                   Opened* opened) noexcept nogil

# Work out the next best path over an opened part, which the last one known has as its `next` then. A Status.
cdef int work_out_next(const double* scores, Opened* opened, const Part* part) noexcept nogil

# Add the tokens of a path. False without memory.
cdef bint add_tokens_of(const Opened* opened, int32_t path, Ints* tokens) noexcept nogil


cdef inline int32_t best_over(const Opened* opened, const Part* part) noexcept nogil:
    """The best path over an opened part."""
    return opened.positions[part.positions + part.end - part.begin].best
