# Growing arrays of bytes and of numbers, for scratch that is reused and for results; sums of many numbers.

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

cdef struct Doubles:
    double* data
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


cdef inline bint reserve_doubles(Doubles* b, size_t capacity) noexcept nogil:
    """Make room for `capacity` numbers in all; False without memory, which leaves `b` as it is."""
    cdef void* data
    if capacity > b.capacity:
        capacity += capacity >> 1
        data = realloc(b.data, capacity * sizeof(double))
        if data == NULL:
            return False
        b.data = <double*>data
        b.capacity = capacity
    return True


cdef struct Sum:                # a sum of many numbers that loses nothing to their number (Neumaier 1974)
    double value
    double rest


cdef inline void add(Sum* sum, double x) noexcept nogil:
    cdef double total = sum.value + x
    if abs(sum.value) >= abs(x):
        sum.rest += (sum.value - total) + x
    else:
        sum.rest += (x - total) + sum.value
    sum.value = total
