"""Thresholds and choices: what sampling does with one part of a lattice, between two cuts.

Each sampler works out *thresholds*, which depend on the text and alpha only, and then makes choices,
each by comparing one uniform with thresholds. What is computed, to the last bit, is specified in
reference.py. Perfect sampling has a uniform for each end that several edges lead to, and makes the
choices of the ends on the path; of a part that is let go of on the way, all of them.

Forward sums are in linear space. Each is value * 2^exponent, and is brought back to a moderate
magnitude when its position is passed, so that neither a long text nor scores far apart take it out
of the doubles, and there is no exp or log in the loop.
"""

from libc.math cimport frexp, ldexp, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from viterbi_sampling.engine.buffer cimport NO_MEMORY, Ints, Sum, add, reserve_doubles, reserve_ints
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_extend
from viterbi_sampling.engine.scratch cimport Cell, Scratch, reserve_cells
from viterbi_sampling.engine.stream cimport Stream, stream_look, stream_next, stream_skip, uniform_of
from viterbi_sampling.engine.weights cimport exp_exact

cdef double LARGE = 1.6069380442589903e60   # 2^200
cdef double SMALL = 6.223015277861142e-61   # 2^-200
cdef double LN2 = 0.6931471805599453
CERTAIN = 2.0


# -- forward sums ----------------------------------------------------------------------------------

cdef inline void bring_back(Cell* cell) noexcept nogil:
    """Move the power of two of a sum into its exponent where the sum has grown or shrunk much.

    Sums then lie within 2^-200 and 2^200 when they are multiplied by a weight, weights within
    2^-500 and 2^500 (others come with an exponent), so no product leaves the doubles.
    """
    cdef int power
    if cell.value > LARGE or cell.value < SMALL:
        frexp(cell.value, &power)
        cell.value = ldexp(cell.value, -power)
        cell.exponent += power


cdef inline double scaled(double value, int64_t power) noexcept nogil:
    """value * 2^power; 0 where that is far below anything that it is added to."""
    if power < -2000:
        return 0.0
    return ldexp(value, <int>power)


cdef inline void add_to(Cell* cell, double weight, int64_t exponent) noexcept nogil:
    """Add weight * 2^exponent to a sum."""
    if exponent != cell.exponent:
        if exponent > cell.exponent:
            cell.value = scaled(cell.value, cell.exponent - exponent)
            cell.exponent = exponent
        else:
            weight = scaled(weight, exponent - cell.exponent)
    cell.value += weight


cdef double log_sum(const Cell* cell) noexcept nogil:
    """The logarithm of a sum."""
    return log(cell.value) + <double>cell.exponent * LN2


cdef inline double offered(const Cell* from_, const Weights* weights, int32_t token, int64_t* exponent) noexcept nogil:
    """The weight of all paths through an edge: the sum at its start times its own, with its exponent."""
    exponent[0] = from_.exponent
    if weights.exponents != NULL:
        exponent[0] += weights.exponents[token]
    return from_.value * weights.values[token]


cdef double through(const Cell* from_, const Cell* to, const Weights* weights, int32_t token) noexcept nogil:
    cdef int64_t exponent
    cdef double weight = offered(from_, weights, token, &exponent)
    return weight if exponent == to.exponent else scaled(weight, exponent - to.exponent)


# -- thresholds and choices ------------------------------------------------------------------------

