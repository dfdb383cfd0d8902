# Where pieces match: all edges that start in a block of positions, found side by side.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from viterbi_sampling.engine.trie cimport Trie

cdef enum:
    BLOCK = 128                 # positions: enough that their loads overlap, few enough for the first cache

cdef struct Step:               # a node of the trie, and what ends there
    uint32_t base               # in the upper 24 bits; in the lower 8 the byte that leads here
    int32_t token               # the piece that ends here, or NO_PIECE

cdef class Steps:               # the trie of a complete vocabulary: every single byte is a piece
    cdef Step* steps            # in the slots of the trie; NULL where the vocabulary is not complete, or too large
    cdef uint32_t root          # its base
    cdef int make(self, Trie trie, int32_t longest) except -1

cdef struct Edge:
    int32_t start
    int32_t end
    int32_t token

cdef struct Match:
    int32_t token
    uint16_t at                 # from the beginning of the block
    uint16_t length

cdef struct Block:
    Match* found                # by length rising, then by start
    size_t capacity
    size_t count
    int32_t begin
    int32_t positions
    int32_t first[BLOCK]        # where the edges of each position begin among those by start; once placed, where they end
    int32_t active[BLOCK]       # the positions at which the trie goes on,
    uint32_t bases[BLOCK]       # and the base of the node where it stands there

# Find all pieces in text[:size] that start in text[begin:begin + BLOCK]. False without memory.
cdef bint find_matches(const Step* steps, uint32_t root, const uint8_t* text, int32_t begin, int32_t size,
                       Block* block) noexcept nogil

# Write the edges of a block, by start and then by length, both rising, to `edges`, which has room for all, and ask for
# the values of their tokens, unless these are NULL.
cdef void place_edges(Block* block, Edge* edges, const double* values) noexcept nogil
