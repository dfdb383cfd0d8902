"""The deciders: Viterbi, and the three samplers of one path.

All of them go through the lattice once from left to right and decide it part by part, where a part
ends at a cut (see lattice.pyx). What each computes is specified in reference.py, which the tests
hold it to, choice by choice.
"""

from libc.math cimport frexp, ldexp
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, NO_PATH, OK, reserve_ints
from viterbi_sampling.engine.lattice cimport (
    MORE, Edge, Lattice, Vocabulary, lattice_clear, lattice_extend, lattice_free, lattice_start,
)
from viterbi_sampling.engine.stream cimport Stream, stream_next
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path
from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, Node, step
from viterbi_sampling.engine.utf8 cimport char_length
from viterbi_sampling.engine.weights cimport exp_exact

cdef enum:
    EDGES_AT_ONCE = 4096        # edges a sampler of one pass keeps between two visits

cdef double REBASE = 100000.0
cdef double LARGE = 1.6069380442589903e60   # 2^200: forward sums are brought back into 2^-200 .. 2^200
cdef double SMALL = 6.223015277861142e-61   # at each position, so that times a weight they stay doubles

ctypedef fused real:
    float
    double


cdef bint reserve_cells(Scratch* scratch, size_t count) noexcept nogil:
    cdef void* cells
    if count > scratch.cell_capacity:
        count += count >> 1
        cells = realloc(scratch.cells, count * sizeof(Cell))
        if cells == NULL:
            return False
        scratch.cells = <Cell*>cells
        scratch.cell_capacity = count
    return True


cdef int read_back(const Spelling* spelling, const uint8_t* text, int32_t cut, int32_t end, Scratch* scratch,
                   Tokens* out) noexcept nogil:
    """Add the tokens of the kept path from `cut` to `end` to `out`."""
    cdef size_t count = 0
    cdef int32_t position = end
    cdef const Cell* cell
    while position > cut:
        if 2 * count + 2 > scratch.path.capacity and not reserve_ints(&scratch.path, 2 * count + 2):
            return NO_MEMORY
        cell = &scratch.cells[position - cut]
        scratch.path.data[2 * count] = cell.token
        scratch.path.data[2 * count + 1] = position
        count += 1
        position = cell.start
    if not add_path(out, spelling, text, scratch.path.data, count, cut):
        return NO_MEMORY
    return OK


# -- Viterbi ---------------------------------------------------------------------------------------

cdef inline void offer(Cell* cells, int32_t cut, int32_t* frontier, int32_t start, int32_t end, int32_t token,
                       double candidate) noexcept nogil:
    """Take a candidate for the best path to `end`.

    The tie rule: only a strictly greater score replaces, so the earliest start wins.
    """
    cdef Cell* cell
    while frontier[0] < end:
        frontier[0] += 1
        cells[frontier[0] - cut].start = -1
    cell = &cells[end - cut]
    if cell.start < 0 or candidate > cell.value:
        cell.value = candidate
        cell.start = start
        cell.token = token


