# The trie of the pieces: a double array.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    NO_PIECE = -1
    ROOT = 0
    NO_PARENT = 0xFFFFFFFF
    BASE = 9                # bits of a node below its base
    HAS_PIECE = 1 << 8

# The base, which XOR the next byte is the place of the child; whether a piece ends here; in the lower 8 bits the byte that
# leads here. No two nodes have the same base, but for 0, that of nodes without children: the byte tells whose child it is.
ctypedef uint32_t Node

cdef struct Entry:          # of a node that has a piece
    int32_t piece
    float score             # of the piece, in single precision

cdef struct Cursor:         # where a walk down the trie stands
    uint32_t place
    Node node


cdef inline Cursor root_of(const Node* nodes) noexcept nogil:
    cdef Cursor cursor
    cursor.place = ROOT
    cursor.node = nodes[ROOT]
    return cursor


cdef inline bint go_down(const Node* nodes, Cursor* cursor, uint8_t byte) noexcept nogil:
    """Go to the child under `byte`; False where there is none, and the cursor must not be used."""
    cursor.place = cursor.node >> BASE ^ byte
    cursor.node = nodes[cursor.place]
    return <uint8_t>cursor.node == byte


cdef inline bint has_piece(Node node) noexcept nogil:
    return (node & HAS_PIECE) != 0


cdef inline uint32_t base_of(Node node) noexcept nogil:
    return node >> BASE


cdef inline uint32_t step(const Node* nodes, uint32_t place, uint8_t byte) noexcept nogil:
    """The child of the node there under `byte`, or ROOT where there is none."""
    cdef uint32_t child = base_of(nodes[place]) ^ byte
    return child if <uint8_t>nodes[child] == byte else ROOT


cdef class Trie:
    cdef Node* nodes
    cdef Entry* entries         # by the place of their nodes
    cdef size_t size            # a multiple of 256; every base ^ byte lies below it
    cdef int32_t longest        # bytes of a piece
    cdef double greatest[256]   # by the first byte: no piece that begins with it has a greater score, even if that of the
                                # trie is a rounded one; -1e300 where there is no piece
    cdef double rise            # no piece has a greater score a byte; at least 0
    cdef double furthest        # no piece has a score of a greater magnitude

    cdef int build(self, const uint8_t* text, const int64_t* offsets, const int32_t* ids, const float* scores,
                   Py_ssize_t count) except -1
    # By place the place of each node's parent, NO_PARENT where there is none; to be freed.
    cdef uint32_t* parents(self) except NULL
