# The best path from end to end.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

# Add the tokens of the best path over text[begin:size] in double precision, of a vocabulary with an automaton. `begin` is a
# cut, and `total` the score so far, before and after. A Status.
cdef int best_arrivals(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t size,
                       double* total, Scratch* scratch, Tokens* out) noexcept nogil
