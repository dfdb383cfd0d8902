"""Which pieces end at each position, found by the automaton of Aho and Corasick.

A state stands for the longest suffix of what has been read that begins some piece. All pieces that end where it is reached
are suffixes of one another, so that each state has one list of them, made when the model is loaded, and states share lists.
A byte takes one step and now and then another, whatever the number of pieces, where a walk down the trie from each position
takes as many steps as its longest match has bytes. A state from which no byte leads on goes on as the longest shorter state
from which some byte does: each byte would only find that out.

One step waits for the one before it. Hence a text is read in a few segments at once, whose steps do not depend on each
other; each begins as if nothing stood before it. Afterwards what was read before a segment is gone on with in it until it
meets, at the same position, the state that the reading of the segment had: from there on they are the same. Segments are
gone through again from the first to the last, so that what was read before one is always what stays.

Source: A. Aho and M. Corasick, "Efficient string matching: an aid to bibliographic search", 1975.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from viterbi_sampling.engine.buffer cimport reserve
from viterbi_sampling.engine.matches cimport Steps
from viterbi_sampling.engine.trie cimport NO_PARENT, ROOT, Entry, Node, Trie, has_piece, step
from viterbi_sampling.engine.words cimport prefetch

cdef enum:
    MOST_LENGTH = 0xFF          # what the lower 8 bits hold, of lengths and of counts;
    MOST = 1 << 24              # and so much the upper ones, of tokens and of places in the lists
    SEGMENT = 32                # bytes that a reading has at least
    READINGS = 8                # at once

cdef struct Reading:            # what its next step needs; states by their offsets in bytes
    uint32_t child              # where the byte leads from its state,
    uint32_t other              # and from the shorter state,
    uint32_t shorter            # which is this one
    uint32_t at
    uint32_t stop


cdef class Endings:
    """The automaton of a complete vocabulary. Immutable; any number of threads may read it."""

    def __dealloc__(self):
        free(self.automaton.states)
        free(self.automaton.pieces)
        free(self.automaton.depths)

    cdef int make(self, Trie trie, Steps steps, const int32_t* lengths, int32_t longest, int32_t nothing) except -1:
        """`lengths` are those of the tokens in bytes, `longest` the greatest of them; `nothing` is a token of no weight."""
        cdef Automaton made
        cdef uint32_t* parents
        cdef uint32_t* order
        cdef bint fits
        if steps.steps == NULL or longest > <int32_t>MOST_LENGTH or nothing >= <int32_t>MOST:
            return 0
        parents = trie.parents()
        made.pieces = NULL
        made.longest = longest
        made.states = <State*>malloc(trie.size * sizeof(State))
        made.depths = <uint8_t*>calloc(trie.size, 1)
        order = <uint32_t*>malloc(trie.size * sizeof(uint32_t))
        fits = made.states != NULL and made.depths != NULL and order != NULL
        cdef int status = fill(&made, trie, parents, steps, lengths, nothing, order) if fits else -1
        free(parents)
        free(order)
        if status == 1:
            self.automaton = made
            return 0
        free(made.states)
        free(made.pieces)
        free(made.depths)
        if status < 0:
            raise MemoryError()
        return 0


cdef size_t by_depth(const uint32_t* parents, size_t size, uint8_t* depths, uint32_t* order) noexcept nogil:
    """The nodes but the root in `order`, by their depth; how many."""
    cdef size_t places[MOST_LENGTH + 2]
    cdef size_t i, count = 0
    cdef uint32_t node
    cdef int depth
    for depth in range(MOST_LENGTH + 2):
        places[depth] = 0
    for i in range(1, size):
        if parents[i] == <uint32_t>NO_PARENT:
            continue
        # Up to a node whose depth is known, and again to set those below it.
        depth = 0
        node = <uint32_t>i
        while node != ROOT and depths[node] == 0:
            depth += 1
            node = parents[node]
        depth += depths[node]
        node = <uint32_t>i
        while node != ROOT and depths[node] == 0:
            depths[node] = <uint8_t>depth
            depth -= 1
            node = parents[node]
        places[depths[i] + 1] += 1
        count += 1
    for depth in range(1, MOST_LENGTH + 2):
        places[depth] += places[depth - 1]
    for i in range(1, size):
        if parents[i] != <uint32_t>NO_PARENT:
            order[places[depths[i]]] = <uint32_t>i
            places[depths[i]] += 1
    return count


cdef int fill(Automaton* made, Trie trie, const uint32_t* parents, Steps steps, const int32_t* lengths, int32_t nothing,
              uint32_t* order) noexcept nogil:
    """1, or 0 where the lists would be too large, or -1 without memory."""
    cdef const Node* nodes = trie.nodes
    cdef const Entry* entries = trie.entries
    cdef size_t size = trie.size
    cdef State* states = made.states
    cdef State* state
    cdef const State* reached
    cdef size_t count, i, used = 0, capacity = 0
    cdef uint32_t node, child, shorter, others, k
    cdef uint8_t label
    for i in range(size):
        states[i].base = steps.steps[i].base
        states[i].shorter = ROOT
        states[i].shorter_base = steps.root
        states[i].pieces = 0
    count = by_depth(parents, size, made.depths, order)
    for i in range(count):
        node = order[i]
        state = &states[node]
        label = <uint8_t>state.base
        if parents[node] != ROOT:
            # What is shorter comes before: its own shorter states are known. The root goes on with any byte.
            shorter = states[parents[node]].shorter
            child = step(nodes, shorter, label)
            while child == ROOT:
                shorter = states[shorter].shorter
                child = step(nodes, shorter, label)
            state.shorter = child
            state.shorter_base = states[child].base >> 8
        state.pieces = states[state.shorter].pieces
        if not has_piece(nodes[node]):
            continue
        others = state.pieces & 0xFF
        if others == MOST_LENGTH or used + others + 2 > <size_t>MOST or entries[node].piece >= <int32_t>MOST:
            return 0
        if not reserve(&made.pieces, &capacity, used + others + 2, sizeof(uint32_t)):
            return -1
        if others:
            made.pieces[used] = made.pieces[state.pieces >> 8]
        made.pieces[used + 1] = <uint32_t>nothing << 8 | 1
        for k in range(1, others):
            made.pieces[used + 1 + k] = made.pieces[(state.pieces >> 8) + k]
        made.pieces[used + (others > 0)] = <uint32_t>entries[node].piece << 8 | <uint32_t>lengths[entries[node].piece]
        state.pieces = <uint32_t>used << 8 | (others + 1)
        used += max(others + 1, <uint32_t>2)
    for i in range(count):
        # From where no byte leads on, all are taken from the shorter state.
        state = &states[order[i]]
        if state.base >> 8 == 0:
            reached = &states[state.shorter]
            state.base = (reached.base & ~<uint32_t>0xFF) | (state.base & 0xFF)
            state.shorter = reached.shorter
            state.shorter_base = reached.shorter_base
    for i in range(size):
        states[i].shorter *= sizeof(State)
        states[i].shorter_base *= sizeof(State)
    return 1


cdef inline const State* state_at(const State* states, uint32_t offset) noexcept nogil:
    return <const State*>(<const uint8_t*>states + offset)


cdef inline void look_at(const State* states, const State* state, uint32_t byte, Reading* reading) noexcept nogil:
    """Set where the byte leads from a state, which is known a whole round before it is looked at."""
    reading.child = ((state.base >> 8) ^ byte) * <uint32_t>sizeof(State)
    reading.other = state.shorter_base ^ (byte * <uint32_t>sizeof(State))
    reading.shorter = state.shorter
    prefetch(state_at(states, reading.child))
    prefetch(state_at(states, reading.other))


cdef inline uint32_t is_zero(uint32_t small) noexcept nogil:
    """~0 for 0, and 0 for other numbers below 2^31."""
    return <uint32_t>(<int32_t>(small - 1) >> 31)


cdef inline uint32_t go_on(const State* states, const Reading* reading, uint32_t byte, uint32_t* after) noexcept nogil:
    """The state after the byte; 0 if it leads on neither from the state nor from the shorter one, which comes next; else ~0."""
    cdef uint32_t child = reading.child, other = reading.other, shorter = reading.shorter
    cdef uint32_t goes_on = is_zero((state_at(states, child).base & 0xFF) ^ byte)
    cdef uint32_t shorter_goes_on = is_zero((state_at(states, other).base & 0xFF) ^ byte)
    shorter ^= (other ^ shorter) & shorter_goes_on
    after[0] = shorter ^ ((child ^ shorter) & goes_on)
    return goes_on | shorter_goes_on


cdef void find_endings(const Automaton* automaton, const uint8_t* text, int32_t size, uint32_t* state,
                       uint32_t* ends) noexcept nogil:
    cdef const State* states = automaton.states
    cdef const uint32_t* pieces = automaton.pieces
    cdef const State* reached
    cdef uint32_t reached_at[ENDS]      # the state after each byte
    cdef Reading readings[READINGS]
    cdef Reading* reading = readings
    cdef Reading* last
    cdef uint32_t segment = <uint32_t>max(<int32_t>SEGMENT, (size + READINGS - 1) // READINGS)
    cdef uint32_t at = 0, after, goes_on
    while at < <uint32_t>size:
        reading.at = at
        look_at(states, state_at(states, ROOT if at else state[0]), text[at], reading)
        at = min(<uint32_t>size, at + segment)
        reading.stop = at
        reading += 1
    last = reading
    while last != readings:
        reading = readings
        while reading < last:
            at = reading.at
            goes_on = go_on(states, reading, text[at], &after)
            reached = state_at(states, after)
            # Where the byte does not lead on, to be written again.
            reached_at[at] = after
            ends[at] = reached.pieces
            prefetch(&pieces[reached.pieces >> 8])
            at -= goes_on
            if at == reading.stop:
                last -= 1
                reading[0] = last[0]
                continue
            reading.at = at
            look_at(states, reached, text[at], reading)
            reading += 1
    at = segment
    while at < <uint32_t>size:
        read_on(states, text, at, <uint32_t>size, reached_at, ends)
        at += segment
    state[0] = reached_at[size - 1]


cdef void read_on(const State* states, const uint8_t* text, uint32_t at, uint32_t size, uint32_t* reached_at,
                  uint32_t* ends) noexcept nogil:
    """Go on with what was read before a segment until it makes no difference."""
    cdef Reading reading
    cdef uint32_t after
    look_at(states, state_at(states, reached_at[at - 1]), text[at], &reading)
    while True:
        if go_on(states, &reading, text[at], &after):
            if after == reached_at[at]:
                return
            reached_at[at] = after
            ends[at] = state_at(states, after).pieces
            at += 1
            if at == size:
                return
        look_at(states, state_at(states, after), text[at], &reading)
