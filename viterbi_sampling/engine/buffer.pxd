# Growing arrays of bytes and of 32-bit integers, for scratch that is reused and for results.

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, realloc

cdef enum Status:
    OK = 0
    NO_MEMORY = -1
    TOO_LONG = -2           # a text of 2^31 bytes or more, before or after normalization
    NO_PATH = -3            # no segmentation covers the text
    CANCELLED = -4

cdef enum:
    MAX_TEXT = 0x7FFFFF00   # positions are int32

cdef struct Bytes:
    uint8_t* data
    size_t size
    size_t capacity

cdef struct Ints:
    int32_t* data
    size_t size
    size_t capacity


cdef inline bint reserve_bytes(Bytes* b, size_t capacity) noexcept nogil:
    """Make room for `capacity` bytes in all; False without memory, which leaves `b` as it is."""
    cdef void* data
    if capacity > b.capacity:
        capacity += capacity >> 1
        data = realloc(b.data, capacity)
        if data == NULL:
            return False
        b.data = <uint8_t*>data
        b.capacity = capacity
    return True


cdef inline bint reserve_ints(Ints* b, size_t capacity) noexcept nogil:
    """Make room for `capacity` integers in all; False without memory, which leaves `b` as it is."""
    cdef void* data
    if capacity > b.capacity:
        capacity += capacity >> 1
        data = realloc(b.data, capacity * sizeof(int32_t))
        if data == NULL:
            return False
        b.data = <int32_t*>data
        b.capacity = capacity
    return True
