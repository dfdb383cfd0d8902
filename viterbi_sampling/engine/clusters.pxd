# The steps of a pipeline that look at grapheme clusters: sentencepiece's character map as tokenizers applies it.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.rewriting cimport Text, View

cdef enum:
    CLUSTER = 1                 # flags of a code point: its class is not OTHER
    RULED = 2                   # a rule of the map stands for it alone

cdef struct MapStep:
    const uint32_t* units       # the Darts double array of the character map
    const uint8_t* replacements # strings, each ended by a zero byte
    const uint8_t* flags        # of each code point
    const uint8_t* classes      # of each code point: see steps/characters.py
    bint printable              # no printable ASCII character has a rule

# Rewrite the text of `view` into `target`, unless nothing changes. A Status.
cdef int apply_map(const MapStep* step, View* view, Text* target, int32_t shift) noexcept nogil

# Set RULED in the flags of each code point that has a rule.
cdef void mark_ruled(const uint32_t* units, uint8_t* flags) noexcept nogil
