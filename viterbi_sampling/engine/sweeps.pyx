"""Passes over the edges of a lattice in which no branch depends on what an edge holds.

Whether a candidate replaces what is kept, and whether it is the first of its end, is as good as random: a branch on it
would be taken wrongly every few edges, at the cost of a dozen of them. Here both answers are worked out and one is
selected. The sums and the choices are those of viterbi.pyx and choices.pyx, to the last bit.
"""

from libc.math cimport INFINITY, frexp, ldexp
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memmove, memset

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, reserve_ints
from viterbi_sampling.engine.choices cimport MOST_EDGES, MOST_PATHS, Weights, choose_path, forward
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Lattice, Vocabulary, lattice_match, lattice_start
from viterbi_sampling.engine.matches cimport Edge
from viterbi_sampling.engine.scratch cimport Cell, Scratch, add_step, reserve_cells
from viterbi_sampling.engine.stream cimport Stream, stream_next
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path


cdef inline int32_t select(int32_t mask, int32_t one, int32_t other) noexcept nogil:
    """`one` where the mask is -1, `other` where it is 0."""
    return (one & mask) | (other & ~mask)


# -- the best path ---------------------------------------------------------------------------------

cdef int read_back(const Spelling* spelling, const uint8_t* text, int32_t cut, int32_t end, Scratch* scratch,
                   Tokens* out) noexcept nogil:
    cdef size_t count = 0
    cdef int32_t position = end
    while position > cut:
        if not add_step(scratch, count, scratch.cells[position - cut].token, position):
            return NO_MEMORY
        count += 1
        position = scratch.cells[position - cut].start
    return OK if add_path(out, spelling, text, scratch.path.data, count, cut) else NO_MEMORY


cdef int best_sweep(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t size,
                    double* total, Scratch* scratch, Tokens* out) noexcept nogil:
    cdef Lattice* lattice = &scratch.lattice
    cdef const double* scores = vocabulary.scores
    cdef const Edge* edge
    cdef const Edge* edges
    cdef Cell* cells
    cdef Cell* to
    cdef int32_t cut = begin, last_cut = begin, frontier = begin, filled = begin, at, i, mask
    cdef double candidate
    cdef size_t k
    cdef int status
    if not reserve_cells(scratch, 1):
        return NO_MEMORY
    scratch.cells[0].value = total[0]
    lattice_start(lattice, text, begin, size)
    lattice.values = scores
    while lattice.matched < size:
        if is_raised(scratch.cancelled):
            return CANCELLED
        at = lattice.matched
        if not lattice_match(lattice, vocabulary):
            return NO_MEMORY
        edges = lattice.edges
        for i in range(lattice.block.positions):
            last_cut = at + i if frontier == at + i else last_cut
            frontier = max(frontier, edges[lattice.block.first[i] - 1].end)
        if frontier == lattice.matched:
            last_cut = frontier
        if not reserve_cells(scratch, frontier - cut + 1):
            return NO_MEMORY
        cells = scratch.cells
        for i in range(filled + 1, frontier + 1):
            cells[i - cut].value = -INFINITY
        filled = frontier
        for k in range(lattice.found):
            edge = &edges[k]
            candidate = cells[edge.start - cut].value + scores[edge.token]
            to = &cells[edge.end - cut]
            # The tie rule: only a strictly greater score replaces, so the earliest start wins.
            mask = -<int32_t>(candidate > to.value)
            to.value = candidate if candidate > to.value else to.value
            to.start = select(mask, edge.start, to.start)
            to.token = select(mask, edge.token, to.token)
        lattice.found = 0
        if last_cut > cut:
            status = read_back(spelling, text, cut, last_cut, scratch, out)
            if status != OK:
                return status
            memmove(cells, &cells[last_cut - cut], (frontier - last_cut + 1) * sizeof(Cell))
            cut = last_cut
    total[0] = scratch.cells[0].value
    return OK


# -- forward sums -----------------------------------------------------------------------------------

