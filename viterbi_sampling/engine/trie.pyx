"""The trie of the pieces: a double array in XOR form, built in one pass over the unsorted pieces.

The keys below a node are split by their next byte (a radix sort on the way down), and each set of
children is given the first free place among the last blocks of 256 slots. Children of one node
share a block, since base ^ byte changes the low eight bits only. Linear in the bytes of the pieces.

A walk reads four bytes a step: what ends at a node is apart, and read where something does. The byte that leads to
a slot tells whose child it holds, as no two nodes have the same base. Nodes without children go on to the first block,
and a slot that is free, or of that block, has a byte under which no node comes to it: no walk needs to ask where it is.

Source of the layout: Aoe, "An efficient digital search algorithm by using a double-array
structure", 1989; the XOR form and the byte in place of the parent are those of Darts-clone.
"""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport LARGE, advise_large_pages, reserve_exactly
from viterbi_sampling.engine.cuts cimport lowest
from viterbi_sampling.engine.words cimport KEY_MASKS
from viterbi_sampling.errors import ModelError

cdef enum:
    BLOCK = 256
    FEW_KEYS = 12
    OPEN_BLOCKS = 2         # blocks tried for a place before a new one is begun
    MOST_SLOTS = 1 << 23    # whose places are bases

cdef double ROUNDED = 1.2e-7     # by less of itself a number differs from itself in single precision

cdef struct Builder:
    Node* nodes
    Entry* entries
    uint64_t* free              # one bit a slot
    uint64_t* unused            # one bit a base that no node has
    size_t size
    size_t capacity
    size_t expected             # no fewer slots are asked for at first
    const uint8_t* text
    int64_t end                 # of the text of all keys

cdef struct Key:                # a piece; with its bytes at hand, so that the keys of a range lie together in memory
    uint32_t start              # in the text
    uint8_t bytes[8]            # those from the last multiple of 8 of the depth on; 0 after the end
    int32_t length
    int32_t id
    float score

cdef struct Pending:        # keys[low:high] share their first `depth` bytes, which lead to `node`
    uint32_t node
    int32_t low
    int32_t high
    int32_t depth


