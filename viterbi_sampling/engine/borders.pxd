# Borders: places where a text falls apart into texts of their own.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.normalizer cimport Rules

cdef struct Grounds:            # what tells borders
    const Vocabulary* vocabulary
    const CutTable* cuts
    const Rules* rules          # NULL: of a normalized text
    int32_t least               # bytes that must stay in front of a border

# False where texts have none, since sums, unknown characters or normalization do not allow for any. `normalized`: of
# normalized texts.
cdef bint set_grounds(Grounds* grounds, Encoder encoder, bint best_path, bint normalized) except -1

# The first border from `at` on that a search of bounded length finds, or `size`.
cdef int32_t next_border(const Grounds* grounds, const uint8_t* text, int32_t size, int32_t at) noexcept nogil
