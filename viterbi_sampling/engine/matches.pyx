"""Where pieces match: the trie is walked from all positions of a block at once, a byte deeper in each round.

A walk from one position after the other waits: each step needs the node before it, which is seldom in
the first cache, and where a walk ends is what a branch predictor cannot know. In a round the steps of
different positions do not depend on each other, so that their loads overlap, and a position at which the
trie does not go on is left out of the next round without a branch. Rounds are as many as the longest match
has bytes, and one more.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from viterbi_sampling.engine.buffer cimport reserve
from viterbi_sampling.engine.trie cimport NO_PARENT, NO_PIECE, ROOT, Node, Trie, step
from viterbi_sampling.engine.words cimport prefetch

cdef enum:
    LABELS = 256
    MOST_SLOTS = 1 << 24        # so many bases there are in a Step
    MOST_LENGTH = 0xFFFF        # of a Match


cdef class Steps:
    """The trie of a complete vocabulary in eight bytes a node. Immutable; any number of threads may read it.

    No two nodes have the same base, so the byte that leads to a slot tells whose child it holds. A slot without one
    holds a byte under which no node comes to it.
    """

    def __dealloc__(self):
        free(self.steps)

    cdef int make(self, Trie trie, int32_t longest) except -1:
        """`longest` is the length of the longest piece in bytes."""
        cdef const Node* nodes = trie.nodes
        cdef size_t size = trie.size, i
        cdef int byte
        cdef uint32_t node
        cdef uint32_t* owners           # of each base the node that has it, plus 1; 0 for none
        cdef Step* steps
        for byte in range(LABELS):
            node = step(nodes, ROOT, <uint8_t>byte)
            if node == ROOT or nodes[node].piece == NO_PIECE:
                return 0
        if size + LABELS > <size_t>MOST_SLOTS or longest > <int32_t>MOST_LENGTH:
            return 0
        owners = <uint32_t*>calloc(size, sizeof(uint32_t))
        steps = <Step*>malloc((size + LABELS) * sizeof(Step))
        if not owners or not steps:
            free(owners)
            free(steps)
            raise MemoryError()
        for i in range(size):
            # Nodes without children go on to the last block, where nothing is.
            steps[i].base = <uint32_t>size << 8
            steps[i].token = nodes[i].piece
        for i in range(1, size):
            if nodes[i].parent != <uint32_t>NO_PARENT:
                node = nodes[i].parent
                if owners[nodes[node].base] not in (0, node + 1):
                    free(owners)
                    free(steps)
                    raise ValueError("two nodes of the trie share a base: it must be built to be distinct")
                owners[nodes[node].base] = node + 1
                steps[node].base = nodes[node].base << 8
        for i in range(size):
            if i and nodes[i].parent != <uint32_t>NO_PARENT:
                steps[i].base |= (nodes[nodes[i].parent].base ^ <uint32_t>i) & 0xFF
                continue
            # In a block with a free slot a base is free, too: each that is taken has a child there.
            byte = 0
            while owners[i ^ <size_t>byte]:
                byte += 1
            steps[i].base |= <uint32_t>byte
        for byte in range(LABELS):
            steps[size + byte].base = <uint32_t>size << 8 | ((<uint32_t>byte ^ 1) & 0xFF)
            steps[size + byte].token = NO_PIECE
        free(owners)
        self.steps = steps
        self.root = nodes[ROOT].base
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
