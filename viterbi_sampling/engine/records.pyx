"""What is kept of a word for sampling.

A record holds the thresholds of a word, for one algorithm and one alpha, and is made by the
functions that sample without a cache (choices.pyx). A draw compares uniforms with them, in the
same order, so it makes the same choices.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport OK, Bytes, Sum, add, reserve_bytes
from viterbi_sampling.engine.choices cimport (
    MOST_EDGES, MOST_PATHS, PERFECT, Algorithm, Paths, Weights, add_scores, backward_thresholds, count_paths, find_paths, forward,
    log_sum, next_edges,
)
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_start
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream, stream_take
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens
from viterbi_sampling.engine.words cimport INLINE_TOKENS, MAX_WORD, SHORT_WORD, Slot, Table, record_of, take

cdef uint64_t CERTAIN_UNITS = <uint64_t>1 << 54     # CERTAIN in a record


cdef inline uint64_t in_units(double threshold) noexcept nogil:
    """Rounded up."""
    cdef double number = threshold * 9007199254740992.0
    cdef uint64_t units = <uint64_t>number
    return units + (<double>units < number)


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
    Sum log_sum                 # of the parts with several paths; and the scores of the other parts, whose probability is 1


cdef void add_only_path(const Lattice* lattice, const Vocabulary* vocabulary, double alpha, Sum* sum) noexcept nogil:
    """Add alpha times the score of each token of the only path over a part."""
    cdef int32_t position = lattice.at
    cdef size_t i = lattice.count
    while i > 0:
        i -= 1
        if lattice.edges[i].end == position:
            add(sum, alpha * vocabulary.scores[lattice.edges[i].token])
            position = lattice.edges[i].start


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
    lesson.log_sum.value = lesson.log_sum.rest = 0
    lattice_start(lattice, word, 0, size)
    while lattice.at < size:
        status = next_edges(vocabulary, PERFECT, scratch, &ready, MOST_EDGES + 1)
        if status != OK or lesson.edge_count + lattice.count > MOST_EDGES:
            return False
        memcpy(lesson.edges + lesson.edge_count, lattice.edges, lattice.count * sizeof(Edge))
        for i in range(lattice.count):
            lesson.has_unknown = lesson.has_unknown or lattice.edges[i].token >= vocabulary.pieces
        forward(lattice, weights, scratch.cells, scratch.previous.data, 0)
        count = count_paths(lattice, &scratch.path)
        if count == 0:
            return False
        if count == 1:
            add_only_path(lattice, vocabulary, weights.alpha, &lesson.log_sum)
        else:
            add(&lesson.log_sum, log_sum(&scratch.cells[lattice.at - lattice.cut]))
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


cdef void* append(Bytes* to, size_t bytes) noexcept nogil:
    """Room for another record, set to zero; NULL without memory."""
    cdef uint8_t* room
    bytes = filled_up(bytes, 8)
    if not reserve_bytes(to, to.size + bytes):
        return NULL
    room = to.data + to.size
    memset(room, 0, bytes)
    to.size += bytes
    return room


cdef int32_t write_paths(const Lesson* lesson, int32_t* tokens, int32_t* first) noexcept nogil:
    """The tokens of all paths over a word of which at most one part has several: their number. `first`: where each begins."""
    cdef int32_t last[MAX_WORD + 1]         # the edge to a position
    cdef int32_t i, k, edge, at, count, total = 0
    cdef int path, paths = lesson.paths.count if lesson.choosing else 1
    if lesson.choosing and lesson.parts == 1:
        memcpy(first, lesson.paths.first, (paths + 1) * sizeof(int32_t))
        for i in range(first[paths]):
            tokens[i] = lesson.edges[lesson.paths.steps[i]].token
        return first[paths]
    # Where a part has one path, one edge ends at each position; those of each path are set over the others.
    for i in range(<int32_t>lesson.edge_count):
        last[lesson.edges[i].end] = i
    for path in range(paths):
        if lesson.choosing:
            for i in range(lesson.paths.first[path], lesson.paths.first[path + 1]):
                edge = lesson.before + lesson.paths.steps[i]
                last[lesson.edges[edge].end] = edge
        count = 0
        at = lesson.part_ends[lesson.parts - 1]
        while at > 0:
            at = lesson.edges[last[at]].start
            count += 1
        first[path] = total
        at = lesson.part_ends[lesson.parts - 1]
        for k in range(total + count - 1, total - 1, -1):
            tokens[k] = lesson.edges[last[at]].token
            at = lesson.edges[last[at]].start
        total += count
    first[paths] = total
    return total


cdef bint write_at_once(const Lesson* lesson, bint narrow, Bytes* to) noexcept nogil:
    """The record of a word of which at most one part has several paths."""
    cdef int32_t tokens[MOST_PATHS * MAX_WORD]
    cdef int32_t first[MOST_PATHS + 1]
    cdef int32_t longest = 0, count, i, k
    cdef int paths = lesson.paths.count if lesson.choosing else 1
    cdef uint64_t units
    cdef Known* entry
    cdef AtOnce record
    write_paths(lesson, tokens, first)
    for i in range(paths):
        longest = max(longest, first[i + 1] - first[i])
    entry = <Known*>append(to, sizeof(Known) + filled_up(paths - 1, BLOCK) * sizeof(int16_t)
                           + paths * (longest + 1) * (2 if narrow else 4) + paths * 8)
    if entry == NULL:
        return False
    entry.log_sum = lesson.log_sum.value
    entry.kind = AT_ONCE
    entry.size = lesson.part_ends[lesson.parts - 1]
    entry.choices = <uint16_t>paths
    entry.edges = <uint16_t>(longest + 1)
    entry.has_unknown = lesson.has_unknown
    record = at_once(entry, narrow)
    for i in range(paths):
        count = first[i + 1] - first[i]
        if narrow:
            (<uint16_t*>record.rows)[i * entry.edges] = <uint16_t>count
            for k in range(count):
                (<uint16_t*>record.rows)[i * entry.edges + 1 + k] = <uint16_t>tokens[first[i] + k]
        else:
            (<int32_t*>record.rows)[i * entry.edges] = count
            memcpy(<int32_t*>record.rows + i * entry.edges + 1, tokens + first[i], count * sizeof(int32_t))
    for i in range(thresholds_of(entry)):
        units = in_units(lesson.paths.thresholds[i] if i < paths - 1 else 1.0)
        # A threshold of 2^53 lies above all uniforms; no upper bits of one are greater.
        record.highs[i] = <int16_t>min(units >> 38, <uint64_t>0x7FFF)
        if i < paths - 1:
            memcpy(record.thresholds + 8 * i, &units, 8)
    memcpy(record.thresholds + 8 * (paths - 1), &lesson.log_sum.rest, 8)
    return True


cdef bint write_one_by_one(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                           int32_t size, const Lesson* lesson, Scratch* scratch, Bytes* to) noexcept nogil:
    """The record of a word that is one part: the thresholds of its edges."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = 0, position, k
    cdef size_t i = 0
    cdef uint64_t units
    cdef const Edge* edge
    cdef Known* entry
    cdef Record record
    lattice_start(lattice, word, 0, size)
    if next_edges(vocabulary, algorithm, scratch, &ready, MOST_EDGES + 1) != OK or vocabulary.pieces >= <int32_t>MOST_TOKENS:
        return False
    entry = <Known*>append(to, sizeof(Known) + lattice.count * (sizeof(Branch) + sizeof(uint64_t)) + 2 * (size + 1))
    if entry == NULL:
        return False
    entry.log_sum = lesson.log_sum.value
    entry.kind = ONE_BY_ONE
    entry.size = <uint8_t>size
    entry.edges = <uint16_t>lattice.count
    entry.has_unknown = lesson.has_unknown
    record = record_at(entry)
    forward(lattice, weights, scratch.cells, scratch.previous.data, 0)
    for position in range(1, size + 1):
        if scratch.cells[position].start < 0:
            continue
        backward_thresholds(lattice, weights, scratch.cells, position, scratch.previous.data, scratch.thresholds.data)
        k = scratch.cells[position].token
        record.first[position] = <uint8_t>i
        # Where there is no choice the first will do, too.
        record.own[position] = 0
        if scratch.previous.data[k] >= 0:
            record.own[position] = <uint8_t>entry.choices
            entry.choices += 1
        while k >= 0:
            edge = &lattice.edges[k]
            units = in_units(scratch.thresholds.data[k])
            memcpy(record.thresholds + 8 * i, &units, 8)
            record.branches[i].high = <uint32_t>min(units >> 21, <uint64_t>0xFFFFFFFF)
            record.branches[i].edge = <uint32_t>edge.token << 8 | <uint32_t>edge.start
            i += 1
            k = scratch.previous.data[k]
    return True


