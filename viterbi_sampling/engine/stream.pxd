# The random stream: uniforms that depend on (seed, index, draw) and on nothing else.

from libc.stdint cimport uint64_t

cdef enum:
    STREAM_WORDS = 512      # the buffer
    STREAM_RUN = 32         # numbers made at once when there is no end of them
    ROUNDS = 10             # of the generator

cdef struct Stream:
    uint64_t seed
    uint64_t index
    uint64_t draw
    uint64_t block          # the number of the next block of four
    int at                  # the next unread word
    int filled              # words made so far
    bint has_keys           # the key of each round is worked out
    uint64_t seeds[ROUNDS]  # its first half,
    uint64_t indices[ROUNDS]    # and its second
    uint64_t words[STREAM_WORDS]

# Go to the beginning of a stream.
cdef void stream_start(Stream* stream, uint64_t seed, uint64_t index, uint64_t draw) noexcept nogil

# Go to the word that so many others come before.
cdef void stream_pass(Stream* stream, uint64_t words) noexcept nogil

# Make words until `count` of them, at most STREAM_WORDS - 4, lie unread in the buffer.
cdef void stream_fill(Stream* stream, int count) noexcept nogil

# `count` words from the first unread one + `first` on, which stay unread.
cdef void stream_look(Stream* stream, uint64_t first, size_t count, uint64_t* words) noexcept nogil

# Leave out `count` words.
cdef void stream_skip(Stream* stream, uint64_t count) noexcept nogil


cdef inline double uniform_of(uint64_t word) noexcept nogil:
    """A multiple of 2^-53 in [0, 1)."""
    return <double>(word >> 11) * 1.1102230246251565e-16


cdef inline double stream_next(Stream* stream) noexcept nogil:
    """The next uniform."""
    if stream.at == stream.filled:
        stream_fill(stream, 1)
    stream.at += 1
    return uniform_of(stream.words[stream.at - 1])


cdef inline const uint64_t* stream_take(Stream* stream, int count) noexcept nogil:
    """The next `count` words, at most STREAM_WORDS - 4; word >> 11 is the uniform in units of 2^-53."""
    if stream.filled - stream.at < count:
        stream_fill(stream, count)
    stream.at += count
    return stream.words + stream.at - count
