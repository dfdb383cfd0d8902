"""The best paths of a text in order, as many as are asked for, exactly.

Within a part between two cuts: lazy k-best enumeration (Huang and Chiang 2005, algorithm 3). Each
position keeps the best paths to it that were asked for, and of each edge that ends there one
candidate, the edge after the best path to its start that was not used yet. The next best path is the
best of these; only then the candidate after it is worked out, which may ask an earlier position for
its next best. There is no agenda cut and no time limit; the depth of the asking is kept on a stack
of our own.

Across parts the choices are independent. The k best combinations differ from the best one in parts
whose second best path is among the k nearest, and only parts that some combination needs are ever
gone into. Combinations are enumerated as states, each of which is reached in one way: the last
change one rank further; one more change, in the next part; or the last change, if it is a second
best path, moved to the next part.

Memory: the edges of the parts gone into, one part a cut, and k times what a path differs by from
another one. Ties go to the earliest start, as in Viterbi. Scores are summed in double precision.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, log
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.arrays cimport list_from
from viterbi_sampling.engine.buffer cimport (
    CANCELLED, MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Ints, Sum, add, reserve, reserve_doubles, reserve_ints,
)
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_extend, lattice_start
from viterbi_sampling.engine.normalizer cimport normalize
from viterbi_sampling.engine.rows cimport Rows, raise_for_status
from viterbi_sampling.engine.scratch cimport Cell, Scratch, reserve_cells
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens
from viterbi_sampling.engine.weights cimport exp_exact
from viterbi_sampling.engine.words cimport MAX_WORD, Ahead, Slot, Table, find_ahead, look_ahead, record_of, take
from viterbi_sampling.engine.workspace cimport Workspace

cdef struct Known:              # the record of a word; then its tokens
    double best
    double gap
    int32_t count
    bint has_unknown


# -- queues ------------------------------------------------------------------------------------------

cdef inline bint sooner(const Entry* a, const Entry* b) noexcept nogil:
    return a.key < b.key or (a.key == b.key and a.number < b.number)


cdef bint queue_push(Queue* queue, double key, int32_t number) noexcept nogil:
    """Put an entry into the queue, a binary heap. False without memory."""
    cdef size_t at = queue.size, above
    cdef Entry entry
    if not reserve(&queue.entries, &queue.capacity, at + 1, sizeof(Entry)):
        return False
    entry.key = key
    entry.number = number
    queue.size += 1
    while at:
        above = (at - 1) >> 1
        if not sooner(&entry, &queue.entries[above]):
            break
        queue.entries[at] = queue.entries[above]
        at = above
    queue.entries[at] = entry
    return True


cdef Entry queue_pop(Queue* queue) noexcept nogil:
    """Take the first entry of a queue that is not empty."""
    cdef Entry first = queue.entries[0]
    cdef Entry entry
    cdef size_t at = 0, below
    queue.size -= 1
    entry = queue.entries[queue.size]
    while 2 * at + 1 < queue.size:
        below = 2 * at + 1
        if below + 1 < queue.size and sooner(&queue.entries[below + 1], &queue.entries[below]):
            below += 1
        if not sooner(&queue.entries[below], &entry):
            break
        queue.entries[at] = queue.entries[below]
        at = below
    queue.entries[at] = entry
    return first


# -- the best two paths of each part -------------------------------------------------------------------

cdef int start_two(Scratch* scratch, int32_t size) noexcept nogil:
    """Make the best two scores ready, in the cells and the thresholds, of a part of at most `size` bytes."""
    cdef int32_t position
    if not reserve_cells(scratch, size + 1) or not reserve_doubles(&scratch.thresholds, size + 1):
        return NO_MEMORY
    for position in range(size + 1):
        scratch.cells[position].value = scratch.thresholds.data[position] = -INFINITY
    scratch.cells[0].value = 0
    return OK


cdef void follow_two(const Lattice* lattice, const double* scores, int32_t origin, Scratch* scratch) noexcept nogil:
    """Follow the edges of a lattice with the best two scores; positions count from `origin`."""
    cdef Cell* to
    cdef double* seconds = scratch.thresholds.data
    cdef const Edge* edge
    cdef double first, second
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        first = scratch.cells[edge.start - origin].value + scores[edge.token]
        second = seconds[edge.start - origin] + scores[edge.token]
        to = &scratch.cells[edge.end - origin]
        if first > to.value:
            seconds[edge.end - origin] = max(second, to.value)
            to.value = first
            to.start = edge.start - origin
            to.token = edge.token
        elif first > seconds[edge.end - origin]:
            seconds[edge.end - origin] = first


cdef int add_part(BestPaths* paths, int32_t begin, int32_t end, double best, double gap, int32_t count,
                  size_t most) noexcept nogil:
    """Add a part, and room for the tokens of its best path; `near` keeps the parts of the `most` smallest gaps."""
    cdef Part* part
    if paths.part_count >= 0x7FFFFFFF or paths.tokens.size + count > 0x7FFFFFFF:
        return TOO_LONG
    if (not reserve(&paths.parts, &paths.part_capacity, paths.part_count + 1, sizeof(Part))
            or not reserve_ints(&paths.tokens, paths.tokens.size + count)):
        return NO_MEMORY
    part = &paths.parts[paths.part_count]
    part.begin = begin
    part.end = end
    part.first_token = <int32_t>paths.tokens.size
    part.positions = NONE
    part.best = best
    part.gap = gap
    paths.tokens.size += count
    # The queue has the greatest gap first, of equal ones the last part: keys and numbers with the other sign.
    if gap < INFINITY and most and (paths.near.size < most or -gap > paths.near.entries[0].key):
        if paths.near.size == most:
            queue_pop(&paths.near)
        if not queue_push(&paths.near, -gap, -<int32_t>paths.part_count):
            return NO_MEMORY
    paths.part_count += 1
    return OK


cdef int add_word(const Vocabulary* vocabulary, const uint8_t* text, int32_t begin, int32_t end, size_t most,
                  Table* known, Slot* place, Scratch* scratch, BestPaths* paths) noexcept nogil:
    """Add text[begin:end], which lies between cuts, as one part; if it is long, as one part a cut.

    With a `place`, which only a short one has, keep what is known of it.
    """
    cdef Lattice* lattice = &scratch.lattice
    cdef bint whole = end - begin <= MAX_WORD, has_unknown = False
    cdef double best = 0
    cdef int32_t count = 0, position, origin = begin
    cdef int32_t* tokens
    cdef Known* entry
    cdef Slot* slot
    cdef int status
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = lattice_extend(lattice, vocabulary, <size_t>-1)
        if status == OK and lattice.cut == origin:
            status = start_two(scratch, (end if whole else lattice.at) - origin)
        if status != OK:
            return status
        follow_two(lattice, vocabulary.scores, origin, scratch)
        lattice_clear(lattice, True)
        if whole and lattice.at < end:
            continue
        count = 0
        position = lattice.at - origin
        best = scratch.cells[position].value
        while position > 0:
            count += 1
            position = scratch.cells[position].start
        status = add_part(paths, origin, lattice.at, best, best - scratch.thresholds.data[lattice.at - origin], count, most)
        if status != OK:
            return status
        tokens = paths.tokens.data + paths.tokens.size
        position = lattice.at - origin
        while position > 0:
            tokens -= 1
            tokens[0] = scratch.cells[position].token
            has_unknown = has_unknown or tokens[0] >= vocabulary.pieces
            position = scratch.cells[position].start
        origin = lattice.at
    paths.has_unknown = paths.has_unknown or has_unknown
    if place != NULL:
        slot = take(known, place, text + begin, end - begin, sizeof(Known) + count * sizeof(int32_t))
        if slot != NULL:
            entry = <Known*>record_of(known, slot)
            entry.count = count
            entry.best = best
            entry.gap = paths.parts[paths.part_count - 1].gap
            entry.has_unknown = has_unknown
            memcpy(entry + 1, tokens, count * sizeof(int32_t))
    return OK


cdef int find_parts(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t most,
                    Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil:
    """The parts of a text with their best paths, and in `near` those of the `most` smallest gaps, sorted."""
    cdef int32_t at = 0, end
    cdef int word, status
    cdef size_t i, j
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef const Known* entry
    cdef Entry last
    while at < size:
        look_ahead(cuts, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = place = NULL
            if end - at <= MAX_WORD:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
            if slot == NULL:
                status = add_word(vocabulary, text, at, end, most, known, place, scratch, paths)
            else:
                entry = <const Known*>record_of(known, slot)
                status = add_part(paths, at, end, entry.best, entry.gap, entry.count, most)
                if status == OK:
                    paths.has_unknown = paths.has_unknown or entry.has_unknown
                    memcpy(paths.tokens.data + paths.tokens.size - entry.count, entry + 1, entry.count * sizeof(int32_t))
            if status != OK:
                return status
            at = end
        if scratch.cancelled[0]:
            return CANCELLED
    # Taken one by one the greatest gaps come first: they fill the array from behind.
    i = j = paths.near.size
    while i:
        last = queue_pop(&paths.near)
        i -= 1
        paths.near.entries[i].key = -last.key
        paths.near.entries[i].number = -last.number
    paths.near.size = j
    return OK


# -- the paths of a part -------------------------------------------------------------------------------

cdef int32_t next_path(BestPaths* paths, Position* position) noexcept nogil:
    """Make the best candidate the next path to a position; NONE where there is none left. UNKNOWN without memory."""
    cdef Candidate* candidates = paths.candidates + position.first
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
    if paths.path_count >= 0x7FFFFFFF:
        return UNKNOWN
    if not reserve(&paths.paths, &paths.path_capacity, paths.path_count + 1, sizeof(Path)):
        return UNKNOWN
    path = &paths.paths[paths.path_count]
    path.score = chosen.score
    path.edge = chosen.edge
    path.before = chosen.before
    path.next = UNKNOWN
    position.last = <int32_t>paths.path_count
    paths.path_count += 1
    return position.last


cdef inline void offer(BestPaths* paths, Position* position, int32_t edge, int32_t before, double score) noexcept nogil:
    cdef Candidate* candidate = &paths.candidates[position.first + position.waiting]
    candidate.score = score
    candidate.edge = edge
    candidate.before = before
    position.waiting += 1


cdef int open_part(const Vocabulary* vocabulary, const uint8_t* text, Part* part, Scratch* scratch,
                   BestPaths* paths) noexcept nogil:
    """Find the edges of a part, and the best path to each position."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t size = part.end - part.begin, i, start = 0, first
    cdef size_t base = paths.edge_count, k
    cdef Position* positions
    cdef Edge* edge
    cdef double score
    cdef int status
    lattice_start(lattice, text, part.begin, part.end)
    while lattice.at < part.end:
        status = lattice_extend(lattice, vocabulary, <size_t>-1)
        if status != OK:
            return status
        if not reserve(&paths.edges, &paths.edge_capacity, paths.edge_count + lattice.count, sizeof(Edge)):
            return NO_MEMORY
        memcpy(paths.edges + paths.edge_count, lattice.edges, lattice.count * sizeof(Edge))
        paths.edge_count += lattice.count
        lattice_clear(lattice, True)
    if paths.edge_count > 0x7FFFFFFF or paths.position_count + size + 1 > 0x7FFFFFFF:
        return TOO_LONG
    if (not reserve(&paths.positions, &paths.position_capacity, paths.position_count + size + 1, sizeof(Position))
            or not reserve(&paths.candidates, &paths.candidate_capacity, paths.edge_count, sizeof(Candidate))):
        return NO_MEMORY
    part.positions = <int32_t>paths.position_count
    positions = paths.positions + part.positions
    paths.position_count += size + 1
    memset(positions, 0, (size + 1) * sizeof(Position))
    for k in range(base, paths.edge_count):
        edge = &paths.edges[k]
        edge.start -= part.begin
        edge.end -= part.begin
        paths.has_unknown = paths.has_unknown or edge.token >= vocabulary.pieces
        positions[edge.end].first += 1
    # How many edges end at a position becomes where its candidates begin.
    first = <int32_t>base
    for i in range(size + 1):
        positions[i].first, first = first, first + positions[i].first
        positions[i].best = positions[i].last = NONE
    for k in range(base, paths.edge_count):
        edge = &paths.edges[k]
        while start < edge.start:
            # All edges that end before this one starts are there.
            start += 1
            positions[start].best = next_path(paths, &positions[start])
            if positions[start].best == UNKNOWN:
                return NO_MEMORY
        if start == 0 or positions[start].best != NONE:
            score = vocabulary.scores[edge.token]
            if start:
                score += paths.paths[positions[start].best].score
            offer(paths, &positions[edge.end], <int32_t>k, positions[start].best, score)
    positions[size].best = next_path(paths, &positions[size])
    return NO_MEMORY if positions[size].best == UNKNOWN else OK


