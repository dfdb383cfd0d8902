"""The samplers of one path: perfect sampling, forward filtering with backward sampling, Viterbi Sampling.

Each goes through the lattice once from left to right, one part between two cuts at a time, and does
two things with a part: it works out *thresholds*, which depend on the text and alpha only, and then
it makes choices, each by comparing one uniform with one threshold. What is computed, to the last
bit, is specified in reference.py.

The thresholds of words that come again are kept. Since a word lies between cuts, its thresholds are
the same numbers wherever it stands, and a sample does not depend on what the cache holds.

Forward sums are in linear space. Each is value * 2^exponent, and is brought back to a moderate
magnitude when its position is passed, so that neither a long text nor scores far apart take it out
of the doubles, and there is no exp or log in the loop.
"""

from libc.math cimport ceil, frexp, ldexp, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Sum, add, reserve_doubles, reserve_ints
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_extend, lattice_start
from viterbi_sampling.engine.scratch cimport Cell, Scratch, add_step, reserve_cells
from viterbi_sampling.engine.stream cimport Stream, stream_next, stream_take
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path, add_tokens
from viterbi_sampling.engine.weights cimport exp_exact
from viterbi_sampling.engine.words cimport (
    AHEAD, Ahead, MAX_WORD, SHORT_WORD, Slot, Table, find, look_ahead, prefetch, take,
)

cdef enum:
    EDGES_AT_ONCE = 4096        # edges a sampler of one pass keeps between two visits
    MOST_EDGES = 254            # of a word that is kept
    NO_EDGE = 255

cdef double LARGE = 1.6069380442589903e60   # 2^200
cdef double SMALL = 6.223015277861142e-61   # 2^-200
cdef double LN2 = 0.6931471805599453
cdef uint64_t CERTAIN_UNITS = 0x4000000000000000    # CERTAIN in a record
cdef double CERTAIN = 2.0                           # the threshold of a choice that takes no uniform


# -- forward sums ----------------------------------------------------------------------------------

cdef inline void bring_back(Cell* cell) noexcept nogil:
    """Move the power of two of a sum into its exponent where the sum has grown or shrunk much.

    Sums then lie within 2^-200 and 2^200 when they are multiplied by a weight, weights within
    2^-500 and 2^500 (others come with an exponent), so no product leaves the doubles.
    """
    cdef int power
    if cell.value > LARGE or cell.value < SMALL:
        frexp(cell.value, &power)
        cell.value = ldexp(cell.value, -power)
        cell.exponent += power


cdef inline double scaled(double value, int64_t power) noexcept nogil:
    """value * 2^power; 0 where that is far below anything that it is added to."""
    if power < -2000:
        return 0.0
    return ldexp(value, <int>power)


cdef inline double add_to(Cell* cell, double weight, int64_t exponent) noexcept nogil:
    """Add weight * 2^exponent to a sum; the weight in the scale of the new sum."""
    if exponent != cell.exponent:
        if exponent > cell.exponent:
            cell.value = scaled(cell.value, cell.exponent - exponent)
            cell.exponent = exponent
        else:
            weight = scaled(weight, exponent - cell.exponent)
    cell.value += weight
    return weight


cdef double log_sum(const Cell* cell) noexcept nogil:
    """The logarithm of a sum."""
    return log(cell.value) + <double>cell.exponent * LN2


cdef inline double offered(const Cell* from_, const Weights* weights, int32_t token, int64_t* exponent) noexcept nogil:
    """The weight of all paths through an edge: the sum at its start times its own, with its exponent."""
    exponent[0] = from_.exponent
    if weights.exponents != NULL:
        exponent[0] += weights.exponents[token]
    return from_.value * weights.values[token]


cdef double through(const Cell* from_, const Cell* to, const Weights* weights, int32_t token) noexcept nogil:
    cdef int64_t exponent
    cdef double weight = offered(from_, weights, token, &exponent)
    return weight if exponent == to.exponent else scaled(weight, exponent - to.exponent)


# -- thresholds and choices ------------------------------------------------------------------------

