"""Where pieces match: the trie is walked from all positions of a block at once, a byte deeper in each round.

A walk from one position after the other waits: each step needs the node before it, which is seldom in
the first cache, and where a walk ends is what a branch predictor cannot know. In a round the steps of
different positions do not depend on each other, so that their loads overlap, and a position at which the
trie does not go on is left out of the next round without a branch. Rounds are as many as the longest match
has bytes, and one more.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from viterbi_sampling.engine.buffer cimport reserve
from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, Trie, base_of, has_piece, step
from viterbi_sampling.engine.words cimport prefetch

cdef enum:
    LABELS = 256
    MOST_LENGTH = 0xFFFF        # of a Match


cdef class Steps:
    """The trie of a complete vocabulary with its tokens at hand. Immutable; any number of threads may read it."""

    def __dealloc__(self):
        free(self.steps)

    cdef int make(self, Trie trie, int32_t longest) except -1:
        """`longest` is the length of the longest piece in bytes."""
        cdef size_t i
        cdef int byte
        cdef uint32_t place
        for byte in range(LABELS):
            place = step(trie.nodes, ROOT, <uint8_t>byte)
            if place == ROOT or not has_piece(trie.nodes[place]):
                return 0
        if longest > <int32_t>MOST_LENGTH:
            return 0
        self.steps = <Step*>malloc(trie.size * sizeof(Step))
        if not self.steps:
            raise MemoryError()
        for i in range(trie.size):
            self.steps[i].base = base_of(trie.nodes[i]) << 8 | <uint8_t>trie.nodes[i]
            self.steps[i].token = trie.entries[i].piece if has_piece(trie.nodes[i]) else NO_PIECE
        self.root = base_of(trie.nodes[ROOT])
        return 0

cdef bint find_matches(const Step* steps, uint32_t root, const uint8_t* text, int32_t begin, int32_t size,
                       Block* block) noexcept nogil:
    cdef int32_t positions = min(<int32_t>BLOCK, size - begin), active, going, length = 1, k, at, matches
    cdef uint32_t base, byte
    cdef Step reached
    cdef bint goes_on
    cdef size_t count = positions
    cdef Match* match
    if count > block.capacity and not reserve(&block.found, &block.capacity, count, sizeof(Match)):
        return False
    block.begin = begin
    block.positions = positions
    text += begin
    size -= begin
    # In the first round all go on, and all match.
    for k in range(positions):
        reached = steps[root ^ text[k]]
        base = reached.base >> 8
        prefetch(&steps[base ^ text[k + 1]])
        block.first[k] = 1
        block.active[k] = k
        block.bases[k] = base
        match = &block.found[k]
        match.token = reached.token
        match.at = <uint16_t>k
        match.length = 1
    active = positions
    while True:
        # Positions rise, so that those too near to the end are the last ones.
        while active and block.active[active - 1] + length >= size:
            active -= 1
        if active == 0:
            break
        if count + active > block.capacity and not reserve(&block.found, &block.capacity, count + active, sizeof(Match)):
            return False
        going = 0
        for k in range(active):
            at = block.active[k]
            byte = text[at + length]
            reached = steps[block.bases[k] ^ byte]
            goes_on = (reached.base & 0xFF) == byte
            base = reached.base >> 8
            # All is written, and only counted if it is true.
            block.active[going] = at
            block.bases[going] = base
            # The step that comes next is known here, a whole round before it is taken.
            prefetch(&steps[(base ^ text[at + length + 1]) & -<uint32_t>goes_on])
            going += goes_on
            match = &block.found[count]
            match.token = reached.token
            match.at = <uint16_t>at
            match.length = <uint16_t>(length + 1)
            matches = goes_on & (reached.token >= 0)
            count += matches
            block.first[at] += matches
        active = going
        length += 1
    block.count = count
    return True


cdef void place_edges(Block* block, Edge* edges, const double* values) noexcept nogil:
    cdef int32_t total = 0, count, k
    cdef size_t i
    cdef Match match
    cdef Edge* edge
    for k in range(block.positions):
        count = block.first[k]
        block.first[k] = total
        total += count
    for i in range(block.count):
        match = block.found[i]
        edge = &edges[block.first[match.at]]
        block.first[match.at] += 1
        edge.start = block.begin + match.at
        edge.end = edge.start + match.length
        edge.token = match.token
        if values != NULL:
            prefetch(&values[match.token])
