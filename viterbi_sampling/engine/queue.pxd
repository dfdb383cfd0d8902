# A priority queue: a binary heap of numbers by their keys.

from libc.stdint cimport int32_t

from viterbi_sampling.engine.buffer cimport reserve

cdef struct Entry:
    double key
    int32_t number

cdef struct Queue:              # the smallest key first, of equal ones the smallest number
    Entry* entries
    size_t size
    size_t capacity


cdef inline bint sooner(const Entry* a, const Entry* b) noexcept nogil:
    return a.key < b.key or (a.key == b.key and a.number < b.number)


cdef inline bint queue_push(Queue* queue, double key, int32_t number) noexcept nogil:
    """Put an entry into the queue. False without memory."""
    cdef size_t at = queue.size, above
    cdef Entry entry
    if not reserve(&queue.entries, &queue.capacity, at + 1, sizeof(Entry)):
        return False
    entry.key = key
    entry.number = number
    queue.size += 1
    while at:
        above = (at - 1) >> 1
        if not sooner(&entry, &queue.entries[above]):
            break
        queue.entries[at] = queue.entries[above]
        at = above
    queue.entries[at] = entry
    return True


cdef inline Entry queue_pop(Queue* queue) noexcept nogil:
    """Take the first entry of a queue that is not empty."""
    cdef Entry first = queue.entries[0]
    cdef Entry entry
    cdef size_t at = 0, below
    queue.size -= 1
    entry = queue.entries[queue.size]
    while 2 * at + 1 < queue.size:
        below = 2 * at + 1
        if below + 1 < queue.size and sooner(&queue.entries[below + 1], &queue.entries[below]):
            below += 1
        if not sooner(&queue.entries[below], &entry):
            break
        queue.entries[at] = queue.entries[below]
        at = below
    queue.entries[at] = entry
    return first
