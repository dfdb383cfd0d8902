# The edges of a text, in columns: what the lattice of a long text comes to.

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from viterbi_sampling.engine.blocks cimport Block
from viterbi_sampling.engine.lattice cimport Lattice
from viterbi_sampling.engine.scratch cimport Scratch

cdef enum:
    AT_ONCE = 4                 # edges that are copied at once: so many more than there are can be written
    EDGE_BYTES = 22             # of an edge of a word that is kept: its numbers as in Edges, its ends as bytes

cdef struct Edges:              # of the text so far, by start and end rising; positions count characters
    size_t size
    size_t capacity
    double* marginals           # NULL without weights
    double* conditionals        # NULL where they are not wanted
    int32_t* starts
    int32_t* ends
    int32_t* tokens
    Block block                 # where these are

# Columns for the edges of a text of `size` bytes. False without memory.
cdef bint edges_start(Edges* edges, size_t size, bint weighted, bint with_conditionals) noexcept nogil
cdef void edges_free(Edges* edges) noexcept nogil

# Make room for `count` more edges, when `done` of the `size` bytes of the text have theirs. False without memory.
cdef bint edges_grow(Edges* edges, size_t count, size_t done, size_t size) noexcept nogil


cdef inline bint edges_reserve(Edges* edges, size_t count, size_t done, size_t size) noexcept nogil:
    """What edges_grow does, where there is not room enough."""
    return edges.size + count <= edges.capacity or edges_grow(edges, count, done, size)


# Add the edges of a part, for which there is room, marginals and conditionals being there; `characters` counts those
# before the part, and then its own. In a bytewise vocabulary each byte counts as one. A Status.
cdef int add_edges(const Lattice* lattice, bint bytewise, int32_t* characters, Scratch* scratch, Edges* edges) noexcept nogil

# Copy the edges from `first` on into a record of EDGE_BYTES an edge; `before` is the characters before the word. The
# conditionals are given, since the columns may be without.
cdef void pack_edges(const Edges* edges, size_t first, const double* conditionals, int32_t before,
                     uint8_t* record) noexcept nogil


cdef inline void unpack_edges(const uint8_t* record, size_t count, int32_t before, Edges* edges) noexcept nogil:
    """Add the `count` edges of a record, for which there is room. Reads up to 8 * AT_ONCE bytes beyond the record."""
    cdef const uint8_t* tokens = record + 8 * count
    cdef const uint8_t* starts = record + 12 * count
    cdef const uint8_t* ends = record + 13 * count
    cdef double* marginals = edges.marginals + edges.size
    cdef int32_t* token = edges.tokens + edges.size
    cdef int32_t* start = edges.starts + edges.size
    cdef int32_t* end = edges.ends + edges.size
    cdef size_t i = 0
    cdef int k
    while i < count:
        memcpy(marginals + i, record + 8 * i, 8 * AT_ONCE)
        memcpy(token + i, tokens + 4 * i, 4 * AT_ONCE)
        for k in range(AT_ONCE):
            start[i + k] = before + starts[i + k]
        for k in range(AT_ONCE):
            end[i + k] = before + ends[i + k]
        i += AT_ONCE
    if edges.conditionals != NULL:
        memcpy(edges.conditionals + edges.size, record + 14 * count, 8 * count)
    edges.size += count


# (starts, ends, tokens, marginals, conditionals) as numpy arrays, None for what there is not. They may take the memory
# of the edges.
cdef tuple edge_arrays(Edges* edges)