cdef void perfect_thresholds(const Lattice* lattice, const Weights* weights, Cell* cells,
                             double* thresholds) noexcept nogil:
    """For each edge its share of the sum so far at its end: the probability that it replaces what is kept."""
    cdef const Edge* edge
    cdef Cell* from_
    cdef Cell* to
    cdef double weight
    cdef int64_t exponent
    cdef int32_t start = -1
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        if edge.start != start:
            start = edge.start
            bring_back(from_)
        weight = offered(from_, weights, edge.token, &exponent)
        to = &cells[edge.end - lattice.cut]
        if to.start < 0:
            to.start = edge.start
            to.value = weight
            to.exponent = exponent
            thresholds[k] = CERTAIN
        else:
            weight = add_to(to, weight, exponent)
            thresholds[k] = weight / to.value


cdef void perfect_choices(const Lattice* lattice, const double* thresholds, Cell* cells, Stream* stream) noexcept nogil:
    """Perfect sampling: at each end a reservoir choice among its edges, as they come."""
    cdef const Edge* edge
    cdef Cell* to
    cdef size_t k
    for k in range(lattice.count):
        if thresholds[k] == CERTAIN or stream_next(stream) < thresholds[k]:
            edge = &lattice.edges[k]
            to = &cells[edge.end - lattice.cut]
            to.start = edge.start
            to.token = edge.token


cdef void forward(const Lattice* lattice, const Weights* weights, Cell* cells, int32_t* previous) noexcept nogil:
    """Forward sums; `previous` links the edges of each end, the cell's token is the number of the last of them."""
    cdef const Edge* edge
    cdef Cell* from_
    cdef Cell* to
    cdef double weight
    cdef int64_t exponent
    cdef int32_t start = -1
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        from_ = &cells[edge.start - lattice.cut]
        if edge.start != start:
            start = edge.start
            bring_back(from_)
        weight = offered(from_, weights, edge.token, &exponent)
        to = &cells[edge.end - lattice.cut]
        if to.start < 0:
            to.start = edge.start
            to.value = weight
            to.exponent = exponent
            previous[k] = -1
        else:
            add_to(to, weight, exponent)
            previous[k] = to.token
        to.token = <int32_t>k


cdef void backward_thresholds(const Lattice* lattice, const Weights* weights, const Cell* cells, int32_t position,
                              const int32_t* previous, double* thresholds) noexcept nogil:
    """For each edge that ends at `position` the share of it and of all shorter ones; the longest takes the rest."""
    cdef const Cell* cell = &cells[position - lattice.cut]
    cdef const Edge* edge
    cdef double sum = 0
    cdef int32_t k = cell.token
    if previous[k] < 0:
        thresholds[k] = CERTAIN
        return
    while k >= 0:
        edge = &lattice.edges[k]
        sum += through(&cells[edge.start - lattice.cut], cell, weights, edge.token)
        thresholds[k] = sum / cell.value if previous[k] >= 0 else 1.0   # 1: whatever is left, rounding included
        k = previous[k]


cdef void backward(const Lattice* lattice, const Weights* weights, Cell* cells, const int32_t* previous,
                   double* thresholds, Stream* stream) noexcept nogil:
    """Backward sampling: from the end of the part, one choice a token, from the shortest edge to the longest."""
    cdef int32_t position = lattice.at, k
    cdef const Edge* edge
    cdef double uniform
    while position > lattice.cut:
        k = cells[position - lattice.cut].token
        backward_thresholds(lattice, weights, cells, position, previous, thresholds)
        if thresholds[k] != CERTAIN:
            uniform = stream_next(stream)
            while uniform >= thresholds[k]:
                k = previous[k]
        edge = &lattice.edges[k]
        cells[position - lattice.cut].start = edge.start
        cells[position - lattice.cut].token = edge.token
        position = edge.start


cdef void sigmoid_choices(const Lattice* lattice, const Vocabulary* vocabulary, double alpha, Cell* cells,
                          Stream* stream) noexcept nogil:
    """The original, biased Viterbi Sampling: each candidate for an end replaces the kept one by a coin of its own.

    The coin is sigmoid(alpha * (score of the candidate's path - score of the kept path)); the last
    of three equal candidates wins half the time. Candidates come longest piece first.
    """
    cdef const Edge* edge
    cdef Cell* to
    cdef double score
    cdef size_t k
    for k in range(lattice.count):
        edge = &lattice.edges[k]
        score = cells[edge.start - lattice.cut].value + vocabulary.scores[edge.token]
        to = &cells[edge.end - lattice.cut]
        if to.start < 0 or stream_next(stream) < 1.0 / (1.0 + exp_exact(alpha * (to.value - score))):
            to.value = score
            to.start = edge.start
            to.token = edge.token


