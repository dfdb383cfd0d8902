# A cache of words: what was found out about a word, to be looked up when it comes again.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.cuts cimport BLOCK_BYTES, CutTable, Set, is_foreign, word_ends
from viterbi_sampling.engine.utf8 cimport is_trail

cdef enum:
    AHEAD = 24              # words that are looked at, or some more, before the first of them is decided
    MOST_AHEAD = AHEAD + BLOCK_BYTES + 1
    MAX_WORD = 63           # bytes of the longest word that is kept
    SHORT_WORD = 15         # bytes of the longest word whose key is the word itself
    LONG_KEY = 0xFF         # stands in the last byte of the key of a longer one
    MAX_PROBES = 8
    SLACK = BLOCK_BYTES + 16    # bytes that can be read after a text, whatever they are
    READ_BEYOND = 80        # bytes that can be read after a record, whatever they are
    INLINE_TOKENS = 3
    CACHE_LINE = 64
    RECORD = -1             # in place of the first token: what is known of the word is a record in the arena

cdef struct Slot:           # 32 bytes, half a cache line
    uint64_t low            # the key: the word filled up with zeros, the last byte its length (0: empty slot);
    uint64_t high           # or of a long word two hash values, and LONG_KEY
    uint32_t link           # where the record begins; a long word lies in front of its record
    int32_t tokens[INLINE_TOKENS]   # or all that is known; -1 where there are fewer. With a record what is asked of it first

cdef struct Table:
    Slot* slots
    void* memory            # the slots begin in it, at a cache line
    size_t count            # of slots, a power of two
    size_t used
    Bytes arena
    size_t most_slots
    size_t most_bytes       # of the arena
    size_t looked           # words looked up lately, and how many of them were new: see skipped
    size_t missed
    int32_t skip            # bytes to decide without the table the next time that it does not pay
    int32_t left            # bytes to decide without it now
    int32_t foreign         # so many times more runs of foreign characters are looked for

cdef enum:
    LOOKED = 512            # words after which it is asked again whether the table pays
    FIRST_SKIP = 1 << 13
    MOST_SKIP = 1 << 19
    FOREIGN_LOOKS = 2       # times that runs of foreign characters are looked for after the last one

cdef extern from *:
    """
    #include <cstdint>
    // 16 bytes of ones, then 16 of zeros: read from 16 - n on, the mask of the first n bytes.
    static const unsigned char viterbi_sampling_key_masks[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    #if defined(__GNUC__) || defined(__clang__)
    #define viterbi_sampling_prefetch(address) __builtin_prefetch(address)
    #else
    #define viterbi_sampling_prefetch(address) ((void)(address))
    #endif
    """
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


cdef inline uint32_t hash_of(uint64_t low, uint64_t high) noexcept nogil:
    """The number of the first slot to look at, once it is cut to the size of the table."""
    return <uint32_t>(mixed(low, high) >> 32)


cdef inline int32_t word_bytes(int32_t size) noexcept nogil:
    """The room in the arena for a long word itself."""
    return (size + 7) & ~7


cdef inline int32_t tokens_in(const Slot* slot) noexcept nogil:
    """How many tokens a slot holds, the first being one."""
    return INLINE_TOKENS + (slot.tokens[1] >> 31) + (slot.tokens[2] >> 31)


cdef inline void* record_of(const Table* table, const Slot* slot) noexcept nogil:
    return table.arena.data + slot.link


cdef inline Slot* find(Table* table, const uint8_t* word, int32_t size, uint64_t low, uint64_t high, uint32_t at,
                       Slot** place) noexcept nogil:
    """The slot of a word with its key, or NULL; `place` is then the slot to put it in, or NULL for none.

    The whole word is compared, never a hash value alone, which is `at`.
    """
    cdef int probe
    cdef Slot* slot
    for probe in range(MAX_PROBES):
        slot = &table.slots[(at + probe) & (table.count - 1)]
        if slot.low == low and slot.high == high:
            if size <= SHORT_WORD or memcmp(<uint8_t*>record_of(table, slot) - word_bytes(size), word, size) == 0:
                return slot
        if slot.high == 0:
            place[0] = slot
            return NULL
    place[0] = NULL
    return NULL


