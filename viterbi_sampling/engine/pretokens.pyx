"""A normalized text becomes what the engine reads: a space for each U+2581, pre-tokens that begin at them, marks."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, reserve_bytes, reserve_ints
from viterbi_sampling.engine.cuts cimport lowest
from viterbi_sampling.engine.rewriting cimport View, is_white
from viterbi_sampling.engine.utf8 cimport code_at
from viterbi_sampling.engine.words cimport SLACK


cdef bint append(Output* out, const uint8_t* data, const int32_t* origins, size_t size) noexcept nogil:
    """Add bytes that stay as they are. False without memory."""
    if not reserve_bytes(out.bytes, out.bytes.size + size + SLACK):
        return False
    if size == 0:
        return True     # of nothing there may be no memory to copy from
    memcpy(out.bytes.data + out.bytes.size, data, size)
    out.bytes.size += size
    if out.origins != NULL:
        if not reserve_ints(out.origins, out.origins.size + 2 * size):
            return False
        memcpy(out.origins.data + out.origins.size, origins, 2 * size * sizeof(int32_t))
        out.origins.size += 2 * size
    return True


cdef bint append_from(Output* out, const uint8_t* data, int size, int32_t begin, int32_t end) noexcept nogil:
    """Add a few bytes that come from one place. False without memory."""
    cdef int i
    if not reserve_bytes(out.bytes, out.bytes.size + size + SLACK):
        return False
    for i in range(size):
        out.bytes.data[out.bytes.size + i] = data[i]
    out.bytes.size += size
    if out.origins != NULL:
        if not reserve_ints(out.origins, out.origins.size + 2 * size):
            return False
        for i in range(size):
            out.origins.data[out.origins.size + 2 * i] = begin
            out.origins.data[out.origins.size + 2 * i + 1] = end
        out.origins.size += 2 * size
    return True


cdef bint append_mark(Output* out, int32_t number, const View* view, size_t begin, size_t end) noexcept nogil:
    cdef uint8_t encoded[4]
    cdef uint32_t value = <uint32_t>number + 1      # 0 is the mark between pre-tokens
    encoded[0] = <uint8_t>(0xF5 + (value >> 18))
    encoded[1] = <uint8_t>(0x80 | value >> 12 & 63)
    encoded[2] = <uint8_t>(0x80 | value >> 6 & 63)
    encoded[3] = <uint8_t>(0x80 | value & 63)
    if out.origins == NULL:
        return append_from(out, encoded, 4, 0, 0)
    return append_from(out, encoded, 4, view.origins[2 * begin], view.origins[2 * end - 1])


cdef bint append_with_spaces(Output* out, const View* view, size_t begin, size_t end) noexcept nogil:
    """Add view.text[begin:end] with a space for each U+2581. False without memory."""
    cdef const uint8_t* text = view.text
    cdef const uint8_t* found
    cdef size_t at = begin
    while True:
        found = <const uint8_t*>memchr(text + at, 0xE2, end - at) if at < end else NULL
        while found != NULL and not (found[1] == 0x96 and found[2] == 0x81):
            found = <const uint8_t*>memchr(found + 1, 0xE2, end - (found + 1 - text))
        at = end if found == NULL else <size_t>(found - text)
        if not append(out, text + begin, view.origins + 2 * begin if view.origins != NULL else NULL, at - begin):
            return False
        if at == end:
            return True
        if not append_from(out, b" ", 1, view.origins[2 * at] if view.origins != NULL else 0,
                           view.origins[2 * at + 1] if view.origins != NULL else 0):
            return False
        at += 3
        begin = at


cdef bint begins_with_space(const View* view, size_t at) noexcept nogil:
    cdef const uint8_t* text = view.text + at
    return text[0] == 0x20 or (view.size - at >= 3 and text[0] == 0xE2 and text[1] == 0x96 and text[2] == 0x81)


cdef extern from *:
    """
    // Which of 16 bytes of valid UTF-8 may begin white space, one bit a byte; one more can be read. Of what is not ASCII it
    // begins with one of four bytes.
    static inline unsigned viterbi_sampling_white_beginnings(const unsigned char* text) {
    #if defined(VITERBI_SAMPLING_SSE2)
        __m128i bytes = _mm_loadu_si128((const __m128i*)text), next = _mm_loadu_si128((const __m128i*)(text + 1));
        __m128i found = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x20)), bytes);
        found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0xC2)));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0xE1)));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0xE2)));
        found = _mm_or_si128(found, _mm_and_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0xE3)),
                                                  _mm_cmpeq_epi8(next, _mm_set1_epi8((char)0x80))));
        return (unsigned)_mm_movemask_epi8(found);
    #else
        unsigned found = 0;
        for (int i = 0; i < 16; i++)
            found |= (unsigned)(text[i] <= 0x20 || text[i] == 0xC2 || text[i] == 0xE1 || text[i] == 0xE2
                                || (text[i] == 0xE3 && text[i + 1] == 0x80)) << i;
        return found;
    #endif
    }
    """
    unsigned int white_beginnings "viterbi_sampling_white_beginnings"(const uint8_t* text) noexcept nogil


cdef size_t word_end(const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the white space after `at` begins, or the end."""
    cdef unsigned int found
    cdef int length
    while at + 16 < size:
        found = white_beginnings(text + at)
        if found == 0:
            at += 16        # perhaps into a character, whose other bytes begin nothing
            continue
        at += lowest(found)
        if is_white(code_at(text + at, &length)):
            return at
        at += 1
    while at < size:
        if (text[at] <= 0x20 or text[at] == 0xC2 or 0xE1 <= text[at] <= 0xE3) and is_white(code_at(text + at, &length)):
            return at
        at += 1
    return size