cdef bint bring_back_all(Cell* cells, int32_t first, int32_t last) noexcept nogil:
    """Move a power of two of the sums from `first` on into their exponents, which are equal, so that the first is moderate.

    False, and nothing is done, where the sums are so far apart that this could lose a bit.
    """
    cdef int32_t i
    cdef int power
    for i in range(first, last + 1):
        if cells[i].start >= 0 and not VERY_SMALL < cells[i].value < VERY_LARGE:
            return False
    frexp(cells[first].value, &power)
    for i in range(first, last + 1):
        cells[i].value = ldexp(cells[i].value, -power)
        cells[i].exponent += power
    return True


cdef void forward_sweep(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous,
                        size_t first) noexcept nogil:
    cdef const double* values = weights.values
    cdef const Edge* edge
    cdef Cell* from_
    cdef Cell* to
    cdef size_t k
    for k in range(first, lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        if not SMALL <= from_.value <= LARGE and not bring_back_all(cells, edge.start - lattice.cut,
                                                                    lattice.frontier - lattice.cut):
            forward(lattice, weights, cells, previous, k)
            return
        to = &cells[edge.end - lattice.cut]
        to.value += from_.value * values[edge.token]    # 0 before the first
        to.exponent = from_.exponent
        to.start = edge.start
        previous[k] = to.token
        to.token = <int32_t>k


# -- few paths ---------------------------------------------------------------------------------------

cdef void forget_sums(const Lattice* lattice, Cell* cells) noexcept nogil:
    """Make the cells behind the first ready again."""
    cdef int32_t i
    for i in range(1, lattice.frontier - lattice.cut + 1):
        cells[i].start = cells[i].token = -1
        cells[i].value = 0.0


cdef bint walk_back(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous,
                    double uniform) noexcept nogil:
    """Choose a path from its end, edge by edge, where it is clear on which side of each border the uniform lies.

    The paths that go on from an edge lie side by side in the order of choose_path, and their shares sum up to that of the
    edge. Both sums err by less than 2^-43: at most 64 shares, each the product of at most 254 numbers. Nothing is
    set by a walk that is given up.
    """
    cdef int32_t position = lattice.at, k, depth = 0, i
    cdef double left = 1.0, total = 0.0, share, border
    cdef const Edge* edge
    cdef int32_t chosen[MOST_EDGES + 1]
    while position > lattice.cut:
        k = cells[position - lattice.cut].token
        while True:
            if k < 0:
                return False
            edge = &lattice.edges[k]
            share = left * (cells[edge.start - lattice.cut].value * weights.values[edge.token]
                            / cells[position - lattice.cut].value)
            border = total + share
            if uniform < border - APART:
                break
            if uniform <= border + APART:
                return False
            total = border
            k = previous[k]
        chosen[depth] = k
        depth += 1
        left = share
        position = edge.start
    for i in range(depth):
        edge = &lattice.edges[chosen[i]]
        cells[edge.end - lattice.cut].start = edge.start
        cells[edge.end - lattice.cut].token = edge.token
    return True


cdef int draw_few(const Lattice* lattice, const Weights* weights, Scratch* scratch, Stream* stream) noexcept nogil:
    cdef Cell* cells = scratch.cells
    cdef int32_t* previous = scratch.previous.data
    cdef int32_t* paths
    cdef Cell* from_
    cdef Cell* to
    cdef const Edge* edge
    cdef int32_t size = lattice.at - lattice.cut, count, k
    cdef double uniform
    cdef bint moderate = True
    if not reserve_ints(&scratch.path, size + 1):
        return 0
    paths = scratch.path.data
    memset(paths, 0, (size + 1) * sizeof(int32_t))
    paths[0] = 1
    for k in range(<int32_t>lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        to = &cells[edge.end - lattice.cut]
        moderate = moderate & (SMALL <= from_.value) & (from_.value <= LARGE)
        to.value += from_.value * weights.values[edge.token]
        previous[k] = to.token
        to.token = k
        to.start = 0
        count = paths[edge.end - lattice.cut] + paths[edge.start - lattice.cut]
        paths[edge.end - lattice.cut] = min(count, MOST_PATHS + 1)
    count = paths[size]
    if count > MOST_PATHS or not moderate:
        forget_sums(lattice, cells)
        return count
    uniform = stream_next(stream) if count > 1 else 0.0
    if count == 1 or not walk_back(lattice, weights, cells, previous, uniform):
        choose_path(lattice, weights, cells, previous, count, scratch.thresholds.data, uniform)
    return DRAWN
