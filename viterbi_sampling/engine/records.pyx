"""What is kept of a word for sampling.

A record holds the thresholds of a word, for one algorithm and one alpha, and is made by the
functions that sample without a cache (choices.pyx). A draw compares uniforms with them, in the
same order, so it makes the same choices.
"""

from libc.math cimport ceil
from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport OK, Sum, add, reserve_ints
from viterbi_sampling.engine.choices cimport (
    CERTAIN, MOST_EDGES, PERFECT, Algorithm, Paths, Weights, add_scores, backward_thresholds, count_paths, find_paths,
    forward, log_sum, next_edges, perfect_thresholds,
)
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_start
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream, stream_take
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens
from viterbi_sampling.engine.words cimport INLINE_TOKENS, MAX_WORD, READ_BEYOND, SHORT_WORD, Slot, Table, record_of, take

cdef enum:
    NO_EDGE = 255

cdef uint64_t CERTAIN_UNITS = 0x4000000000000000    # CERTAIN in a record


cdef inline uint64_t in_units(double threshold) noexcept nogil:
    return <uint64_t>ceil(threshold * 9007199254740992.0)


cdef inline size_t filled_up(size_t count, size_t multiple) noexcept nogil:
    return (count + multiple - 1) // multiple * multiple


# -- learning ------------------------------------------------------------------------------------------

cdef struct Lesson:             # what is found out about a word, before it is known what will be kept
    int parts
    int choosing                # parts with several paths
    int32_t before              # edges in front of the last of these
    Paths paths                 # the paths of that one; its steps count from its own first edge
    size_t edge_count
    Edge edges[MOST_EDGES]
    uint8_t part_ends[MAX_WORD + 1]
    bint has_unknown
    double log_sum


