"""A cache of words: a hash table with open addressing, whose slots are half a cache line each.

A word of up to 15 bytes is its own key and is compared in two instructions. What is known of it lies
in the slot, or where that is too small in a record in an arena. The memory is bounded: at its limit the table is
emptied and begins anew, which costs less than choosing what to keep, and forgets what a stream of
texts has left behind. A word that finds no slot within a few probes is not kept, so that no input
can make a search long.

A table belongs to one thread at a time.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport LARGE, Bytes, advise_large_pages, reserve_bytes

cdef enum:
    FIRST_SLOTS = 1 << 12
    SMALL = 1 << 18             # bytes of an arena that grows little by little
    BEGINNING = 48              # bytes of a record: what is known of a word, and the upper bits of 16 thresholds

cdef bint new_slots(Table* table, size_t count) noexcept nogil:
    """Give the table `count` empty slots instead of those it has, which are not freed; False without memory."""
    cdef size_t bytes = count * sizeof(Slot) + 2 * CACHE_LINE     # one more can be read
    cdef void* memory = calloc(bytes, 1)
    if memory == NULL:
        return False
    # They are met in no order: with small pages most of them would cost a walk through the page tables, too.
    if bytes >= LARGE:
        advise_large_pages(memory, bytes)
    table.memory = memory
    table.slots = <Slot*>((<size_t>memory + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1))
    table.count = count
    return True


cdef bint table_start(Table* table, size_t most_slots, size_t most_bytes) noexcept nogil:
    memset(table, 0, sizeof(Table))
    table.most_slots = most_slots
    table.most_bytes = most_bytes
    table.skip = FIRST_SKIP
    return new_slots(table, FIRST_SLOTS)


cdef void table_free(Table* table) noexcept nogil:
    free(table.memory)
    free(table.arena.data)


cdef void long_key(const uint8_t* word, int32_t size, uint64_t* low, uint64_t* high) noexcept nogil:
    cdef uint64_t part[2]
    cdef int32_t at = 0
    low[0] = size
    high[0] = 0
    while at < size:
        key_of(word + at, min(SHORT_WORD, size - at), &part[0], &part[1])
        low[0] = mixed(low[0] ^ part[0], part[1])
        high[0] = mixed(high[0] ^ part[1], part[0]) ^ low[0]
        at += SHORT_WORD
    (<uint8_t*>high)[7] = LONG_KEY


cdef void empty(Table* table) noexcept nogil:
    memset(table.slots, 0, table.count * sizeof(Slot))
    table.used = 0
    table.arena.size = 0


cdef void grow(Table* table) noexcept nogil:
    """Twice the slots; without memory an empty table. A word that finds no place is forgotten."""
    cdef size_t i, count = table.count
    cdef uint32_t at
    cdef int probe
    cdef void* memory = table.memory
    cdef const Slot* slots = table.slots
    cdef Slot* slot
    if not new_slots(table, 2 * count):
        empty(table)
        return
    for i in range(count):
        if slots[i].high:
            at = hash_of(slots[i].low, slots[i].high)
            for probe in range(MAX_PROBES):
                slot = &table.slots[(at + probe) & (table.count - 1)]
                if slot.high == 0:
                    slot[0] = slots[i]
                    break
    free(memory)


cdef bint take_whole(Bytes* arena, size_t bytes) noexcept nogil:
    """Give the arena all that it may have, and no more; False without memory."""
    cdef void* data = realloc(arena.data, bytes)
    if data == NULL:
        return False
    arena.data = <uint8_t*>data
    arena.capacity = bytes
    if bytes >= LARGE:
        advise_large_pages(data, bytes)
    return True


cdef Slot* take(Table* table, Slot* place, const uint8_t* word, int32_t size, size_t bytes) noexcept nogil:
    cdef size_t wanted, k
    if place == NULL:
        return NULL
    if 2 * table.used >= table.count:
        if table.count < table.most_slots:
            grow(table)
        else:
            empty(table)
        return NULL
    if bytes:
        k = (<size_t>table.arena.data + table.arena.size) & (CACHE_LINE - 1)
        # The beginning of a record, which all draws read, lies in one cache line.
        if k > CACHE_LINE - BEGINNING and size <= SHORT_WORD:
            table.arena.size += CACHE_LINE - k
        wanted = table.arena.size + ((bytes + 7) & ~<size_t>7)
        if size > SHORT_WORD:
            wanted += word_bytes(size)
        if wanted > table.most_bytes:
            empty(table)
            return NULL
        # Once it is not small, all at once: what is not used yet takes no memory.
        if wanted < SMALL:
            if not reserve_bytes(&table.arena, wanted + READ_BEYOND):
                return NULL
        elif wanted + READ_BEYOND > table.arena.capacity and not take_whole(&table.arena, table.most_bytes + READ_BEYOND):
            return NULL
        if size > SHORT_WORD:
            memcpy(table.arena.data + table.arena.size, word, size)
            table.arena.size += word_bytes(size)
        place.link = <uint32_t>table.arena.size
        place.tokens[0] = RECORD
        table.arena.size = wanted
    if size <= SHORT_WORD:
        key_of(word, size, &place.low, &place.high)
    else:
        long_key(word, size, &place.low, &place.high)
    table.used += 1
    return place
