"""Where added tokens stand in a text."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memchr

from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, step as step_down


cdef size_t find_added(const Splitter* splitter, const uint8_t* text, size_t size, size_t at, size_t* end,
                       int32_t* number) noexcept nogil:
    cdef uint32_t node
    cdef size_t position, longest
    cdef const uint8_t* found
    while at < size:
        if splitter.only_first >= 0:
            found = <const uint8_t*>memchr(text + at, splitter.only_first, size - at)
            if found == NULL:
                return size
            at = found - text
        if splitter.firsts[text[at]]:
            node = ROOT
            position = at
            longest = 0
            while position < size:
                node = step_down(splitter.nodes, node, text[position])
                if node == ROOT:
                    break
                position += 1
                if splitter.nodes[node].piece != NO_PIECE:
                    longest = position
                    number[0] = splitter.nodes[node].piece
            if longest:
                end[0] = longest
                return at
        at += 1
    return size
