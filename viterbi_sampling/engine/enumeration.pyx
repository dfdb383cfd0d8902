"""Lazy k-best enumeration (Huang and Chiang 2005, algorithm 3) of the paths over a part.

Each position keeps the best paths to it that were asked for, and of each edge that ends there one
candidate, the edge after the best path to its start that was not used yet. The next best path is the
best of these; only then the candidate after it is worked out, which may ask an earlier position for
its next best. There is no agenda cut and no time limit; the depth of the asking is kept on a stack
of our own. Of equal paths the one whose last edge starts first comes first.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK, TOO_LONG, Ints, reserve, reserve_ints
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_extend, lattice_start
from viterbi_sampling.engine.parts cimport Part
from viterbi_sampling.engine.scratch cimport Scratch


cdef void opened_clear(Opened* opened) noexcept nogil:
    opened.edge_count = opened.position_count = opened.path_count = 0
    opened.has_unknown = False


cdef void opened_free(Opened* opened) noexcept nogil:
    free(opened.edges)
    free(opened.positions)
    free(opened.candidates)
    free(opened.paths)
    free(opened.asked.data)


cdef int32_t next_path(Opened* opened, Position* position) noexcept nogil:
    """Make the best candidate the next path to a position; NONE where there is none left. UNKNOWN without memory."""
    cdef Candidate* candidates = opened.candidates + position.first
    cdef Candidate chosen
    cdef int32_t best = 0, i
    cdef Path* path
    if position.waiting == 0:
        return NONE
    for i in range(1, position.waiting):
        if (candidates[i].score > candidates[best].score
                or (candidates[i].score == candidates[best].score and candidates[i].edge < candidates[best].edge)):
            best = i
    chosen = candidates[best]
    position.waiting -= 1
    candidates[best] = candidates[position.waiting]
    if opened.path_count >= 0x7FFFFFFF:
        return UNKNOWN
    if not reserve(&opened.paths, &opened.path_capacity, opened.path_count + 1, sizeof(Path)):
        return UNKNOWN
    path = &opened.paths[opened.path_count]
    path.score = chosen.score
    path.edge = chosen.edge
    path.before = chosen.before
    path.next = UNKNOWN
    position.last = <int32_t>opened.path_count
    opened.path_count += 1
    return position.last


cdef inline void offer(Opened* opened, Position* position, int32_t edge, int32_t before, double score) noexcept nogil:
    cdef Candidate* candidate = &opened.candidates[position.first + position.waiting]
    candidate.score = score
    candidate.edge = edge
    candidate.before = before
    position.waiting += 1


cdef int open_part(const Vocabulary* vocabulary, const uint8_t* text, Part* part, Scratch* scratch,
                   Opened* opened) noexcept nogil:
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t size = part.end - part.begin, i, start = 0, first
    cdef size_t base = opened.edge_count, k
    cdef Position* positions
    cdef Edge* edge
    cdef double score
    cdef int status
    lattice_start(lattice, text, part.begin, part.end)
    while lattice.at < part.end:
        status = lattice_extend(lattice, vocabulary, <size_t>-1)
        if status != OK:
            return status
        if not reserve(&opened.edges, &opened.edge_capacity, opened.edge_count + lattice.count, sizeof(Edge)):
            return NO_MEMORY
        memcpy(opened.edges + opened.edge_count, lattice.edges, lattice.count * sizeof(Edge))
        opened.edge_count += lattice.count
        lattice_clear(lattice, True)
    if opened.edge_count > 0x7FFFFFFF or opened.position_count + size + 1 > 0x7FFFFFFF:
        return TOO_LONG
    if (not reserve(&opened.positions, &opened.position_capacity, opened.position_count + size + 1, sizeof(Position))
            or not reserve(&opened.candidates, &opened.candidate_capacity, opened.edge_count, sizeof(Candidate))):
        return NO_MEMORY
    part.positions = <int32_t>opened.position_count
    positions = opened.positions + part.positions
    opened.position_count += size + 1
    memset(positions, 0, (size + 1) * sizeof(Position))
    for k in range(base, opened.edge_count):
        edge = &opened.edges[k]
        edge.start -= part.begin
        edge.end -= part.begin
        opened.has_unknown = opened.has_unknown or edge.token >= vocabulary.pieces
        positions[edge.end].first += 1
    # How many edges end at a position becomes where its candidates begin.
    first = <int32_t>base
    for i in range(size + 1):
        positions[i].first, first = first, first + positions[i].first
        positions[i].best = positions[i].last = NONE
    for k in range(base, opened.edge_count):
        edge = &opened.edges[k]
        while start < edge.start:
            # All edges that end before this one starts are there.
            start += 1
            positions[start].best = next_path(opened, &positions[start])
            if positions[start].best == UNKNOWN:
                return NO_MEMORY
        if start == 0 or positions[start].best != NONE:
            score = vocabulary.scores[edge.token]
            if start:
                score += opened.paths[positions[start].best].score
            offer(opened, &positions[edge.end], <int32_t>k, positions[start].best, score)
    positions[size].best = next_path(opened, &positions[size])
    return NO_MEMORY if positions[size].best == UNKNOWN else OK


cdef int work_out_next(const double* scores, Opened* opened, const Part* part) noexcept nogil:
    cdef Position* positions = opened.positions + part.positions
    cdef Position* position
    cdef Path* path
    cdef const Edge* edge
    cdef int32_t following, last
    opened.asked.size = 0
    if not reserve_ints(&opened.asked, 1):
        return NO_MEMORY
    opened.asked.data[0] = part.end - part.begin
    opened.asked.size = 1
    while opened.asked.size:
        position = &positions[opened.asked.data[opened.asked.size - 1]]
        last = position.last
        path = &opened.paths[last]
        edge = &opened.edges[path.edge]
        if path.before != NONE:
            following = opened.paths[path.before].next
            if following == UNKNOWN:
                if not reserve_ints(&opened.asked, opened.asked.size + 1):
                    return NO_MEMORY
                opened.asked.data[opened.asked.size] = edge.start
                opened.asked.size += 1
                continue
            if following != NONE:
                offer(opened, position, path.edge, following, opened.paths[following].score + scores[edge.token])
        following = next_path(opened, position)
        if following == UNKNOWN:
            return NO_MEMORY
        opened.paths[last].next = following
        opened.asked.size -= 1
    return OK


cdef bint add_tokens_of(const Opened* opened, int32_t path, Ints* tokens) noexcept nogil:
    cdef int32_t before = path
    cdef int32_t* token
    cdef size_t count = 0
    while before != NONE:
        count += 1
        before = opened.paths[before].before
    if not reserve_ints(tokens, tokens.size + count):
        return False
    tokens.size += count
    token = tokens.data + tokens.size
    while path != NONE:
        token -= 1
        token[0] = opened.edges[opened.paths[path].edge].token
        path = opened.paths[path].before
    return True
