# The deciders: one path of the lattice, by Viterbi or at random.

from libc.stdint cimport int32_t, int64_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.lattice cimport Lattice, Vocabulary
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

cdef enum Algorithm:
    VITERBI = 0
    PERFECT = 1
    FFBS = 2
    VITERBI_SAMPLING = 3

cdef struct Cell:               # what is known of one position
    double value                # the best score, or the score of the kept path, or the forward sum ...
    int64_t exponent            # ... which is value * 2^exponent
    int32_t start               # where the kept edge to this position starts; -1: no edge yet
    int32_t token               # its token

cdef struct Weights:            # exp(alpha * score) of each token: value * 2^exponent
    double alpha
    const double* values
    const int32_t* exponents    # NULL where all are 0

cdef struct Scratch:            # reused from text to text; belongs to one thread
    Lattice lattice
    Cell* cells
    size_t cell_capacity
    Ints path                   # (token, end) pairs, last token first
    Ints previous               # for each edge the one before it that has the same end, or -1
    const int* cancelled        # set by another thread: stop at the next cut

# Each adds the tokens of one path over text[:size] to `out`. A Status. Linear in the edges.
cdef int viterbi_single(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                        Scratch* scratch, Tokens* out) noexcept nogil
cdef int viterbi_double(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                        Scratch* scratch, Tokens* out) noexcept nogil
cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling,
                const uint8_t* text, int32_t size, Stream* stream, Scratch* scratch, Tokens* out) noexcept nogil

cdef void scratch_free(Scratch* scratch) noexcept nogil
