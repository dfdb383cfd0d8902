# A cache of words: what was found out about a word, to be looked up when it comes again.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.cuts cimport CutTable, word_ends

cdef enum:
    AHEAD = 16              # words that are looked at before the first of them is decided
    MAX_WORD = 63           # bytes of the longest word that is kept
    SHORT_WORD = 15         # bytes of the longest word whose key is the word itself
    LONG_KEY = 0xFF         # stands in the last byte of the key of a longer one
    MAX_PROBES = 8
    SLACK = 24              # bytes that can be read after a text, whatever they are
    PAYLOAD = 12

cdef struct Slot:           # 64 bytes, one cache line
    uint64_t low            # the key: the word filled up with zeros, the last byte its length (0: empty slot);
    uint64_t high           # or of a long word two hash values, and LONG_KEY
    int32_t payload[PAYLOAD]

cdef struct Table:
    Slot* slots
    size_t count            # of slots, a power of two
    size_t used
    Bytes arena             # what does not fit into a slot; a long word's part begins with the word
    size_t most_slots
    size_t most_bytes       # of the arena

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    #if defined(_MSC_VER)
    #include <intrin.h>
    #endif
    // The bytes of the word at `text`, when it ends within 15 bytes before an ASCII character that is no letter; 0 where
    // it does not, or a character that is not ASCII comes first. 18 bytes can be read. `joined` has a flag for each pair
    // of ASCII characters: no cut between them. A cut before a letter is passed over, but for one after a newline, where
    // sums may begin anew.
    static inline int viterbi_sampling_short_word(const unsigned char* text, const unsigned char* joined) {
    #if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const std::uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        std::uint64_t parts[2], lower, letters, stops;
        if (text[0] >= 0x80)
            return 0;
        if (text[0] == 0x0A)
            return text[1] < 0x80 && !joined[0x0A << 7 | text[1]];
        std::memcpy(parts, text + 1, 16);
        for (int i = 0; i < 2; i++) {
            lower = (parts[i] & ~tops) | (0x20 * ones);
            letters = (lower + (0x80 - 'a') * ones) & ~(lower + (0x7F - 'z') * ones) & ~parts[i];
            for (stops = ~letters & tops; stops; stops &= stops - 1) {
    #if defined(_MSC_VER)
                unsigned long bit;
                _BitScanForward64(&bit, stops);
                int at = 1 + 8 * i + (int)(bit >> 3);
    #else
                int at = 1 + 8 * i + (__builtin_ctzll(stops) >> 3);
    #endif
                if (text[at] >= 0x80)
                    return 0;
                if (!joined[text[at - 1] << 7 | text[at]])
                    return at <= 15 ? at : 0;
                if (text[at] == 0x0A)
                    return at < 15 && text[at + 1] < 0x80 && !joined[0x0A << 7 | text[at + 1]] ? at + 1 : 0;
            }
        }
    #endif
        return 0;
    }
    // 16 bytes of ones, then 16 of zeros: read from 16 - n on, the mask of the first n bytes.
    static const unsigned char viterbi_sampling_key_masks[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    #if defined(__GNUC__) || defined(__clang__)
    #define viterbi_sampling_prefetch(address) __builtin_prefetch(address)
    #else
    #define viterbi_sampling_prefetch(address) ((void)(address))
    #endif
    """
    int short_word "viterbi_sampling_short_word"(const uint8_t* text, const uint8_t* joined) noexcept nogil
    const uint8_t* KEY_MASKS "viterbi_sampling_key_masks"
    void prefetch "viterbi_sampling_prefetch"(const void* address) noexcept nogil


cdef inline void key_of(const uint8_t* word, int32_t size, uint64_t* low, uint64_t* high) noexcept nogil:
    """The key of a short word; SLACK bytes can be read after it."""
    cdef uint64_t masks[2]
    cdef uint64_t both[2]
    memcpy(both, word, 16)
    memcpy(masks, KEY_MASKS + 16 - size, 16)
    both[0] &= masks[0]
    both[1] &= masks[1]
    (<uint8_t*>both)[15] = <uint8_t>size
    low[0] = both[0]
    high[0] = both[1]


cdef inline uint64_t mixed(uint64_t low, uint64_t high) noexcept nogil:
    cdef uint64_t hash = low * <uint64_t>0x9E3779B97F4A7C15U ^ high * <uint64_t>0xC2B2AE3D27D4EB4FU
    hash ^= hash >> 29
    return hash * <uint64_t>0x165667B19E3779F9U


cdef inline size_t hash_of(uint64_t low, uint64_t high) noexcept nogil:
    """The number of the first slot to look at, once it is cut to the size of the table."""
    return <size_t>(mixed(low, high) >> 20)


cdef inline Slot* find(Table* table, const uint8_t* word, int32_t size, uint64_t low, uint64_t high, size_t at,
                       Slot** place) noexcept nogil:
    """The slot of a word with its key, or NULL; `place` is then the slot to put it in, or NULL for none.

    The whole word is compared, never a hash value alone, which is `at`.
    """
    cdef int probe
    cdef Slot* slot
    for probe in range(MAX_PROBES):
        slot = &table.slots[(at + probe) & (table.count - 1)]
        if slot.low == low and slot.high == high:
            if size <= SHORT_WORD or memcmp(table.arena.data + <uint32_t>slot.payload[0], word, size) == 0:
                return slot
        if slot.high == 0:
            place[0] = slot
            return NULL
    place[0] = NULL
    return NULL


cdef void long_key(const uint8_t* word, int32_t size, uint64_t* low, uint64_t* high) noexcept nogil

# Take the slot that `find` gave as the place of a word, with `bytes` of the arena for it (0: none), of which the
# word is the first part if it is long; its payload[0] becomes their offset. NULL where there is no room, after which
# the table is empty, or has grown: what was found before is gone.
cdef Slot* take(Table* table, Slot* place, const uint8_t* word, int32_t size, size_t bytes) noexcept nogil

# An empty table; False without memory.
cdef bint table_start(Table* table, size_t most_slots, size_t most_bytes) noexcept nogil
cdef void table_free(Table* table) noexcept nogil

cdef struct Ahead:              # the words that come next
    int count
    int32_t ends[AHEAD + 1]
    uint64_t lows[AHEAD]        # their keys, of those of at most MAX_WORD bytes
    uint64_t highs[AHEAD]
    size_t hashes[AHEAD]


cdef inline void look_ahead(const CutTable* cuts, const Table* table, const uint8_t* text, int32_t size, int32_t start,
                            Ahead* ahead) noexcept nogil:
    """Find the words that begin at `start` < size, and ask for the cache lines of their slots."""
    cdef int i = 0, found
    cdef int32_t at = start, length
    ahead.count = 0
    while True:
        if ahead.count == i:
            # No word is waiting.
            if i == AHEAD or at == size:
                return
            length = short_word(text + at, cuts.ascii)
            if 0 < length <= size - at:
                ahead.ends[i] = at + length
                ahead.count += 1
            else:
                # One word, after which it may be quick again; among other characters than ASCII all that there is room for.
                ahead.count += word_ends(cuts, text, size, at, ahead.ends + i, 1 if text[at + 1] < 0x80 else AHEAD - i)
        length = ahead.ends[i] - at
        if length <= MAX_WORD:
            if length <= SHORT_WORD:
                key_of(text + at, length, &ahead.lows[i], &ahead.highs[i])
            else:
                long_key(text + at, length, &ahead.lows[i], &ahead.highs[i])
            ahead.hashes[i] = hash_of(ahead.lows[i], ahead.highs[i])
            prefetch(&table.slots[ahead.hashes[i] & (table.count - 1)])
        at = ahead.ends[i]
        i += 1


cdef inline Slot* find_ahead(Table* table, const uint8_t* word, int32_t size, const Ahead* ahead, int i,
                             Slot** place) noexcept nogil:
    """The slot of the i-th of the words that come next, see find."""
    return find(table, word, size, ahead.lows[i], ahead.highs[i], ahead.hashes[i], place)
