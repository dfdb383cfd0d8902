# The best path.

from libc.math cimport fabs
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy

from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport AT_MARKS, AT_SPACE, Vocabulary
from viterbi_sampling.engine.scratch cimport Pair, Scratch
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.utf8 cimport MARK
from viterbi_sampling.engine.words cimport Slot, Table

cdef struct Record:             # of a word that has no place in its slot; then its tokens
    float limit
    float total                 # of |score|, rounded up
    int32_t count
    bint has_unknown

cdef struct Score:              # the score of the path so far
    double value                # in the given precision, as it was ...
    size_t known                # ... when there were so many tokens
    float bound                 # on its magnitude now, but for 1 %


cdef inline float float_of(uint32_t bits) noexcept nogil:
    cdef float x
    memcpy(&x, &bits, 4)
    return x


cdef inline float limit_of(const Slot* slot) noexcept nogil:
    """The score up to which a word is known, of one whose tokens are in its slot."""
    return float_of(slot.link & <uint32_t>0xFFFF0000U)


cdef inline void known_now(Score* score, double value, size_t count) noexcept nogil:
    score.value = value
    score.known = count
    score.bound = <float>fabs(value)


cdef inline bint begins_anew(const Vocabulary* vocabulary, const uint8_t* text, int32_t at) noexcept nogil:
    """Whether the sum begins anew at a cut of the text, where the vocabulary has such places."""
    if vocabulary.restart == AT_SPACE:
        return text[at] == 0x20 or text[at] >= MARK
    if vocabulary.restart == AT_MARKS:
        return text[at] >= MARK
    return at > 0 and text[at - 1] == 0x0A and text[at] != 0x0A


# Keep the best path of a word of at most MAX_WORD bytes; its slot, or NULL where it is not kept.
cdef Slot* learn(const Vocabulary* vocabulary, bint single_precision, const uint8_t* word, int32_t size, Table* known,
                 Slot* place, Pair* pairs) noexcept nogil

# Work out the score of the path after `count` tokens, of which those since it was known are no unknown ones.
cdef void know(Score* score, const Vocabulary* vocabulary, bint single_precision, const int32_t* tokens,
               size_t count) noexcept nogil

# Add the tokens of the best path over text[begin:size], from cut to cut, after a path with the given score. A Status.
cdef int between(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, bint single_precision,
                 const uint8_t* text, int32_t begin, int32_t size, Table* known, Score* score, Scratch* scratch,
                 Tokens* out) noexcept nogil

# Add the tokens of the best path over text[:size] to `out`, found with sums in single or double precision from left to
# right, which begin anew where the vocabulary says. A Status. Linear in the edges. Words that come again are looked up in
# `known`, a table for this precision only.
cdef int viterbi(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, bint single_precision,
                 const uint8_t* text, int32_t size, Table* known, Scratch* scratch, Tokens* out) noexcept nogil