cdef int viterbi(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                 Scratch* scratch, Tokens* out, real one_of_the_type) noexcept nogil:
    """The best path, its scores added from left to right in the precision of `one_of_the_type`.

    In single precision this is sentencepiece's decoder to the last bit: the same sums, the same tie
    rule, and its rebase, which takes the score at a position from all the scores ahead once it
    leaves -100,000 .. 100,000. The score at a cut is carried on, so cutting changes no sum.
    """
    cdef const Node* nodes = vocabulary.nodes
    cdef Cell* cells
    cdef int32_t at = 0, cut = 0, frontier = 0, one, position, token, i
    cdef uint32_t node
    cdef real here, score
    cdef bint single
    cdef int status
    if not reserve_cells(scratch, 256):
        return NO_MEMORY
    cells = scratch.cells
    cells[0].value = 0
    cells[0].start = 0
    while at < size:
        if at == frontier and at > cut:
            status = read_back(spelling, text, cut, at, scratch, out)
            if status != OK:
                return status
            if scratch.cancelled[0]:
                return CANCELLED
            cells[0].value = cells[at - cut].value
            cut = at
        one = min(at + char_length(text[at]), size)
        if at > frontier:
            return NO_PATH
        if at > cut and cells[at - cut].start < 0:
            at = one
            continue
        here = <real>cells[at - cut].value
        if real is float:
            if here > REBASE or here < -REBASE:
                for i in range(at, frontier + 1):
                    if i == at or cells[i - cut].start >= 0:
                        cells[i - cut].value = <real>(<real>cells[i - cut].value - here)
                here = 0
        single = False
        node = ROOT
        position = at
        while position < size:
            node = step(nodes, node, text[position])
            if node == ROOT:
                break
            position += 1
            token = nodes[node].piece
            if token != NO_PIECE:
                if <size_t>(position - cut) >= scratch.cell_capacity:
                    if not reserve_cells(scratch, position - cut + 1):
                        return NO_MEMORY
                    cells = scratch.cells
                if real is float:
                    score = nodes[node].score
                else:
                    score = vocabulary.scores[token]
                offer(cells, cut, &frontier, at, position, token, <real>(score + here))
                single = single or position == one
        if not single and vocabulary.unknown != NO_PIECE:
            if <size_t>(one - cut) >= scratch.cell_capacity:
                if not reserve_cells(scratch, one - cut + 1):
                    return NO_MEMORY
                cells = scratch.cells
            if real is float:
                score = vocabulary.unknown_score
            else:
                score = vocabulary.scores[vocabulary.unknown]
            offer(cells, cut, &frontier, at, one, vocabulary.unknown, <real>(score + here))
        at = one
    if size and (frontier < size or cells[size - cut].start < 0):
        return NO_PATH
    return read_back(spelling, text, cut, size, scratch, out)


cdef int viterbi_single(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                        Scratch* scratch, Tokens* out) noexcept nogil:
    return viterbi[float](vocabulary, spelling, text, size, scratch, out, 0)


cdef int viterbi_double(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                        Scratch* scratch, Tokens* out) noexcept nogil:
    return viterbi[double](vocabulary, spelling, text, size, scratch, out, 0)


# -- sampling --------------------------------------------------------------------------------------

cdef inline void bring_back(Cell* cell) noexcept nogil:
    """Move the power of two of a forward sum into its exponent where the sum has grown or shrunk much."""
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


cdef inline double add_to(Cell* cell, double weight, int64_t exponent) noexcept nogil:
    """Add weight * 2^exponent to the sum of a cell that has one; the weight in the scale of the new sum."""
    if exponent != cell.exponent:
        if exponent > cell.exponent:
            cell.value = scaled(cell.value, cell.exponent - exponent)
            cell.exponent = exponent
        else:
            weight = scaled(weight, exponent - cell.exponent)
    cell.value += weight
    return weight


cdef inline void keep(Cell* cell, const Edge* edge) noexcept nogil:
    cell.start = edge.start
    cell.token = edge.token


cdef void perfect(const Lattice* lattice, const Weights* weights, Cell* cells, Stream* stream) noexcept nogil:
    """Perfect sampling: forward sums, and at each end a reservoir choice among its edges.

    An edge of weight w replaces the one that is kept with probability w / (sum so far, w included);
    by induction each edge is kept with probability w / sum, independently from end to end.
    """
    cdef const Edge* edge
    cdef Cell* from_
    cdef Cell* to
    cdef double weight
    cdef int64_t exponent
    cdef int32_t start = -1
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        if edge.start != start:
            start = edge.start
            bring_back(from_)
        weight = from_.value * weights.values[edge.token]
        exponent = from_.exponent
        if weights.exponents != NULL:
            exponent += weights.exponents[edge.token]
        to = &cells[edge.end - lattice.cut]
        if to.start < 0:
            to.value = weight
            to.exponent = exponent
            keep(to, edge)
        else:
            weight = add_to(to, weight, exponent)
            if stream_next(stream) * to.value < weight:
                keep(to, edge)


