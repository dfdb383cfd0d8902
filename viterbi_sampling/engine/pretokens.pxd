# The way of a normalized text into the engine: cut into pre-tokens, marks for added tokens between them.

from libc.stdint cimport int32_t

from viterbi_sampling.engine.buffer cimport Bytes, Ints
from viterbi_sampling.engine.rewriting cimport View

cdef enum Cutting:
    WHOLE = 0                   # no pre-tokens
    SPACES = 1                  # U+2581 is a space for the engine, as spaces are: pre-tokens begin at them, or there are none
    WORDS = 2                   # white space goes, each word begins with a space

cdef enum Prefix:               # whether a space is put first
    NEVER = 0
    FIRST_ONLY = 1              # where the text is the beginning of the given one: its origins say so
    ALWAYS = 2

cdef struct Output:             # what the engine gets
    Bytes* bytes
    Ints* origins               # or NULL

# Add the pre-tokens of a text. A Status.
cdef int append_text(Cutting cutting, Prefix prefix, const View* view, Output* out) noexcept nogil

# Add the mark of an added token, which stands for view.text[begin:end]. False without memory.
cdef bint append_mark(Output* out, int32_t number, const View* view, size_t begin, size_t end) noexcept nogil
