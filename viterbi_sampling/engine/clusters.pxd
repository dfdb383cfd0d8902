# The steps of a pipeline that look at grapheme clusters: sentencepiece's character map as tokenizers applies it.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from viterbi_sampling.engine.rewriting cimport Text, View

cdef struct MapStep:
    const uint32_t* units       # the Darts double array of the character map
    const uint8_t* replacements # strings, each ended by a zero byte
    const uint64_t* touched     # the set of the characters that a rule stands for, or whose class is not OTHER
    const uint8_t* classes      # of each code point: see steps/characters.py
    bint printable              # no printable ASCII character has a rule

# Rewrite the text of `view` into `target`, unless nothing changes. A Status.
cdef int apply_map(const MapStep* step, View* view, Text* target, int32_t shift) noexcept nogil

# Add to a set each character that has a rule of its own.
cdef void mark_ruled(const uint32_t* units, uint64_t* set) noexcept nogil