cdef int work_out_next(const double* scores, BestPaths* paths, const Part* part) noexcept nogil:
    """Work out the next best path to the end of an opened part, which the last one known has as its `next` then."""
    cdef Position* positions = paths.positions + part.positions
    cdef Position* position
    cdef Path* path
    cdef const Edge* edge
    cdef int32_t following, last
    paths.asked.size = 0
    if not reserve_ints(&paths.asked, 1):
        return NO_MEMORY
    paths.asked.data[0] = part.end - part.begin
    paths.asked.size = 1
    while paths.asked.size:
        position = &positions[paths.asked.data[paths.asked.size - 1]]
        last = position.last
        path = &paths.paths[last]
        edge = &paths.edges[path.edge]
        if path.before != NONE:
            following = paths.paths[path.before].next
            if following == UNKNOWN:
                if not reserve_ints(&paths.asked, paths.asked.size + 1):
                    return NO_MEMORY
                paths.asked.data[paths.asked.size] = edge.start
                paths.asked.size += 1
                continue
            if following != NONE:
                offer(paths, position, path.edge, following, paths.paths[following].score + scores[edge.token])
        following = next_path(paths, position)
        if following == UNKNOWN:
            return NO_MEMORY
        paths.paths[last].next = following
        paths.asked.size -= 1
    return OK


