# What is kept of a word for sampling: thresholds, ready to be compared with uniforms.

from libc.stdint cimport int32_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport Sum
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.choices cimport Algorithm, Weights
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.words cimport Slot, Table

cdef struct Known:              # the payload of a slot
    int32_t offset              # of the word's record in the arena
    int32_t choices             # PERFECT: edges that take a uniform; they come first. FFBS: parts
    int32_t edges
    bint has_unknown
    int32_t record              # where the record's arrays begin
    int32_t thresholds
    double log_sum              # the logarithm of the sum of the weights of all its paths

# The arrays of a record, one after the other: thresholds (uint64, one a choice; FFBS: one an edge), tokens (int32, one
# an edge), starts (byte, one an edge), ends (byte, one an edge), first (byte, one a position of the word and one more).
# A threshold is in units of the uniforms, 2^-53, rounded up: k * 2^-53 < t if and only if k < ceil(t * 2^53).
# PERFECT: edges in their order; `first` is the edge that an end has before any choice.
# FFBS: edges by end, of each end from the shortest to the longest; `first` is where those of an end begin, and `ends`
# has the ends of the parts.

cdef struct Record:
    uint64_t* thresholds
    int32_t* tokens
    uint8_t* starts
    uint8_t* ends
    uint8_t* first


cdef inline Record record_at(uint8_t* data, size_t thresholds, size_t edges) noexcept nogil:
    cdef Record record
    record.thresholds = <uint64_t*>data
    record.tokens = <int32_t*>(data + thresholds * sizeof(uint64_t))
    record.starts = <uint8_t*>(record.tokens + edges)
    record.ends = record.starts + edges
    record.first = record.ends + edges
    return record


# Keep the thresholds of a word; its slot, or NULL where it is not kept.
cdef Slot* learn(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                 int32_t size, Table* known, Slot* place, Scratch* scratch) noexcept nogil

# Add the tokens of one random path over a word of `size` bytes that begins at `begin`. False without memory.
cdef bint draw(Algorithm algorithm, const Known* entry, const Table* known, int32_t size, const Vocabulary* vocabulary,
               const Spelling* spelling, const uint8_t* text, int32_t begin, Stream* stream, Tokens* out, double alpha,
               Sum* log_prob) noexcept nogil
