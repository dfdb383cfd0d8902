# UTF-8 as sentencepiece reads it: lengths from the first byte, strict decoding, a byte at a time where it fails.

from libc.stdint cimport int32_t, uint8_t, uint32_t


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