# -- combinations --------------------------------------------------------------------------------------

cdef bint push_state(BestPaths* paths, double loss, int32_t near, int32_t path, int32_t before) noexcept nogil:
    cdef State* state
    if paths.state_count >= 0x7FFFFFFF:
        return False
    if not reserve(&paths.states, &paths.state_capacity, paths.state_count + 1, sizeof(State)):
        return False
    state = &paths.states[paths.state_count]
    state.loss = loss
    state.near = near
    state.path = path
    state.before = before
    paths.state_count += 1
    return queue_push(&paths.queue, loss, <int32_t>(paths.state_count - 1))


cdef int settle(const Vocabulary* vocabulary, const uint8_t* text, int32_t number, Scratch* scratch,
                BestPaths* paths) noexcept nogil:
    """Take a state as the next best combination, and offer those that follow from it."""
    cdef State state = paths.states[number]
    cdef Part* part = &paths.parts[paths.near.entries[state.near].number]
    cdef double here, best
    cdef int32_t following
    cdef bint second = state.path == UNKNOWN, fits = True
    cdef int status
    if part.positions == NONE:
        status = open_part(vocabulary, text, part, scratch, paths)
        if status != OK:
            return status
    best = paths.paths[paths.positions[part.positions + part.end - part.begin].best].score
    if second:
        state.path = paths.paths[paths.positions[part.positions + part.end - part.begin].best].next
        if state.path == UNKNOWN:
            status = work_out_next(vocabulary.scores, paths, part)
            if status != OK:
                return status
            state.path = paths.paths[paths.positions[part.positions + part.end - part.begin].best].next
        paths.states[number].path = state.path
    here = state.loss - (best - paths.paths[state.path].score)
    following = paths.paths[state.path].next
    if following == UNKNOWN:
        status = work_out_next(vocabulary.scores, paths, part)
        if status != OK:
            return status
        following = paths.paths[state.path].next
    if following != NONE:
        fits = push_state(paths, max(state.loss, here + (best - paths.paths[following].score)), state.near, following,
                          state.before)
    if <size_t>(state.near + 1) < paths.near.size:
        fits = fits and push_state(paths, state.loss + paths.near.entries[state.near + 1].key, state.near + 1, UNKNOWN, number)
        if second:
            fits = fits and push_state(paths, max(state.loss, here + paths.near.entries[state.near + 1].key), state.near + 1,
                                       UNKNOWN, state.before)
    return OK if fits else NO_MEMORY


