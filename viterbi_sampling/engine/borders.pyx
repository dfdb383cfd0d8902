"""Borders: places where a given text falls apart, so that its parts can be worked on without knowing one another.

At a border all of this holds, whatever the rest of the text is:
1. *No rule of the normalizer reaches across.* A character *stays* where no rule or symbol can begin at it: it is copied as
   it is. A match holds at most `longest` bytes (zero bytes not counted, which do not stay here). In front of a border lie
   longest + 4 bytes of characters that stay. A match that begins before them ends among the first `longest` of them,
   perhaps inside a character, whose bytes then become U+FFFD each; after 3 more bytes at most all characters are
   copied one by one, up to the border. So none reaches across, and the border is a place where the normalizer
   looks for a rule next. Of NFC a border lies between two plain characters, which it leaves apart (see nfc.pyx).
2. *The normalizer is in no special state.* The last character before is no space, so the next one does not follow a
   space; it is copied, so neither the text before nor the text behind can vanish with the spaces at its end.
3. *It is a cut*, where no piece lies on both sides. Both neighbouring characters stay, so the cut can be seen
   in the given text.
4. *Runs of unknown characters end.* The last character before is a piece, so that no unknown token ends with it; or a
   space or a mark follows at which such runs end.
5. *Sums begin anew* at it, where the vocabulary has such places.

A normalized text has only the last three to ask for.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.cuts cimport BLOCK_BYTES, word_ends
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.lattice cimport AT_MARKS, AT_SPACE, NEVER, Vocabulary
from viterbi_sampling.engine.nfc cimport COMBINING, PLAIN
from viterbi_sampling.engine.normalizer cimport Rules
from viterbi_sampling.engine.trie cimport NO_PIECE, Cursor, go_down, has_piece, root_of
from viterbi_sampling.engine.utf8 cimport char_length, decode, is_trail
from viterbi_sampling.engine.viterbi cimport begins_anew

cdef enum:
    WINDOW = 1 << 12        # bytes that are looked at in one go
    WINDOWS = 16            # in all before the search is given up: far less work than the text is
    FEWEST = 4              # bytes of the longest character
    WANTED = 16             # cuts asked for at once
    SPACE = 0x20


cdef bint set_grounds(Grounds* grounds, Encoder encoder, bint best_path, bint normalized) except -1:
    cdef const Vocabulary* vocabulary = &encoder.vocabulary
    cdef int longest = 0
    # Sums in double precision that never begin anew depend on all that came before.
    if vocabulary.restart == NEVER and (encoder.spelling.whole_runs or (best_path and not encoder.single_precision)):
        return False
    grounds.vocabulary = vocabulary
    grounds.cuts = &encoder.cuts.table
    grounds.rules = NULL
    if not normalized:
        grounds.rules = &encoder.normalizer.rules
        longest = encoder.normalizer.find_longest_match()
    grounds.least = FEWEST + longest
    return 0 <= longest < WINDOW // 4


cdef inline int32_t stays(const Rules* rules, const uint8_t* text, int32_t size, int32_t at) noexcept nogil:
    """The bytes of the character at `at` if it is certain to be copied as it is, else 0."""
    cdef uint32_t codepoint, after
    cdef int32_t length
    cdef uint8_t first = text[at]
    if rules == NULL:
        return min(char_length(first), size - at)
    length = decode(text + at, size - at, &codepoint)
    if length == 0 or first == 0:
        return 0
    if rules.composition != NULL:
        if rules.composition.kinds[codepoint] != PLAIN:
            return 0
        if at + length < size and decode(text + at + length, size - at - length, &after):
            return 0 if rules.composition.kinds[after] == COMBINING else length
        return length
    if first < 0x80:
        return rules.plain[first] and (at + 1 == size or text[at + 1] < 0x80)
    return 0 if rules.special[codepoint >> 3] >> (codepoint & 7) & 1 else length


cdef bint is_piece(const Vocabulary* vocabulary, const uint8_t* text, int32_t begin, int32_t end) noexcept nogil:
    cdef Cursor cursor = root_of(vocabulary.nodes)
    cdef int32_t at
    for at in range(begin, end):
        if not go_down(vocabulary.nodes, &cursor, text[at]):
            return False
    return has_piece(cursor.node)


cdef bint falls_apart(const Vocabulary* vocabulary, bint not_after_space, const uint8_t* text, int32_t last,
                      int32_t at) noexcept nogil:
    """Whether a cut is a border for all but what stays; text[last:at] is the character before."""
    if not_after_space and text[at - 1] == SPACE:
        return False
    if vocabulary.restart != NEVER and not begins_anew(vocabulary, text, at):
        return False
    if vocabulary.restart == AT_SPACE or vocabulary.restart == AT_MARKS or vocabulary.unknown == NO_PIECE:
        return True
    return is_piece(vocabulary, text, at - 1 if vocabulary.bytewise else last, at)


cdef int32_t border_within(const Grounds* grounds, const uint8_t* window, int32_t size) noexcept nogil:
    """The first border in a text that may go on after `size`, or -1. BLOCK_BYTES more can be read."""
    cdef int32_t ends[WANTED + BLOCK_BYTES + 1]
    cdef int32_t at = 0, last = 0, since = 0, cut = 0, length
    cdef int found, k
    while cut < size:
        found = word_ends[int](grounds.cuts, 0, window, size, cut, WANTED, ends)
        for k in range(found):
            cut = ends[k]
            if cut + 2 * FEWEST > size:
                return -1
            while at < cut:
                length = stays(grounds.rules, window, size, at)
                last = at
                at += max(length, 1)
                if length == 0:
                    while at < size and is_trail(window[at]):
                        at += 1
                    since = at
            if (at == cut and cut - since >= grounds.least and stays(grounds.rules, window, size, cut)
                    and falls_apart(grounds.vocabulary, grounds.rules != NULL, window, last, cut)):
                return cut
    return -1


cdef int32_t next_border(const Grounds* grounds, const uint8_t* text, int32_t size, int32_t at) noexcept nogil:
    cdef uint8_t window[WINDOW + BLOCK_BYTES]
    cdef int32_t length, found
    cdef int k
    memset(window, 0, sizeof(window))
    for k in range(WINDOWS):
        while at < size and is_trail(text[at]):
            at += 1
        length = min(size - at, <int32_t>WINDOW)
        if length <= grounds.least:
            break
        memcpy(window, text + at, length)
        found = border_within(grounds, window, length)
        if found >= 0:
            return at + found
        at += length - grounds.least - 2 * FEWEST if length == WINDOW else length
    return size
