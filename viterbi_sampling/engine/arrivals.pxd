# Passes over a text from end to end: at each the pieces that end there are gone through, the longest first.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.choices cimport Weights
from viterbi_sampling.engine.endings cimport Automaton
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens

# Add the tokens of the best path over text[begin:size] in double precision, of a vocabulary with an automaton. `begin` is a
# cut, and `total` the score so far, before and after. A Status.
cdef int best_arrivals(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t size,
                       double* total, Scratch* scratch, Tokens* out) noexcept nogil

cdef enum:
    MOST_BYTES = 1 << 20        # of a part that is sampled so
    UNUSUAL = 1                 # a part is to be sampled edge by edge: sums leave the doubles, or a draw falls on a border

# The cuts of a text behind `lower` up to `read`, from the last to the first; `ends` tells from `first` on what ends there. A piece
# that ends behind `read` begins at `known` or later. The values of the longest tokens are asked for. False without memory.
cdef bint find_cuts(const Automaton* automaton, const uint32_t* ends, int32_t first, int32_t read, int32_t lower, int32_t known,
                    const double* values, Ints* cuts) noexcept nogil

# Perfect sampling of one part, text[begin:begin + size], with no weight that has an exponent: OK, NO_MEMORY or UNUSUAL, and
# nothing is done then.
cdef int sample_part(const Automaton* automaton, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                     int32_t begin, int32_t size, const uint32_t* ends, Stream* stream, Scratch* scratch,
                     Tokens* out) noexcept nogil
