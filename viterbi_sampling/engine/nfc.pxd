# Unicode's canonical composition (NFC): text that is in it already is looked at once, and copied.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from viterbi_sampling.engine.buffer cimport Bytes, Ints

cdef enum Kind:             # of a character
    PLAIN = 0               # stays what it is, whatever comes before it
    CHANGED = 1             # becomes something else; what comes before it does not matter
    COMBINING = 2           # may be moved before, or composed with, what comes before it

cdef struct Composition:
    const uint8_t* kinds            # of each code point
    const uint64_t* plain_threes    # for the lower half of a first byte << 8, and a second byte: a bit for each third byte
                                    # less 0x80 that ends a plain character of three bytes
    const uint8_t* classes          # the canonical combining class of each code point
    const uint16_t* numbers         # of each code point: that of its decomposition, 0 where it has none (and for Hangul)
    const int32_t* starts           # decomposition n is parts[starts[n]:starts[n + 1]]
    const uint32_t* parts
    const uint64_t* pairs           # first << 32 | second of each pair that composes, rising
    const uint32_t* composites      # what they become
    int32_t count                   # of the pairs

# As `normalize` of normalizer.pxd: text[:size] in NFC, bytes that are not valid UTF-8 replaced by U+FFFD.
cdef int compose(const Composition* composition, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil

cdef class Composer:
    cdef Composition composition
    cdef object arrays              # own what `composition` points to