cdef inline void add_scores(Sum* log_prob, const Vocabulary* vocabulary, double alpha, const int32_t* tokens,
                            int32_t count, int32_t stride) noexcept nogil:
    """Add alpha * score of each token of a path, whatever their order."""
    cdef int32_t i
    for i in range(count):
        add(log_prob, alpha * vocabulary.scores[tokens[i * stride]])


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


cdef int next_edges(const Vocabulary* vocabulary, Algorithm algorithm, Scratch* scratch, int32_t* ready,
                    size_t limit) noexcept nogil:
    """Go on with the lattice, and make its cells ready, of which those up to `ready` are. As lattice_extend."""
    cdef Lattice* lattice = &scratch.lattice
    cdef Cell* cells
    cdef int32_t i
    cdef int status
    if lattice.at == lattice.cut:
        ready[0] = lattice.cut
    status = lattice_extend(lattice, vocabulary, limit)
    if status < 0:
        return status
    if not reserve_cells(scratch, lattice.frontier - lattice.cut + 1) or not reserve_doubles(&scratch.thresholds, lattice.count):
        return NO_MEMORY
    cells = scratch.cells
    if ready[0] == lattice.cut:
        cells[0].value = 0.0 if algorithm == VITERBI_SAMPLING else 1.0
        cells[0].exponent = 0
    for i in range(ready[0] + 1, lattice.frontier + 1):
        cells[i - lattice.cut].start = -1
    ready[0] = lattice.frontier
    if algorithm == FFBS and (lattice.count >= 0x7FFFFFFF or not reserve_ints(&scratch.previous, lattice.count)):
        return NO_MEMORY
    return status


cdef int sample_directly(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights,
                         const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t end, Stream* stream,
                         Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """One random path over text[begin:end], which lies between cuts."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin
    cdef int status, done
    # Sampling backwards needs all edges of a part; the others let go of them as they pass.
    cdef size_t limit = <size_t>-1 if algorithm == FFBS else EDGES_AT_ONCE
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = next_edges(vocabulary, algorithm, scratch, &ready, limit)
        if status < 0:
            return status
        if scratch.cancelled[0]:
            return CANCELLED
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


# -- the cache -------------------------------------------------------------------------------------

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


cdef inline size_t record_bytes(int32_t size, size_t thresholds, size_t edges) noexcept nogil:
    return thresholds * sizeof(uint64_t) + edges * (sizeof(int32_t) + 2) + size + 2


cdef inline Record record_at(uint8_t* data, size_t thresholds, size_t edges) noexcept nogil:
    cdef Record record
    record.thresholds = <uint64_t*>data
    record.tokens = <int32_t*>(data + thresholds * sizeof(uint64_t))
    record.starts = <uint8_t*>(record.tokens + edges)
    record.ends = record.starts + edges
    record.first = record.ends + edges
    return record


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


cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                const Spelling* spelling, const uint8_t* text, int32_t size, Stream* stream, Table* known,
                Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    cdef int32_t at = 0, end, begin
    cdef int word
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef const Known* entry
    cdef Record record
    cdef bint added
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
                entry = <const Known*>slot.payload
                record = record_at(known.arena.data + entry.record, entry.thresholds, entry.edges)
                if algorithm == PERFECT:
                    added = draw_perfect(entry, record, end - at, vocabulary, spelling, text, at, stream, out,
                                         weights.alpha, log_prob)
                else:
                    added = draw_backwards(entry, record, vocabulary, spelling, text, at, stream, out, weights.alpha,
                                           log_prob)
                if not added:
                    return NO_MEMORY
                if log_prob != NULL:
                    add(log_prob, -entry.log_sum)
            at = end
        if scratch.cancelled[0]:
            return CANCELLED
    return OK
