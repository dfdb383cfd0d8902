# Cuts that the text alone shows: places where no piece can span two neighbouring characters.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from viterbi_sampling.engine.utf8 cimport char_length

cdef struct CutTable:
    const uint8_t* ascii        # 128 * 128 flags: some piece holds these two in a row
    const uint64_t* pairs       # one bit for each hash value of two characters, for all other pairs
    int shift                   # 64 - log2(number of bits)


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


cdef inline uint64_t pair_bit(const CutTable* table, uint32_t first, uint32_t second) noexcept nogil:
    return ((<uint64_t>first << 32 | second) * <uint64_t>0x9E3779B97F4A7C15U) >> table.shift


cdef inline bint joined(const CutTable* table, uint32_t first, uint32_t second) noexcept nogil:
    """Whether some piece may hold the two characters in a row; False is certain."""
    cdef uint64_t bit
    if (first | second) < 0x80:
        return table.ascii[first << 7 | second]
    bit = pair_bit(table, first, second)
    return table.pairs[bit >> 6] >> (bit & 63) & 1


cdef inline int32_t word_end(const CutTable* table, const uint8_t* text, int32_t size, int32_t start) noexcept nogil:
    """Where the word that begins at `start` < size ends: the next cut, or the end of the text."""
    cdef int32_t at = start
    cdef int length = char_length(text[at])
    cdef uint32_t first = character(text + at, length), second
    while True:
        at += length
        if at >= size:
            return size
        length = char_length(text[at])
        second = character(text + at, length)
        if not joined(table, first, second):
            return at
        first = second


cdef class Cuts:
    cdef CutTable table
    cdef object ascii
    cdef object pairs
