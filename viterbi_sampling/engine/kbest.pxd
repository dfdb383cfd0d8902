# The best paths of a text, in order.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Doubles, Ints, Sum
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.enumeration cimport Opened
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.parts cimport Parts
from viterbi_sampling.engine.queue cimport Queue
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Table

cdef struct State:              # a combination of paths: of some parts another one than the best
    double loss                 # how far it lies below the best combination
    int32_t near                # the last part that has another path, in the order of gaps
    int32_t path                # that path; UNKNOWN: the second best, not looked for yet
    int32_t before              # the state that has the other changes; NONE: none

cdef struct BestPaths:
    Parts parts
    Opened opened
    State* states
    size_t state_count
    size_t state_capacity
    Queue queue                 # states, by their loss
    Ints found                  # states in the order of their loss; NONE is the best combination
    Ints changes                # (part, path) of a state, by part
    Ints composed               # its tokens
    Doubles shares              # of each path found and of all before it, under some alpha
    double score                # of the best combination

# Find the `count` best paths over text[:size]: `found` has them in order. A Status.
cdef int best_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                    Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil

# The same little by little: find the best path, and make ready for the `count` best; go on until `count` are found, or all.
cdef int start_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                     Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil
cdef int find_paths(const Vocabulary* vocabulary, const uint8_t* text, size_t count, Scratch* scratch,
                    BestPaths* paths) noexcept nogil

# How far a path that was found lies below the best one.
cdef double loss_of(const BestPaths* paths, size_t rank) noexcept nogil

# Where a path that was found differs from the best one: `changes` has the (part, path), by part. False without memory.
cdef bint find_changes(BestPaths* paths, size_t rank) noexcept nogil


cdef inline int32_t after_part(const Parts* parts, int32_t part) noexcept nogil:
    """Where the tokens of the best path go on behind a part."""
    return parts.parts[part + 1].first_token if <size_t>(part + 1) < parts.count else <int32_t>parts.tokens.size


cdef inline bint has_unknown(const BestPaths* paths) noexcept nogil:
    """Whether some path may have an unknown character."""
    return paths.parts.has_unknown or paths.opened.has_unknown


# Work out the law p ∝ exp(alpha * score) among the paths found. A Status.
cdef int weigh_paths(BestPaths* paths, double alpha) noexcept nogil

# Add the tokens of one of the paths found, which are weighed under this alpha: that into whose bracket of the law
# `uniform` falls; and its log-probability under the law.
cdef int draw_path(BestPaths* paths, double alpha, double uniform, const Spelling* spelling, const int32_t* lengths,
                   const uint8_t* text, Tokens* out, Sum* log_prob) noexcept nogil

cdef void best_paths_free(BestPaths* paths) noexcept nogil
