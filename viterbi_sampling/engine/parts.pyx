"""The best two paths over each part of a text: what the n best paths over the text begin with.

What is found out about a word is kept, and comes again with the word. Ties go to the earliest start, as in Viterbi.
Scores are summed in double precision.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport (
    CANCELLED, NO_MEMORY, OK, TOO_LONG, reserve, reserve_doubles, reserve_ints,
)
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_extend, lattice_start
from viterbi_sampling.engine.queue cimport Entry, queue_pop, queue_push
from viterbi_sampling.engine.scratch cimport Cell, Scratch, reserve_cells
from viterbi_sampling.engine.words cimport MAX_WORD, Ahead, Slot, Table, find_ahead, look_ahead, record_of, take

cdef struct Known:              # the record of a word; then its tokens
    double best
    double gap
    int32_t count
    bint has_unknown


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


cdef int add_part(Parts* parts, int32_t begin, int32_t end, double best, double gap, int32_t count,
                  size_t most) noexcept nogil:
    """Add a part, and room for the tokens of its best path; `near` keeps the parts of the `most` smallest gaps."""
    cdef Part* part
    if parts.count >= 0x7FFFFFFF or parts.tokens.size + count > 0x7FFFFFFF:
        return TOO_LONG
    if (not reserve(&parts.parts, &parts.capacity, parts.count + 1, sizeof(Part))
            or not reserve_ints(&parts.tokens, parts.tokens.size + count)):
        return NO_MEMORY
    part = &parts.parts[parts.count]
    part.begin = begin
    part.end = end
    part.first_token = <int32_t>parts.tokens.size
    part.positions = CLOSED
    part.best = best
    part.gap = gap
    parts.tokens.size += count
    # The queue has the greatest gap first, of equal ones the last part: keys and numbers with the other sign.
    if gap < INFINITY and most and (parts.near.size < most or -gap > parts.near.entries[0].key):
        if parts.near.size == most:
            queue_pop(&parts.near)
        if not queue_push(&parts.near, -gap, -<int32_t>parts.count):
            return NO_MEMORY
    parts.count += 1
    return OK


cdef int add_word(const Vocabulary* vocabulary, const uint8_t* text, int32_t begin, int32_t end, size_t most,
                  Table* known, Slot* place, Scratch* scratch, Parts* parts) noexcept nogil:
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
        status = add_part(parts, origin, lattice.at, best, best - scratch.thresholds.data[lattice.at - origin], count, most)
        if status != OK:
            return status
        tokens = parts.tokens.data + parts.tokens.size
        position = lattice.at - origin
        while position > 0:
            tokens -= 1
            tokens[0] = scratch.cells[position].token
            has_unknown = has_unknown or tokens[0] >= vocabulary.pieces
            position = scratch.cells[position].start
        origin = lattice.at
    parts.has_unknown = parts.has_unknown or has_unknown
    if place != NULL:
        slot = take(known, place, text + begin, end - begin, sizeof(Known) + count * sizeof(int32_t))
        if slot != NULL:
            entry = <Known*>record_of(known, slot)
            entry.count = count
            entry.best = best
            entry.gap = parts.parts[parts.count - 1].gap
            entry.has_unknown = has_unknown
            memcpy(entry + 1, tokens, count * sizeof(int32_t))
    return OK


cdef int find_parts(const Vocabulary* vocabulary, const CutTable* cuts, const uint8_t* text, int32_t size, size_t most,
                    Table* known, Scratch* scratch, Parts* parts) noexcept nogil:
    cdef int32_t at = 0, end
    cdef int word, status
    cdef size_t i, j
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef const Known* entry
    cdef Entry last
    parts.tokens.size = parts.count = parts.near.size = 0
    parts.has_unknown = False
    while at < size:
        look_ahead(cuts, NULL, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = place = NULL
            if end - at <= MAX_WORD:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
            if slot == NULL:
                status = add_word(vocabulary, text, at, end, most, known, place, scratch, parts)
            else:
                entry = <const Known*>record_of(known, slot)
                status = add_part(parts, at, end, entry.best, entry.gap, entry.count, most)
                if status == OK:
                    parts.has_unknown = parts.has_unknown or entry.has_unknown
                    memcpy(parts.tokens.data + parts.tokens.size - entry.count, entry + 1, entry.count * sizeof(int32_t))
            if status != OK:
                return status
            at = end
        if is_raised(scratch.cancelled):
            return CANCELLED
    # Taken one by one the greatest gaps come first: they fill the array from behind.
    i = j = parts.near.size
    while i:
        last = queue_pop(&parts.near)
        i -= 1
        parts.near.entries[i].key = -last.key
        parts.near.entries[i].number = -last.number
    parts.near.size = j
    return OK


cdef void parts_free(Parts* parts) noexcept nogil:
    free(parts.tokens.data)
    free(parts.parts)
    free(parts.near.entries)
