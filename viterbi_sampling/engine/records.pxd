# What is kept of a word for sampling: thresholds, ready to be compared with uniforms.

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport Sum
from viterbi_sampling.engine.choices cimport Algorithm, Weights
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Slot, Table

cdef enum Kind:
    AT_ONCE = 0                 # at most one of its parts has several paths, and they are few: an AtOnce
    ONE_BY_ONE = 1              # one part with more paths: a Record
    SPLIT = 2                   # several parts: the rest of log_sum, and `choices` times the number of its bytes (8 bytes each),
                                # then a record like these

# What is known of a word, then its arrays. A word with one path of few tokens, none unknown, has them in its slot instead.
cdef struct Known:
    uint8_t kind
    uint8_t has_unknown
    uint8_t size                # bytes of the word
    uint16_t choices            # AT_ONCE: paths. ONE_BY_ONE: ends that several edges lead to
    uint16_t edges              # ONE_BY_ONE. AT_ONCE: numbers in a row
    double log_sum              # to be taken from alpha times the score of a path, for its log-probability; see rest_of

# The arrays of an AtOnce, one after the other. A threshold is in units of the uniforms, 2^-53, rounded up, so that
# k * 2^-53 < t if and only if k < ceil(t * 2^53). There is one for each path but the last. Their upper bits nearly
# always decide: they are filled up to a multiple of BLOCK by ones that lie above all uniforms. The tokens of a path and in
# front of them their number make a row of fixed size, which nothing has to be read to find.
cdef enum:
    BLOCK = 16
    ROW = 8                     # tokens that are copied at once

cdef struct AtOnce:
    int16_t* highs              # the upper 15 of the 53 bits of each threshold
    uint8_t* rows               # of all paths, 2 bytes a number where the vocabulary is narrow, else 4
    uint8_t* thresholds         # whole, 8 bytes each, not aligned; behind them the rest of log_sum


cdef inline bint is_narrow(const Vocabulary* vocabulary) noexcept nogil:
    """Whether 16 bits hold any token, an unknown one too."""
    return vocabulary.pieces <= 0xFFFF


cdef inline int32_t thresholds_of(const Known* entry) noexcept nogil:
    """Thresholds of an AtOnce, those included that fill it up."""
    return (entry.choices - 1 + BLOCK - 1) & ~(BLOCK - 1)


cdef inline int32_t row_bytes(const Known* entry, bint narrow) noexcept nogil:
    return entry.edges * (2 if narrow else 4)


cdef inline int32_t tokens_in_row(const void* row, bint narrow) noexcept nogil:
    return (<const uint16_t*>row)[0] if narrow else (<const int32_t*>row)[0]


cdef inline AtOnce at_once(const Known* entry, bint narrow) noexcept nogil:
    cdef AtOnce record
    record.highs = <int16_t*>(entry + 1)
    record.rows = <uint8_t*>(record.highs + thresholds_of(entry))
    record.thresholds = record.rows + entry.choices * row_bytes(entry, narrow)
    return record


cdef extern from *:
    """
    #include <cstdint>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    #define VITERBI_SAMPLING_SSE2
    #endif
    // How many of 16 numbers of 15 bits are less.
    static inline int viterbi_sampling_below(const std::int16_t* numbers, std::int16_t limit) {
    #if defined(VITERBI_SAMPLING_SSE2)
        __m128i limits = _mm_set1_epi16(limit);
        __m128i first = _mm_cmpgt_epi16(limits, _mm_loadu_si128((const __m128i*)numbers));
        __m128i second = _mm_cmpgt_epi16(limits, _mm_loadu_si128((const __m128i*)(numbers + 8)));
        __m128i ones = _mm_sub_epi8(_mm_setzero_si128(), _mm_packs_epi16(first, second));
        __m128i sums = _mm_sad_epu8(ones, _mm_setzero_si128());
        return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4);
    #else
        // By the sign of a difference of numbers of 15 bits: as a comparison this sum is compiled wrongly by some versions of
        // GCC (12.2 at -O3).
        std::int16_t below = 0;
        for (int i = 0; i < 16; i++)
            below -= (std::int16_t)(numbers[i] - limit) >> 15;
        return below;
    #endif
    }
    """
    int count_below "viterbi_sampling_below"(const int16_t* numbers, int16_t limit) noexcept nogil


