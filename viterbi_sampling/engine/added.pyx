"""Where added tokens stand in a text."""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memchr

from viterbi_sampling.engine.trie cimport Cursor, go_down, has_piece, root_of


cdef size_t find_added(const Splitter* splitter, const uint8_t* text, size_t size, size_t at, size_t* end,
                       int32_t* number) noexcept nogil:
    cdef Cursor cursor
    cdef size_t position, longest
    cdef const uint8_t* found
    while at < size:
        if splitter.only_first >= 0:
            found = <const uint8_t*>memchr(text + at, splitter.only_first, size - at)
            if found == NULL:
                return size
            at = found - text
        if splitter.firsts[text[at]]:
            cursor = root_of(splitter.nodes)
            position = at
            longest = 0
            while position < size and go_down(splitter.nodes, &cursor, text[position]):
                position += 1
                if has_piece(cursor.node):
                    longest = position
                    number[0] = splitter.entries[cursor.place].piece
            if longest:
                end[0] = longest
                return at
        at += 1
    return size
