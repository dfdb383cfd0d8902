# Passes over the edges of a lattice in which no branch depends on what an edge holds.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.choices cimport Weights
from viterbi_sampling.engine.lattice cimport Lattice, Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

# Add the tokens of the best path over text[begin:size] in double precision, of a complete vocabulary. `begin` is a cut,
# and `total` the score so far, before and after. A Status.
cdef int best_sweep(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t size,
                    double* total, Scratch* scratch, Tokens* out) noexcept nogil

# Add the tokens of the best path from `cut` to `end`, which the cells hold. A Status.
cdef int read_back(const Spelling* spelling, const uint8_t* text, int32_t cut, int32_t end, Scratch* scratch,
                   Tokens* out) noexcept nogil

# perfect_thresholds and perfect_choices in one, where no weight has an exponent.
cdef void perfect_sweep(const Lattice* lattice, const Weights* weights, Scratch* scratch, Stream* stream) noexcept nogil

cdef enum:
    DRAWN = -1

# Where a part of at most MOST_EDGES edges has at most MOST_PATHS paths and no weight an exponent, choose one of them by one
# uniform (DRAWN), as choose_path; elsewhere the number of paths, and nothing is done. 0 without memory.
cdef int draw_few(const Lattice* lattice, const Weights* weights, Scratch* scratch, Stream* stream) noexcept nogil
