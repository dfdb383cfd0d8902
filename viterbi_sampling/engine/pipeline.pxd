# A pipeline ready to run: added tokens, the steps that rewrite a text, and how pre-tokens are cut.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from viterbi_sampling.engine.clusters cimport MapStep
from viterbi_sampling.engine.forms cimport FormStep, Table
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.rewriting cimport Text, View
from viterbi_sampling.engine.trie cimport Node, Trie

cdef enum StepKind:
    MAP = 0                     # sentencepiece's character map
    FORM = 1                    # a Unicode normalization form
    TABLE = 2                   # characters by a table
    STRIP = 3                   # white space at the ends goes
    STRING = 4                  # a string is replaced
    RUN = 5                     # a run of certain characters is replaced
    START = 6                   # a string where the text begins is replaced
    FIRST = 7                   # a string is put first

cdef enum:
    MOST_RANGES = 32

cdef struct Step:
    StepKind kind
    MapStep map
    FormStep form
    Table table
    bint left                   # of STRIP
    bint right
    const uint8_t* pattern      # of STRING and START
    size_t pattern_size
    const uint8_t* content
    size_t content_size
    uint32_t ranges[2 * MOST_RANGES]    # of RUN: first and last code points
    int range_count
    uint8_t ascii[128]          # which of ASCII are in the ranges
    int low                     # at least so many in a row
    bint exact                  # and no more

cdef enum Cutting:
    WHOLE = 0                   # no pre-tokens
    SPACES = 1                  # U+2581 is a space for the engine, as spaces are: pre-tokens begin at them, or there are none
    WORDS = 2                   # white space goes, each word begins with a space

cdef enum Prefix:
    NEVER = 0
    FIRST_ONLY = 1
    ALWAYS = 2

cdef struct Splitter:           # added tokens
    const Node* nodes           # or NULL for none
    const uint8_t* firsts       # 256 flags: the first bytes of tokens
    int only_first              # the one they all have, or -1
    const uint8_t* strips       # by number: 1 white space before a token is its own, 2 that after it

cdef struct Pipeline:
    Splitter before             # found in the text as it is given
    Splitter after              # found in the normalized text
    const Step* steps
    int count
    Cutting cutting
    Prefix prefix

cdef class PipelineNormalizer(Normalizer):
    cdef Pipeline pipeline
    cdef Step* steps
    cdef list owners            # what the steps point to
    cdef int set_table(self, Table* table, needed) except -1
    cdef int set_step(self, Step* step, needed) except -1
    cdef int set_content(self, Step* step, content) except -1
    cdef int set_splitter(self, Splitter* splitter, needed) except -1
