# The lattice of a text: one edge for each piece that matches somewhere.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.endings cimport Automaton
from viterbi_sampling.engine.matches cimport Block, Edge, Step
from viterbi_sampling.engine.trie cimport Entry, Node
from viterbi_sampling.engine.utf8 cimport char_length

cdef enum Restart:              # where the sums of the best path begin anew; no piece spans such a place
    NEVER = 0
    AT_SPACE = 1                # before each space: in each pre-token of Hugging Face's Metaspace
    AFTER_NEWLINE = 2           # after each run of newlines: in each line of BytePiece
    AT_MARKS = 3                # at marks only, where AT_SPACE begins anew, too: between pre-tokens, at added tokens

cdef struct Vocabulary:
    const Node* nodes           # of the trie of the pieces
    const Entry* entries
    const double* scores        # of each token, the unknown one included
    const float* single_scores  # the same for decoding in single precision
    const int32_t* lengths      # bytes of each token; 0 for the unknown one
    int32_t pieces              # tokens from here on are none of the pieces
    int32_t unknown             # the token of an unknown character: one past the last piece; or NO_PIECE
    float unknown_score
    const double* greatest      # by the first byte: no edge that begins with it has a greater score
    double rise                 # no edge has a greater score a byte; at least 0
    double furthest             # no edge has a score of a greater magnitude
    Restart restart
    const uint64_t* held        # the set of the characters that pieces hold: a run of others has one path, of an unknown edge
                                # a character. NULL: it has none, or one of other edges
    bint directly               # no word is looked up or kept
    bint bytewise               # pieces may begin and end inside a character: every byte is a position
    const Step* steps           # of a complete vocabulary: every single byte is a piece, paths lead everywhere; or NULL
    uint32_t root               # the base of its root
    const Automaton* automaton  # of such a vocabulary, if it is not too large; or NULL
    int at_once                 # parts of at most so many paths are sampled with one uniform: see choices.pyx


cdef inline int32_t next_position(const Vocabulary* vocabulary, const uint8_t* text, int32_t at, int32_t size) noexcept nogil:
    """The position after `at` < size: the end of the character, or in a bytewise vocabulary of the byte."""
    return at + 1 if vocabulary.bytewise else min(at + char_length(text[at]), size)


cdef struct Lattice:
    const uint8_t* text
    int32_t size                # where the text ends
    int32_t cut                 # all paths meet here, and all edges before are gone
    int32_t at                  # edges that start before are there
    int32_t frontier            # the furthest end of an edge
    Edge* edges                 # by start rising, then by end rising
    size_t count
    Edge* memory                # they lie in it, and behind them those that are found already for later positions:
    size_t capacity
    size_t found                # from `edges` on so many
    int32_t matched             # all that start before are found
    Block block
    const double* values        # what will be read of each token, asked for when its edge is found; or NULL
    Bytes reached               # one flag a position from the cut on: some path leads here. Not of a complete vocabulary

# The lattice of text[begin:end], where `begin` and `end` are cuts.
cdef void lattice_start(Lattice* lattice, const uint8_t* text, int32_t begin, int32_t end) noexcept nogil

# Forget the edges; with_cut: all paths meet at `at`, where the next part begins.
cdef void lattice_clear(Lattice* lattice, bint with_cut) noexcept nogil

# Forget the edges that end at `at` or before.
cdef void lattice_pass(Lattice* lattice) noexcept nogil

# Add edges until all paths meet again (OK), or there are `limit` of them in all and more to come (MORE),
# or no path leads on (NO_PATH), or NO_MEMORY.
cdef int lattice_extend(Lattice* lattice, const Vocabulary* vocabulary, size_t limit) noexcept nogil

# Find the edges that start in the next block, of a complete vocabulary. False without memory.
cdef bint lattice_match(Lattice* lattice, const Vocabulary* vocabulary) noexcept nogil

cdef enum:
    MORE = 1

cdef void lattice_free(Lattice* lattice) noexcept nogil