cdef void forward(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous, size_t first) noexcept nogil:
    cdef const Edge* edge
    cdef Cell* from_
    cdef Cell* to
    cdef double weight
    cdef int64_t exponent
    cdef size_t k
    for k in range(first, lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        to = &cells[edge.end - lattice.cut]
        bring_back(from_)
        weight = offered(from_, weights, edge.token, &exponent)
        previous[k] = to.token
        if to.token < 0:
            to.start = edge.start
            to.value = weight
            to.exponent = exponent
        else:
            add_to(to, weight, exponent)
        to.token = <int32_t>k


cdef void link_edges(const Lattice* lattice, Cell* cells, int32_t* previous) noexcept nogil:
    cdef Cell* to
    cdef size_t k
    for k in range(lattice.count):
        cells[lattice.edges[k].end - lattice.cut].token = -1
    for k in range(lattice.count):
        to = &cells[lattice.edges[k].end - lattice.cut]
        previous[k] = to.token
        to.token = <int32_t>k


cdef void backward_thresholds(const Lattice* lattice, const Weights* weights, const Cell* cells, int32_t position,
                              const int32_t* previous, double* thresholds) noexcept nogil:
    """For each edge that ends at `position` the share of it and of all shorter ones; the longest takes the rest."""
    cdef const Cell* cell = &cells[position - lattice.cut]
    cdef const Edge* edge
    cdef double sum = 0
    cdef int32_t k = cell.token
    if previous[k] < 0:
        thresholds[k] = CERTAIN
        return
    while k >= 0:
        edge = &lattice.edges[k]
        sum += through(&cells[edge.start - lattice.cut], cell, weights, edge.token)
        thresholds[k] = sum / cell.value if previous[k] >= 0 else 1.0   # 1: whatever is left, rounding included
        k = previous[k]


cdef void choose_edge(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t position, const int32_t* previous,
                      double uniform) noexcept nogil:
    """Keep one of the edges that end at `position`, as backward_thresholds tells."""
    cdef Cell* cell = &cells[position - lattice.cut]
    cdef const Edge* edge
    cdef double sum = 0
    cdef int32_t k = cell.token
    while True:
        edge = &lattice.edges[k]
        if previous[k] < 0:
            break
        sum += through(&cells[edge.start - lattice.cut], cell, weights, edge.token)
        if uniform < sum / cell.value:
            break
        k = previous[k]
    cell.start = edge.start
    cell.token = edge.token


cdef inline bint has_choice(const Cell* cell, const int32_t* previous) noexcept nogil:
    """Whether several edges end there."""
    return cell.start >= 0 and previous[cell.token] >= 0


cdef void perfect_choices(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous, int32_t begin,
                          int32_t end, Stream* stream) noexcept nogil:
    cdef int32_t position
    cdef Cell* cell
    for position in range(begin + 1, end + 1):
        cell = &cells[position - lattice.cut]
        if cell.start >= 0:
            choose_edge(lattice, weights, cells, position, previous, stream_next(stream) if has_choice(cell, previous) else 0.0)


cdef void perfect_path(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous, double* uniforms,
                       Stream* stream) noexcept nogil:
    cdef int32_t position, wanted = lattice.at
    cdef size_t left = 0        # choices at ends up to this one
    cdef Cell* cell
    cdef double uniform
    for position in range(1, lattice.at - lattice.cut + 1):
        left += has_choice(&cells[position], previous)
    stream_look(stream, 0, left, <uint64_t*>uniforms)
    stream_skip(stream, left)
    for position in range(lattice.at, lattice.cut, -1):
        cell = &cells[position - lattice.cut]
        uniform = 0.0
        if has_choice(cell, previous):
            left -= 1
            uniform = uniform_of((<const uint64_t*>uniforms)[left])
        if position == wanted:
            choose_edge(lattice, weights, cells, position, previous, uniform)
            wanted = cell.start


cdef void backward(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous,
                   Stream* stream) noexcept nogil:
    """Backward sampling: from the end of the part, one choice a token."""
    cdef int32_t position = lattice.at
    cdef Cell* cell
    while position > lattice.cut:
        cell = &cells[position - lattice.cut]
        choose_edge(lattice, weights, cells, position, previous, stream_next(stream) if has_choice(cell, previous) else 0.0)
        position = cell.start


# -- all paths at once -----------------------------------------------------------------------------

cdef int count_paths(const Lattice* lattice, Ints* counts) noexcept nogil:
    cdef int32_t size = lattice.at - lattice.cut
    cdef int32_t* count
    cdef size_t k
    if not reserve_ints(counts, size + 1):
        return 0
    memset(counts.data, 0, (size + 1) * sizeof(int32_t))
    counts.data[0] = 1
    for k in range(lattice.count):
        count = &counts.data[lattice.edges[k].end - lattice.cut]
        count[0] = min(count[0] + counts.data[lattice.edges[k].start - lattice.cut], MOST_PATHS + 1)
    return counts.data[size]


cdef void find_shares(const Lattice* lattice, const Weights* weights, const Cell* cells, double* shares) noexcept nogil:
    """Of each edge the share of the sum at its end."""
    cdef const Edge* edge
    cdef const Cell* cell
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        cell = &cells[edge.end - lattice.cut]
        shares[k] = through(&cells[edge.start - lattice.cut], cell, weights, edge.token) / cell.value


cdef void find_paths(const Lattice* lattice, const Weights* weights, const Cell* cells, const int32_t* previous,
                     Paths* paths) noexcept nogil:
    """Follow all choices from the end of the part, of each position from the shortest edge to the longest.

    The share of a path is the product of the shares of its edges among those of their ends.
    """
    cdef double shares[MOST_EDGES]
    cdef int32_t chosen[MOST_EDGES + 1]     # the edges from the end of the part on
    cdef double left[MOST_EDGES + 1]        # what is left of the whole before each of them
    cdef int32_t depth = 0, at = 0, k, i, start
    cdef double share, total = 0
    find_shares(lattice, weights, cells, shares)
    paths.count = 0
    left[0] = 1
    chosen[0] = cells[lattice.at - lattice.cut].token
    while True:
        k = chosen[depth]
        if k < 0:
            # All edges of this position are done.
            if depth == 0:
                break
            depth -= 1
            chosen[depth] = previous[chosen[depth]]
            continue
        share = left[depth] * shares[k]
        start = lattice.edges[k].start - lattice.cut
        if start > 0:
            depth += 1
            left[depth] = share
            chosen[depth] = cells[start].token
            continue
        total += share
        paths.thresholds[paths.count] = total
        paths.first[paths.count] = at
        for i in range(depth, -1, -1):
            paths.steps[at] = <uint8_t>chosen[i]
            at += 1
        paths.count += 1
        chosen[depth] = previous[k]
    paths.first[paths.count] = at
    paths.thresholds[paths.count - 1] = 1.0


cdef void choose_path(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous, int count,
                      double* shares, double uniform) noexcept nogil:
    """Follow the choices as find_paths does, up to the path into whose bracket the uniform falls."""
    cdef int32_t chosen[MOST_EDGES + 1]     # the edges from the end of the part on
    cdef double left[MOST_EDGES + 1]        # what is left of the whole before each of them
    cdef int32_t depth = 0, k
    cdef int seen = 0
    cdef double share, total = 0
    cdef const Edge* edge
    find_shares(lattice, weights, cells, shares)
    left[0] = 1
    chosen[0] = cells[lattice.at - lattice.cut].token
    while True:
        if chosen[depth] < 0:
            # All edges of this position are done.
            depth -= 1
            chosen[depth] = previous[chosen[depth]]
            continue
        edge = &lattice.edges[chosen[depth]]
        share = left[depth] * shares[chosen[depth]]
        if edge.start > lattice.cut:
            depth += 1
            left[depth] = share
            chosen[depth] = cells[edge.start - lattice.cut].token
            continue
        seen += 1
        total += share
        if seen == count or uniform < total:
            break
        chosen[depth] = previous[chosen[depth]]
    for k in range(depth + 1):
        edge = &lattice.edges[chosen[k]]
        cells[edge.end - lattice.cut].start = edge.start
        cells[edge.end - lattice.cut].token = edge.token


cdef void sigmoid_choices(const Lattice* lattice, const Vocabulary* vocabulary, double alpha, Cell* cells,
                          Stream* stream) noexcept nogil:
    """The original, biased Viterbi Sampling: each candidate for an end replaces the kept one by a coin of its own.

    The coin is sigmoid(alpha * (score of the candidate's path - score of the kept path)); the last
    of three equal candidates wins half the time. Candidates come longest piece first.
    """
    cdef const Edge* edge
    cdef Cell* to
    cdef double score
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        score = cells[edge.start - lattice.cut].value + vocabulary.scores[edge.token]
        to = &cells[edge.end - lattice.cut]
        if to.start < 0 or stream_next(stream) < 1.0 / (1.0 + exp_exact(alpha * (to.value - score))):
            to.value = score
            to.start = edge.start
            to.token = edge.token


cdef void add_scores(Sum* log_prob, const Vocabulary* vocabulary, double alpha, const int32_t* tokens, int32_t count,
                     int32_t stride) noexcept nogil:
    """Add alpha * score of each token of a path, whatever their order."""
    cdef int32_t i
    for i in range(count):
        add(log_prob, alpha * vocabulary.scores[tokens[i * stride]])


cdef int next_edges(const Vocabulary* vocabulary, Algorithm algorithm, Scratch* scratch, int32_t* ready,
                    size_t limit) noexcept nogil:
    """Go on with the lattice, and make its cells ready, of which those up to `ready` are. As lattice_extend."""
    cdef Lattice* lattice = &scratch.lattice
    cdef Cell* cells
    cdef int32_t i
    cdef int status
    if lattice.at == lattice.cut:
        ready[0] = lattice.cut
    status = lattice_extend(lattice, vocabulary, limit)
    if status < 0:
        return status
    if not reserve_cells(scratch, lattice.frontier - lattice.cut + 1) or not reserve_doubles(&scratch.thresholds, lattice.count):
        return NO_MEMORY
    cells = scratch.cells
    if ready[0] == lattice.cut:
        cells[0].value = 0.0 if algorithm == VITERBI_SAMPLING else 1.0
        cells[0].exponent = 0
    for i in range(ready[0] + 1, lattice.frontier + 1):
        cells[i - lattice.cut].start = cells[i - lattice.cut].token = -1
        cells[i - lattice.cut].value = 0.0
        cells[i - lattice.cut].exponent = 0
    ready[0] = lattice.frontier
    if algorithm != VITERBI_SAMPLING and (lattice.count >= 0x7FFFFFFF or not reserve_ints(&scratch.previous, lattice.count)):
        return NO_MEMORY
    return status
