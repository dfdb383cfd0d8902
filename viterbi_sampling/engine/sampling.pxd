# Random paths.

from libc.stdint cimport int32_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport Sum
from viterbi_sampling.engine.choices cimport Algorithm, Weights
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Table

# Add the tokens of one random path over text[:size] to `out`. A Status. Linear in the edges. Words that come again
# are looked up in `known`, a table for this algorithm and these weights only; it changes no choice. Unless it is NULL,
# the log-probability of the path under its law is added to `log_prob` (not for VITERBI_SAMPLING).
cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                const Spelling* spelling, const uint8_t* text, int32_t size, Stream* stream, Table* known,
                Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil

# How many uniforms a path over text[:size] takes, added to `count`. It depends on the text only, but for FFBS. A Status.
cdef int count_uniforms(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                        const uint8_t* text, int32_t size, Table* known, Scratch* scratch, uint64_t* count) noexcept nogil
