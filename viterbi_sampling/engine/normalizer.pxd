# A text rewritten by the model's rules, into the alphabet of the trie: a space stands for U+2581.

from libc.stdint cimport uint8_t, uint32_t

from viterbi_sampling.engine.buffer cimport Bytes, Ints
from viterbi_sampling.engine.nfc cimport Composer, Composition
from viterbi_sampling.engine.trie cimport Node, Trie

cdef struct Rules:
    const uint32_t* units           # the Darts double array of the character map, or NULL
    const uint8_t* replacements     # strings, each ended by a zero byte
    const Node* symbols             # the trie of the user-defined pieces, or NULL
    const uint8_t* special          # one bit a code point: a rule or a symbol may begin with it
    const uint8_t* plain            # 256 flags: copied as it is when an ASCII byte, or nothing, follows
    bint add_dummy_prefix
    bint remove_extra_whitespaces
    bint escape_whitespaces
    bint whitespace_as_suffix
    # Of a pipeline: what rewrites the text instead of these rules; `origins` then holds for each byte of `out` where what
    # it comes from begins and ends.
    int (*prepare)(const void* pipeline, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil
    const void* pipeline
    const Composition* composition  # NFC and none of the above, where it is not NULL

# Rewrite text[:size] into `out`, after which SLACK more bytes can be read. With `origins`, origins[i] becomes the
# position in `text` that byte i of `out` comes from, and one more entry the end; it stays empty where `out` does. A
# Status.
cdef int normalize(const Rules* rules, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil

# The same for a part of a text, between borders where normalization is in no special state (borders.pyx); not for a pipeline.
cdef int normalize_part(const Rules* rules, const uint8_t* text, size_t size, bint first, bint last, Bytes* out,
                        Ints* origins) noexcept nogil

cdef class Normalizer:
    cdef Rules rules
    cdef object charsmap            # owns what `rules` points to
    cdef object units
    cdef object special
    cdef object plain
    cdef Trie symbols
    cdef Composer composer
    cdef int longest_match          # bytes of a rule or a symbol; see borders.pyx
    cdef int find_longest_match(self) except -2
