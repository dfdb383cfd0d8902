# Growing arrays of bytes and of numbers, for scratch that is reused and for results; sums of many numbers.

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #if defined(__linux__)
    #include <cstdint>
    #include <sys/mman.h>
    #endif
    // Ask for large pages under a large block: the first touch of its memory then costs much less.
    static inline void viterbi_sampling_advise(void* data, std::size_t size) {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        const std::size_t page = 4096;
        std::uintptr_t begin = ((std::uintptr_t)data + page - 1) & ~(std::uintptr_t)(page - 1);
        std::uintptr_t end = ((std::uintptr_t)data + size) & ~(std::uintptr_t)(page - 1);
        if (end > begin)
            madvise((void*)begin, end - begin, MADV_HUGEPAGE);
    #else
        (void)data; (void)size;
    #endif
    }
    """
    void advise_large_pages "viterbi_sampling_advise"(void* data, size_t size) noexcept nogil

cdef enum:
    LARGE = 1 << 21             # a large page of most machines

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


cdef inline bint reserve_exactly(void* place, size_t* capacity, size_t wanted, size_t item) noexcept nogil:
    """Make room for `wanted` items of `item` bytes in all; False without memory, which leaves all as it is.

    `place` is where the pointer to them lies, whatever its type.
    """
    cdef void* data
    if wanted > capacity[0]:
        if wanted > <size_t>0x7FFFFFFFFFFFFFFF // item:
            return False
        memcpy(&data, place, sizeof(data))
        data = realloc(data, wanted * item)
        if data == NULL:
            return False
        memcpy(place, &data, sizeof(data))
        capacity[0] = wanted
        if wanted * item >= LARGE:
            advise_large_pages(data, wanted * item)
    return True


cdef inline bint reserve(void* place, size_t* capacity, size_t wanted, size_t item) noexcept nogil:
    """As `reserve_exactly`, with as much again as half of them where more is to come."""
    return wanted <= capacity[0] or reserve_exactly(place, capacity, wanted + (wanted >> 1), item)


cdef inline bint reserve_bytes(Bytes* b, size_t capacity) noexcept nogil:
    return capacity <= b.capacity or reserve(&b.data, &b.capacity, capacity, 1)


cdef inline bint reserve_ints(Ints* b, size_t capacity) noexcept nogil:
    return capacity <= b.capacity or reserve(&b.data, &b.capacity, capacity, sizeof(int32_t))


cdef inline bint extend(Ints* to, const Ints* numbers, size_t first, size_t last) noexcept nogil:
    """Add numbers[first:last]; False without memory."""
    if first < last:
        if not reserve_ints(to, to.size + last - first):
            return False
        memcpy(to.data + to.size, numbers.data + first, (last - first) * sizeof(int32_t))
        to.size += last - first
    return True


cdef inline bint reserve_doubles(Doubles* b, size_t capacity) noexcept nogil:
    return capacity <= b.capacity or reserve(&b.data, &b.capacity, capacity, sizeof(double))


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
