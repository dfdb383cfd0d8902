# Perfect sampling from end to end, of a vocabulary with an automaton.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.choices cimport Weights
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

# Add a path over text[:size], where no weight has an exponent. A Status.
cdef int sample_by_ends(const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                        int32_t size, Stream* stream, Scratch* scratch, Tokens* out) noexcept nogil
