"""The edges of a text in columns, and those of a word in a record, packed."""

from cpython.ref cimport Py_INCREF
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
    #include <numpy/arrayobject.h>
    #define viterbi_sampling_fresh(count, type) PyArray_SimpleNew(1, count, type)
    #define viterbi_sampling_over(count, type, data) PyArray_SimpleNewFromData(1, count, type, data)
    #define viterbi_sampling_data(array) PyArray_DATA((PyArrayObject*)(array))
    #define viterbi_sampling_owned(array, owner) PyArray_SetBaseObject((PyArrayObject*)(array), owner)
    """
    enum:
        NPY_INT32
        NPY_FLOAT64
    int _import_array() except -1
    object fresh "viterbi_sampling_fresh"(Py_ssize_t* count, int type)
    object over "viterbi_sampling_over"(Py_ssize_t* count, int type, void* data)
    void* data_of "viterbi_sampling_data"(object array)
    int owned "viterbi_sampling_owned"(object array, object owner) except -1    # takes a reference to the owner

_import_array()

from viterbi_sampling.engine.blocks cimport BlockMemory, block_give, block_take, memory_of
from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK, reserve_ints
from viterbi_sampling.engine.lattice cimport Lattice
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.utf8 cimport is_trail

cdef enum:
    FEW_EDGES = 4096            # are copied into arrays of their own, rather than to hold the block that they are in
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


cdef object column(const void* data, Py_ssize_t count, int type, BlockMemory memory):
    """A column as an array, over the memory that it lies in or with None a copy; None where it is not there."""
    if data == NULL:
        return None
    if memory is None:
        array = fresh(&count, type)
        memcpy(data_of(array), data, count * (8 if type == NPY_FLOAT64 else 4))
    else:
        array = over(&count, type, <void*>data)
        Py_INCREF(memory)
        owned(array, memory)
    return array


cdef tuple edge_arrays(Edges* edges):
    cdef Py_ssize_t n = <Py_ssize_t>edges.size
    cdef BlockMemory memory = None
    if n > FEW_EDGES:
        memory = memory_of(&edges.block)
    return (column(edges.starts, n, NPY_INT32, memory), column(edges.ends, n, NPY_INT32, memory),
            column(edges.tokens, n, NPY_INT32, memory), column(edges.marginals, n, NPY_FLOAT64, memory),
            column(edges.conditionals, n, NPY_FLOAT64, memory))


def replace(int32_t[::1] tokens, int32_t old, int32_t new):
    """Put `new` in the place of each token that is `old`."""
    cdef Py_ssize_t k
    for k in range(tokens.shape[0]):
        tokens[k] = new if tokens[k] == old else tokens[k]
