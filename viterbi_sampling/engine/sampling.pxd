# Random paths.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Sum
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Lattice, Vocabulary
from viterbi_sampling.engine.scratch cimport Cell, Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Table

cdef enum Algorithm:
    VITERBI = 0                 # no random path at all: see viterbi.pxd
    PERFECT = 1
    FFBS = 2
    VITERBI_SAMPLING = 3

cdef struct Weights:            # exp(alpha * score) of each token: value * 2^exponent
    double alpha
    const double* values
    const int32_t* exponents    # NULL where all are 0

# Add the tokens of one random path over text[:size] to `out`. A Status. Linear in the edges. Words that come again
# are looked up in `known`, a table for this algorithm and these weights only; it changes no choice. Unless it is NULL,
# the log-probability of the path under its law is added to `log_prob` (not for VITERBI_SAMPLING).
cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                const Spelling* spelling, const uint8_t* text, int32_t size, Stream* stream, Table* known,
                Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil

# Go on with the lattice of the scratch to the next cut, or to `limit` edges (as lattice_extend), and make its cells
# ready, of which those up to `ready` are.
cdef int next_edges(const Vocabulary* vocabulary, Algorithm algorithm, Scratch* scratch, int32_t* ready,
                    size_t limit) noexcept nogil

# Forward sums; `previous` links the edges of each end, the token of a cell is the number of the last of them.
cdef void forward(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous) noexcept nogil

# The logarithm of a sum.
cdef double log_sum(const Cell* cell) noexcept nogil

# The weight of all paths through an edge that starts at `from_`, in the scale of the sum at its end.
cdef double through(const Cell* from_, const Cell* to, const Weights* weights, int32_t token) noexcept nogil