cdef bint write(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word, int32_t size,
                const Lesson* lesson, Scratch* scratch, Bytes* to) noexcept nogil:
    """The record of a word; of several parts with several paths each has a record of its own."""
    cdef Lesson part
    cdef Known* entry
    cdef size_t begin
    cdef uint64_t bytes
    cdef int32_t first = 0
    cdef int i
    if lesson.choosing == 0 or (lesson.choosing == 1 and lesson.paths.count):
        return write_at_once(lesson, is_narrow(vocabulary), to)
    if lesson.parts == 1:
        return write_one_by_one(algorithm, vocabulary, weights, word, size, lesson, scratch, to)
    entry = <Known*>append(to, sizeof(Known) + sizeof(double))
    if entry == NULL:
        return False
    entry.kind = SPLIT
    entry.size = <uint8_t>size
    entry.choices = <uint16_t>lesson.parts
    entry.has_unknown = lesson.has_unknown
    entry.log_sum = lesson.log_sum.value
    memcpy(entry + 1, &lesson.log_sum.rest, sizeof(double))
    for i in range(lesson.parts):
        begin = to.size
        size = lesson.part_ends[i] - first
        # The parts of a part are itself.
        if (append(to, sizeof(bytes)) == NULL or not study(vocabulary, weights, word + first, size, scratch, &part)
                or not write(algorithm, vocabulary, weights, word + first, size, &part, scratch, to)):
            return False
        bytes = to.size - begin - sizeof(bytes)
        memcpy(to.data + begin, &bytes, sizeof(bytes))
        first = lesson.part_ends[i]
    return True


