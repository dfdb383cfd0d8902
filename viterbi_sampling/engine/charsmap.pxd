# The units of a Darts double array, each 32 bits: the trie of a precompiled character map.

from libc.stdint cimport uint32_t


cdef inline uint32_t unit_offset(uint32_t unit) noexcept nogil:
    return (unit >> 10) << ((unit & 0x200) >> 6)


cdef inline uint32_t unit_label(uint32_t unit) noexcept nogil:
    return unit & <uint32_t>0x800000FFU    # above 0xFF for a leaf, which holds a value


cdef inline bint unit_has_leaf(uint32_t unit) noexcept nogil:
    return (unit >> 8) & 1