cdef size_t word_begin(const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the white space that may be at `at` ends."""
    cdef int length
    while at < size and is_white(code_at(text + at, &length)):
        at += length
    return at


cdef size_t printable_words(const View* view, size_t at, Output* out) noexcept nogil:
    """Copy printable ASCII eight bytes at a time while spaces stand alone; where that ends. `at`: within a word.

    There is room for it. What is written ends within a word, too.
    """
    cdef const uint8_t* text = view.text
    cdef uint8_t* target = out.bytes.data + out.bytes.size
    cdef uint64_t bytes, spaces, ones = 0x0101010101010101U, tops = 0x8080808080808080U
    cdef size_t begin = at
    while at + 8 < view.size:
        memcpy(&bytes, text + at, 8)
        if (bytes | (bytes - 0x20 * ones) | (bytes + ones)) & tops:
            break
        spaces = bytes ^ (0x20 * ones)
        spaces = ~(spaces + 0x7F * ones) & tops
        # No two spaces in a row, none last.
        if spaces & (spaces << 8) or text[at + 7] == 0x20:
            break
        memcpy(target, &bytes, 8)
        target += 8
        at += 8
    out.bytes.size += at - begin
    return at


cdef int append_words(const View* view, Output* out) noexcept nogil:
    """Add the words of a text, each with a space before it unless it begins with U+2581."""
    cdef const uint8_t* text = view.text
    cdef size_t at = word_begin(text, view.size, 0), end
    if not reserve_bytes(out.bytes, out.bytes.size + view.size + 16 + SLACK):
        return NO_MEMORY
    while at < view.size:
        if not begins_with_space(view, at):
            if not append_from(out, b" ", 1, view.origins[2 * at] if view.origins != NULL else 0,
                               view.origins[2 * at + 1] if view.origins != NULL else 0):
                return NO_MEMORY
        if view.origins == NULL and text[at] < 0x80:
            # One byte, so that we are within the word; then many.
            end = at + 1
            out.bytes.data[out.bytes.size] = text[at]
            out.bytes.size += 1
            at = printable_words(view, end, out)
            if not reserve_bytes(out.bytes, out.bytes.size + (view.size - at) + 16 + SLACK):
                return NO_MEMORY
        end = word_end(text, view.size, at)
        if not append_with_spaces(out, view, at, end):
            return NO_MEMORY
        if out.bytes.size > MAX_TEXT:
            return TOO_LONG
        at = word_begin(text, view.size, end)
    return OK


cdef int append_text(Cutting cutting, Prefix prefix, const View* view, Output* out) noexcept nogil:
    cdef bint first
    if view.size == 0:
        return OK
    if cutting == WORDS:
        return append_words(view, out)
    if cutting == WHOLE:
        if not append(out, view.text, view.origins, view.size):
            return NO_MEMORY
    else:
        first = prefix == ALWAYS or (prefix == FIRST_ONLY and view.origins[0] == 0)
        if first and not begins_with_space(view, 0):
            if not append_from(out, b" ", 1, view.origins[0] if view.origins != NULL else 0,
                               view.origins[1] if view.origins != NULL else 0):
                return NO_MEMORY
        if not append_with_spaces(out, view, 0, view.size):
            return NO_MEMORY
    return TOO_LONG if out.bytes.size > MAX_TEXT else OK