cdef int32_t uniforms_of(const Known* entry) noexcept nogil:
    """How many uniforms a path by any algorithm but FFBS takes: always the same."""
    cdef int32_t count = 0
    cdef uint64_t bytes
    cdef const uint8_t* at
    cdef int part
    if entry.kind == AT_ONCE:
        return entry.choices > 1
    if entry.kind == ONE_BY_ONE:
        return entry.choices
    at = <const uint8_t*>(entry + 1) + sizeof(double)
    for part in range(entry.choices):
        memcpy(&bytes, at, sizeof(bytes))
        count += uniforms_of(<const Known*>(at + sizeof(bytes)))
        at += sizeof(bytes) + bytes
    return count


cdef Slot* learn(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const uint8_t* word,
                 int32_t size, Table* known, Slot* place, Scratch* scratch) noexcept nogil:
    cdef Lesson lesson
    cdef int32_t tokens[MAX_WORD]
    cdef int32_t first[2]
    cdef int32_t count
    cdef Slot* slot
    if place == NULL or not study(vocabulary, weights, word, size, scratch, &lesson):
        return NULL
    if lesson.choosing == 0 and size <= SHORT_WORD and not lesson.has_unknown:
        count = write_paths(&lesson, tokens, first)
        if count <= INLINE_TOKENS:
            slot = take(known, place, word, size, 0)
            if slot != NULL:
                slot.tokens[1] = slot.tokens[2] = -1
                memcpy(slot.tokens, tokens, count * sizeof(int32_t))
            return slot
    scratch.record.size = 0
    if not write(algorithm, vocabulary, weights, word, size, &lesson, scratch, &scratch.record):
        return NULL
    slot = take(known, place, word, size, scratch.record.size)
    if slot != NULL:
        memcpy(record_of(known, slot), scratch.record.data, scratch.record.size)
        slot.tokens[1] = uniforms_of(<const Known*>scratch.record.data)
    return slot


