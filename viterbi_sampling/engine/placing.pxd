# Where tokens lie in the given text.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints

cdef struct Given:              # the text as it was given
    const uint8_t* text
    int32_t size
    bint in_characters          # spans are counted in characters, not in bytes

cdef struct Cursor:             # a place in the given text that was reached
    int32_t position
    int32_t characters

# Turn the spans from `first` to `end` from positions in the normalized text into ones in the given text. `origins`: where
# each byte of the normalized text and its end come from; with `aligned`, of a pipeline, a begin and an end for each byte.
cdef void place_spans(const Given* given, const Ints* origins, bint aligned, int32_t* first, int32_t* end) noexcept nogil

# The same but for a pipeline, for spans none of which begins before the cursor.
cdef void place_next(const Given* given, const Ints* origins, Cursor* cursor, int32_t* first, int32_t* end) noexcept nogil
