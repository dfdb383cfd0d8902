"""A 64-bit hash of each text, for the key of its samples: XXH64 with seed 0, the same on every machine.

Other tools compute it too (the xxhash package, and any other implementation of XXH64), so that a
key can be made elsewhere. Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

import numpy as np

from viterbi_sampling.engine.rows cimport NULL_TEXT, Rows

cdef extern from *:
    """
    #include <cstdint>
    // Little-endian on every machine; compilers make one load of it.
    static inline std::uint32_t viterbi_sampling_load32(const unsigned char* p) {
        return (std::uint32_t)p[0] | (std::uint32_t)p[1] << 8 | (std::uint32_t)p[2] << 16 | (std::uint32_t)p[3] << 24;
    }
    static inline std::uint64_t viterbi_sampling_load64(const unsigned char* p) {
        return viterbi_sampling_load32(p) | (std::uint64_t)viterbi_sampling_load32(p + 4) << 32;
    }
    """
    uint32_t load32 "viterbi_sampling_load32"(const uint8_t* p) noexcept nogil
    uint64_t load64 "viterbi_sampling_load64"(const uint8_t* p) noexcept nogil

cdef uint64_t PRIME1 = 0x9E3779B185EBCA87ULL
cdef uint64_t PRIME2 = 0xC2B2AE3D27D4EB4FULL
cdef uint64_t PRIME3 = 0x165667B19E3779F9ULL
cdef uint64_t PRIME4 = 0x85EBCA77C2B2AE63ULL
cdef uint64_t PRIME5 = 0x27D4EB2F165667C5ULL


cdef inline uint64_t rotate(uint64_t word, int by) noexcept nogil:
    return word << by | word >> (64 - by)


cdef inline uint64_t mix(uint64_t lane, uint64_t word) noexcept nogil:
    return rotate(lane + word * PRIME2, 31) * PRIME1


cdef uint64_t xxh64(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint64_t lanes[4]
    cdef uint64_t hash = PRIME5
    cdef size_t at = 0
    cdef int k
    if size >= 32:
        lanes[0] = PRIME1 + PRIME2
        lanes[1] = PRIME2
        lanes[2] = 0
        lanes[3] = 0 - PRIME1
        while size - at >= 32:
            for k in range(4):
                lanes[k] = mix(lanes[k], load64(data + at + 8 * k))
            at += 32
        hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18)
        for k in range(4):
            hash = (hash ^ mix(0, lanes[k])) * PRIME1 + PRIME4
    hash += size
    while size - at >= 8:
        hash = rotate(hash ^ mix(0, load64(data + at)), 27) * PRIME1 + PRIME4
        at += 8
    if size - at >= 4:
        hash = rotate(hash ^ load32(data + at) * PRIME1, 23) * PRIME2 + PRIME3
        at += 4
    while at < size:
        hash = rotate(hash ^ data[at] * PRIME5, 11) * PRIME1
        at += 1
    hash = (hash ^ hash >> 33) * PRIME2
    hash = (hash ^ hash >> 29) * PRIME3
    return hash ^ hash >> 32


def hashes(Rows rows not None):
    """The XXH64 of the UTF-8 of each row; 0 for a null."""
    cdef Py_ssize_t i
    rows.complete()
    result = np.zeros(rows.count, np.uint64)
    cdef uint64_t[::1] view = result
    with nogil:
        for i in range(rows.count):
            if rows.sizes[i] != NULL_TEXT:
                view[i] = xxh64(rows.data[i], rows.sizes[i])
    return result
