# Which pieces end at each position: an automaton over the bytes of a text.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.matches cimport Steps
from viterbi_sampling.engine.trie cimport Trie

cdef enum:
    ENDS = 1024                 # positions that are read at once

cdef struct State:              # a node of the trie; 16 bytes
    uint32_t base               # as in a Step: in the upper 24 bits; in the lower 8 the byte that leads here
    uint32_t shorter            # the state of the longest proper suffix of what leads here, by its offset in bytes
    uint32_t shorter_base       # the base of that, in such offsets
    uint32_t pieces             # where the list of the pieces that end here begins: << 8; in the lower 8 bits how many

cdef struct Automaton:
    State* states               # in the slots of the trie; the root is 0
    uint32_t* pieces            # the lists: of each piece its token << 8, and its length. First the byte alone, then the
                                # longest to the shortest; where there is none, a piece of no weight as long as a byte
    uint8_t* depths             # of each state the length of what leads here
    int32_t longest             # bytes of a piece

cdef class Endings:             # the automaton of a complete vocabulary
    cdef Automaton automaton    # its pointers are NULL where the vocabulary is not complete, or too large
    cdef int make(self, Trie trie, Steps steps, const int32_t* lengths, int32_t longest, int32_t nothing) except -1

# For each end from 1 on the `pieces` of the state after text[:end], in ends[end - 1], for a text of 1 to ENDS bytes. `state` is
# the offset of the one before the text, and then of the one after it.
cdef void find_endings(const Automaton* automaton, const uint8_t* text, int32_t size, uint32_t* state,
                       uint32_t* ends) noexcept nogil


cdef inline int32_t depth_of(const Automaton* automaton, uint32_t state) noexcept nogil:
    """The length of what leads to the state with this offset."""
    return automaton.depths[state // <uint32_t>sizeof(State)]


cdef inline int32_t length_of(uint32_t piece) noexcept nogil:
    return <int32_t>(piece & 0xFF)


cdef inline int32_t token_of(uint32_t piece) noexcept nogil:
    return <int32_t>(piece >> 8)


cdef inline const uint32_t* list_of(const uint32_t* lists, uint32_t end) noexcept nogil:
    return lists + (end >> 8)


cdef inline int32_t edges_of(uint32_t end) noexcept nogil:
    """How many pieces end there."""
    return <int32_t>(end & 0xFF)
