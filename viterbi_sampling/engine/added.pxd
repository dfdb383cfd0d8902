# Added tokens, which are found in the text itself: the leftmost, and of these the longest.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.trie cimport Entry, Node

cdef struct Splitter:
    const Node* nodes           # of their trie, or NULL for none
    const Entry* entries
    const uint8_t* firsts       # 256 flags: the first bytes of tokens
    int only_first              # the one they all have, or -1
    const uint8_t* strips       # by number: 1 white space before a token is its own, 2 that after it

# Where the next added token begins, or the end of the text. `end` and `number` receive where it ends, and which it is.
cdef size_t find_added(const Splitter* splitter, const uint8_t* text, size_t size, size_t at, size_t* end,
                       int32_t* number) noexcept nogil
