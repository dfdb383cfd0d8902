# What sampling one part of a lattice consists of.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints, Sum
from viterbi_sampling.engine.lattice cimport Lattice, Vocabulary
from viterbi_sampling.engine.scratch cimport Cell, Scratch
from viterbi_sampling.engine.stream cimport Stream

cdef enum Algorithm:
    VITERBI = 0                 # no random path at all: see viterbi.pxd
    PERFECT = 1
    FFBS = 2
    VITERBI_SAMPLING = 3
    NBEST = 4                   # among the best paths: see kbest.pxd

cdef struct Weights:            # exp(alpha * score) of each token: value * 2^exponent
    double alpha
    const double* values
    const int32_t* exponents    # NULL where all are 0

cdef enum:
    MOST_PATHS = 64             # of a part that is drawn at once
    MOST_EDGES = 254            # of such a part, and of a word that is kept

cdef struct Paths:              # all paths over a part, in the order of the choices from its end: see find_paths
    int count
    double thresholds[MOST_PATHS]           # the share of a path and of all before it; the last takes the rest
    int32_t first[MOST_PATHS + 1]           # where the steps of a path begin
    uint8_t steps[MOST_PATHS * MOST_EDGES]  # its edges in the order of the text, as numbers in the lattice

cdef double CERTAIN             # the threshold of a choice that takes no uniform: 2

# Go on with the lattice of the scratch to the next cut, or to `limit` edges (as lattice_extend), and make its cells
# ready, of which those up to `ready` are.
cdef int next_edges(const Vocabulary* vocabulary, Algorithm algorithm, Scratch* scratch, int32_t* ready,
                    size_t limit) noexcept nogil

# The number of paths over the part that the lattice holds; MOST_PATHS + 1 for more. 0 without memory.
cdef int count_paths(const Lattice* lattice, Ints* counts) noexcept nogil

# All paths over a part of at most MOST_PATHS paths and MOST_EDGES edges, whose forward sums are known.
cdef void find_paths(const Lattice* lattice, const Weights* weights, const Cell* cells, const int32_t* previous,
                     Paths* paths) noexcept nogil

# That one of the `count` paths over such a part into whose bracket a uniform falls, as find_paths tells; left in the cells.
# `shares` has room for one number an edge.
cdef void choose_path(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous, int count,
                      double* shares, double uniform) noexcept nogil

# Forward sums, from edge `first` on; `previous` links the edges of each end, the token of a cell is the number of the last
# of them.
cdef void forward(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous, size_t first) noexcept nogil

# The links of `forward`, again, after other edges are gone.
cdef void link_edges(const Lattice* lattice, Cell* cells, int32_t* previous) noexcept nogil

# The logarithm of a sum.
cdef double log_sum(const Cell* cell) noexcept nogil

# The weight of all paths through an edge that starts at `from_`, in the scale of the sum at its end.
cdef double through(const Cell* from_, const Cell* to, const Weights* weights, int32_t token) noexcept nogil

# For each edge that ends at `position` the share of it and of all shorter ones; the longest takes the rest.
cdef void backward_thresholds(const Lattice* lattice, const Weights* weights, const Cell* cells, int32_t position,
                              const int32_t* previous, double* thresholds) noexcept nogil

# Add alpha * score of each token of a path, whatever their order.
cdef void add_scores(Sum* log_prob, const Vocabulary* vocabulary, double alpha, const int32_t* tokens, int32_t count,
                     int32_t stride) noexcept nogil

# The choices of sampling backwards, of perfect sampling over a whole part and from `begin` to `end`, and of the original
# Viterbi Sampling; each leaves in the cells the edge that is kept for each end of the path. `uniforms` has room for one
# number an edge.
cdef void backward(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous,
                   Stream* stream) noexcept nogil
cdef void perfect_path(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous, double* uniforms,
                       Stream* stream) noexcept nogil
cdef void perfect_choices(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous, int32_t begin,
                          int32_t end, Stream* stream) noexcept nogil
cdef void sigmoid_choices(const Lattice* lattice, const Vocabulary* vocabulary, double alpha, Cell* cells,
                          Stream* stream) noexcept nogil
