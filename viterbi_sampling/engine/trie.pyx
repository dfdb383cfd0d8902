"""The trie of the pieces: a double array in XOR form, built in one pass over the unsorted pieces.

The keys below a node are split by their next byte (a radix sort on the way down), and each set of
children is given the first free place among the last blocks of 256 slots. Children of one node
share a block, since base ^ byte changes the low eight bits only. Linear in the bytes of the pieces.

Source of the layout: Aoe, "An efficient digital search algorithm by using a double-array
structure", 1989; the XOR form is that of Darts-clone.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from viterbi_sampling.errors import ModelError

cdef enum:
    BLOCK = 256
    FEW_KEYS = 12
    OPEN_BLOCKS = 8         # blocks tried for a place before a new one is begun
    NO_PARENT = 0xFFFFFFFF

cdef struct Builder:
    Node* nodes
    size_t size
    size_t capacity
    size_t lowest           # no slot below is free
    const uint8_t* text
    const int64_t* starts   # of each key
    const int32_t* lengths

cdef struct Pending:        # keys[low:high] share their first `depth` bytes, which lead to `node`
    uint32_t node
    int32_t low
    int32_t high
    int32_t depth


cdef bint add_block(Builder* b) noexcept nogil:
    cdef size_t i
    cdef Node* nodes
    if b.size + BLOCK > b.capacity:
        b.capacity = 2 * b.capacity + 16 * BLOCK
        nodes = <Node*>realloc(b.nodes, b.capacity * sizeof(Node))
        if nodes == NULL:
            return False
        b.nodes = nodes
    for i in range(b.size, b.size + BLOCK):
        b.nodes[i].base = 0
        b.nodes[i].parent = <uint32_t>NO_PARENT
        b.nodes[i].piece = NO_PIECE
        b.nodes[i].score = 0
    b.size += BLOCK
    return True


cdef inline bint is_free(const Builder* b, size_t slot) noexcept nogil:
    return b.nodes[slot].parent == <uint32_t>NO_PARENT and slot != ROOT


cdef bint place(Builder* b, uint32_t node, const uint8_t* labels, int count) noexcept nogil:
    """Find a base for `node` under which all its children's slots are free, and take them."""
    cdef size_t slot, base = 0, first
    cdef int i
    cdef bint found = False
    while b.lowest < b.size and not is_free(b, b.lowest):
        b.lowest += 1
    first = b.lowest
    if count > 1 and b.size > OPEN_BLOCKS * BLOCK and first < b.size - OPEN_BLOCKS * BLOCK:
        first = b.size - OPEN_BLOCKS * BLOCK
    slot = first
    while slot < b.size:
        if is_free(b, slot):
            base = slot ^ labels[0]
            found = True
            for i in range(1, count):
                if not is_free(b, base ^ labels[i]):
                    found = False
                    break
            if found:
                break
        slot += 1
    if not found:
        base = b.size       # no label is 0, so the slots are free whatever they are
        if not add_block(b):
            return False
    b.nodes[node].base = <uint32_t>base
    for i in range(count):
        b.nodes[base ^ labels[i]].parent = node
    return True


cdef int32_t split(Builder* b, int32_t* order, int32_t* scratch, const Pending* range_, uint8_t* labels,
                   int32_t* bounds) noexcept nogil:
    """Order the keys of a range by their byte at its depth; the number of distinct bytes.

    `labels` receives the bytes, `bounds` where the keys of each begin (and the end of the last).
    """
    cdef int32_t counts[257]
    cdef int32_t i, at, key, total = range_.low, distinct = 0
    cdef int c
    if range_.high - range_.low <= <int32_t>FEW_KEYS:
        # Most ranges are small: sorted by insertion, without a look at all 256 bytes.
        for i in range(range_.low, range_.high):
            key = order[i]
            c = b.text[b.starts[key] + range_.depth]
            at = i
            while at > range_.low and b.text[b.starts[order[at - 1]] + range_.depth] > c:
                order[at] = order[at - 1]
                at -= 1
            order[at] = key
        for i in range(range_.low, range_.high):
            c = b.text[b.starts[order[i]] + range_.depth]
            if distinct == 0 or labels[distinct - 1] != c:
                labels[distinct] = <uint8_t>c
                bounds[distinct] = i
                distinct += 1
        bounds[distinct] = range_.high
        return distinct
    memset(counts, 0, sizeof(counts))
    for i in range(range_.low, range_.high):
        counts[b.text[b.starts[order[i]] + range_.depth]] += 1
    for c in range(256):
        if counts[c]:
            labels[distinct] = <uint8_t>c
            bounds[distinct] = total
            distinct += 1
            at = counts[c]
            counts[c] = total
            total += at
    bounds[distinct] = total
    if distinct > 1:
        for i in range(range_.low, range_.high):
            c = b.text[b.starts[order[i]] + range_.depth]
            scratch[counts[c]] = order[i]
            counts[c] += 1
        for i in range(range_.low, range_.high):
            order[i] = scratch[i]
    return distinct


