"""Which pieces end at each position, found by the automaton of Aho and Corasick.

A state stands for the longest suffix of what has been read that begins some piece. All pieces that end where it is reached
are suffixes of one another, so that each state has one list of them, made when the model is loaded, and states share lists.
A byte takes one step and now and then another, whatever the number of pieces, where a walk down the trie from each position
takes as many steps as its longest match has bytes.

One step waits for the one before it. Hence a text is read in many segments at once, whose steps do not depend on each
other; each begins as if nothing stood before it. The reading of a segment goes on into the next one until it meets, at
the same position, the state that the reading of that one had: from there on they are the same. Segments are begun from
the last to the first, all at once. A reading takes at most two rounds a byte and at least one, so that one that has come
x bytes into a segment of size s, after at least s + x rounds, finds at least (s + x) / 2 > x bytes of it read: it never
overtakes, and what it writes is what stays.

Source: A. Aho and M. Corasick, "Efficient string matching: an aid to bibliographic search", 1975.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from viterbi_sampling.engine.buffer cimport reserve
from viterbi_sampling.engine.matches cimport Steps
from viterbi_sampling.engine.trie cimport NO_PARENT, NO_PIECE, ROOT, Node, Trie, step
from viterbi_sampling.engine.words cimport prefetch

cdef enum:
    LABELS = 256
    MOST_LENGTH = 0xFF          # what the lower 8 bits hold, of lengths and of counts;
    MOST = 1 << 24              # and so much the upper ones, of tokens and of places in the lists
    SEGMENT = 32                # bytes that a reading begins with
    READINGS = ENDS // SEGMENT

cdef struct Readings:           # what the next step of each needs; states by their offsets in bytes
    uint32_t child[READINGS]    # where the byte leads from its state,
    uint32_t other[READINGS]    # and from the shorter state,
    uint32_t shorter[READINGS]  # which is this one
    uint32_t at[READINGS]


cdef class Endings:
    """The automaton of a complete vocabulary. Immutable; any number of threads may read it."""

    def __dealloc__(self):
        free(self.automaton.states)
        free(self.automaton.pieces)
        free(self.automaton.depths)

    cdef int make(self, Trie trie, Steps steps, const int32_t* lengths, int32_t longest) except -1:
        """`lengths` are those of the tokens in bytes, `longest` the greatest of them."""
        cdef Automaton made
        cdef uint32_t* order = NULL
        cdef bint fits
        if steps.steps == NULL or longest > <int32_t>MOST_LENGTH:
            return 0
        made.pieces = NULL
        made.longest = longest
        made.states = <State*>malloc((trie.size + LABELS) * sizeof(State))
        made.depths = <uint8_t*>calloc(trie.size + LABELS, 1)
        order = <uint32_t*>malloc(trie.size * sizeof(uint32_t))
        fits = made.states != NULL and made.depths != NULL and order != NULL
        cdef int status = fill(&made, trie.nodes, trie.size, steps, lengths, order) if fits else -1
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


cdef size_t by_depth(const Node* nodes, size_t size, uint8_t* depths, uint32_t* order) noexcept nogil:
    """The nodes but the root in `order`, by their depth; how many."""
    cdef size_t places[MOST_LENGTH + 2]
    cdef size_t i, count = 0
    cdef uint32_t node
    cdef int depth
    for depth in range(MOST_LENGTH + 2):
        places[depth] = 0
    for i in range(1, size):
        if nodes[i].parent == <uint32_t>NO_PARENT:
            continue
        # Up to a node whose depth is known, and again to set those below it.
        depth = 0
        node = <uint32_t>i
        while node != ROOT and depths[node] == 0:
            depth += 1
            node = nodes[node].parent
        depth += depths[node]
        node = <uint32_t>i
        while node != ROOT and depths[node] == 0:
            depths[node] = <uint8_t>depth
            depth -= 1
            node = nodes[node].parent
        places[depths[i] + 1] += 1
        count += 1
    for depth in range(1, MOST_LENGTH + 2):
        places[depth] += places[depth - 1]
    for i in range(1, size):
        if nodes[i].parent != <uint32_t>NO_PARENT:
            order[places[depths[i]]] = <uint32_t>i
            places[depths[i]] += 1
    return count


cdef int fill(Automaton* made, const Node* nodes, size_t size, Steps steps, const int32_t* lengths,
              uint32_t* order) noexcept nogil:
    """1, or 0 where the lists would be too large, or -1 without memory."""
    cdef State* states = made.states
    cdef State* state
    cdef size_t count, i, used = 0, capacity = 0
    cdef uint32_t node, child, shorter, others, k
    cdef uint8_t label
    for i in range(size + LABELS):
        states[i].base = steps.steps[i].base
        states[i].shorter = ROOT
        states[i].shorter_base = steps.root
        states[i].pieces = 0
    count = by_depth(nodes, size, made.depths, order)
    for i in range(count):
        node = order[i]
        state = &states[node]
        label = <uint8_t>state.base
        if nodes[node].parent != ROOT:
            # What is shorter comes before: its own shorter states are known. The root goes on with any byte.
            shorter = states[nodes[node].parent].shorter
            child = step(nodes, shorter, label)
            while child == ROOT:
                shorter = states[shorter].shorter
                child = step(nodes, shorter, label)
            state.shorter = child
            state.shorter_base = states[child].base >> 8
        state.pieces = states[state.shorter].pieces
        if nodes[node].piece == NO_PIECE:
            continue
        others = state.pieces & 0xFF
        if others == MOST_LENGTH or used + others + 1 > <size_t>MOST or nodes[node].piece >= <int32_t>MOST:
            return 0
        if not reserve(&made.pieces, &capacity, used + others + 1, sizeof(uint32_t)):
            return -1
        made.pieces[used] = <uint32_t>nodes[node].piece << 8 | <uint32_t>lengths[nodes[node].piece]
        for k in range(others):
            made.pieces[used + 1 + k] = made.pieces[(state.pieces >> 8) + k]
        state.pieces = <uint32_t>used << 8 | (others + 1)
        used += others + 1
    for i in range(size + LABELS):
        states[i].shorter *= sizeof(State)
        states[i].shorter_base *= sizeof(State)
    return 1


cdef inline const State* state_at(const State* states, uint32_t offset) noexcept nogil:
    return <const State*>(<const uint8_t*>states + offset)


cdef void find_endings(const Automaton* automaton, const uint8_t* text, int32_t size, uint32_t* state,
                       uint32_t* ends) noexcept nogil:
    cdef const State* states = automaton.states
    cdef const uint32_t* pieces = automaton.pieces
    cdef const State* reached
    cdef uint32_t reached_at[ENDS]      # the state after each byte; the root, which no byte leads to, where none was yet
    cdef Readings readings
    cdef uint32_t active = <uint32_t>(size + SEGMENT - 1) // SEGMENT, going, k
    cdef uint32_t at, byte, child, other, after, shorter, goes_on, goes_on_shorter, differs
    for k in range(active):
        # From the last to the first; only this one has something before it.
        at = (active - 1 - k) * SEGMENT
        reached = state_at(states, 0 if at else state[0])
        byte = text[at]
        readings.at[k] = at
        readings.child[k] = ((reached.base >> 8) ^ byte) * <uint32_t>sizeof(State)
        readings.other[k] = reached.shorter_base ^ (byte * <uint32_t>sizeof(State))
        readings.shorter[k] = reached.shorter
    memset(reached_at, 0, size * sizeof(uint32_t))
    while active:
        going = 0
        for k in range(active):
            at = readings.at[k]
            byte = text[at]
            child = readings.child[k]
            other = readings.other[k]
            shorter = readings.shorter[k]
            # The byte leads on from the state, or from the shorter one, or that one is tried the next time.
            goes_on = -<uint32_t>((state_at(states, child).base & 0xFF) == byte)
            goes_on_shorter = -<uint32_t>((state_at(states, other).base & 0xFF) == byte)
            after = shorter ^ ((other ^ shorter) & goes_on_shorter)
            after ^= (child ^ after) & goes_on
            goes_on |= goes_on_shorter
            differs = after ^ reached_at[at]
            reached_at[at] ^= differs & goes_on
            reached = state_at(states, after)
            ends[at] = reached.pieces       # where the byte does not lead on, to be written again
            prefetch(&pieces[reached.pieces >> 8])
            at -= goes_on
            byte = text[at]
            # What comes next is known here, a whole round before it is looked at.
            child = ((reached.base >> 8) ^ byte) * <uint32_t>sizeof(State)
            other = reached.shorter_base ^ (byte * <uint32_t>sizeof(State))
            prefetch(state_at(states, child))
            prefetch(state_at(states, other))
            readings.at[going] = at
            readings.child[going] = child
            readings.other[going] = other
            readings.shorter[going] = reached.shorter
            going += (at < <uint32_t>size) & ((differs | ~goes_on) != 0)
        active = going
    state[0] = reached_at[size - 1]
