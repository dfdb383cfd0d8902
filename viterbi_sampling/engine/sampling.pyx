"""The samplers of one path: perfect sampling, forward filtering with backward sampling, Viterbi Sampling.

Each goes through the text once from left to right. The thresholds of words that come again are kept.
Since a word lies between cuts, its thresholds are the same numbers wherever it stands, and a sample
does not depend on what the cache holds.
"""

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Sum, add
from viterbi_sampling.engine.choices cimport (
    FFBS, PERFECT, VITERBI_SAMPLING, Algorithm, Weights, add_scores, backward, forward, log_sum, next_edges,
    perfect_choices, perfect_thresholds, sigmoid_choices,
)
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport MORE, Lattice, Vocabulary, lattice_clear, lattice_start
from viterbi_sampling.engine.records cimport Known, draw, learn
from viterbi_sampling.engine.scratch cimport Cell, Scratch, add_step
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path
from viterbi_sampling.engine.words cimport MAX_WORD, Ahead, Slot, Table, find, look_ahead, prefetch

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


cdef int sample_directly(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights,
                         const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t end, Stream* stream,
                         Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """One random path over text[begin:end], which lies between cuts."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin
    cdef int status, done
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = next_edges(vocabulary, algorithm, scratch, &ready, lattice.count + EDGES_AT_ONCE)
        if status < 0:
            return status
        if scratch.cancelled[0]:
            return CANCELLED
        if algorithm == FFBS and status == MORE:
            continue            # sampling backwards needs all edges of a part; the others let go of them as they pass
        if algorithm == PERFECT:
            perfect_thresholds(lattice, weights, scratch.cells, scratch.thresholds.data)
            perfect_choices(lattice, scratch.thresholds.data, scratch.cells, stream)
        elif algorithm == FFBS:
            forward(lattice, weights, scratch.cells, scratch.previous.data)
            backward(lattice, weights, scratch.cells, scratch.previous.data, scratch.thresholds.data,
                     stream)
        else:
            sigmoid_choices(lattice, vocabulary, weights.alpha, scratch.cells, stream)
        if status == OK:
            done = read_back(lattice, vocabulary, weights.alpha, spelling, scratch, out, log_prob)
            if done != OK:
                return done
        lattice_clear(lattice, status == OK)
    return OK


# -- a text ------------------------------------------------------------------------------------------

cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                const Spelling* spelling, const uint8_t* text, int32_t size, Stream* stream, Table* known,
                Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    cdef int32_t at = 0, end, begin
    cdef int word
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef const Known* entry
    cdef int status
    while at < size:
        look_ahead(cuts, known, text, size, at, &ahead)
        if algorithm != VITERBI_SAMPLING:
            # The slots are on their way; once they are here, the records can be asked for.
            begin = at
            for word in range(ahead.count):
                if ahead.ends[word] - begin <= MAX_WORD:
                    slot = find(known, text + begin, ahead.ends[word] - begin, ahead.lows[word], ahead.highs[word], &place)
                    if slot != NULL:
                        entry = <const Known*>slot.payload
                        prefetch(known.arena.data + entry.record)
                        prefetch(known.arena.data + entry.record + 64)
                        prefetch(known.arena.data + entry.record + 128)
                begin = ahead.ends[word]
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = NULL
            if end - at <= MAX_WORD and algorithm != VITERBI_SAMPLING:
                slot = find(known, text + at, end - at, ahead.lows[word], ahead.highs[word], &place)
                if slot == NULL:
                    slot = learn(algorithm, vocabulary, weights, text + at, end - at, known, place, scratch)
            if slot == NULL:
                status = sample_directly(algorithm, vocabulary, weights, spelling, text, at, end, stream, scratch, out,
                                         log_prob)
                if status != OK:
                    return status
            else:
                if not draw(algorithm, <const Known*>slot.payload, known, end - at, vocabulary, spelling, text, at, stream,
                            out, weights.alpha, log_prob):
                    return NO_MEMORY
            at = end
        if scratch.cancelled[0]:
            return CANCELLED
    return OK
