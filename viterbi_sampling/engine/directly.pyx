"""Sampling with nothing kept: the lattice is built part by part, and one path is chosen over each."""

from libc.stdint cimport int32_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Sum, add
from viterbi_sampling.engine.choices cimport (
    FFBS, MOST_EDGES, MOST_PATHS, VITERBI_SAMPLING, Algorithm, Weights, add_scores, backward, choose_path, count_paths, forward,
    link_edges, log_sum, next_edges, perfect_choices, perfect_path, sigmoid_choices,
)
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport MORE, Lattice, Vocabulary, lattice_clear, lattice_pass, lattice_start
from viterbi_sampling.engine.scratch cimport Cell, Scratch, add_step
from viterbi_sampling.engine.stream cimport Stream, stream_next
from viterbi_sampling.engine.sweeps cimport DRAWN, draw_few, forward_sweep
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path

cdef enum:
    EDGES_AT_ONCE = 4096


cdef int read_back(const Lattice* lattice, const Vocabulary* vocabulary, double alpha, const Spelling* spelling,
                   Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """Add the tokens of the path that was kept for the part, and its log-probability."""
    cdef size_t count = 0
    cdef int32_t position = lattice.at
    cdef const Cell* cell
    while position > lattice.cut:
        cell = &scratch.cells[position - lattice.cut]
        if not add_step(scratch, count, cell.token, position):
            return NO_MEMORY
        count += 1
        position = cell.start
    if log_prob != NULL:
        add_scores(log_prob, vocabulary, alpha, scratch.path.data, <int32_t>count, 2)
        add(log_prob, -log_sum(&scratch.cells[lattice.at - lattice.cut]))
    if not add_path(out, spelling, lattice.text, scratch.path.data, count, lattice.cut):
        return NO_MEMORY
    return OK


cdef inline bint may_be_few(Algorithm algorithm, const Vocabulary* vocabulary, const Lattice* lattice) noexcept nogil:
    """Whether the paths over a part have to be counted, since few of them are drawn with one uniform."""
    # Where all positions are on a path, each edge that its end could do without is another path.
    return (lattice.count <= MOST_EDGES and algorithm != VITERBI_SAMPLING
            and not (vocabulary.steps != NULL and lattice.count >= lattice.at - lattice.cut + <size_t>MOST_PATHS))


cdef inline int more_edges(const Vocabulary* vocabulary, Algorithm algorithm, Scratch* scratch, int32_t* ready) noexcept nogil:
    """Go on with the lattice, as next_edges; CANCELLED where that is wanted."""
    cdef int status = next_edges(vocabulary, algorithm, scratch, ready, scratch.lattice.count + EDGES_AT_ONCE)
    return CANCELLED if status >= 0 and is_raised(scratch.cancelled) else status


cdef int sample_directly(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights,
                         const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t end, Stream* stream,
                         Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin, decided = begin
    cdef int status, done, count
    cdef size_t summed = 0      # edges whose weights are in the sums
    cdef bint whole = True      # no edge of the part is gone
    lattice_start(lattice, text, begin, end)
    lattice.values = weights.values
    while lattice.at < end:
        status = more_edges(vocabulary, algorithm, scratch, &ready)
        if status < 0:
            return status
        if algorithm == FFBS and status == MORE:
            continue            # sampling backwards needs all edges of a part; the others let go of them as they pass
        count = MOST_PATHS + 1
        if status == OK and whole and may_be_few(algorithm, vocabulary, lattice):
            if vocabulary.steps != NULL and vocabulary.at_once == MOST_PATHS and weights.exponents == NULL:
                count = draw_few(lattice, weights, scratch, stream)
            else:
                count = count_paths(lattice, &scratch.path)
            if count == 0:
                return NO_MEMORY
        if count == DRAWN:
            pass
        elif count <= max(1, vocabulary.at_once):
            forward(lattice, weights, scratch.cells, scratch.previous.data, 0)
            choose_path(lattice, weights, scratch.cells, scratch.previous.data, count, scratch.thresholds.data,
                        stream_next(stream) if count > 1 else 0.0)
        elif algorithm == VITERBI_SAMPLING:
            sigmoid_choices(lattice, vocabulary, weights.alpha, scratch.cells, stream)
        else:
            if weights.exponents == NULL:
                forward_sweep(lattice, weights, scratch.cells, scratch.previous.data, summed)
            else:
                forward(lattice, weights, scratch.cells, scratch.previous.data, summed)
            if algorithm == FFBS:
                backward(lattice, weights, scratch.cells, scratch.previous.data, stream)
            elif status == OK and whole:
                perfect_path(lattice, weights, scratch.cells, scratch.previous.data, scratch.thresholds.data, stream)
            else:
                perfect_choices(lattice, weights, scratch.cells, scratch.previous.data, decided, lattice.at, stream)
        decided = lattice.at
        whole = status == OK
        if whole:
            # The probability of a single path is 1.
            done = read_back(lattice, vocabulary, weights.alpha, spelling, scratch, out, log_prob if count != 1 else NULL)
            if done != OK:
                return done
        if whole or algorithm == VITERBI_SAMPLING:
            lattice_clear(lattice, whole)
            summed = 0
        else:
            lattice_pass(lattice)
            link_edges(lattice, scratch.cells, scratch.previous.data)
            summed = lattice.count
    return OK


cdef int count_directly(Algorithm algorithm, const Vocabulary* vocabulary, const uint8_t* text, int32_t begin, int32_t end,
                        Scratch* scratch, uint64_t* total) noexcept nogil:
    """As sample_directly, where no choice is made."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin
    cdef int status, count
    cdef bint whole = True
    cdef Cell* to
    cdef size_t k
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = more_edges(vocabulary, algorithm, scratch, &ready)
        if status < 0:
            return status
        count = MOST_PATHS + 1
        if status == OK and whole and may_be_few(algorithm, vocabulary, lattice):
            count = count_paths(lattice, &scratch.path)
            if count == 0:
                return NO_MEMORY
        if count <= max(1, vocabulary.at_once):
            total[0] += count > 1
        else:
            for k in range(lattice.count):
                to = &scratch.cells[lattice.edges[k].end - lattice.cut]
                if algorithm == VITERBI_SAMPLING:
                    total[0] += to.start >= 0       # for each edge whose end another edge has reached before
                else:
                    total[0] += to.start == 0       # for each end that several edges reach
                to.start = min(to.start + 1, 1)
        whole = status == OK
        lattice_clear(lattice, whole)
    return OK
