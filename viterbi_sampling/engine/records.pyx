"""What is kept of a word for sampling.

A record holds the thresholds of a word's edges, for one algorithm and one alpha, and is made by the
functions that sample without a cache (choices.pyx). A draw compares uniforms with them, in the
same order, so it makes the same choices.
"""

from libc.math cimport ceil
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport OK, Sum, add
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_start
from viterbi_sampling.engine.choices cimport (
    CERTAIN, PERFECT, Algorithm, Weights, add_scores, backward_thresholds, forward, log_sum, next_edges,
    perfect_thresholds,
)
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream, stream_take
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens
from viterbi_sampling.engine.words cimport MAX_WORD, SHORT_WORD, Slot, Table, take

cdef enum:
    MOST_EDGES = 254            # of a word that is kept
    NO_EDGE = 255

cdef uint64_t CERTAIN_UNITS = 0x4000000000000000    # CERTAIN in a record


cdef inline size_t record_bytes(int32_t size, size_t thresholds, size_t edges) noexcept nogil:
    return thresholds * sizeof(uint64_t) + edges * (sizeof(int32_t) + 2) + size + 2


cdef inline uint64_t in_units(double threshold) noexcept nogil:
    return <uint64_t>ceil(threshold * 9007199254740992.0)


cdef Slot* learn(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                 int32_t size, Table* known, Slot* place, Scratch* scratch) noexcept nogil:
    """Keep the thresholds of a word; its slot, or NULL where it is not kept."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = 0, position, k, at = 0
    cdef size_t head = (size + 7) & ~7 if size > SHORT_WORD else 0, i
    cdef const Edge* edge
    cdef double thresholds[MOST_EDGES]
    cdef Edge edges[MOST_EDGES]
    cdef uint8_t part_ends[MAX_WORD + 1]
    cdef uint8_t first[MAX_WORD + 2]
    cdef size_t count = 0, choices = 0, wanted
    cdef bint has_unknown = False
    cdef double total = 0
    cdef Slot* slot
    cdef Known* entry
    cdef Record record
    cdef int status
    memset(first, NO_EDGE, sizeof(first))
    lattice_start(lattice, word, 0, size)
    while lattice.at < size:
        status = next_edges(vocabulary, algorithm, scratch, &ready, MOST_EDGES)
        if status != OK or count + lattice.count > MOST_EDGES:
            return NULL
        if algorithm == PERFECT:
            perfect_thresholds(lattice, weights, scratch.cells, scratch.thresholds.data)
            for i in range(lattice.count):
                edges[count + i] = lattice.edges[i]
                thresholds[count + i] = scratch.thresholds.data[i]
            count += lattice.count
        else:
            forward(lattice, weights, scratch.cells, scratch.previous.data)
            for position in range(lattice.cut + 1, lattice.at + 1):
                first[position] = <uint8_t>count
                if scratch.cells[position - lattice.cut].start < 0:
                    continue
                backward_thresholds(lattice, weights, scratch.cells, position, scratch.previous.data,
                                    scratch.thresholds.data)
                k = scratch.cells[position - lattice.cut].token
                while k >= 0:
                    edges[count] = lattice.edges[k]
                    thresholds[count] = scratch.thresholds.data[k]
                    count += 1
                    k = scratch.previous.data[k]
            part_ends[choices] = <uint8_t>lattice.at
            choices += 1
        total += log_sum(&scratch.cells[lattice.at - lattice.cut])
        lattice_clear(lattice, True)
    wanted = count
    if algorithm == PERFECT:
        for i in range(count):
            choices += thresholds[i] != CERTAIN
        wanted = choices
    slot = take(known, place, word, size, head + record_bytes(size, wanted, count))
    if slot == NULL:
        return NULL
    entry = <Known*>slot.payload
    entry.record = entry.offset + <int32_t>head
    entry.edges = <int32_t>count
    entry.thresholds = <int32_t>wanted
    record = record_at(known.arena.data + entry.record, wanted, count)
    if algorithm == PERFECT:
        at = <int32_t>choices
        choices = 0
        for i in range(count):
            edge = &edges[i]
            if thresholds[i] != CERTAIN:
                record.thresholds[choices] = in_units(thresholds[i])
                k = <int32_t>choices
                choices += 1
            else:
                k = at
                first[edge.end] = <uint8_t>at
                at += 1
            record.tokens[k] = edge.token
            record.starts[k] = <uint8_t>edge.start
            record.ends[k] = <uint8_t>edge.end
            has_unknown = has_unknown or edge.token == vocabulary.unknown
    else:
        for i in range(count):
            record.thresholds[i] = CERTAIN_UNITS if thresholds[i] == CERTAIN else in_units(thresholds[i])
            record.tokens[i] = edges[i].token
            record.starts[i] = <uint8_t>edges[i].start
            has_unknown = has_unknown or edges[i].token == vocabulary.unknown
        memcpy(record.ends, part_ends, choices)
    memcpy(record.first, first, size + 2)
    entry.choices = <int32_t>choices
    entry.has_unknown = has_unknown
    entry.log_sum = total
    return slot


cdef bint draw_perfect(const Known* entry, Record record, int32_t size, const Vocabulary* vocabulary,
                       const Spelling* spelling, const uint8_t* text, int32_t begin, Stream* stream,
                       Tokens* out, double alpha, Sum* log_prob) noexcept nogil:
    """The choices of perfect_choices, from a record, and the tokens they give. False without memory."""
    cdef uint8_t kept[MAX_WORD + 2]
    cdef int32_t tokens[MAX_WORD + 1]
    cdef int32_t k, position = size, at = MAX_WORD + 1
    cdef uint8_t end
    cdef const uint64_t* words = stream_take(stream, entry.choices)
    memcpy(kept, record.first, size + 2)
    for k in range(entry.choices):
        end = record.ends[k]
        kept[end] = <uint8_t>k if words[k] >> 11 < record.thresholds[k] else kept[end]
    while position > 0:
        at -= 1
        tokens[at] = record.tokens[kept[position]]
        position = record.starts[kept[position]]
    if log_prob != NULL:
        add_scores(log_prob, vocabulary, alpha, tokens + at, MAX_WORD + 1 - at, 1)
    return add_tokens(out, spelling, vocabulary.lengths, text, begin, tokens + at, MAX_WORD + 1 - at, entry.has_unknown)


cdef bint draw_backwards(const Known* entry, Record record, const Vocabulary* vocabulary, const Spelling* spelling,
                         const uint8_t* text, int32_t begin, Stream* stream, Tokens* out, double alpha,
                         Sum* log_prob) noexcept nogil:
    """The choices of `backward`, from a record, and the tokens they give. False without memory."""
    cdef int32_t tokens[MAX_WORD + 1]
    cdef int32_t part, k, position, stop = 0, at
    cdef uint64_t uniform
    for part in range(entry.choices):
        at = MAX_WORD + 1
        position = record.ends[part]
        while position > stop:
            k = record.first[position]
            if record.thresholds[k] != CERTAIN_UNITS:
                uniform = stream_take(stream, 1)[0] >> 11
                while uniform >= record.thresholds[k]:
                    k += 1
            at -= 1
            tokens[at] = record.tokens[k]
            position = record.starts[k]
        if log_prob != NULL:
            add_scores(log_prob, vocabulary, alpha, tokens + at, MAX_WORD + 1 - at, 1)
        if not add_tokens(out, spelling, vocabulary.lengths, text, begin + stop, tokens + at, MAX_WORD + 1 - at,
                          entry.has_unknown):
            return False
        stop = record.ends[part]
    return True


cdef bint draw(Algorithm algorithm, const Known* entry, const Table* known, int32_t size, const Vocabulary* vocabulary,
               const Spelling* spelling, const uint8_t* text, int32_t begin, Stream* stream, Tokens* out, double alpha,
               Sum* log_prob) noexcept nogil:
    cdef Record record = record_at(known.arena.data + entry.record, entry.thresholds, entry.edges)
    if log_prob != NULL:
        add(log_prob, -entry.log_sum)
    if algorithm == PERFECT:
        return draw_perfect(entry, record, size, vocabulary, spelling, text, begin, stream, out, alpha, log_prob)
    return draw_backwards(entry, record, vocabulary, spelling, text, begin, stream, out, alpha, log_prob)
