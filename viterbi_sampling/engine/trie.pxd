# The trie of the pieces: a double array.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    NO_PIECE = -1
    ROOT = 0
    NO_PARENT = 0xFFFFFFFF

cdef struct Node:           # 16 bytes: a step down touches one cache line
    uint32_t base           # XOR the next byte: the index of the child
    uint32_t parent         # the node whose child this is; NO_PARENT in free slots and the root
    int32_t piece           # the piece that ends here, or NO_PIECE
    float score             # its score in single precision


cdef inline uint32_t step(const Node* nodes, uint32_t node, uint8_t byte) noexcept nogil:
    """The child of `node` under `byte`, or ROOT where there is none."""
    cdef uint32_t child = nodes[node].base ^ byte
    return child if nodes[child].parent == node else ROOT


cdef class Trie:
    cdef Node* nodes
    cdef size_t size        # a multiple of 256; every base ^ byte lies below it
    cdef double greatest[256]   # by the first byte: no piece that begins with it has a greater score, even if that of the
                                # trie is a rounded one; -1e300 where there is no piece
    cdef double rise        # no piece has a greater score a byte; at least 0

    cdef int build(self, const uint8_t* text, const int64_t* offsets, const int32_t* ids, const float* scores,
                   Py_ssize_t count, bint distinct=*) except -1
    cdef int depth(self) noexcept
