"""Where pieces match: the trie is walked from all positions of a block at once, a byte deeper in each round.

A walk from one position after the other waits: each step needs the node before it, which is seldom in
the first cache, and where a walk ends is what a branch predictor cannot know. In a round the steps of
different positions do not depend on each other, so that their loads overlap, and a position at which the
trie does not go on is left out of the next round without a branch. Rounds are as many as the longest match
has bytes, and one more.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.buffer cimport reserve
from viterbi_sampling.engine.trie cimport ROOT, Node


cdef bint find_matches(const Node* nodes, const uint8_t* text, int32_t begin, int32_t size, Block* block) noexcept nogil:
    cdef int32_t positions = min(<int32_t>BLOCK, size - begin), active, going, length = 0, k, at, matches
    cdef uint32_t child, parent, base
    cdef bint goes_on
    cdef size_t count = 0
    cdef Edge* edge
    block.begin = begin
    block.positions = positions
    for k in range(positions):
        block.first[k] = 0
        block.active[k] = k
        block.nodes[k] = ROOT
        block.bases[k] = nodes[ROOT].base
    active = positions
    while True:
        # Positions rise, so that those too near to the end are the last ones.
        while active and begin + block.active[active - 1] + length >= size:
            active -= 1
        if active == 0:
            break
        if count + active > block.capacity and not reserve(&block.found, &block.capacity, count + active, sizeof(Edge)):
            return False
        going = 0
        for k in range(active):
            at = block.active[k]
            parent = block.nodes[k]
            child = block.bases[k] ^ text[begin + at + length]
            goes_on = nodes[child].parent == parent
            base = nodes[child].base
            # All is written, and only counted if it is true.
            block.active[going] = at
            block.nodes[going] = child
            block.bases[going] = base
            going += goes_on
            edge = &block.found[count]
            edge.start = begin + at
            edge.end = begin + at + length + 1
            edge.token = nodes[child].piece
            matches = goes_on & (edge.token >= 0)
            count += matches
            block.first[at] += matches
        active = going
        length += 1
    block.count = count
    return True


cdef void place_edges(Block* block, Edge* edges) noexcept nogil:
    cdef int32_t at = 0, count, k
    cdef size_t i
    cdef int32_t* place
    for k in range(block.positions):
        count = block.first[k]
        block.first[k] = at
        at += count
    for i in range(block.count):
        place = &block.first[block.found[i].start - block.begin]
        edges[place[0]] = block.found[i]
        place[0] += 1
