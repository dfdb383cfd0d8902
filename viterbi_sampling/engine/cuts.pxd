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


cdef inline int word_ends(const CutTable* table, const uint8_t* text, int32_t size, int32_t start, int32_t* ends,
                          int count) noexcept nogil:
    """Where the next words end, up to `count` of them: the cuts after `start` < size, or the end of the text.

    `ends` has room for one more: the store is done whether there is a cut or not, and only counted if there is.
    """
    cdef int32_t at = start
    cdef int found = 0, length = char_length(text[at])
    cdef uint32_t first = character(text + at, length), second
    at += length
    while at < size:
        second = text[at]
        if (first | second) < 0x80:
            length = 1
            ends[found] = at
            found += 1 - table.ascii[first << 7 | second]
        else:
            length = char_length(text[at])
            second = character(text + at, length)
            ends[found] = at
            found += 1 - joined(table, first, second)
        if found == count:
            return found
        first = second
        at += length
    ends[found] = size
    return found + 1


cdef class Cuts:
    cdef CutTable table
    cdef object ascii
    cdef object pairs
