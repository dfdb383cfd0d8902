# Random paths.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
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
# are looked up in `known`, a table for this algorithm and these weights only; it changes no choice.
cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                const Spelling* spelling, const uint8_t* text, int32_t size, Stream* stream, Table* known,
                Scratch* scratch, Tokens* out) noexcept nogil
