"""A cache of words: a hash table with open addressing, whose slots are one cache line each.

A word of up to 15 bytes is its own key and is compared in two instructions. What is known of it lies
in the slot, or where that is too small in an arena. The memory is bounded: at its limit the table is
emptied and begins anew, which costs less than choosing what to keep, and forgets what a stream of
texts has left behind. A word that finds no slot within a few probes is not kept, so that no input
can make a search long.

A table belongs to one thread at a time.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport LARGE, advise_large_pages, reserve_bytes

cdef enum:
    FIRST_SLOTS = 1 << 12
    SMALL = 1 << 18             # bytes of an arena that grows little by little
    ALIGNMENT = 8

cdef Slot* new_slots(size_t count) noexcept nogil:
    """`count` empty slots, or NULL."""
    cdef Slot* slots = <Slot*>calloc(count, sizeof(Slot))
    # They are met in no order: with small pages most of them would cost a walk through the page tables, too.
    if slots != NULL and count * sizeof(Slot) >= LARGE:
        advise_large_pages(slots, count * sizeof(Slot))
    return slots


cdef bint table_start(Table* table, size_t most_slots, size_t most_bytes) noexcept nogil:
    memset(table, 0, sizeof(Table))
    table.most_slots = most_slots
    table.most_bytes = most_bytes
    table.count = FIRST_SLOTS
    table.slots = new_slots(table.count)
    return table.slots != NULL


cdef void table_free(Table* table) noexcept nogil:
    free(table.slots)
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
    """Twice the slots; without memory, or where a slot finds no place, an empty table."""
    cdef size_t i, at, count = 2 * table.count
    cdef int probe
    cdef Slot* slots = new_slots(count)
    cdef Slot* slot
    if slots == NULL:
        empty(table)
        return
    for i in range(table.count):
        slot = &table.slots[i]
        if slot.high:
            at = hash_of(slot.low, slot.high)
            for probe in range(MAX_PROBES):
                if slots[(at + probe) & (count - 1)].high == 0:
                    slots[(at + probe) & (count - 1)] = slot[0]
                    break
    free(table.slots)
    table.slots = slots
    table.count = count


cdef Slot* take(Table* table, Slot* place, const uint8_t* word, int32_t size, size_t bytes) noexcept nogil:
    cdef size_t wanted
    if place == NULL:
        return NULL
    if 2 * table.used >= table.count:
        if table.count < table.most_slots:
            grow(table)
        else:
            empty(table)
        return NULL
    if bytes:
        bytes = (bytes + ALIGNMENT - 1) & ~<size_t>(ALIGNMENT - 1)
        if table.arena.size + bytes > table.most_bytes:
            empty(table)
            return NULL
        if table.arena.size + bytes > table.arena.capacity:
            # Once it is not small, all at once: what is not used yet takes no memory.
            wanted = table.arena.size + bytes
            if not reserve_bytes(&table.arena, wanted if wanted < SMALL else table.most_bytes):
                return NULL
        place.payload[0] = <int>table.arena.size
        table.arena.size += bytes
    if size <= SHORT_WORD:
        key_of(word, size, &place.low, &place.high)
    else:
        long_key(word, size, &place.low, &place.high)
        memcpy(table.arena.data + <uint32_t>place.payload[0], word, size)
    table.used += 1
    return place
