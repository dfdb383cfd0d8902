# The steps of a pipeline that replace characters by tables: Unicode normalization forms, accents, case.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from viterbi_sampling.engine.rewriting cimport Text, View

cdef struct Table:              # what characters become
    const uint64_t* touched     # the set of the characters that are not left as they are whatever stands beside them
    const uint32_t* codes       # of those that become something else, rising
    const int32_t* bounds       # code i becomes parts[bounds[i]:bounds[i + 1]]
    const uint32_t* parts
    Py_ssize_t count

cdef struct FormStep:
    Table table                 # full decompositions but for Hangul syllables
    const uint8_t* ranks        # the canonical combining class of each code point
    bint compose
    const uint64_t* pairs       # (first << 32 | second) of pairs that are composed, rising
    const uint32_t* composed    # and what to
    Py_ssize_t pair_count

# Each rewrites the text of `view` into `target`, unless nothing changes. A Status.

cdef int apply_form(const FormStep* step, View* view, Text* target, int32_t shift) noexcept nogil

# Characters become what the table says, nothing among it: they are then removed.
cdef int apply_table(const Table* table, View* view, Text* target, int32_t shift) noexcept nogil
