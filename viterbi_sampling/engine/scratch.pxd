# What deciding a text needs while it runs; reused from text to text, and owned by one thread.

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free

from viterbi_sampling.engine.buffer cimport Bytes, Doubles, Ints, reserve, reserve_ints
from viterbi_sampling.engine.lattice cimport Edge, Lattice, lattice_free
from viterbi_sampling.engine.matches cimport Match
from viterbi_sampling.engine.words cimport CACHE_LINE, MAX_WORD

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

cdef enum:
    SHORT = 3                   # bytes of such a part: it has at most
    SHORT_PATHS = 4             # paths,
    SHORT_TOKENS = 8            # and these so many tokens
    SHORTS = 1 << 12            # of them are kept

cdef struct Short:              # a cache line
    uint32_t key                # its bytes, and its size; 0 for none
    uint32_t first              # four bits each: where the tokens of each path begin, and behind them where the last ends
    double thresholds[SHORT_PATHS - 1]  # of each path but the last, as in find_paths; 2 beyond
    int32_t tokens[SHORT_TOKENS]

cdef struct Added:              # to the sum of a position by what ends there
    double shortest             # the byte alone
    double longest

cdef struct Arrivals:           # of a part that is sampled from end to end: see by_ends.pyx
    Ints ends                   # what ends after each byte
    Ints cuts
    Doubles sums                # of each position; see add_up
    Added* added                # to each of them
    size_t added_capacity
    Ints shifts
    int32_t shift               # the last one
    double least                # of all these sums
    double greatest
    Ints choices                # how many ends up to each position several edges lead to
    Doubles words               # of the stream
    Short* shorts               # what is known of short parts; NULL until there is one
    void* shorts_memory         # in which they begin at a cache line

cdef struct Scratch:
    Lattice lattice
    Cell* cells
    size_t cell_capacity
    Doubles thresholds          # one an edge of the lattice, or one a position
    Ints path                   # (token, end) pairs, last token first
    Ints previous               # for each edge the one before it that has the same end, or -1
    Pair pairs[MAX_WORD + 1]
    Bytes record                # of a word that is being learned
    Arrivals arrivals
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
    free(scratch.arrivals.ends.data)
    free(scratch.arrivals.cuts.data)
    free(scratch.arrivals.sums.data)
    free(scratch.arrivals.added)
    free(scratch.arrivals.shifts.data)
    free(scratch.arrivals.choices.data)
    free(scratch.arrivals.words.data)
    free(scratch.arrivals.shorts_memory)


cdef inline size_t scratch_memory(const Scratch* scratch) noexcept nogil:
    """Bytes in use."""
    return (scratch.lattice.capacity * sizeof(Edge) + scratch.lattice.block.capacity * sizeof(Match) + scratch.lattice.reached.capacity
            + scratch.cell_capacity * sizeof(Cell) + scratch.thresholds.capacity * sizeof(double)
            + (scratch.path.capacity + scratch.previous.capacity) * sizeof(int32_t) + scratch.record.capacity
            + (scratch.arrivals.sums.capacity + scratch.arrivals.words.capacity) * sizeof(double)
            + scratch.arrivals.added_capacity * sizeof(Added)
            + (scratch.arrivals.ends.capacity + scratch.arrivals.cuts.capacity + scratch.arrivals.shifts.capacity
               + scratch.arrivals.choices.capacity) * sizeof(int32_t)
            + (SHORTS * sizeof(Short) + CACHE_LINE if scratch.arrivals.shorts != NULL else 0))