cdef void forward(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous) noexcept nogil:
    """Forward sums; `previous` links the edges of each end, the cell's token is the last of them."""
    cdef const Edge* edge
    cdef Cell* from_
    cdef Cell* to
    cdef int64_t exponent
    cdef int32_t start = -1
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        if edge.start != start:
            start = edge.start
            bring_back(from_)
        exponent = from_.exponent
        if weights.exponents != NULL:
            exponent += weights.exponents[edge.token]
        to = &cells[edge.end - lattice.cut]
        if to.start < 0:
            to.value = from_.value * weights.values[edge.token]
            to.exponent = exponent
            to.start = edge.start
            previous[k] = -1
        else:
            add_to(to, from_.value * weights.values[edge.token], exponent)
            previous[k] = to.token
        to.token = <int32_t>k


cdef void backward(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous,
                   Stream* stream) noexcept nogil:
    """Backward sampling: from the end of the part, one choice a token, in proportion to sum * weight.

    The edges of an end are gone through from the shortest piece to the longest. Rounding can leave
    the uniform beyond them all; the last of them is then taken.
    """
    cdef int32_t position = lattice.at, k
    cdef const Edge* edge = NULL
    cdef Cell* cell
    cdef const Cell* from_
    cdef double rest, weight
    cdef int64_t exponent
    while position > lattice.cut:
        cell = &cells[position - lattice.cut]
        k = cell.token
        if previous[k] < 0:
            edge = &lattice.edges[k]
        else:
            rest = stream_next(stream) * cell.value
            while k >= 0:
                edge = &lattice.edges[k]
                from_ = &cells[edge.start - lattice.cut]
                exponent = from_.exponent
                if weights.exponents != NULL:
                    exponent += weights.exponents[edge.token]
                weight = from_.value * weights.values[edge.token]
                if exponent != cell.exponent:
                    weight = scaled(weight, exponent - cell.exponent)
                if rest < weight:
                    break
                rest -= weight
                k = previous[k]
        keep(cell, edge)
        position = edge.start


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
            keep(to, edge)


cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling,
                const uint8_t* text, int32_t size, Stream* stream, Scratch* scratch, Tokens* out) noexcept nogil:
    cdef Lattice* lattice = &scratch.lattice
    cdef Cell* cells
    cdef int32_t known, i
    cdef int status, done
    # Sampling backwards needs all edges of a part; the others let go of them as they pass.
    cdef size_t limit = <size_t>-1 if algorithm == FFBS else EDGES_AT_ONCE
    lattice_start(lattice, text, size)
    known = 0
    while lattice.at < size:
        if lattice.at == lattice.cut:
            if not reserve_cells(scratch, 1):
                return NO_MEMORY
            cells = scratch.cells
            cells[0].value = 0.0 if algorithm == VITERBI_SAMPLING else 1.0
            cells[0].exponent = 0
            known = lattice.cut
        status = lattice_extend(lattice, vocabulary, limit)
        if status < 0:
            return status
        if scratch.cancelled[0]:
            return CANCELLED
        if not reserve_cells(scratch, lattice.frontier - lattice.cut + 1):
            return NO_MEMORY
        cells = scratch.cells
        for i in range(known + 1, lattice.frontier + 1):
            cells[i - lattice.cut].start = -1
        known = lattice.frontier
        if algorithm == PERFECT:
            perfect(lattice, weights, cells, stream)
        elif algorithm == FFBS:
            if lattice.count >= 0x7FFFFFFF or not reserve_ints(&scratch.previous, lattice.count):
                return NO_MEMORY
            forward(lattice, weights, cells, scratch.previous.data)
            backward(lattice, weights, cells, scratch.previous.data, stream)
        else:
            sigmoid_choices(lattice, vocabulary, weights.alpha, cells, stream)
        if status == OK:
            done = read_back(spelling, text, lattice.cut, lattice.at, scratch, out)
            if done != OK:
                return done
        lattice_clear(lattice, status == OK)
    return OK


cdef void scratch_free(Scratch* scratch) noexcept nogil:
    lattice_free(&scratch.lattice)
    free(scratch.cells)
    free(scratch.path.data)
    free(scratch.previous.data)
