# The best path.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Table

# Add the tokens of the best path over text[:size] to `out`, found with sums in single or double precision from left to
# right, which begin anew where the vocabulary says. A Status. Linear in the edges. Words that come again are looked up in
# `known`, a table for this precision only.
cdef int viterbi(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, bint single_precision,
                 const uint8_t* text, int32_t size, Table* known, Scratch* scratch, Tokens* out) noexcept nogil
