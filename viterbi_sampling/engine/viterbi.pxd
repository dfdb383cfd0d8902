# The best path.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Table

# Each adds the tokens of the best path over text[:size] to `out`. A Status. Linear in the edges.

# Sums in single precision, from left to right; words that come again are looked up in `known`.
cdef int viterbi_single(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling,
                        const uint8_t* text, int32_t size, Table* known, Scratch* scratch, Tokens* out) noexcept nogil

# Sums in double precision, from left to right.
cdef int viterbi_double(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                        Scratch* scratch, Tokens* out) noexcept nogil
