"""The best paths of a text in order, as many as are asked for, exactly.

Across parts the choices are independent. The k best combinations differ from the best one in parts
whose second best path is among the k nearest, and only parts that some combination needs are ever
gone into. Combinations are enumerated as states, each of which is reached in one way: the last
change one rank further; one more change, in the next part; or the last change, if it is a second
best path, moved to the next part.

Memory: the edges of the parts gone into, one part a cut, and k times what a path differs by from
another one.
"""

from libc.math cimport log
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport (
    CANCELLED, NO_MEMORY, OK, Ints, Sum, add, reserve, reserve_doubles, reserve_ints,
)
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.enumeration cimport (
    NONE, UNKNOWN, Opened, add_tokens_of, best_over, open_part, opened_clear, opened_free, work_out_next,
)
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.parts cimport CLOSED, Part, Parts, find_parts, parts_free
from viterbi_sampling.engine.queue cimport Queue, queue_pop, queue_push
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens
from viterbi_sampling.engine.weights cimport exp_exact
from viterbi_sampling.engine.words cimport Table


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
    cdef Opened* opened = &paths.opened
    cdef const Queue* near = &paths.parts.near
    cdef Part* part = &paths.parts.parts[near.entries[state.near].number]
    cdef double here, best
    cdef int32_t following
    cdef bint second = state.path == UNKNOWN, fits = True
    cdef int status
    if part.positions == CLOSED:
        status = open_part(vocabulary, text, part, scratch, opened)
        if status != OK:
            return status
    best = opened.paths[best_over(opened, part)].score
    if second:
        state.path = opened.paths[best_over(opened, part)].next
        if state.path == UNKNOWN:
            status = work_out_next(vocabulary.scores, opened, part)
            if status != OK:
                return status
            state.path = opened.paths[best_over(opened, part)].next
        paths.states[number].path = state.path
    here = state.loss - (best - opened.paths[state.path].score)
    following = opened.paths[state.path].next
    if following == UNKNOWN:
        status = work_out_next(vocabulary.scores, opened, part)
        if status != OK:
            return status
        following = opened.paths[state.path].next
    if following != NONE:
        fits = push_state(paths, max(state.loss, here + (best - opened.paths[following].score)), state.near, following,
                          state.before)
    if <size_t>(state.near + 1) < near.size:
        fits = fits and push_state(paths, state.loss + near.entries[state.near + 1].key, state.near + 1, UNKNOWN, number)
        if second:
            fits = fits and push_state(paths, max(state.loss, here + near.entries[state.near + 1].key), state.near + 1,
                                       UNKNOWN, state.before)
    return OK if fits else NO_MEMORY


cdef int start_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                     Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil:
    cdef int status
    cdef size_t i
    cdef Sum score
    opened_clear(&paths.opened)
    paths.state_count = paths.queue.size = paths.found.size = 0
    status = find_parts(vocabulary, cuts, text, size, count - 1, known, scratch, &paths.parts)
    if status != OK:
        return status
    score.value = score.rest = 0
    for i in range(paths.parts.count):
        add(&score, paths.parts.parts[i].best)
    paths.score = score.value + score.rest
    if not reserve_ints(&paths.found, 1):
        return NO_MEMORY
    paths.found.data[0] = NONE
    paths.found.size = 1
    if paths.parts.near.size and not push_state(paths, paths.parts.near.entries[0].key, 0, UNKNOWN, NONE):
        return NO_MEMORY
    return OK


cdef int find_paths(const Vocabulary* vocabulary, const uint8_t* text, size_t count, Scratch* scratch,
                    BestPaths* paths) noexcept nogil:
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
        if is_raised(scratch.cancelled):
            return CANCELLED
    return OK


cdef int best_paths(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t count,
                    Table* known, Scratch* scratch, BestPaths* paths) noexcept nogil:
    cdef int status = start_paths(vocabulary, cuts, text, size, count, known, scratch, paths)
    return status if status != OK else find_paths(vocabulary, text, count, scratch, paths)


cdef double loss_of(const BestPaths* paths, size_t rank) noexcept nogil:
    return 0.0 if rank == 0 else paths.states[paths.found.data[rank]].loss


cdef bint find_changes(BestPaths* paths, size_t rank) noexcept nogil:
    cdef int32_t state = paths.found.data[rank], part, path
    cdef int32_t* changes
    cdef size_t i
    paths.changes.size = 0
    while state != NONE:
        if not reserve_ints(&paths.changes, paths.changes.size + 2):
            return False
        changes = paths.changes.data
        part = paths.parts.near.entries[paths.states[state].near].number
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


cdef bint add_best(const Parts* parts, int32_t first, int32_t until, Ints* tokens) noexcept nogil:
    """Add tokens[first:until] of the best path. False without memory."""
    if first == until:          # also where there is no text, and no memory for tokens
        return True
    if not reserve_ints(tokens, tokens.size + until - first):
        return False
    memcpy(tokens.data + tokens.size, parts.tokens.data + first, (until - first) * sizeof(int32_t))
    tokens.size += until - first
    return True


cdef bint compose(BestPaths* paths, size_t rank) noexcept nogil:
    """The tokens of a path that was found, in `composed`. False without memory."""
    cdef int32_t first = 0
    cdef const int32_t* change
    cdef size_t i
    paths.composed.size = 0
    if not find_changes(paths, rank):
        return False
    for i in range(0, paths.changes.size, 2):
        change = paths.changes.data + i
        if (not add_best(&paths.parts, first, paths.parts.parts[change[0]].first_token, &paths.composed)
                or not add_tokens_of(&paths.opened, change[1], &paths.composed)):
            return False
        first = after_part(&paths.parts, change[0])
    return add_best(&paths.parts, first, <int32_t>paths.parts.tokens.size, &paths.composed)


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
                      has_unknown(paths)):
        return NO_MEMORY
    return OK


cdef void best_paths_free(BestPaths* paths) noexcept nogil:
    parts_free(&paths.parts)
    opened_free(&paths.opened)
    free(paths.states)
    free(paths.queue.entries)
    free(paths.found.data)
    free(paths.changes.data)
    free(paths.composed.data)
    free(paths.shares.data)
