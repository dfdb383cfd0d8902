# UTF-8 as sentencepiece reads it: lengths from the first byte, strict decoding, a byte at a time where it fails.

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef enum:
    MARK = 0xF5                 # and above: the first byte of a mark, four bytes like a character beyond Unicode


cdef inline int char_length(uint8_t first) noexcept nogil:
    """Bytes of the character that `first` begins (1 for a byte that begins none)."""
    if first < 0xC0:
        return 1
    return 2 + (first >= 0xE0) + (first >= 0xF0)


cdef inline bint is_trail(uint8_t byte) noexcept nogil:
    return (byte & 0xC0) == 0x80


cdef inline int decode(const uint8_t* text, Py_ssize_t size, uint32_t* codepoint) noexcept nogil:
    """Bytes of the character at `text` (`size` >= 1 of them are there), or 0 where it is not valid UTF-8."""
    cdef uint8_t first = text[0]
    cdef uint32_t c
    if first < 0x80:
        codepoint[0] = first
        return 1
    if first < 0xE0:
        if first < 0xC2 or size < 2 or not is_trail(text[1]):
            return 0
        codepoint[0] = (first & 0x1F) << 6 | (text[1] & 0x3F)
        return 2
    if first < 0xF0:
        if size < 3 or not is_trail(text[1]) or not is_trail(text[2]):
            return 0
        c = (first & 0x0F) << 12 | (text[1] & 0x3F) << 6 | (text[2] & 0x3F)
        codepoint[0] = c
        return 0 if c < 0x800 or 0xD800 <= c < 0xE000 else 3
    if first >= 0xF8 or size < 4 or not is_trail(text[1]) or not is_trail(text[2]) or not is_trail(text[3]):
        return 0
    c = <uint32_t>(first & 0x07) << 18 | <uint32_t>(text[1] & 0x3F) << 12 | (text[2] & 0x3F) << 6 | (text[3] & 0x3F)
    codepoint[0] = c
    return 0 if c < 0x10000 or c > 0x10FFFF else 4


cdef inline uint32_t code_at(const uint8_t* text, int* size) noexcept nogil:
    """The code point of the valid UTF-8 at `text`."""
    cdef uint8_t first = text[0]
    if first < 0x80:
        size[0] = 1
        return first
    if first < 0xE0:
        size[0] = 2
        return (first & 0x1F) << 6 | (text[1] & 0x3F)
    if first < 0xF0:
        size[0] = 3
        return (first & 0x0F) << 12 | (text[1] & 0x3F) << 6 | (text[2] & 0x3F)
    size[0] = 4
    return <uint32_t>(first & 7) << 18 | <uint32_t>(text[1] & 0x3F) << 12 | (text[2] & 0x3F) << 6 | (text[3] & 0x3F)


# A set of characters has a bit for each code point, 64 in a word.

cdef inline bint in_set(const uint64_t* set, uint32_t code) noexcept nogil:
    return set[code >> 6] >> (code & 63) & 1


cdef inline size_t pass_others(const uint64_t* set, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the characters of three bytes end, from `at` on, that are not in the set. `text` is valid UTF-8."""
    while (at < size and (text[at] & 0xF0) == 0xE0
           and not set[(text[at] & 0x0F) << 6 | (text[at + 1] & 0x3F)] >> (text[at + 2] & 0x3F) & 1):
        at += 3
    return at
