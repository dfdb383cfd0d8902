# Random paths with nothing kept.

from libc.stdint cimport int32_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport Sum
from viterbi_sampling.engine.choices cimport Algorithm, Weights
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

# Add one random path over text[begin:end], which lies between cuts. A Status.
cdef int sample_directly(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights,
                         const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t end, Stream* stream,
                         Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil

# Add to `total` how many uniforms that takes, by any algorithm but FFBS. A Status.
cdef int count_directly(Algorithm algorithm, const Vocabulary* vocabulary, const uint8_t* text, int32_t begin, int32_t end,
                        Scratch* scratch, uint64_t* total) noexcept nogil
