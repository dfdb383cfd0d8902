# The steps of a pipeline that remove or replace strings, runs of characters, and white space at the ends.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.rewriting cimport Text, View

cdef enum:
    MOST_RANGES = 32

cdef enum Pattern:
    EVERY_STRING = 0            # a string wherever it stands
    EVERY_RUN = 1               # a run of certain characters wherever it stands
    AT_START = 2                # a string where the text begins with it
    AT_END = 3                  # a string where the text ends with it

cdef struct ReplaceStep:
    Pattern kind
    const uint8_t* pattern      # the string
    size_t pattern_size
    const uint8_t* content      # what is put in its place
    size_t content_size
    uint32_t ranges[2 * MOST_RANGES]    # of EVERY_RUN: first and last code points
    int range_count
    uint8_t ascii[128]          # which of ASCII are in the ranges
    uint8_t firsts[256]         # which bytes a character of the ranges may begin with
    int twice                   # the ASCII character of which two in a row are looked for, -1 where it is another run
    int low                     # at least so many in a row
    bint exact                  # and no more
    bint repeated               # of AT_START and AT_END: the string any number of times

# Each rewrites the text of `view` into `target`, unless nothing changes. A Status.

cdef int apply_replace(const ReplaceStep* step, View* view, Text* target, int32_t shift) noexcept nogil

# A string is put before a text that is not empty.
cdef int apply_first(const uint8_t* content, size_t size, View* view, Text* target, int32_t shift) noexcept nogil

# White space at the ends goes: the view becomes smaller.
cdef void apply_strip(bint left, bint right, View* view) noexcept nogil

# Where the white space that text[begin:end] ends with begins.
cdef size_t without_white_end(const uint8_t* text, size_t begin, size_t end) noexcept nogil
