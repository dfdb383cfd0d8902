# The best paths of a text, in order.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Doubles, Ints, Sum
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Edge, Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Table

cdef enum:
    NONE = -1                   # no path, no state
    UNKNOWN = -2                # a path that is not worked out yet

cdef struct Part:               # of the text, between two cuts
    int32_t begin
    int32_t end
    int32_t first_token         # of its best path
    int32_t positions           # where its positions are kept, NONE until it is opened
    double best                 # the score of its best path
    double gap                  # how far the second best lies behind; infinite where there is none

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

cdef struct State:              # a combination of paths: of some parts another one than the best
    double loss                 # how far it lies below the best combination
    int32_t near                # the last part that has another path, in the order of gaps
    int32_t path                # that path; UNKNOWN: the second best, not looked for yet
    int32_t before              # the state that has the other changes; NONE: none

cdef struct Entry:              # of a queue: the smallest key first, of equal ones the smallest number
    double key
    int32_t number

cdef struct Queue:
    Entry* entries
    size_t size
    size_t capacity

cdef struct BestPaths:
    Ints tokens                 # of the best path
    Part* parts
    size_t part_count
    size_t part_capacity
    Edge* edges                 # of opened parts, in the order of the lattice
    size_t edge_count
    size_t edge_capacity
    Position* positions         # of opened parts, one more than their bytes
    size_t position_count
    size_t position_capacity
    Candidate* candidates       # of opened parts, room for one an edge
    size_t candidate_capacity
    Path* paths
    size_t path_count
    size_t path_capacity
    State* states
    size_t state_count
    size_t state_capacity
    Queue near                  # parts with more than one path, those of the smallest gaps; in the end sorted
    Queue queue                 # states
    Ints found                  # states in the order of their loss; NONE is the best combination
    Ints asked                  # positions whose next best path is being worked out
    Ints changes                # (part, path) of a state, by part
    Ints composed               # its tokens
    Doubles shares              # of each path found and of all before it, under some alpha
    double score                # of the best combination
    bint has_unknown            # some path may have an unknown character

# Find the `count` best paths over text[:size]: `found` has them in order. A Status.
cdef int best_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                    Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil

# Work out the law p ∝ exp(alpha * score) among the paths found. A Status.
cdef int weigh_paths(BestPaths* paths, double alpha) noexcept nogil

# Add the tokens of one of the paths found, which are weighed under this alpha: that into whose bracket of the law
# `uniform` falls; and its log-probability under the law.
cdef int draw_path(BestPaths* paths, double alpha, double uniform, const Spelling* spelling, const int32_t* lengths,
                   const uint8_t* text, Tokens* out, Sum* log_prob) noexcept nogil

cdef void best_paths_free(BestPaths* paths) noexcept nogil
