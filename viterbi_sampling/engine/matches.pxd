# Where pieces match: all edges that start in a block of positions, found side by side.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.trie cimport Node

cdef enum:
    BLOCK = 256                 # positions: enough that their loads overlap, few enough for the first cache

cdef struct Edge:
    int32_t start
    int32_t end
    int32_t token

cdef struct Block:
    Edge* found                 # by length rising, then by start
    size_t capacity
    size_t count
    int32_t begin
    int32_t positions
    int32_t first[BLOCK]        # where the edges of each position begin among those by start; once placed, where they end
    int32_t active[BLOCK]       # the positions at which the trie goes on,
    uint32_t nodes[BLOCK]       # where it stands there,
    uint32_t bases[BLOCK]       # and the base of that node

# Find all pieces in text[:size] that start in text[begin:begin + BLOCK]. False without memory.
cdef bint find_matches(const Node* nodes, const uint8_t* text, int32_t begin, int32_t size, Block* block) noexcept nogil

# Write the edges of a block, by start and then by length, both rising, to `edges`, which has room for all.
cdef void place_edges(Block* block, Edge* edges) noexcept nogil
