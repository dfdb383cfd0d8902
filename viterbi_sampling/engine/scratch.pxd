# What deciding a text needs while it runs; reused from text to text, and owned by one thread.

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free

from viterbi_sampling.engine.buffer cimport Bytes, Doubles, Ints, reserve, reserve_ints
from viterbi_sampling.engine.lattice cimport Edge, Lattice, lattice_free
from viterbi_sampling.engine.matches cimport Match
from viterbi_sampling.engine.words cimport MAX_WORD

cdef struct Cell:               # what is known of one position
    double value                # the best score, or the score of the kept path, or the forward sum ...
    int64_t exponent            # ... which is value * 2^exponent
    int32_t start               # where the kept edge to this position starts; -1: no edge yet
    int32_t token               # its token

cdef struct Pair:               # the best two paths to one position of a word
    double best
    double second
    int32_t start
    int32_t token

cdef struct Scratch:
    Lattice lattice
    Cell* cells
    size_t cell_capacity
    Doubles thresholds          # one an edge of the lattice, or one a position
    Ints path                   # (token, end) pairs, last token first
    Ints previous               # for each edge the one before it that has the same end, or -1
    Pair pairs[MAX_WORD + 1]
    Bytes record                # of a word that is being learned
    const int* cancelled        # set by another thread: stop at the next cut


cdef inline bint reserve_cells(Scratch* scratch, size_t count) noexcept nogil:
    return count <= scratch.cell_capacity or reserve(&scratch.cells, &scratch.cell_capacity, count, sizeof(Cell))


cdef inline bint add_step(Scratch* scratch, size_t count, int32_t token, int32_t end) noexcept nogil:
    """Set step `count` of the path that is read backwards."""
    if 2 * count + 2 > scratch.path.capacity and not reserve_ints(&scratch.path, 2 * count + 2):
        return False
    scratch.path.data[2 * count] = token
    scratch.path.data[2 * count + 1] = end
    return True


cdef inline void scratch_free(Scratch* scratch) noexcept nogil:
    lattice_free(&scratch.lattice)
    free(scratch.cells)
    free(scratch.thresholds.data)
    free(scratch.path.data)
    free(scratch.previous.data)
    free(scratch.record.data)


cdef inline size_t scratch_memory(const Scratch* scratch) noexcept nogil:
    """Bytes in use."""
    return (scratch.lattice.capacity * sizeof(Edge) + scratch.lattice.block.capacity * sizeof(Match) + scratch.lattice.reached.capacity
            + scratch.cell_capacity * sizeof(Cell) + scratch.thresholds.capacity * sizeof(double)
            + (scratch.path.capacity + scratch.previous.capacity) * sizeof(int32_t) + scratch.record.capacity)