cdef int start_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                     Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil:
    """Find the best path over text[:size], and make ready for the `count` best."""
    cdef int status
    cdef size_t i
    cdef Sum score
    paths.tokens.size = paths.part_count = paths.edge_count = paths.position_count = 0
    paths.path_count = paths.state_count = paths.near.size = paths.queue.size = paths.found.size = 0
    paths.has_unknown = False
    status = find_parts(vocabulary, cuts, text, size, count - 1, known, scratch, paths)
    if status != OK:
        return status
    score.value = score.rest = 0
    for i in range(paths.part_count):
        add(&score, paths.parts[i].best)
    paths.score = score.value + score.rest
    if not reserve_ints(&paths.found, 1):
        return NO_MEMORY
    paths.found.data[0] = NONE
    paths.found.size = 1
    if paths.near.size and not push_state(paths, paths.near.entries[0].key, 0, UNKNOWN, NONE):
        return NO_MEMORY
    return OK


cdef int find_paths(const Vocabulary* vocabulary, const uint8_t* text, size_t count, Scratch* scratch,
                    BestPaths* paths) noexcept nogil:
    """Go on until `count` of the best paths are found, or all."""
    cdef int32_t number
    cdef int status
    while paths.found.size < count and paths.queue.size:
        number = queue_pop(&paths.queue).number
        status = settle(vocabulary, text, number, scratch, paths)
        if status != OK:
            return status
        if not reserve_ints(&paths.found, paths.found.size + 1):
            return NO_MEMORY
        paths.found.data[paths.found.size] = number
        paths.found.size += 1
        if scratch.cancelled[0]:
            return CANCELLED
    return OK


