# Passes over a text from end to end: at each the pieces that end there are gone through, the longest first.

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport Ints, reserve_ints
from viterbi_sampling.engine.choices cimport Weights
from viterbi_sampling.engine.endings cimport Automaton
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport SHORT, SHORT_TOKENS, Arrivals, Scratch, Short
from viterbi_sampling.engine.stream cimport Stream, stream_next
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport KEY_MASKS

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


cdef inline uint32_t key_of_short(const uint8_t* text, int32_t size) noexcept nogil:
    """The key of a part in the table of short ones; 0 for a longer one."""
    cdef uint32_t key, mask
    memcpy(&key, text, 4)
    memcpy(&mask, KEY_MASKS + 16 - min(size, <int32_t>SHORT), 4)
    key &= mask
    (<uint8_t*>&key)[3] = <uint8_t>size
    return key if size <= SHORT else 0


cdef inline Short* place_of_short(const Arrivals* arrivals, uint32_t key) noexcept nogil:
    return arrivals.shorts + ((key * <uint32_t>0x9E3779B1U) >> 20)


# Keep the paths over a part of at most SHORT bytes as find_paths finds them: OK, NO_MEMORY or UNUSUAL.
cdef int learn_short(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, uint32_t key,
                     Short* kept, Arrivals* found) noexcept nogil


cdef inline bint draw_short(const Short* kept, Stream* stream, Tokens* out) noexcept nogil:
    """Add one of the paths that are kept, without spans. False without memory."""
    cdef int32_t path = 0, first, i
    cdef int32_t* ids
    cdef double uniform
    if not reserve_ints(&out.ids, out.ids.size + SHORT):
        return False
    if kept.thresholds[0] <= 1.0:
        uniform = stream_next(stream)
        path = (uniform >= kept.thresholds[0]) + (uniform >= kept.thresholds[1]) + (uniform >= kept.thresholds[2])
    first = kept.first >> (4 * path) & 0xF
    # All places are written; what is not there is overwritten.
    ids = out.ids.data + out.ids.size
    for i in range(SHORT):
        ids[i] = kept.tokens[(first + i) & (SHORT_TOKENS - 1)]
    out.ids.size += (kept.first >> (4 * path + 4) & 0xF) - first
    out.after_unknown = False
    return True


# Perfect sampling of one part, text[begin:begin + size], with no weight that has an exponent: OK, NO_MEMORY or UNUSUAL, and
# nothing is done then.
cdef int sample_part(const Automaton* automaton, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                     int32_t begin, int32_t size, const uint32_t* ends, Stream* stream, Scratch* scratch,
                     Tokens* out) noexcept nogil
