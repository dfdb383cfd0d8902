# The random stream: uniforms that depend on (seed, index, draw) and on nothing else.

from libc.stdint cimport uint64_t

cdef enum:
    STREAM_WORDS = 32       # the longest run of numbers made at once

cdef struct Stream:
    uint64_t seed
    uint64_t index
    uint64_t draw
    uint64_t block          # the number of the next block of four
    int at                  # the next unread word
    int filled              # words made so far
    uint64_t words[STREAM_WORDS]

# Four 64-bit words: the Philox4x64-10 block of a 256-bit counter under a 128-bit key.
cdef void philox4x64(uint64_t block, uint64_t draw, uint64_t seed, uint64_t index, uint64_t* words) noexcept nogil

# Go to the beginning of a stream.
cdef void stream_start(Stream* stream, uint64_t seed, uint64_t index, uint64_t draw) noexcept nogil

# Make the next words (called by stream_next only).
cdef void stream_fill(Stream* stream) noexcept nogil


cdef inline double stream_next(Stream* stream) noexcept nogil:
    """The next uniform: a multiple of 2^-53 in [0, 1)."""
    if stream.at == stream.filled:
        stream_fill(stream)
    stream.at += 1
    return <double>(stream.words[stream.at - 1] >> 11) * 1.1102230246251565e-16
