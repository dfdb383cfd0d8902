"""Where tokens lie in the given text: spans in the normalized text become spans in it, in bytes or in characters."""

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints
from viterbi_sampling.engine.utf8 cimport is_trail


cdef inline int32_t in_characters(const uint8_t* text, int32_t wanted, int32_t* position,
                                  int32_t* characters) noexcept nogil:
    """The number of characters before byte `wanted`, counted from the position that was asked for last."""
    while position[0] < wanted:
        characters[0] += (text[position[0]] & 0xC0) != 0x80
        position[0] += 1
    while position[0] > wanted:
        position[0] -= 1
        characters[0] -= (text[position[0]] & 0xC0) != 0x80
    return characters[0]


cdef void place_aligned(const Given* given, const Ints* origins, int32_t* first, int32_t* end) noexcept nogil:
    cdef const uint8_t* text = given.text
    cdef int32_t size = given.size, position = 0, characters = 0
    cdef int32_t begin, end_of, last_begin = -1, last_end = -1
    cdef int32_t* span
    if first == end:
        return
    span = end - 2
    # The bytes that spell a run of unknown characters begin where it does, and so they end.
    while span > first:
        span -= 2
        if span[0] == span[2] and span[0] < span[1] and span[2] < span[3]:
            span[1] = span[3]
    span = first
    while span < end:
        if span[0] < span[1]:
            span[1] = origins.data[2 * span[1] - 1]
            span[0] = origins.data[2 * span[0]]
        else:
            span[0] = span[1] = 0 if span[0] == 0 else size
        if given.in_characters and (span[0] < size or span[0] == span[1]):
            begin = span[0]
            end_of = span[1]
            if span > first and begin == last_begin and end_of == last_end:
                # The bytes of a run: to count back and forth for each would be quadratic.
                span[0] = (span - 2)[0]
                span[1] = (span - 1)[0]
            else:
                span[0] = in_characters(text, begin, &position, &characters)
                span[1] = in_characters(text, end_of, &position, &characters)
            last_begin = begin
            last_end = end_of
        span += 2


cdef void place_spans(const Given* given, const Ints* origins, bint aligned, int32_t* first, int32_t* end) noexcept nogil:
    cdef Cursor start
    if aligned:
        place_aligned(given, origins, first, end)
    else:
        start.position = start.characters = 0
        place_next(given, origins, &start, first, end)


cdef void place_next(const Given* given, const Ints* origins, Cursor* cursor, int32_t* first, int32_t* end) noexcept nogil:
    cdef int32_t* span = first
    cdef const uint8_t* text = given.text
    cdef int32_t position = cursor.position, characters = cursor.characters, size = given.size
    if not given.in_characters and origins.size:
        while span < end:
            span[0] = origins.data[span[0]]
            span += 1
    while span < end:
        span[0] = origins.data[span[0]] if origins.size else 0
        if given.in_characters:
            # Positions rise, but for the second of a token and the first of the next, which may be equal.
            while position < span[0]:
                characters += (text[position] & 0xC0) != 0x80
                position += 1
            # A position inside a character, which only bytewise models have, counts as its beginning.
            span[0] = characters - (position < size and is_trail(text[position]))
        span += 1
    cursor.position = position
    cursor.characters = characters