cdef bint study(const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word, int32_t size,
                Scratch* scratch, Lesson* lesson) noexcept nogil:
    """Find out about a word all that it takes to draw its parts at once. False where it has too many edges."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = 0, k
    cdef int status, count
    cdef size_t i
    lesson.parts = lesson.choosing = lesson.before = 0
    lesson.paths.count = 0
    lesson.edge_count = 0
    lesson.has_unknown = False
    lesson.log_sum = 0
    lattice_start(lattice, word, 0, size)
    while lattice.at < size:
        status = next_edges(vocabulary, PERFECT, scratch, &ready, MOST_EDGES + 1)
        if status != OK or lesson.edge_count + lattice.count > MOST_EDGES:
            return False
        memcpy(lesson.edges + lesson.edge_count, lattice.edges, lattice.count * sizeof(Edge))
        for i in range(lattice.count):
            lesson.has_unknown = lesson.has_unknown or lattice.edges[i].token >= vocabulary.pieces
        forward(lattice, weights, scratch.cells, scratch.previous.data)
        lesson.log_sum += log_sum(&scratch.cells[lattice.at - lattice.cut])
        count = count_paths(lattice, &scratch.path)
        if count == 0:
            return False
        if count > 1:
            lesson.choosing += 1
            lesson.before = <int32_t>lesson.edge_count
            lesson.paths.count = 0
            if count <= vocabulary.at_once:
                find_paths(lattice, weights, scratch.cells, scratch.previous.data, &lesson.paths)
        lesson.edge_count += lattice.count
        lesson.part_ends[lesson.parts] = <uint8_t>lattice.at
        lesson.parts += 1
        lattice_clear(lattice, True)
    return True


cdef Slot* keep_at_once(const uint8_t* word, int32_t size, Lesson* lesson, Table* known, Slot* place) noexcept nogil:
    cdef int32_t first[MAX_WORD + 1]        # the single edge to a position, in parts with one path
    cdef uint8_t front[MAX_WORD + 1]        # the edges before and after the part with several paths
    cdef uint8_t behind[MAX_WORD + 1]
    cdef int32_t fronts = 0, behinds = 0, longest = 0, count, i, k, begin, at
    cdef int path
    cdef uint64_t units
    cdef Slot* slot
    cdef Known* entry
    cdef AtOnce record
    cdef uint8_t* row
    cdef int paths = lesson.paths.count if lesson.choosing else 1
    cdef int32_t chosen_begin = lesson.edges[lesson.before].start if lesson.choosing else size
    # The edges of parts with one path, read back from the end of each.
    for i in range(<int32_t>lesson.edge_count):
        first[lesson.edges[i].end] = i
    for k in range(lesson.parts - 1, -1, -1):
        begin = lesson.part_ends[k - 1] if k else 0
        if lesson.choosing and begin == chosen_begin:
            continue
        at = lesson.part_ends[k]
        while at > begin:
            if begin < chosen_begin:
                front[fronts] = <uint8_t>first[at]
                fronts += 1
            else:
                behind[behinds] = <uint8_t>first[at]
                behinds += 1
            at = lesson.edges[first[at]].start
    for path in range(paths):
        count = fronts + behinds
        if lesson.choosing:
            count += lesson.paths.first[path + 1] - lesson.paths.first[path]
        longest = max(longest, count)
    if paths == 1 and longest <= INLINE_TOKENS and size <= SHORT_WORD and not lesson.has_unknown:
        slot = take(known, place, word, size, 0)
        if slot != NULL:
            slot.tokens[1] = slot.tokens[2] = -1
            for i in range(longest):
                # No part has several paths, so that all edges lie in front of it, the last first.
                slot.tokens[i] = lesson.edges[front[longest - 1 - i]].token
        return slot
    slot = take(known, place, word, size, sizeof(Known) + filled_up(paths - 1, BLOCK) * sizeof(int16_t) + (paths - 1) * 8
                + lesson.edge_count * sizeof(int32_t) + paths * filled_up(longest + 1, ROW))
    if slot == NULL:
        return NULL
    entry = <Known*>record_of(known, slot)
    entry.log_sum = lesson.log_sum
    entry.kind = AT_ONCE
    entry.choices = <uint16_t>paths
    entry.edges = <uint16_t>lesson.edge_count
    entry.stride = <uint8_t>filled_up(longest + 1, ROW)
    entry.has_unknown = lesson.has_unknown
    record = at_once(entry)
    for i in range(entry.edges):
        record.tokens[i] = lesson.edges[i].token
    memset(record.rows, 0, paths * entry.stride)
    for path in range(paths):
        row = record.rows + path * entry.stride + 1
        for i in range(fronts - 1, -1, -1):
            row[0] = front[i]
            row += 1
        if lesson.choosing:
            for i in range(lesson.paths.first[path], lesson.paths.first[path + 1]):
                row[0] = <uint8_t>(lesson.paths.steps[i] + lesson.before)
                row += 1
        for i in range(behinds - 1, -1, -1):
            row[0] = behind[i]
            row += 1
        record.rows[path * entry.stride] = <uint8_t>(row - record.rows - path * entry.stride - 1)
    for i in range(thresholds_of(entry)):
        units = in_units(lesson.paths.thresholds[i] if i < paths - 1 else 1.0)
        # A threshold of 2^53 lies above all uniforms; no upper bits of one are greater.
        record.highs[i] = <int16_t>min(units >> 38, <uint64_t>0x7FFF)
        if i < paths - 1:
            memcpy(record.thresholds + 8 * i, &units, 8)
    return slot


cdef inline size_t record_bytes(int32_t size, size_t thresholds, size_t edges) noexcept nogil:
    return sizeof(Known) + thresholds * sizeof(uint64_t) + edges * (sizeof(int32_t) + 2) + size + 2


cdef Slot* keep_one_by_one(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                           int32_t size, const Lesson* lesson, Table* known, Slot* place, Scratch* scratch) noexcept nogil:
    """Keep the thresholds of the edges of a word that is one part."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = 0, position, k
    cdef size_t i
    cdef const Edge* edge
    cdef double thresholds[MOST_EDGES]
    cdef Edge edges[MOST_EDGES]
    cdef uint8_t first[MAX_WORD + 2]
    cdef size_t count = 0, choices = 0, certain
    cdef Slot* slot
    cdef Known* entry
    cdef Record record
    memset(first, NO_EDGE, sizeof(first))
    lattice_start(lattice, word, 0, size)
    if next_edges(vocabulary, algorithm, scratch, &ready, MOST_EDGES + 1) != OK:
        return NULL
    if algorithm == PERFECT:
        perfect_thresholds(lattice, weights, scratch.cells, scratch.thresholds.data)
        for i in range(lattice.count):
            edges[i] = lattice.edges[i]
            thresholds[i] = scratch.thresholds.data[i]
            choices += thresholds[i] != CERTAIN
        count = lattice.count
    else:
        forward(lattice, weights, scratch.cells, scratch.previous.data)
        for position in range(1, size + 1):
            first[position] = <uint8_t>count
            if scratch.cells[position].start < 0:
                continue
            backward_thresholds(lattice, weights, scratch.cells, position, scratch.previous.data, scratch.thresholds.data)
            k = scratch.cells[position].token
            while k >= 0:
                edges[count] = lattice.edges[k]
                thresholds[count] = scratch.thresholds.data[k]
                count += 1
                k = scratch.previous.data[k]
        choices = count
    slot = take(known, place, word, size, record_bytes(size, choices, count))
    if slot == NULL:
        return NULL
    entry = <Known*>record_of(known, slot)
    entry.log_sum = lesson.log_sum
    entry.kind = ONE_BY_ONE
    entry.choices = <uint16_t>choices
    entry.edges = <uint16_t>count
    entry.has_unknown = lesson.has_unknown
    record = record_at(entry)
    certain = choices
    choices = 0
    for i in range(count):
        edge = &edges[i]
        k = <int32_t>i
        if algorithm != PERFECT:
            record.thresholds[i] = CERTAIN_UNITS if thresholds[i] == CERTAIN else in_units(thresholds[i])
        elif thresholds[i] != CERTAIN:
            record.thresholds[choices] = in_units(thresholds[i])
            k = <int32_t>choices
            choices += 1
        else:
            k = <int32_t>certain
            first[edge.end] = <uint8_t>k
            certain += 1
        record.tokens[k] = edge.token
        record.starts[k] = <uint8_t>edge.start
        record.ends[k] = <uint8_t>edge.end
    memcpy(record.first, first, size + 2)
    return slot


