"""The edges of a text in columns, and those of a word in a record, packed."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

import numpy as np

from viterbi_sampling.engine.blocks cimport BlockMemory, block_give, block_take, memory_of
from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK, reserve_ints
from viterbi_sampling.engine.lattice cimport Lattice
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.utf8 cimport is_trail

cdef object from_buffer = np.frombuffer
cdef object INT32 = np.dtype(np.int32)
cdef object FLOAT64 = np.dtype(np.float64)

cdef enum:
    FEW_EDGES = 4096            # are copied into a block of their size: less to do than to fit the one they are in
    MOST_GROWTH = 8             # times as many edges as there are that room is made for


cdef size_t row_bytes(bint weighted, bint with_conditionals) noexcept nogil:
    """Bytes of an edge in all columns."""
    return 12 + (8 if weighted else 0) + (8 if with_conditionals else 0)


cdef bint lay_out(Edges* edges, size_t capacity, bint weighted, bint with_conditionals) noexcept nogil:
    """Columns of `capacity` edges in a new block, or of more that are there. False without memory."""
    cdef size_t row = row_bytes(weighted, with_conditionals)
    cdef uint8_t* place
    if capacity > <size_t>0x7FFFFFFFFFFFFF // row or not block_take(&edges.block, (capacity + 2 * AT_ONCE) * row):
        return False
    # Each column is written a little beyond, and begins where doubles may lie.
    capacity = (edges.block.size // row) & ~<size_t>1
    edges.capacity = capacity - AT_ONCE
    place = edges.block.data
    edges.marginals = edges.conditionals = NULL
    if weighted:
        edges.marginals = <double*>place
        place += 8 * capacity
    if with_conditionals:
        edges.conditionals = <double*>place
        place += 8 * capacity
    edges.starts = <int32_t*>place
    edges.ends = edges.starts + capacity
    edges.tokens = edges.ends + capacity
    return True


cdef bint edges_start(Edges* edges, size_t size, bint weighted, bint with_conditionals) noexcept nogil:
    edges.size = 0
    # About as many as most short texts have; of a long one the beginning tells how many there will be.
    return lay_out(edges, min(3 * size, (size >> 1) + 1024), weighted, with_conditionals)


cdef void edges_free(Edges* edges) noexcept nogil:
    block_give(&edges.block)


cdef bint edges_grow(Edges* edges, size_t count, size_t done, size_t size) noexcept nogil:
    cdef size_t least = edges.size + count
    cdef size_t wanted = least + (least >> 1)
    cdef Edges grown
    cdef bint weighted = edges.marginals != NULL, with_conditionals = edges.conditionals != NULL
    if done:
        # As many edges a byte as before, and some more; a text may change.
        wanted = <size_t>min(max(1.125 * edges.size / done * size, <double>wanted), <double>(MOST_GROWTH * least))
    if not lay_out(&grown, wanted, weighted, with_conditionals) and not lay_out(&grown, least, weighted, with_conditionals):
        return False
    if weighted:
        memcpy(grown.marginals, edges.marginals, 8 * edges.size)
    if with_conditionals:
        memcpy(grown.conditionals, edges.conditionals, 8 * edges.size)
    memcpy(grown.starts, edges.starts, 4 * edges.size)
    memcpy(grown.ends, edges.ends, 4 * edges.size)
    memcpy(grown.tokens, edges.tokens, 4 * edges.size)
    grown.size = edges.size
    block_give(&edges.block)
    edges[0] = grown
    return True


cdef int add_edges(const Lattice* lattice, bint bytewise, int32_t* characters, Scratch* scratch, Edges* edges) noexcept nogil:
    cdef int32_t size = lattice.at - lattice.cut, i
    cdef int32_t* before
    cdef size_t k
    if not reserve_ints(&scratch.path, size + 1):
        return NO_MEMORY
    before = scratch.path.data
    for i in range(size):
        before[i] = characters[0]
        characters[0] += bytewise or not is_trail(lattice.text[lattice.cut + i])
    before[size] = characters[0]
    for k in range(lattice.count):
        edges.starts[edges.size + k] = before[lattice.edges[k].start - lattice.cut]
        edges.ends[edges.size + k] = before[lattice.edges[k].end - lattice.cut]
        edges.tokens[edges.size + k] = lattice.edges[k].token
    edges.size += lattice.count
    return OK


cdef void pack_edges(const Edges* edges, size_t first, const double* conditionals, int32_t before,
                     uint8_t* record) noexcept nogil:
    cdef size_t count = edges.size - first, i
    memcpy(record, edges.marginals + first, 8 * count)
    memcpy(record + 8 * count, edges.tokens + first, 4 * count)
    for i in range(count):
        record[12 * count + i] = <uint8_t>(edges.starts[first + i] - before)
        record[13 * count + i] = <uint8_t>(edges.ends[first + i] - before)
    memcpy(record + 14 * count, conditionals, 8 * count)


cdef object column(BlockMemory memory, const void* data, Py_ssize_t count, object dtype):
    """A column as an array; None where it is not there."""
    if data == NULL:
        return None
    return from_buffer(memory, dtype, count, <const uint8_t*>data - memory.block.data)


cdef tuple edge_arrays(Edges* edges):
    cdef Py_ssize_t n = <Py_ssize_t>edges.size
    cdef bytearray few
    cdef char* data
    cdef BlockMemory memory
    if n == 0:
        none = np.empty(0, INT32)
        return (none, none, none, np.empty(0, FLOAT64) if edges.marginals != NULL else None,
                np.empty(0, FLOAT64) if edges.conditionals != NULL else None)
    if n <= FEW_EDGES and edges.marginals != NULL and edges.conditionals == NULL:
        few = PyByteArray_FromStringAndSize(NULL, 20 * n)
        data = PyByteArray_AS_STRING(few)
        memcpy(data, edges.marginals, 8 * n)
        memcpy(data + 8 * n, edges.starts, 4 * n)
        memcpy(data + 12 * n, edges.ends, 4 * n)
        memcpy(data + 16 * n, edges.tokens, 4 * n)
        numbers = from_buffer(few, INT32, 3 * n, 8 * n)
        return numbers[:n], numbers[n:2 * n], numbers[2 * n:], from_buffer(few, FLOAT64, n), None
    memory = memory_of(&edges.block)
    return (column(memory, edges.starts, n, INT32), column(memory, edges.ends, n, INT32),
            column(memory, edges.tokens, n, INT32), column(memory, edges.marginals, n, FLOAT64),
            column(memory, edges.conditionals, n, FLOAT64))