cdef int best_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                    Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil:
    cdef int status = start_paths(vocabulary, cuts, text, size, count, known, scratch, paths)
    return status if status != OK else find_paths(vocabulary, text, count, scratch, paths)


cdef double loss_of(const BestPaths* paths, size_t rank) noexcept nogil:
    """How far a path that was found lies below the best one."""
    return 0.0 if rank == 0 else paths.states[paths.found.data[rank]].loss


cdef bint find_changes(BestPaths* paths, size_t rank) noexcept nogil:
    """The (part, path) of a path that was found where it differs from the best one, by part. False without memory."""
    cdef int32_t state = paths.found.data[rank], part, path
    cdef int32_t* changes
    cdef size_t i
    paths.changes.size = 0
    while state != NONE:
        if not reserve_ints(&paths.changes, paths.changes.size + 2):
            return False
        changes = paths.changes.data
        part = paths.near.entries[paths.states[state].near].number
        path = paths.states[state].path
        i = paths.changes.size
        while i and changes[i - 2] > part:
            changes[i] = changes[i - 2]
            changes[i + 1] = changes[i - 1]
            i -= 2
        changes[i] = part
        changes[i + 1] = path
        paths.changes.size += 2
        state = paths.states[state].before
    return True


cdef inline int32_t after_best(const BestPaths* paths, int32_t part) noexcept nogil:
    """Where the tokens of the best path go on behind a part."""
    return paths.parts[part + 1].first_token if <size_t>(part + 1) < paths.part_count else <int32_t>paths.tokens.size


cdef bint compose_path(BestPaths* paths, int32_t path) noexcept nogil:
    """Add the tokens of a path over a part to `composed`. False without memory."""
    cdef int32_t before = path
    cdef int32_t* token
    cdef size_t count = 0
    while before != NONE:
        count += 1
        before = paths.paths[before].before
    if not reserve_ints(&paths.composed, paths.composed.size + count):
        return False
    paths.composed.size += count
    token = paths.composed.data + paths.composed.size
    while path != NONE:
        token -= 1
        token[0] = paths.edges[paths.paths[path].edge].token
        path = paths.paths[path].before
    return True


cdef bint compose(BestPaths* paths, size_t rank) noexcept nogil:
    """The tokens of a path that was found, in `composed`. False without memory."""
    cdef int32_t first = 0, until
    cdef size_t i
    cdef bint last
    paths.composed.size = 0
    if not find_changes(paths, rank):
        return False
    for i in range(0, paths.changes.size + 1, 2):
        last = i == paths.changes.size
        until = <int32_t>paths.tokens.size if last else paths.parts[paths.changes.data[i]].first_token
        if not reserve_ints(&paths.composed, paths.composed.size + until - first):
            return False
        memcpy(paths.composed.data + paths.composed.size, paths.tokens.data + first, (until - first) * sizeof(int32_t))
        paths.composed.size += until - first
        if not last:
            if not compose_path(paths, paths.changes.data[i + 1]):
                return False
            first = after_best(paths, paths.changes.data[i])
    return True


