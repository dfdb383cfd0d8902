"""The weight of given tokens: of the paths over a text that have them.

Followed from left to right, with all positions that they can lead to: one, but where runs of unknown characters are merged.
"""

from libc.math cimport exp, log1p
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memset

from viterbi_sampling.engine.buffer cimport Doubles, Ints, reserve_doubles, reserve_ints
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.lattice cimport Vocabulary, next_position
from viterbi_sampling.engine.trie cimport NO_PIECE, Cursor, go_down, has_piece, root_of
from viterbi_sampling.engine.utf8 cimport MARK

cdef enum:
    MARK_BYTES = 4

cdef struct Reached:            # positions that paths with the tokens so far lead to, rising
    Ints positions
    Doubles weights             # the logarithm of the sum of the weights of these paths, for each position


cdef bint reach(Reached* reached, int32_t position, double weight) noexcept nogil:
    cdef size_t count = reached.positions.size
    if not reserve_ints(&reached.positions, count + 1) or not reserve_doubles(&reached.weights, count + 1):
        return False
    reached.positions.data[count] = position
    reached.weights.data[count] = weight
    reached.positions.size += 1
    return True


cdef int32_t matched(const Vocabulary* vocabulary, const uint8_t* text, int32_t position, int32_t end) noexcept nogil:
    """The piece that is text[position:end], or NO_PIECE."""
    cdef Cursor cursor = root_of(vocabulary.nodes)
    while position < end:
        if not go_down(vocabulary.nodes, &cursor, text[position]):
            return NO_PIECE
        position += 1
    return vocabulary.entries[cursor.place].piece if has_piece(cursor.node) else NO_PIECE


cdef bint follow_run(const Vocabulary* vocabulary, const uint8_t* text, int32_t size, bint single, double weight,
                     const Reached* before, Reached* after) noexcept nogil:
    """Go on by one unknown character, or unless `single` by one or more of them. False without memory."""
    cdef size_t i = 0
    cdef int32_t carried = -1, position
    cdef double carry = 0, here
    while i < before.positions.size or carried >= 0:
        if carried < 0 or (i < before.positions.size and before.positions.data[i] <= carried):
            position = before.positions.data[i]
            here = before.weights.data[i]
            if position == carried:
                here = max(here, carry) + log1p(exp(-abs(here - carry)))
            i += 1
        else:
            position = carried
            here = carry
        carried = -1
        if position < size:
            carry = here + weight
            carried = next_position(vocabulary, text, position, size)
            if matched(vocabulary, text, position, carried) != NO_PIECE:
                carried = -1
            elif not reach(after, carried, carry):
                return False
        if single:
            carried = -1
    return True


cdef void pass_marks(const uint8_t* text, int32_t size, Reached* reached, bint only) noexcept nogil:
    """Go on beyond marks between pre-tokens, which no token stands for. `only`: forget positions without one."""
    cdef size_t i, kept = 0
    cdef int32_t position
    for i in range(reached.positions.size):
        position = reached.positions.data[i]
        while (position + MARK_BYTES <= size and text[position] == MARK and text[position + 1] == 0x80
               and text[position + 2] == 0x80 and text[position + 3] == 0x80):
            position += MARK_BYTES
        if only and position == reached.positions.data[i]:
            continue
        reached.positions.data[kept] = position
        reached.weights.data[kept] = reached.weights.data[i]
        kept += 1
    reached.positions.size = reached.weights.size = kept


cdef int32_t id_of_mark(const Vocabulary* vocabulary, const int32_t* aliases, const uint8_t* text,
                        int32_t position) noexcept nogil:
    """The id of the added token whose mark is at `position`, or -1."""
    cdef int32_t token = matched(vocabulary, text, position, position + MARK_BYTES)
    return aliases[token - vocabulary.pieces - 1] if token > vocabulary.pieces else -1


def log_weight(Encoder encoder not None, const uint8_t[::1] text, const int32_t[::1] tokens, double alpha, bint merged):
    """The logarithm of the sum of the weights of the paths over a normalized text that have these tokens.

    None where there is no such path. `merged`: an unknown token stands for a run of them.
    """
    cdef Reached[2] reached
    cdef Reached* before
    cdef Reached* after
    cdef const Vocabulary* vocabulary = &encoder.vocabulary
    cdef const uint8_t* data = &text[0] if text.shape[0] else NULL
    cdef int32_t size = <int32_t>text.shape[0], token, last = NO_PIECE
    cdef Py_ssize_t k
    cdef size_t i
    cdef bint fits = True, with_marks = encoder.spelling.whole_runs
    cdef const int32_t* aliases = encoder.spelling.aliases
    memset(reached, 0, sizeof(reached))
    try:
        with nogil:
            fits = reach(&reached[0], 0, 0.0)
            for k in range(tokens.shape[0]):
                token = tokens[k]
                before = &reached[k & 1]
                after = &reached[1 - (k & 1)]
                after.positions.size = 0
                if with_marks:
                    pass_marks(data, size, before, merged and token == vocabulary.unknown and last == token)
                if token != vocabulary.unknown:
                    for i in range(before.positions.size):
                        if with_marks and before.positions.data[i] < size and data[before.positions.data[i]] >= MARK:
                            if id_of_mark(vocabulary, aliases, data, before.positions.data[i]) == token:
                                fits = fits and reach(after, before.positions.data[i] + MARK_BYTES,
                                                      before.weights.data[i])
                            continue
                        if (vocabulary.lengths[token] <= size - before.positions.data[i]
                                and matched(vocabulary, data, before.positions.data[i],
                                            before.positions.data[i] + vocabulary.lengths[token]) == token):
                            fits = fits and reach(after, before.positions.data[i] + vocabulary.lengths[token],
                                                  before.weights.data[i] + alpha * vocabulary.scores[token])
                elif with_marks or not (merged and last == token):
                    fits = fits and follow_run(vocabulary, data, size, not merged, alpha * vocabulary.scores[token], before,
                                               after)
                last = token
        if not fits:
            raise MemoryError()
        after = &reached[tokens.shape[0] & 1]
        if with_marks:
            pass_marks(data, size, after, False)
        if after.positions.size and after.positions.data[after.positions.size - 1] == size:
            return after.weights.data[after.positions.size - 1]
        return None
    finally:
        for k in range(2):
            free(reached[k].positions.data)
            free(reached[k].weights.data)