# -- drawing -------------------------------------------------------------------------------------------

cdef double rest_of(const Known* entry, bint narrow) noexcept nogil:
    """What the log_sum of a record lacks. With it the logarithm of a probability is the same as without the record."""
    cdef double rest = 0        # of one part there is none
    if entry.kind == AT_ONCE:
        memcpy(&rest, at_once(entry, narrow).thresholds + 8 * (entry.choices - 1), sizeof(double))
    elif entry.kind == SPLIT:
        memcpy(&rest, entry + 1, sizeof(double))
    return rest


cdef bint add_tokens_of(const int32_t* tokens, int32_t count, const Known* entry, const Vocabulary* vocabulary,
                        const Spelling* spelling, const uint8_t* text, int32_t begin, Tokens* out, double alpha,
                        Sum* log_prob) noexcept nogil:
    # The probability of a single path is 1.
    if log_prob != NULL and (entry.kind != AT_ONCE or entry.choices > 1):
        add(log_prob, -entry.log_sum)
        add(log_prob, -rest_of(entry, is_narrow(vocabulary)))
        add_scores(log_prob, vocabulary, alpha, tokens, count, 1)
    return add_tokens(out, spelling, vocabulary.lengths, text, begin, tokens, count, entry.has_unknown)


cdef int32_t draw_one_by_one(Algorithm algorithm, const Known* entry, Stream* stream, int32_t* tokens) noexcept nogil:
    """The choices of perfect_path or `backward`, from a record."""
    cdef Record record = record_at(entry)
    cdef int32_t path[MAX_WORD + ROW]
    cdef int32_t position = entry.size, at = MAX_WORD
    cdef bint own = algorithm == PERFECT        # each end has its own uniform; else they are taken as they are needed
    cdef const uint64_t* words = stream_take(stream, entry.choices if own else 0)
    cdef const Branch* branch
    cdef uint64_t word, threshold
    while position > 0:
        branch = record.branches + record.first[position]
        if own:
            word = words[record.own[position]]
        else:
            memcpy(&threshold, record.thresholds + 8 * (branch - record.branches), 8)
            word = 0 if threshold == CERTAIN_UNITS else stream_take(stream, 1)[0]
        while True:
            if word >> 32 < branch.high:
                break
            if word >> 32 == branch.high:
                memcpy(&threshold, record.thresholds + 8 * (branch - record.branches), 8)
                if word >> 11 < threshold:
                    break
            branch += 1
        at -= 1
        path[at] = <int32_t>(branch.edge >> 8)
        position = <int32_t>(branch.edge & 0xFF)
    copy_tokens(path + at, MAX_WORD - at, False, tokens)
    return MAX_WORD - at


cdef int32_t draw(Algorithm algorithm, const Known* entry, bint narrow, Stream* stream, int32_t* tokens) noexcept nogil:
    cdef AtOnce record
    cdef int32_t path = 0, count = 0, part
    cdef uint64_t bytes
    cdef const uint8_t* at
    if entry.kind == AT_ONCE:
        record = at_once(entry, narrow)
        if entry.choices > 1:
            path = path_of(&record, entry, stream_take(stream, 1)[0])
        at = record.rows + path * row_bytes(entry, narrow)
        count = tokens_in_row(at, narrow)
        copy_tokens(at + (2 if narrow else 4), count, narrow, tokens)
    elif entry.kind == SPLIT:
        at = <const uint8_t*>(entry + 1) + sizeof(double)
        for part in range(entry.choices):
            memcpy(&bytes, at, sizeof(bytes))
            count += draw(algorithm, <const Known*>(at + sizeof(bytes)), narrow, stream, tokens + count)
            at += sizeof(bytes) + bytes
    else:
        count = draw_one_by_one(algorithm, entry, stream, tokens)
    return count