cdef inline int32_t path_of(const AtOnce* record, const Known* entry, uint64_t word) noexcept nogil:
    """The number of the path into whose bracket the uniform falls: the upper 53 bits of `word`."""
    cdef int16_t high = <int16_t>(word >> 49)
    cdef const int16_t* highs = record.highs
    cdef int32_t chosen = 0, block
    cdef uint64_t threshold
    for block in range(0, thresholds_of(entry), 16):
        chosen += count_below(highs + block, high)
    # Where the upper bits are equal all of them decide.
    while chosen < entry.choices - 1 and highs[chosen] == high:
        memcpy(&threshold, record.thresholds + 8 * chosen, 8)
        if word >> 11 < threshold:
            break
        chosen += 1
    return chosen


# The arrays of a Record, one after the other: its edges by their ends, those of one end from the shortest to the longest;
# of each position of the word and its end (a byte each) the first of its edges, and the uniform for its choice; then of
# each edge the whole threshold (uint64, not aligned).
cdef struct Branch:
    uint32_t high               # the upper 32 of the 53 bits of the threshold
    uint32_t edge               # token << 8 | start

cdef struct Record:
    Branch* branches
    uint8_t* first
    uint8_t* own
    uint8_t* thresholds

cdef enum:
    MOST_TOKENS = 1 << 24


cdef inline Record record_at(const Known* entry) noexcept nogil:
    cdef Record record
    record.branches = <Branch*>(entry + 1)
    record.first = <uint8_t*>(record.branches + entry.edges)
    record.own = record.first + entry.size + 1
    record.thresholds = record.own + entry.size + 1
    return record


cdef inline int32_t uniforms_in(const Slot* slot) noexcept nogil:
    """How many uniforms a path over the word takes, by any algorithm but FFBS. No record is touched for it."""
    return slot.tokens[1] if slot.tokens[0] < 0 else 0


# Keep what is known of a word; its slot, or NULL where it is not kept.
cdef Slot* learn(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                 int32_t size, Table* known, Slot* place, Scratch* scratch) noexcept nogil

# Add the tokens of a path over a word that begins at `begin`. False without memory.
cdef bint add_tokens_of(const int32_t* tokens, int32_t count, const Known* entry, const Vocabulary* vocabulary,
                        const Spelling* spelling, const uint8_t* text, int32_t begin, Tokens* out, double alpha,
                        Sum* log_prob) noexcept nogil


cdef inline void copy_tokens(const void* tokens, int32_t count, bint narrow, int32_t* target) noexcept nogil:
    """Copy tokens of 2 or of 4 bytes, ROW at a time: READ_BEYOND bytes can be read, and ROW more be written."""
    cdef int32_t i, k
    cdef uint16_t few[ROW]
    cdef const uint8_t* source = <const uint8_t*>tokens
    if narrow:
        memcpy(few, source, sizeof(few))
        for k in range(8):
            target[k] = few[k]
        for i in range(8, count, 8):
            memcpy(few, source + 2 * i, sizeof(few))
            for k in range(8):
                target[i + k] = few[k]
    else:
        memcpy(target, source, 32)
        for i in range(8, count, 8):
            memcpy(target + i, source + 4 * i, 32)


# The tokens of one random path over a word from its record: their number. Room for ROW more than MAX_WORD.
cdef int32_t draw(Algorithm algorithm, const Known* entry, bint narrow, Stream* stream, int32_t* tokens) noexcept nogil