cdef void long_key(const uint8_t* word, int32_t size, uint64_t* low, uint64_t* high) noexcept nogil

# Take the slot that `find` gave as the place of a word, with a record of `bytes` bytes in the arena; with 0 the caller
# sets the tokens of the slot instead, for a short word only. NULL where there is no room, after which the table is empty,
# or has grown: what was found before is gone.
cdef Slot* take(Table* table, Slot* place, const uint8_t* word, int32_t size, size_t bytes) noexcept nogil

# An empty table; False without memory.
cdef bint table_start(Table* table, size_t most_slots, size_t most_bytes) noexcept nogil
cdef void table_free(Table* table) noexcept nogil

cdef struct Ahead:              # the words that come next
    int count
    const uint64_t* held        # as given to word_ends
    int32_t ends[MOST_AHEAD]
    uint32_t hashes[MOST_AHEAD] # and their keys, of those of at most MAX_WORD bytes
    uint64_t lows[MOST_AHEAD]
    uint64_t highs[MOST_AHEAD]


cdef inline void look_ahead(const CutTable* cuts, const uint64_t* held, Table* table, const uint8_t* text, int32_t size,
                            int32_t start, Ahead* ahead) noexcept nogil:
    """Find the words that begin at `start` < size, and ask for the cache lines of their slots.

    With `held`, which a caller has who knows what to do with runs of foreign characters, these are words where there may
    be some: to ask that of each character would cost more than it gives in other texts.
    """
    cdef int i
    cdef int32_t at = start, length
    ahead.held = held if table.foreign else NULL
    table.foreign -= table.foreign > 0
    if ahead.held != NULL:
        ahead.count = word_ends[Set](cuts, held, text, size, start, AHEAD, ahead.ends)
    else:
        ahead.count = word_ends[int](cuts, 0, text, size, start, AHEAD, ahead.ends)
    for i in range(ahead.count):
        length = ahead.ends[i] - at
        if length <= SHORT_WORD:
            key_of(text + at, length, &ahead.lows[i], &ahead.highs[i])
        elif length <= MAX_WORD:
            long_key(text + at, length, &ahead.lows[i], &ahead.highs[i])
        ahead.hashes[i] = hash_of(ahead.lows[i], ahead.highs[i])
        prefetch(&table.slots[ahead.hashes[i] & (table.count - 1)])
        at = ahead.ends[i]


cdef inline bint is_run(const Ahead* ahead, const uint8_t* word) noexcept nogil:
    """Whether one of the words that come next is a run of foreign characters."""
    return ahead.held != NULL and is_foreign(ahead.held, word)


cdef inline void runs_are_near(Table* table, bint several) noexcept nogil:
    """Look for runs of foreign characters from now on for a while, where there were several unknown ones in a row."""
    if several:
        table.foreign = FOREIGN_LOOKS


cdef inline Slot* find_ahead(Table* table, const uint8_t* word, int32_t size, const Ahead* ahead, int i,
                             Slot** place) noexcept nogil:
    """The slot of the i-th of the words that come next, see find."""
    return find(table, word, size, ahead.lows[i], ahead.highs[i], ahead.hashes[i], place)


cdef inline int32_t skipped(Table* table, const CutTable* cuts, const uint8_t* text, int32_t size,
                            int32_t at) noexcept nogil:
    """Where to go on looking words up: `at`, or a cut behind where nearly all words were new lately.

    Such words cost more to keep than they will ever give back. The longer they last, the more is decided without the
    table before it is asked again.
    """
    cdef int32_t ends[BLOCK_BYTES + 2]
    if table.left == 0:
        if table.looked < LOOKED:
            return at
        if 8 * table.missed < 7 * table.looked:
            table.looked = table.missed = 0
            table.skip = FIRST_SKIP
            return at
        table.looked = table.missed = LOOKED // 2
        table.left = table.skip
        table.skip = min(2 * table.skip, MOST_SKIP)
    if size - at <= table.left:
        table.left -= size - at
        return size
    at += table.left
    table.left = 0
    while at < size and is_trail(text[at]):
        at += 1
    if at < size:
        word_ends[int](cuts, 0, text, size, at, 1, ends)
        at = ends[0]
    return at