cdef Slot* keep_split(const uint8_t* word, int32_t size, const Lesson* lesson, Table* known, Slot* place) noexcept nogil:
    """Keep where the parts of a word end."""
    cdef Slot* slot = take(known, place, word, size, sizeof(Known) + lesson.parts)
    cdef Known* entry
    if slot != NULL:
        entry = <Known*>record_of(known, slot)
        entry.kind = SPLIT
        entry.choices = <uint16_t>lesson.parts
        memcpy(entry + 1, lesson.part_ends, lesson.parts)
    return slot


cdef Slot* learn(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                 int32_t size, Table* known, Slot* place, Scratch* scratch) noexcept nogil:
    cdef Lesson lesson
    if place == NULL or not study(vocabulary, weights, word, size, scratch, &lesson):
        return NULL
    if lesson.choosing == 0 or (lesson.choosing == 1 and lesson.paths.count):
        return keep_at_once(word, size, &lesson, known, place)
    if lesson.parts == 1:
        return keep_one_by_one(algorithm, vocabulary, weights, word, size, &lesson, known, place, scratch)
    return keep_split(word, size, &lesson, known, place)


# -- drawing -------------------------------------------------------------------------------------------

cdef bint add_tokens_of(const int32_t* tokens, int32_t count, double log_sum, bint has_unknown,
                        const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin,
                        Tokens* out, double alpha, Sum* log_prob) noexcept nogil:
    if log_prob != NULL:
        add(log_prob, -log_sum)
        add_scores(log_prob, vocabulary, alpha, tokens, count, 1)
    return add_tokens(out, spelling, vocabulary.lengths, text, begin, tokens, count, has_unknown)


cdef bint draw_perfect(const Known* entry, Record record, int32_t size, const Vocabulary* vocabulary,
                       const Spelling* spelling, const uint8_t* text, int32_t begin, Stream* stream,
                       Tokens* out, double alpha, Sum* log_prob) noexcept nogil:
    """The choices of perfect_choices, from a record, and the tokens they give. False without memory."""
    cdef uint8_t kept[READ_BEYOND]
    cdef int32_t tokens[MAX_WORD + 1]
    cdef int32_t k, position = size, at = MAX_WORD + 1
    cdef uint8_t end
    cdef const uint64_t* words = stream_take(stream, entry.choices)
    memcpy(kept, record.first, READ_BEYOND)     # of a fixed size: much faster than as many as there are
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


cdef bint draw_backwards(const Known* entry, Record record, int32_t size, const Vocabulary* vocabulary,
                         const Spelling* spelling, const uint8_t* text, int32_t begin, Stream* stream, Tokens* out,
                         double alpha, Sum* log_prob) noexcept nogil:
    """The choices of `backward`, from a record, and the tokens they give. False without memory."""
    cdef int32_t tokens[MAX_WORD + 1]
    cdef int32_t k, position = size, at = MAX_WORD + 1
    cdef uint64_t uniform
    while position > 0:
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
    return add_tokens(out, spelling, vocabulary.lengths, text, begin, tokens + at, MAX_WORD + 1 - at, entry.has_unknown)


cdef bint draw(Algorithm algorithm, const Known* entry, int32_t size, const Vocabulary* vocabulary,
               const Spelling* spelling, const uint8_t* text, int32_t begin, Stream* stream, Tokens* out, double alpha,
               Sum* log_prob) noexcept nogil:
    cdef AtOnce table
    cdef int32_t tokens[MAX_WORD + ROW]
    cdef const uint8_t* row
    if entry.kind == AT_ONCE:
        table = at_once(entry)
        row = row_of(&table, entry, stream_take(stream, 1)[0]) if entry.choices > 1 else table.rows
        copy_row(&table, row, tokens)
        return add_tokens_of(tokens, row[0], entry.log_sum, entry.has_unknown, vocabulary, spelling, text, begin, out, alpha,
                             log_prob)
    if log_prob != NULL:
        add(log_prob, -entry.log_sum)
    if algorithm == PERFECT:
        return draw_perfect(entry, record_at(entry), size, vocabulary, spelling, text, begin, stream, out, alpha, log_prob)
    return draw_backwards(entry, record_at(entry), size, vocabulary, spelling, text, begin, stream, out, alpha, log_prob)