cdef int weigh_paths(BestPaths* paths, double alpha) noexcept nogil:
    cdef double total = 0
    cdef size_t rank
    if not reserve_doubles(&paths.shares, paths.found.size):
        return NO_MEMORY
    for rank in range(paths.found.size):
        total += exp_exact(-alpha * loss_of(paths, rank))
        paths.shares.data[rank] = total
    for rank in range(paths.found.size):
        paths.shares.data[rank] /= total
    return OK


cdef int draw_path(BestPaths* paths, double alpha, double uniform, const Spelling* spelling, const int32_t* lengths,
                   const uint8_t* text, Tokens* out, Sum* log_prob) noexcept nogil:
    # The last share is 1, more than any uniform: the first that exceeds it is that of a path of some weight.
    cdef size_t chosen = 0, last = paths.found.size - 1, middle
    while chosen < last:
        middle = (chosen + last) >> 1
        if uniform < paths.shares.data[middle]:
            last = middle
        else:
            chosen = middle + 1
    if log_prob != NULL:
        # The best path, whose loss is 0, has the share 1 / total.
        add(log_prob, log(paths.shares.data[0]) - alpha * loss_of(paths, chosen))
    if not compose(paths, chosen):
        return NO_MEMORY
    if not add_tokens(out, spelling, lengths, text, 0, paths.composed.data, <int32_t>paths.composed.size,
                      paths.has_unknown):
        return NO_MEMORY
    return OK


cdef void best_paths_free(BestPaths* paths) noexcept nogil:
    free(paths.tokens.data)
    free(paths.parts)
    free(paths.edges)
    free(paths.positions)
    free(paths.candidates)
    free(paths.paths)
    free(paths.states)
    free(paths.near.entries)
    free(paths.queue.entries)
    free(paths.found.data)
    free(paths.asked.data)
    free(paths.changes.data)
    free(paths.composed.data)
    free(paths.shares.data)


# -- for Python ----------------------------------------------------------------------------------------

cdef enum:
    AT_ONCE = 4096              # paths between two looks at signals

def nbest(Encoder encoder not None, Rows rows not None, size_t count, bint as_tokens=False):
    """The `count` best paths over the first row, the best first: a list of (ids, score), or of (tokens, score)."""
    cdef BestPaths paths
    cdef Tokens out
    cdef tuple key = ("nbest", 1.0)
    cdef Workspace space = encoder.borrow(key)
    cdef int cancelled = 0, status
    cdef size_t rank, until
    cdef const Ints* given = &paths.composed if as_tokens else &out.ids
    memset(&paths, 0, sizeof(BestPaths))
    memset(&out, 0, sizeof(Tokens))
    space.scratch.cancelled = &cancelled
    found = []
    try:
        with nogil:
            status = TOO_LONG
            if rows.sizes[0] <= MAX_TEXT:
                status = normalize(&encoder.normalizer.rules, rows.data[0], rows.sizes[0], &space.normalized, NULL)
            if status == OK:
                status = start_paths(&encoder.vocabulary, &encoder.cuts.table, space.normalized.data,
                                     <int32_t>space.normalized.size, count, &space.table, &space.scratch, &paths)
        raise_for_status(status, 0)
        while True:
            until = min(count, <size_t>len(found) + AT_ONCE)
            with nogil:
                status = find_paths(&encoder.vocabulary, space.normalized.data, until, &space.scratch, &paths)
            raise_for_status(status, 0)
            for rank in range(<size_t>len(found), paths.found.size):
                out.ids.size = 0
                out.after_unknown = False
                if not compose(&paths, rank) or not add_tokens(
                        &out, &encoder.spelling, encoder.vocabulary.lengths, space.normalized.data, 0, paths.composed.data,
                        <int32_t>paths.composed.size, paths.has_unknown):
                    raise MemoryError()
                found.append((list_from(given.data, given.size), paths.score - loss_of(&paths, rank)))
            PyErr_CheckSignals()
            if paths.found.size < until or until == count:
                return found
    finally:
        free(out.ids.data)
        best_paths_free(&paths)
        encoder.give_back(key, space)
