"""Cuts that the text alone shows, without a lattice.

Where no piece holds two characters in a row, no edge passes between them: all paths meet there, and
the text falls into *words* that can be decided one by one. In English that is before each space and
around most punctuation, in Chinese every few characters; a model whose pieces cross spaces has few.

The pairs of ASCII characters have a flag each, the others share rows of bits by their hash values: a
pair that is taken for another's only hides a cut. Pieces that begin or end inside a character have one bitmap
more, by the bytes that they hold on both sides of the border to its neighbour.

*Foreign* characters are those that no piece holds. A run of them has one path, of an unknown edge a character: where
there are many, as in Chinese for an English model, a run is one word, and is not looked up.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

import numpy as np

from viterbi_sampling.engine.utf8 cimport char_length, decode, is_trail, pass_others

cdef enum:
    WANTED = 16
    FEWEST_ROWS = 3     # these are logarithms
    MOST_ROWS = 13      # half a megabyte


cdef int32_t run_end(const uint64_t* held, const uint8_t* text, int32_t size, int32_t at) noexcept nogil:
    cdef int length
    if at < size and (text[at] & 0xF0) == 0xE0:
        return <int32_t>pass_others(held, text, size, at)
    length = char_length(text[at])
    while at < size and is_foreign(held, text + at) and char_length(text[at]) == length:
        at += length
    return at


cdef inline void set_bit(uint64_t* row, uint64_t hash) noexcept nogil:
    row[hash >> 38 & (ROW_WORDS - 1)] |= <uint64_t>1 << (hash >> 32 & 63)


cdef class Cuts:
    """The pairs of characters that occur inside pieces. Immutable; any number of threads may use it."""

    def __init__(self, const uint8_t[::1] text, const int64_t[::1] offsets, const int32_t[::1] ids):
        """Piece i of `ids` is text[offsets[i]:offsets[i + 1]]: UTF-8, the first and the last character perhaps in part."""
        cdef Py_ssize_t k
        cdef int64_t at, begin, end
        cdef int length, before, after, rows = FEWEST_ROWS
        cdef uint32_t first, second, codepoint
        cdef uint8_t lead = 0
        cdef uint64_t hash = 0, next_hash, bit
        cdef bint whole
        while rows < MOST_ROWS and (64 * ROW_WORDS << rows) < 4 * text.shape[0]:
            rows += 1
        self.ascii = np.zeros(128 * 128, np.uint8)
        self.rows = np.zeros(2 * ROW_WORDS * (OWN_ROWS + (1 << rows) + 1), np.uint64)
        self.fragments = np.zeros(256 * 256, np.uint16)
        self.contexts = np.zeros(1 << (CONTEXT_BITS - 6), np.uint64)
        self.held_words = np.zeros(5 << 12, np.uint64)      # for all that can begin with a byte below MARK
        self.held_words[: 0x80 // 64] = ~np.uint64(0)
        cdef uint8_t[::1] ascii = self.ascii
        cdef uint64_t[::1] bits = self.rows
        cdef uint64_t* aligned = <uint64_t*>((<size_t>&bits[0] + 63) & ~<size_t>63)
        cdef uint16_t[::1] fragments = self.fragments
        cdef uint64_t[::1] contexts = self.contexts
        cdef uint64_t[::1] held = self.held_words
        self.table.ascii = &ascii[0]
        self.table.rows = aligned
        self.table.shift = 64 - rows
        self.table.fragments = NULL
        self.held = &held[0]
        for k in range(ids.shape[0]):
            begin = at = offsets[ids[k]]
            end = offsets[ids[k] + 1]
            first = 0
            while at < end and is_trail(text[at]):
                at += 1                         # the rest of a character
            whole = at == begin
            before = <int>min(at - begin, 4)    # bytes of the character before `at`
            while at < end:
                length = decode(&text[at], end - at, &codepoint)
                if length > 1:
                    held[codepoint >> 6] |= <uint64_t>1 << (codepoint & 63)
                second = character(&text[at], length)
                next_hash = hashed(second)
                if at > begin:
                    if not (whole and length):
                        after = length if length else <int>min(end - at, 4)
                        fragments[<uint32_t>text[at - 1] << 8 | text[at]] |= 1 << (4 * before + after - 5)
                        bit = context_bit(&text[at], before, after)
                        contexts[bit >> 6] |= <uint64_t>1 << (bit & 63)
                        self.table.fragments = &fragments[0]
                        self.table.contexts = &contexts[0]
                    elif (first | second) < 0x80:
                        ascii[first << 7 | second] = True
                    else:
                        set_bit(aligned + (row_of(&self.table, lead, hash) - aligned), next_hash)
                        set_bit(aligned + (row_of(&self.table, text[at], next_hash) - aligned) + ROW_WORDS, hash)
                if not length:
                    break                       # the beginning of a character; or what no text holds
                whole = True
                first = second
                lead = text[at]
                hash = next_hash
                before = length
                at += length

    def split(self, text):
        """Where the words of a text end, in bytes. `text` is valid UTF-8, in the spelling of the pieces.

        A run of characters that no piece holds is one word.
        """
        cdef int32_t at = 0, size = len(text)
        cdef int found, i
        cdef const uint8_t[::1] view = bytes(text) + bytes(BLOCK_BYTES)
        cdef int32_t some[WANTED + BLOCK_BYTES + 1]
        ends = []
        while at < size:
            found = word_ends[Set](&self.table, self.held, &view[0], size, at, WANTED, some)
            ends.extend([some[i] for i in range(found)])
            at = some[found - 1]
        return ends
