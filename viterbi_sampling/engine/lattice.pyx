"""The lattice of a text, built from left to right, one part between two cuts at a time.

A *cut* is a position that all paths go through: no edge from before it ends beyond it. The law of a
path factorises there, so what lies between two cuts is decided on its own, and memory depends on the
longest such part, not on the text. (In most languages a word or less; with pieces that cross spaces
a sentence.)

In a bytewise vocabulary, whose pieces may begin and end inside a character, every byte counts as one. Where all single
bytes are pieces, too, the edges of many positions are found at once (matches.pyx).
A character that no piece of exactly one character covers gets one edge of its own, the unknown edge.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memmove

from viterbi_sampling.engine.buffer cimport NO_MEMORY, NO_PATH, OK, reserve, reserve_bytes
from viterbi_sampling.engine.matches cimport find_matches, place_edges
from viterbi_sampling.engine.trie cimport NO_PIECE, Cursor, Node, go_down, has_piece, root_of


cdef void lattice_start(Lattice* lattice, const uint8_t* text, int32_t begin, int32_t end) noexcept nogil:
    lattice.text = text
    lattice.size = end
    lattice.at = begin
    lattice.frontier = begin
    lattice.matched = begin
    lattice.values = NULL
    lattice.count = lattice.found = 0
    lattice_clear(lattice, True)


cdef void lattice_clear(Lattice* lattice, bint with_cut) noexcept nogil:
    lattice.found -= lattice.count
    lattice.edges = lattice.edges + lattice.count if lattice.found else lattice.memory
    lattice.count = 0
    if with_cut:
        lattice.cut = lattice.at


cdef void lattice_pass(Lattice* lattice) noexcept nogil:
    cdef size_t k, kept = lattice.count
    for k in range(lattice.count, 0, -1):
        if lattice.edges[k - 1].end > lattice.at:
            kept -= 1
            lattice.edges[kept] = lattice.edges[k - 1]
    lattice.edges += kept
    lattice.found -= kept
    lattice.count -= kept


cdef bint reserve_edges(Lattice* lattice, size_t count) noexcept nogil:
    """Make room for `count` edges from `edges` on; these may move."""
    cdef size_t before = lattice.edges - lattice.memory
    if before + count <= lattice.capacity:
        return True
    # The edges in front of these are gone.
    if before:
        memmove(lattice.memory, lattice.edges, lattice.found * sizeof(Edge))
        lattice.edges = lattice.memory
    if count > lattice.capacity and not reserve(&lattice.memory, &lattice.capacity, count + 256, sizeof(Edge)):
        return False
    lattice.edges = lattice.memory
    return True


cdef bint add_edge(Lattice* lattice, int32_t end, int32_t token) noexcept nogil:
    cdef Edge* edge
    if not reserve_edges(lattice, lattice.count + 1):
        return False
    if end > lattice.frontier:
        if not reserve_bytes(&lattice.reached, end - lattice.cut + 1):
            return False
        while lattice.frontier < end:
            lattice.frontier += 1
            lattice.reached.data[lattice.frontier - lattice.cut] = False
    lattice.reached.data[end - lattice.cut] = True
    edge = &lattice.edges[lattice.count]
    edge.start = lattice.at
    edge.end = end
    edge.token = token
    lattice.count += 1
    lattice.found = lattice.count
    return True


cdef bint lattice_match(Lattice* lattice, const Vocabulary* vocabulary) noexcept nogil:
    cdef Block* block = &lattice.block
    if not find_matches(vocabulary.steps, vocabulary.root, lattice.text, lattice.matched, lattice.size, block):
        return False
    if not reserve_edges(lattice, lattice.found + block.count):
        return False
    place_edges(block, lattice.edges + lattice.found, lattice.values)
    lattice.found += block.count
    lattice.matched += block.positions
    return True


cdef int extend_complete(Lattice* lattice, const Vocabulary* vocabulary, size_t limit) noexcept nogil:
    """lattice_extend for a complete vocabulary."""
    cdef int32_t at = lattice.at, frontier = lattice.frontier, k
    cdef size_t before = 0      # the edges in front of those of the block
    cdef int status = NO_PATH
    while at < lattice.size:
        if lattice.count >= limit:
            status = MORE
            break
        if at == lattice.matched and not lattice_match(lattice, vocabulary):
            status = NO_MEMORY
            break
        before = lattice.found - lattice.block.count
        lattice.count = before + lattice.block.first[at - lattice.block.begin]
        frontier = max(frontier, lattice.edges[lattice.count - 1].end)
        at += 1
        if frontier == at:
            status = OK
            break
    lattice.at = at
    lattice.frontier = frontier
    return status


cdef int lattice_extend(Lattice* lattice, const Vocabulary* vocabulary, size_t limit) noexcept nogil:
    cdef const uint8_t* text = lattice.text
    cdef const Node* nodes = vocabulary.nodes
    cdef int32_t size = lattice.size, position, one
    cdef Cursor cursor
    cdef bint single
    if vocabulary.steps != NULL:
        return extend_complete(lattice, vocabulary, limit)
    while lattice.at < size:
        if lattice.count >= limit:
            return MORE
        one = next_position(vocabulary, text, lattice.at, size)
        if lattice.at == lattice.cut or lattice.reached.data[lattice.at - lattice.cut]:
            single = False
            cursor = root_of(nodes)
            position = lattice.at
            while position < size and go_down(nodes, &cursor, text[position]):
                position += 1
                if has_piece(cursor.node):
                    single = single or position == one
                    if not add_edge(lattice, position, vocabulary.entries[cursor.place].piece):
                        return NO_MEMORY
            if not single and vocabulary.unknown != NO_PIECE and not add_edge(lattice, one, vocabulary.unknown):
                return NO_MEMORY
        lattice.at = one
        if lattice.frontier < one:
            return NO_PATH
        if lattice.frontier == one and lattice.reached.data[one - lattice.cut]:
            return OK
    return NO_PATH


cdef void lattice_free(Lattice* lattice) noexcept nogil:
    free(lattice.memory)
    free(lattice.block.found)
    free(lattice.reached.data)