cdef class Trie:
    """Pieces to walk down byte by byte. Immutable once built; any number of threads may read it."""

    def __dealloc__(self):
        free(self.nodes)

    cdef int build(self, const uint8_t* text, const int64_t* offsets, const int32_t* ids, const float* scores,
                   Py_ssize_t count) except -1:
        """Piece ids[k] is text[offsets[ids[k]]:offsets[ids[k] + 1]], without a zero byte, with score scores[ids[k]].

        ModelError where two pieces are equal.
        """
        cdef Builder b
        cdef Py_ssize_t k
        cdef int32_t i, equal = -1
        cdef bint failed = False
        b.nodes = NULL
        b.size = b.capacity = b.lowest = 0
        b.text = text
        cdef int64_t* starts = <int64_t*>malloc((count + 1) * sizeof(int64_t))
        cdef int32_t* lengths = <int32_t*>malloc((count + 1) * sizeof(int32_t))
        cdef int32_t* order = <int32_t*>malloc((count + 1) * sizeof(int32_t))
        cdef int32_t* scratch = <int32_t*>malloc((count + 1) * sizeof(int32_t))
        cdef Pending* stack = <Pending*>malloc((count + 257) * sizeof(Pending))
        try:
            if not starts or not lengths or not order or not scratch or not stack:
                raise MemoryError()
            b.starts = starts
            b.lengths = lengths
            for k in range(count):
                starts[k] = offsets[ids[k]]
                lengths[k] = <int32_t>(offsets[ids[k] + 1] - offsets[ids[k]])
                order[k] = <int32_t>k
            with nogil:
                failed = not fill(&b, order, scratch, stack, ids, scores, <int32_t>count, &equal)
            if failed:
                raise MemoryError()
            if equal >= 0:
                raise ModelError(f"piece {ids[equal]} ({text[starts[equal]:starts[equal] + lengths[equal]].decode()!r}) "
                                 "is there twice")
            self.nodes = b.nodes
            self.size = b.size
            b.nodes = NULL
        finally:
            free(b.nodes)
            free(starts)
            free(lengths)
            free(order)
            free(scratch)
            free(stack)
        return 0

    def memory(self):
        """Bytes of the nodes."""
        return self.size * sizeof(Node)


cdef bint fill(Builder* b, int32_t* order, int32_t* scratch, Pending* stack, const int32_t* ids, const float* scores,
               int32_t count, int32_t* equal) noexcept nogil:
    """Build all nodes; False without memory. `equal` receives a key that is there twice."""
    cdef uint8_t labels[256]
    cdef int32_t bounds[257]
    cdef int32_t pending = 0, distinct, i, key
    cdef Pending range_
    cdef Node* node
    if not add_block(b):
        return False
    if count:
        stack[0].node = ROOT
        stack[0].low = stack[0].depth = 0
        stack[0].high = count
        pending = 1
    while pending:
        pending -= 1
        range_ = stack[pending]
        # The keys that end here: one at most, or two are equal.
        i = range_.low
        while i < range_.high:
            key = order[i]
            if b.lengths[key] == range_.depth:
                node = &b.nodes[range_.node]
                if node.piece != NO_PIECE:
                    equal[0] = key
                    return True
                node.piece = ids[key]
                node.score = scores[ids[key]]
                order[i] = order[range_.low]
                range_.low += 1
            i += 1
        if range_.low == range_.high:
            continue
        if range_.high - range_.low == 1:
            distinct = 1
            labels[0] = b.text[b.starts[order[range_.low]] + range_.depth]
            bounds[0] = range_.low
            bounds[1] = range_.high
        else:
            distinct = split(b, order, scratch, &range_, labels, bounds)
        if not place(b, range_.node, labels, distinct):
            return False
        for i in range(distinct - 1, -1, -1):
            stack[pending].node = b.nodes[range_.node].base ^ labels[i]
            stack[pending].low = bounds[i]
            stack[pending].high = bounds[i + 1]
            stack[pending].depth = range_.depth + 1
            pending += 1
    return True
