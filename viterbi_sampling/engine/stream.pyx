"""The random stream of the samplers: Philox4x64-10, a counter-based generator.

The key is (seed, index), the counter (block, draw, 0, 0): a stream can be started anywhere without
any state, and no two of them share a number. Source: Salmon, Moraes, Dror and Shaw, "Parallel
Random Numbers: As Easy as 1, 2, 3", SC 2011, which reports the statistical tests that it passes.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memmove

cdef extern from *:
    """
    #include <cstdint>
    // The 128-bit product of two 64-bit numbers.
    static inline std::uint64_t multiply(std::uint64_t a, std::uint64_t b, std::uint64_t* high) {
    #if defined(__SIZEOF_INT128__)
        unsigned __int128 product = (unsigned __int128)a * b;
        *high = (std::uint64_t)(product >> 64);
        return (std::uint64_t)product;
    #else
        std::uint64_t a0 = a & 0xFFFFFFFFu, a1 = a >> 32, b0 = b & 0xFFFFFFFFu, b1 = b >> 32;
        std::uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + (middle & 0xFFFFFFFFu);
        *high = a1 * b1 + (middle >> 32) + (other >> 32);
        return a * b;
    #endif
    }
    """
    uint64_t multiply(uint64_t a, uint64_t b, uint64_t* high) noexcept nogil


cdef void set_keys(Stream* stream) noexcept nogil:
    """Work out the keys of the rounds, which all blocks of a stream share."""
    cdef uint64_t seed = stream.seed, index = stream.index
    cdef int i
    for i in range(ROUNDS):
        stream.seeds[i] = seed
        stream.indices[i] = index
        seed += <uint64_t>0x9E3779B97F4A7C15
        index += <uint64_t>0xBB67AE8584CAA73B
    stream.has_keys = True


cdef inline void make_block(const Stream* stream, uint64_t block, uint64_t* words) noexcept nogil:
    """Four 64-bit words: the Philox4x64-10 block of the counter (block, draw, 0, 0)."""
    cdef uint64_t c0 = block, c1 = stream.draw, c2 = 0, c3 = 0, high0, high1, low0, low1
    cdef int i
    for i in range(ROUNDS):
        low0 = multiply(<uint64_t>0xD2E7470EE14C6C93, c0, &high0)
        low1 = multiply(<uint64_t>0xCA5A826395121157, c2, &high1)
        c0 = high1 ^ c1 ^ stream.seeds[i]
        c1 = low1
        c2 = high0 ^ c3 ^ stream.indices[i]
        c3 = low0
    words[0] = c0
    words[1] = c1
    words[2] = c2
    words[3] = c3


cdef void stream_start(Stream* stream, uint64_t seed, uint64_t index, uint64_t draw) noexcept nogil:
    stream.seed = seed
    stream.index = index
    stream.draw = draw
    stream.block = 0
    stream.at = 0
    stream.filled = 0
    stream.has_keys = False


cdef void stream_pass(Stream* stream, uint64_t words) noexcept nogil:
    stream.block = words // 4
    stream.at = stream.filled = 0
    stream_take(stream, <int>(words % 4))


cdef void stream_fill(Stream* stream, int count) noexcept nogil:
    # A short text needs a few numbers, a long one many: the runs double in length.
    cdef int unread = stream.filled - stream.at
    cdef int wanted = max(count, <int>min(<uint64_t>STREAM_RUN, 4 + 4 * stream.block))
    if not stream.has_keys:
        set_keys(stream)
    memmove(stream.words, stream.words + stream.at, unread * sizeof(uint64_t))
    stream.at = 0
    stream.filled = unread
    while stream.filled < wanted:
        make_block(stream, stream.block, &stream.words[stream.filled])
        stream.block += 1
        stream.filled += 4


cdef void stream_look(Stream* stream, uint64_t first, size_t count, uint64_t* words) noexcept nogil:
    cdef uint64_t unread = <uint64_t>(stream.filled - stream.at), block
    cdef uint64_t four[4]
    cdef size_t k = 0, part
    if not stream.has_keys:
        set_keys(stream)
    if first < unread:
        part = min(count, <size_t>(unread - first))
        memcpy(words, stream.words + stream.at + first, part * sizeof(uint64_t))
        k = part
        first = unread
    block = stream.block + ((first - unread) >> 2)
    part = (first - unread) & 3
    while k < count:
        if part == 0 and k + 4 <= count:
            make_block(stream, block, words + k)
            k += 4
        else:
            make_block(stream, block, four)
            while part < 4 and k < count:
                words[k] = four[part]
                k += 1
                part += 1
            part = 0
        block += 1


cdef void stream_skip(Stream* stream, uint64_t count) noexcept nogil:
    cdef uint64_t unread = <uint64_t>(stream.filled - stream.at)
    if count <= unread:
        stream.at += <int>count
        return
    count -= unread
    stream.block += count >> 2
    stream.at = stream.filled = 0
    if count & 3:
        stream_fill(stream, 4)
        stream.at = <int>(count & 3)


def words(uint64_t seed, uint64_t index, uint64_t draw, Py_ssize_t count):
    """The first `count` 64-bit words of a stream, as a list of int."""
    cdef uint64_t four[4]
    cdef Stream stream
    cdef Py_ssize_t i
    stream_start(&stream, seed, index, draw)
    set_keys(&stream)
    made = []
    for i in range(count):
        if i % 4 == 0:
            make_block(&stream, i // 4, four)
        made.append(four[i % 4])
    return made


def uniforms(uint64_t seed, uint64_t index, uint64_t draw, Py_ssize_t count):
    """The first `count` uniforms of a stream, as a list of float, made as the samplers make them."""
    cdef Stream stream
    stream_start(&stream, seed, index, draw)
    return [stream_next(&stream) for _ in range(count)]
