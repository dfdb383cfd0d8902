# Cuts that the text alone shows: places where no piece can span two neighbouring characters.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from viterbi_sampling.engine.utf8 cimport MARK, char_length, code_at, in_set

cdef enum:
    ROW_WORDS = 4               # both rows of a character are a cache line
    OWN_ROWS = 129              # of each ASCII character, and of the marks
    CONTEXT_BITS = 16

# For pairs of other characters a row of bits each that tells, by a hash value of the other one, what may follow and what
# may precede. Both have to agree. Rows are chosen by the character alone, so that those of a text's common characters stay
# in the cache. ASCII characters have rows of their own: where no piece holds a space after, or anything but a newline after
# a newline, these are empty, and no cut where sums begin anew is hidden. Marks are joined to nothing.
cdef struct CutTable:
    const uint8_t* ascii        # 128 * 128 flags: some piece holds these two in a row
    const uint64_t* rows        # of each character ROW_WORDS of what follows, as many of what precedes
    int shift                   # 64 - log2(number of rows that are not characters' own)
    const uint16_t* fragments   # of each two bytes at a border that a piece passes over which holds one of the characters in
                                # part, or NULL: flags of how many bytes of both characters such pieces hold
    const uint64_t* contexts    # a bit for each hash value of these bytes


cdef inline uint32_t character(const uint8_t* text, int size) noexcept nogil:
    """A number for the character of `size` bytes at `text`, its own for each: its bytes."""
    cdef uint32_t c = text[0]
    if size > 1:
        c = c << 8 | text[1]
    if size > 2:
        c = c << 8 | text[2]
    if size > 3:
        c = c << 8 | text[3]
    return c


cdef inline uint32_t leading(const uint8_t* text, int size) noexcept nogil:
    """As `character`, where four bytes can be read."""
    return (<uint32_t>text[0] << 24 | <uint32_t>text[1] << 16 | <uint32_t>text[2] << 8 | text[3]) >> (32 - 8 * size)


cdef inline uint64_t hashed(uint32_t c) noexcept nogil:
    """A hash value of a character: the upper bits choose its row, the 8 bits from 32 on its place in rows of others."""
    return c * <uint64_t>0x9E3779B97F4A7C15U


cdef inline const uint64_t* row_of(const CutTable* table, uint8_t lead, uint64_t hash) noexcept nogil:
    """The rows of a character with this first byte and hash value."""
    cdef uint64_t row = (hash >> table.shift) + OWN_ROWS
    if lead < 0x80:
        row = lead
    elif lead >= MARK:
        row = OWN_ROWS - 1
    return table.rows + 2 * ROW_WORDS * row


cdef inline int bit_of(const uint64_t* row, uint64_t hash) noexcept nogil:
    return row[hash >> 38 & (ROW_WORDS - 1)] >> (hash >> 32 & 63) & 1


cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    #define VITERBI_SAMPLING_SSE2
    #endif
    #if defined(_MSC_VER)
    #include <intrin.h>
    static inline int viterbi_sampling_lowest(std::uint64_t bits) {
        unsigned long at;
        _BitScanForward64(&at, bits);
        return (int)at;
    }
    #else
    #define viterbi_sampling_lowest(bits) __builtin_ctzll(bits)
    #endif

    // What 64 bytes are, one bit a byte: *letters those that are ASCII letters, *spaces spaces, *high not ASCII.
    static inline void viterbi_sampling_classes(const unsigned char* text, std::uint64_t* letters, std::uint64_t* spaces,
                                                std::uint64_t* high) {
        *letters = *spaces = *high = 0;
    #if defined(VITERBI_SAMPLING_SSE2)
        for (int i = 0; i < 4; i++) {
            // Signed comparisons: what is not ASCII is negative, and no letter.
            __m128i bytes = _mm_loadu_si128((const __m128i*)(text + 16 * i));
            __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
            __m128i inside = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                           _mm_cmpgt_epi8(_mm_set1_epi8('z' + 1), lower));
            *letters |= (std::uint64_t)(unsigned)_mm_movemask_epi8(inside) << 16 * i;
            *spaces |= (std::uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x20))) << 16 * i;
            *high |= (std::uint64_t)(unsigned)_mm_movemask_epi8(bytes) << 16 * i;
        }
    #else
        // Eight bytes in a word; the top bits of its bytes are gathered by a multiplication.
        const std::uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u, gather = 0x0002040810204081u;
        for (int i = 0; i < 8; i++) {
            std::uint64_t bytes = 0, low, lower;
            for (int k = 0; k < 8; k++)
                bytes |= (std::uint64_t)text[8 * i + k] << 8 * k;
            low = bytes & ~tops;
            lower = low | (0x20 * ones);
            *letters |= ((((lower + (0x80 - 'a') * ones) & ~(lower + (0x7F - 'z') * ones) & ~bytes & tops) * gather) >> 56)
                        << 8 * i;
            *spaces |= (((~(((low ^ (0x20 * ones)) + 0x7F * ones) | bytes) & tops) * gather) >> 56) << 8 * i;
            *high |= (((bytes & tops) * gather) >> 56) << 8 * i;
        }
    #endif
    }
    """
    int lowest "viterbi_sampling_lowest"(uint64_t bits) noexcept nogil
    void classes "viterbi_sampling_classes"(const uint8_t* text, uint64_t* letters, uint64_t* spaces,
                                            uint64_t* high) noexcept nogil

cdef inline uint64_t context_bit(const uint8_t* border, int before, int after) noexcept nogil:
    """The place of the bit for so many bytes on both sides of a border."""
    cdef uint64_t bytes = <uint64_t>character(border - before, before) << 32 | character(border, after)
    return bytes * <uint64_t>0x9E3779B97F4A7C15U >> (64 - CONTEXT_BITS)


cdef inline int fragment(const CutTable* table, const uint8_t* text, int32_t at) noexcept nogil:
    """Whether some piece that holds a character in part may pass over the border of two characters at `at` > 0."""
    cdef uint32_t lengths = table.fragments[<uint32_t>text[at - 1] << 8 | text[at]]
    cdef uint64_t bit
    cdef int i
    while lengths:
        i = lowest(lengths)
        lengths &= lengths - 1
        if (i >> 2) + 1 <= at:
            bit = context_bit(text + at, (i >> 2) + 1, (i & 3) + 1)
            if table.contexts[bit >> 6] >> (bit & 63) & 1:
                return True
    return False


cdef inline bint is_foreign(const uint64_t* held, const uint8_t* text) noexcept nogil:
    """Whether a character is a foreign one: no piece holds it."""
    cdef int length
    return 0xC0 <= text[0] < MARK and not in_set(held, code_at(text, &length))


# Where the run of foreign characters of one length in bytes ends that may begin at `at`. Not inline: it would take
# registers from the loop below, which seldom needs it.
cdef int32_t run_end(const uint64_t* held, const uint8_t* text, int32_t size, int32_t at) noexcept nogil


cdef enum:
    BLOCK_BYTES = 64            # of ASCII that are looked at at once; so many can be read after a text


ctypedef const uint64_t* Set

ctypedef fused Held:            # the set of the characters that pieces hold; or none, which makes a function of its own: the
    Set                         # other one would cost texts that have no foreign characters a tenth of their time
    int


cdef inline int word_ends(const CutTable* table, Held held, const uint8_t* text, int32_t size, int32_t start, int32_t wanted,
                          int32_t* ends) noexcept nogil:
    """Where the next words end, at least `wanted` of them if there are: the cuts after `start` < size, or the end.

    `ends` has room for `wanted` + BLOCK_BYTES + 1: a store is done whether there is a cut or not, and only counted if
    there is. A cut between two ASCII letters, or before one after a space, is passed over; it is rare. With a set those
    inside a run of foreign characters are passed over, too. BLOCK_BYTES more bytes can be read after the text.
    """
    cdef int32_t at = start, end = start
    cdef int found = 0, length = char_length(text[at]), i, joined
    cdef uint8_t first = text[at], second
    cdef uint64_t hash = hashed(leading(text + at, length)), next_hash
    cdef const uint64_t* row = row_of(table, first, hash)
    cdef const uint64_t* next_row
    cdef uint64_t letters, spaces, high, inside, others
    if Held is Set:
        end = run_end(held, text, size, at)
    at += length
    if end > start:
        # As a mark, which is joined to nothing.
        at = end
        first = MARK
        row = row_of(table, MARK, 0)
    while at < size and found < wanted:
        second = text[at]
        if (first | second) >= 0x80:
            if Held is Set:
                end = run_end(held, text, size, at)
                if end > at:
                    ends[found] = at
                    found += 1
                    at = end
                    first = MARK
                    row = row_of(table, MARK, 0)
                    continue
            length = char_length(second)
            next_hash = hashed(leading(text + at, length))
            next_row = row_of(table, second, next_hash)
            joined = bit_of(row, next_hash) & bit_of(next_row + ROW_WORDS, hash)
            if table.fragments != NULL:
                joined = joined or fragment(table, text, at)
            ends[found] = at
            found += 1 - joined
            hash = next_hash
            row = next_row
            first = second
            at += length
            continue
        # Two ASCII characters: a block, up to what is not ASCII or the end.
        classes(text + at, &letters, &spaces, &high)
        inside = ~<uint64_t>0
        if size - at < BLOCK_BYTES:
            inside >>= BLOCK_BYTES - (size - at)
        if high:
            inside &= (high & (0 - high)) - 1
        others = ~letters
        others |= (others & ~spaces) << 1 | 1
        others &= inside
        while others:
            i = lowest(others)
            others &= others - 1
            ends[found] = at + i
            found += 1 - table.ascii[text[at + i - 1] << 7 | text[at + i]]
        at += BLOCK_BYTES if inside == ~<uint64_t>0 else lowest(~inside)
        first = text[at - 1]
        hash = hashed(first)
        row = row_of(table, first, hash)
    if found < wanted:
        ends[found] = size
        found += 1
    return found


cdef class Cuts:
    cdef CutTable table
    cdef object ascii
    cdef object rows
    cdef object fragments
    cdef object contexts
    cdef object held_words
    cdef const uint64_t* held       # the set of the characters that pieces hold; all ASCII ones are in it
