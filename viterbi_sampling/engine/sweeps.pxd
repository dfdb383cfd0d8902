# Passes over the edges of a lattice in which no branch depends on what an edge holds.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.choices cimport Weights
from viterbi_sampling.engine.lattice cimport Lattice, Vocabulary
from viterbi_sampling.engine.scratch cimport Cell, Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

# Sums of weights are moderate from SMALL to LARGE, and may be added up at once from VERY_SMALL to VERY_LARGE. CLOSE and APART, relative, are how far rounding can move one side of a comparison with it.
cdef extern from *:
    """
    static const double viterbi_sampling_large = 1.6069380442589903e60;         // 2^200
    static const double viterbi_sampling_small = 6.223015277861142e-61;         // 2^-200
    static const double viterbi_sampling_very_large = 2.582249878086909e120;    // 2^400
    static const double viterbi_sampling_very_small = 3.872591914849318e-121;   // 2^-400
    static const double viterbi_sampling_close = 8.881784197001252e-16;         // 2^-50
    static const double viterbi_sampling_apart = 9.094947017729282e-13;         // 2^-40
    """
    const double LARGE "viterbi_sampling_large"
    const double SMALL "viterbi_sampling_small"
    const double VERY_LARGE "viterbi_sampling_very_large"
    const double VERY_SMALL "viterbi_sampling_very_small"
    const double CLOSE "viterbi_sampling_close"
    const double APART "viterbi_sampling_apart"

# Add the tokens of the best path over text[begin:size] in double precision, of a complete vocabulary. `begin` is a cut,
# and `total` the score so far, before and after. A Status.
cdef int best_sweep(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t size,
                    double* total, Scratch* scratch, Tokens* out) noexcept nogil

# Add the tokens of the best path from `cut` to `end`, which the cells hold. A Status.
cdef int read_back(const Spelling* spelling, const uint8_t* text, int32_t cut, int32_t end, Scratch* scratch,
                   Tokens* out) noexcept nogil

# As `forward`, where no weight has an exponent.
cdef void forward_sweep(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous,
                        size_t first) noexcept nogil

cdef enum:
    DRAWN = -1

# Where a part of at most MOST_EDGES edges has at most MOST_PATHS paths and no weight an exponent, choose one of them by one
# uniform (DRAWN), as choose_path; elsewhere the number of paths, and nothing is done. 0 without memory.
cdef int draw_few(const Lattice* lattice, const Weights* weights, Scratch* scratch, Stream* stream) noexcept nogil