cdef bint grow(Builder* b) noexcept nogil:
    cdef size_t nodes = b.capacity, entries = b.capacity, free_words = b.capacity // 64, unused_words = b.capacity // 64
    # Keys have nearly as few nodes as slots, and fewer than bytes: mostly this is asked for once.
    cdef size_t wanted = max(2 * b.capacity, (b.expected + BLOCK - 1) // BLOCK * BLOCK)
    if not (reserve_exactly(&b.nodes, &nodes, wanted, sizeof(Node))
            and reserve_exactly(&b.entries, &entries, wanted, sizeof(Entry))
            and reserve_exactly(&b.free, &free_words, wanted // 64, sizeof(uint64_t))
            and reserve_exactly(&b.unused, &unused_words, wanted // 64, sizeof(uint64_t))):
        return False
    b.capacity = wanted
    return True


cdef bint add_block(Builder* b) noexcept nogil:
    cdef size_t i
    if b.size == MOST_SLOTS or (b.size + BLOCK > b.capacity and not grow(b)):
        return False
    memset(b.nodes + b.size, 0, BLOCK * sizeof(Node))
    for i in range(b.size // 64, (b.size + BLOCK) // 64):
        b.free[i] = b.unused[i] = ~<uint64_t>0
    b.size += BLOCK
    return True


cdef inline bint is_set(const uint64_t* bits, size_t at) noexcept nogil:
    return bits[at >> 6] >> (at & 63) & 1


cdef bint place(Builder* b, uint32_t node, const uint8_t* labels, int count) noexcept nogil:
    """Find a base for `node` under which all its children's slots are free, and take them."""
    cdef size_t word = 0, base = 0
    cdef uint64_t left
    cdef int i
    cdef bint found = False
    if b.size > OPEN_BLOCKS * BLOCK:
        word = (b.size - OPEN_BLOCKS * BLOCK) // 64
    while word < b.size // 64 and not found:
        left = b.free[word]
        while left and not found:
            base = (word << 6 | lowest(left)) ^ labels[0]
            left &= left - 1
            if not is_set(b.unused, base):
                continue
            found = True
            for i in range(1, count):
                if not is_set(b.free, base ^ labels[i]):
                    found = False
                    break
        word += 1
    if not found:
        base = b.size
        if not add_block(b):
            return False
    b.nodes[node] |= <Node>base << BASE
    b.unused[base >> 6] ^= <uint64_t>1 << (base & 63)
    for i in range(count):
        b.nodes[base ^ labels[i]] = labels[i]
        b.free[(base ^ labels[i]) >> 6] ^= <uint64_t>1 << ((base ^ labels[i]) & 63)
    return True


cdef inline void fetch(const Builder* b, Key* key, int32_t depth) noexcept nogil:
    """Bring the next bytes of a key to hand, `depth` being a multiple of 8."""
    cdef int32_t count = min(8, key.length - depth)
    cdef uint64_t bytes = 0, mask
    memcpy(&mask, KEY_MASKS + 16 - count, 8)
    memcpy(&bytes, b.text + key.start + depth, 8 if key.start + depth + 8 <= b.end else count)
    bytes &= mask
    memcpy(key.bytes, &bytes, 8)


cdef int32_t split(Key* keys, Key* room, const Pending* range_, uint8_t* labels, int32_t* bounds) noexcept nogil:
    """Order the keys of a range by their byte at its depth, with room for as many; the number of distinct bytes.

    `labels` receives the bytes, `bounds` where the keys of each begin (and the end of the last).
    """
    cdef int32_t counts[257]
    cdef int32_t i, at, total = range_.low, distinct = 0, place = range_.depth & 7
    cdef Key key
    cdef int c
    if range_.high - range_.low <= <int32_t>FEW_KEYS:
        # Most ranges are small: sorted by insertion, without a look at all 256 bytes.
        for i in range(range_.low + 1, range_.high):
            if keys[i - 1].bytes[place] <= keys[i].bytes[place]:
                continue
            key = keys[i]
            at = i
            while at > range_.low and keys[at - 1].bytes[place] > key.bytes[place]:
                keys[at] = keys[at - 1]
                at -= 1
            keys[at] = key
        for i in range(range_.low, range_.high):
            if distinct == 0 or labels[distinct - 1] != keys[i].bytes[place]:
                labels[distinct] = keys[i].bytes[place]
                bounds[distinct] = i
                distinct += 1
        bounds[distinct] = range_.high
        return distinct
    memset(counts, 0, sizeof(counts))
    for i in range(range_.low, range_.high):
        counts[keys[i].bytes[place]] += 1
    for c in range(256):
        if counts[c]:
            labels[distinct] = <uint8_t>c
            bounds[distinct] = total
            distinct += 1
            at = counts[c]
            counts[c] = total
            total += at
    bounds[distinct] = total
    for i in range(range_.low, range_.high):
        c = keys[i].bytes[place]
        room[counts[c]] = keys[i]
        counts[c] += 1
    memcpy(keys + range_.low, room + range_.low, (range_.high - range_.low) * sizeof(Key))
    return distinct


cdef void give_piece(Builder* b, uint32_t node, const Key* key) noexcept nogil:
    b.nodes[node] |= HAS_PIECE
    b.entries[node].piece = key.id
    b.entries[node].score = key.score


cdef void close(Builder* b) noexcept nogil:
    """Give all slots without a node a byte under which no node comes to them."""
    cdef size_t i, word
    cdef uint64_t left
    cdef size_t byte
    for i in range(BLOCK):
        b.nodes[i] |= i ^ 1         # nobody has a base in the first block but those without children: 0
    for word in range(BLOCK // 64, b.size // 64):
        left = b.free[word]
        while left:
            i = word << 6 | lowest(left)
            left &= left - 1
            # In a block with a free slot a base is unused, too: each that is used has a child there.
            byte = 0
            while not is_set(b.unused, i ^ byte):
                byte += 1
            b.nodes[i] = <Node>byte


cdef class Trie:
    """Pieces to walk down byte by byte. Immutable once built; any number of threads may read it."""

    def __dealloc__(self):
        free(self.nodes)
        free(self.entries)

    cdef int build(self, const uint8_t* text, const int64_t* offsets, const int32_t* ids, const float* scores,
                   Py_ssize_t count) except -1:
        """Piece ids[k] is text[offsets[ids[k]]:offsets[ids[k] + 1]], with score scores[ids[k]].

        ModelError where two pieces are equal, or where they are too many.
        """
        cdef Builder b
        cdef Py_ssize_t k
        cdef int32_t equal = -1
        cdef double score, magnitude
        cdef bint failed = False
        for k in range(256):
            self.greatest[k] = -1e300
        self.rise = self.furthest = 0
        b.nodes = NULL
        b.entries = NULL
        b.free = b.unused = NULL
        b.size = b.capacity = 0
        b.text = text
        b.end = 0
        b.expected = 16 * BLOCK
        if count and offsets[ids[count - 1] + 1] > <int64_t>0xFFFFFFFF:
            raise ModelError("the pieces have more than 4 GB of text")
        cdef Key* keys = <Key*>malloc((2 * count + 1) * sizeof(Key))
        cdef Pending* stack = <Pending*>malloc((count + 257) * sizeof(Pending))
        try:
            if not keys or not stack:
                raise MemoryError()
            if 2 * count * sizeof(Key) >= <size_t>LARGE:
                advise_large_pages(keys, 2 * count * sizeof(Key))
            for k in range(count):
                b.end = max(b.end, offsets[ids[k] + 1])
                b.expected += offsets[ids[k] + 1] - offsets[ids[k]]
            b.expected = min(b.expected, <size_t>MOST_SLOTS)
            for k in range(count):
                keys[k].start = <uint32_t>offsets[ids[k]]
                keys[k].length = <int32_t>(offsets[ids[k] + 1] - offsets[ids[k]])
                keys[k].id = ids[k]
                keys[k].score = scores[ids[k]]
                fetch(&b, &keys[k], 0)
                magnitude = fabs(keys[k].score)
                score = keys[k].score + magnitude * ROUNDED
                self.furthest = max(self.furthest, magnitude + magnitude * ROUNDED)
                self.greatest[keys[k].bytes[0]] = max(self.greatest[keys[k].bytes[0]], score)
                if score > 0:
                    self.rise = max(self.rise, score / keys[k].length)
                self.longest = max(self.longest, keys[k].length)
            with nogil:
                failed = not fill(&b, keys, keys + count, stack, <int32_t>count, &equal)
            if failed and b.size == MOST_SLOTS:
                raise ModelError(f"the pieces need more than {MOST_SLOTS:,} places in the trie")
            if failed:
                raise MemoryError()
            if equal >= 0:
                piece = text[offsets[equal]:offsets[equal + 1]].decode("utf-8", "backslashreplace")
                raise ModelError(f"piece {equal} ({piece!r}) is there twice")
            close(&b)
            # What is not used has not been touched.
            self.nodes = <Node*>realloc(b.nodes, b.size * sizeof(Node))
            if self.nodes == NULL:
                self.nodes = b.nodes
            b.nodes = NULL
            self.entries = <Entry*>realloc(b.entries, b.size * sizeof(Entry))
            if self.entries == NULL:
                self.entries = b.entries
            b.entries = NULL
            self.size = b.size
        finally:
            free(b.nodes)
            free(b.entries)
            free(b.free)
            free(b.unused)
            free(keys)
            free(stack)
        return 0

    def memory(self):
        """Bytes of the nodes and of what ends at them."""
        return self.size * (sizeof(Node) + sizeof(Entry))

    cdef uint32_t* parents(self) except NULL:
        cdef size_t i
        cdef uint32_t* owners = <uint32_t*>malloc(self.size * sizeof(uint32_t))
        cdef uint32_t* parents = <uint32_t*>malloc(self.size * sizeof(uint32_t))
        if not owners or not parents:
            free(owners)
            free(parents)
            raise MemoryError()
        for i in range(self.size):
            owners[i] = <uint32_t>NO_PARENT
        for i in range(self.size):
            if base_of(self.nodes[i]):
                owners[base_of(self.nodes[i])] = <uint32_t>i
        for i in range(self.size):
            parents[i] = owners[i ^ <uint8_t>self.nodes[i]]
        free(owners)
        return parents


cdef bint add_rest(Builder* b, const Key* key, uint32_t node, int32_t depth) noexcept nogil:
    """Add what is left of a key below a node that leads to no other; False without memory."""
    cdef int32_t i
    cdef uint8_t label
    for i in range(depth, key.length):
        label = b.text[key.start + i]
        if not place(b, node, &label, 1):
            return False
        node = base_of(b.nodes[node]) ^ label
    give_piece(b, node, key)
    return True


cdef bint fill(Builder* b, Key* keys, Key* room, Pending* stack, int32_t count, int32_t* equal) noexcept nogil:
    """Build all nodes; False without memory. `equal` receives the id of a key that is there twice."""
    cdef uint8_t labels[256]
    cdef int32_t bounds[257]
    cdef int32_t pending = 0, distinct, first, i
    cdef Key key
    cdef Pending range_
    # The first block holds the root and nothing else.
    if not add_block(b):
        return False
    memset(b.free, 0, BLOCK // 8)
    memset(b.unused, 0, BLOCK // 8)
    if count:
        stack[0].node = ROOT
        stack[0].low = stack[0].depth = 0
        stack[0].high = count
        pending = 1
    while pending:
        pending -= 1
        range_ = stack[pending]
        if range_.high - range_.low == 1:
            if not add_rest(b, &keys[range_.low], range_.node, range_.depth):
                return False
            continue
        if range_.depth and range_.depth & 7 == 0:
            for i in range(range_.low, range_.high):
                fetch(b, &keys[i], range_.depth)
        distinct = split(keys, room, &range_, labels, bounds)
        first = 0
        if labels[0] == 0:
            # The keys that end here: one, or two are equal. Those that go on with a zero byte come after it.
            for i in range(bounds[0], bounds[1]):
                if keys[i].length == range_.depth:
                    if i > range_.low and keys[range_.low].length == range_.depth:
                        equal[0] = keys[i].id
                        return True
                    key = keys[i]
                    keys[i] = keys[range_.low]
                    keys[range_.low] = key
            if keys[range_.low].length == range_.depth:
                give_piece(b, range_.node, &keys[range_.low])
                bounds[0] += 1
            if bounds[0] == bounds[1]:
                first = 1
                if distinct == 1:
                    continue
        if not place(b, range_.node, labels + first, distinct - first):
            return False
        for i in range(distinct - 1, first - 1, -1):
            stack[pending].node = base_of(b.nodes[range_.node]) ^ labels[i]
            stack[pending].low = bounds[i]
            stack[pending].high = bounds[i + 1]
            stack[pending].depth = range_.depth + 1
            pending += 1
    return True
