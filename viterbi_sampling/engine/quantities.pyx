"""Exact quantities of the law p(path) ∝ exp(alpha * score): its partition, its entropy, the marginals of its edges.

One pass forward gives the sums F. One pass backward splits the probability P[t] that a path goes
through t among the edges e that end there, by the law q of the backward choice, and passes it on to
their starts. So the marginal of e is P[t]·q(e), and the entropy is the sum over t of P[t] times the
entropy of the choice at t (the chain rule): all terms are positive, and nothing cancels.

All of it factorises at cuts: what is known of a word is kept, and the same numbers come again with
the word. The log-partition and the entropy of a text are the sums of those of its words.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport exp, log, log1p
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from collections import namedtuple

import numpy as np

from viterbi_sampling.engine.arrays cimport array_from
from viterbi_sampling.engine.buffer cimport (
    CANCELLED, MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Doubles, Ints, Sum, add, reserve_doubles, reserve_ints,
)
from viterbi_sampling.engine.choices cimport FFBS, Weights, forward, log_sum, next_edges, through
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_start, next_position
from viterbi_sampling.engine.normalizer cimport normalize
from viterbi_sampling.engine.rows cimport Rows, raise_for_status
from viterbi_sampling.engine.scratch cimport Cell, Scratch
from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, step
from viterbi_sampling.engine.utf8 cimport MARK
from viterbi_sampling.engine.words cimport MAX_WORD, Ahead, Slot, Table, find_ahead, look_ahead, record_of, take
from viterbi_sampling.engine.workspace cimport Workspace

Analysis = namedtuple(
    "Analysis", "log_partition entropy text starts ends tokens has_unknown parts marginals conditionals"
)
Analysis.__doc__ = "What `analyse` finds out."

cdef object from_buffer = np.frombuffer
cdef object INT32 = np.dtype(np.int32)
cdef object FLOAT64 = np.dtype(np.float64)

cdef enum:
    MOST_EDGES = 1024           # of a word that is kept
    FEW_EDGES = 4096            # are copied into one block: less to do than an owner for each array

cdef struct Known:              # the record of a word; then marginals, conditionals, tokens, starts, ends (bytes)
    int32_t edges
    int32_t characters
    double log_partition
    double entropy

cdef struct Edges:              # of the text so far, by start and end rising; positions count characters
    Ints starts
    Ints ends
    Ints tokens
    Doubles marginals
    Doubles conditionals
    size_t size
    bint with_conditionals      # they are wanted: otherwise those of one word are there


cdef bint make_room(Edges* edges, size_t count) noexcept nogil:
    """Make room for `count` more edges. False without memory."""
    cdef size_t wanted = edges.size + count
    return (reserve_ints(&edges.starts, wanted) and reserve_ints(&edges.ends, wanted)
            and reserve_ints(&edges.tokens, wanted) and reserve_doubles(&edges.marginals, wanted)
            and reserve_doubles(&edges.conditionals, wanted if edges.with_conditionals else count))


cdef inline double* conditionals_from(const Edges* edges, size_t first) noexcept nogil:
    """Those of the edges from `first` on; where they are not wanted, of these edges only."""
    return edges.conditionals.data + (first if edges.with_conditionals else 0)


cdef void edges_free(Edges* edges) noexcept nogil:
    free(edges.starts.data)
    free(edges.ends.data)
    free(edges.tokens.data)
    free(edges.marginals.data)
    free(edges.conditionals.data)


cdef double choice_entropy(const Lattice* lattice, const Weights* weights, const Cell* cells, const int32_t* previous,
                           int32_t position) noexcept nogil:
    """The entropy of the backward choice at `position`, in nats."""
    cdef const Cell* cell = &cells[position - lattice.cut]
    cdef double entropy = 0, share, others = 0, greatest = -1
    cdef int32_t k = cell.token
    while k >= 0:
        share = through(&cells[lattice.edges[k].start - lattice.cut], cell, weights, lattice.edges[k].token) / cell.value
        if share > greatest:
            share, greatest = greatest, share
        # What is not the greatest (so far) is counted at once.
        if share > 0:
            others += share
            entropy -= share * log(share)
        k = previous[k]
    # Near 1 the logarithm of what is left over keeps what that of the share would lose.
    return entropy - greatest * (log1p(-others) if greatest > 0.5 else log(greatest))


cdef int part_quantities(const Lattice* lattice, const Weights* weights, Scratch* scratch, Sum* entropy,
                         double* marginals, double* conditionals) noexcept nogil:
    """Add the entropy of a part whose sums are known, and set the marginal of each of its edges.

    Also the conditional probability that a path which goes through the edge's end comes by it.
    """
    cdef size_t positions = lattice.at - lattice.cut + 1
    cdef double* passing
    cdef int32_t position, k
    cdef const Edge* edge
    cdef double share
    if not reserve_doubles(&scratch.thresholds, positions):
        return NO_MEMORY
    passing = scratch.thresholds.data
    memset(passing, 0, positions * sizeof(double))
    passing[lattice.at - lattice.cut] = 1
    for position in range(lattice.at, lattice.cut, -1):
        share = passing[position - lattice.cut]
        if scratch.cells[position - lattice.cut].start < 0:
            continue
        k = scratch.cells[position - lattice.cut].token
        if share > 0 and scratch.previous.data[k] >= 0:
            add(entropy, share * choice_entropy(lattice, weights, scratch.cells, scratch.previous.data, position))
        while k >= 0:
            edge = &lattice.edges[k]
            conditionals[k] = through(&scratch.cells[edge.start - lattice.cut], &scratch.cells[position - lattice.cut],
                                      weights, edge.token) / scratch.cells[position - lattice.cut].value
            marginals[k] = share * conditionals[k]
            passing[edge.start - lattice.cut] += marginals[k]
            k = scratch.previous.data[k]
    return OK


cdef int add_edges(const Lattice* lattice, bint bytewise, int32_t* characters, Scratch* scratch,
                   Edges* edges) noexcept nogil:
    """Add the edges of a part, of which some are there already; `characters` counts those before it, and then it.

    In a bytewise vocabulary each byte counts as one.
    """
    cdef int32_t size = lattice.at - lattice.cut, i
    cdef int32_t* before
    cdef size_t k
    if not reserve_ints(&scratch.path, size + 1):
        return NO_MEMORY
    before = scratch.path.data
    for i in range(size):
        before[i] = characters[0]
        characters[0] += bytewise or (lattice.text[lattice.cut + i] & 0xC0) != 0x80
    before[size] = characters[0]
    for k in range(lattice.count):
        edges.starts.data[edges.size + k] = before[lattice.edges[k].start - lattice.cut]
        edges.ends.data[edges.size + k] = before[lattice.edges[k].end - lattice.cut]
        edges.tokens.data[edges.size + k] = lattice.edges[k].token
    edges.size += lattice.count
    return OK


cdef int word_quantities(const Vocabulary* vocabulary, const Weights* weights, const uint8_t* text, int32_t begin,
                         int32_t end, Scratch* scratch, int32_t* characters, Sum* log_partition, Sum* entropy,
                         Edges* edges) noexcept nogil:
    """All that there is to know of text[begin:end], which lies between cuts. Without weights only its edges."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin
    cdef size_t first = edges.size
    cdef int status
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = next_edges(vocabulary, FFBS, scratch, &ready, <size_t>-1)
        if status != OK:
            return status
        if not make_room(edges, edges.size - first + lattice.count):
            return NO_MEMORY
        if weights != NULL:
            forward(lattice, weights, scratch.cells, scratch.previous.data)
            add(log_partition, log_sum(&scratch.cells[lattice.at - lattice.cut]))
            status = part_quantities(lattice, weights, scratch, entropy, edges.marginals.data + edges.size,
                                     conditionals_from(edges, first) + edges.size - first)
            if status != OK:
                return status
        status = add_edges(lattice, vocabulary.bytewise, characters, scratch, edges)
        if status != OK:
            return status
        lattice_clear(lattice, True)
    return OK


cdef void keep(const uint8_t* word, int32_t size, int32_t before, int32_t characters, double log_partition,
               double entropy, const Edges* edges, size_t first, Table* known, Slot* place) noexcept nogil:
    """Keep what is known of a word: the edges from `first` on. `before`: characters of the text before the word."""
    cdef size_t count = edges.size - first, i
    cdef Slot* slot
    cdef Known* entry
    cdef uint8_t* record
    if count > MOST_EDGES:
        return
    slot = take(known, place, word, size, sizeof(Known) + 22 * count)
    if slot == NULL:
        return
    entry = <Known*>record_of(known, slot)
    entry.edges = <int32_t>count
    entry.characters = characters
    entry.log_partition = log_partition
    entry.entropy = entropy
    record = <uint8_t*>(entry + 1)
    memcpy(record, edges.marginals.data + first, 8 * count)
    memcpy(record + 8 * count, conditionals_from(edges, first), 8 * count)
    memcpy(record + 16 * count, edges.tokens.data + first, 4 * count)
    for i in range(count):
        record[20 * count + i] = <uint8_t>(edges.starts.data[first + i] - before)
        record[21 * count + i] = <uint8_t>(edges.ends.data[first + i] - before)


cdef bint recall(const Known* entry, int32_t before, Edges* edges) noexcept nogil:
    """Add the edges of a word that is known. False without memory."""
    cdef size_t count = entry.edges, i
    cdef const uint8_t* record = <const uint8_t*>(entry + 1)
    cdef const uint8_t* starts = record + 20 * count
    cdef const uint8_t* ends = record + 21 * count
    cdef int32_t* start
    cdef int32_t* end
    if not make_room(edges, count):
        return False
    start = edges.starts.data + edges.size
    end = edges.ends.data + edges.size
    memcpy(edges.marginals.data + edges.size, record, 8 * count)
    if edges.with_conditionals:
        memcpy(edges.conditionals.data + edges.size, record + 8 * count, 8 * count)
    memcpy(edges.tokens.data + edges.size, record + 16 * count, 4 * count)
    for i in range(count):
        start[i] = before + starts[i]
        end[i] = before + ends[i]
    edges.size += count
    return True


cdef int quantities(const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights, const uint8_t* text,
                    int32_t size, Table* known, Scratch* scratch, Sum* log_partition, Sum* entropy, bint with_edges,
                    Edges* edges, Ints* parts) noexcept nogil:
    """All that there is to know of text[:size]. A Status.

    `parts` receives the (end, number of edges so far) of each word. Without weights the edges and the parts are found,
    without `with_edges` only the sums.
    """
    cdef int32_t at = 0, end, before = 0, characters
    cdef size_t first
    cdef int word, status
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef const Known* entry
    cdef Sum word_partition, word_entropy
    if with_edges and not make_room(edges, 3 * <size_t>size):     # about as many as most texts have
        return NO_MEMORY
    while at < size:
        look_ahead(cuts, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = place = NULL
            if end - at <= MAX_WORD and weights != NULL:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
            if slot != NULL:
                entry = <const Known*>record_of(known, slot)
                add(log_partition, entry.log_partition)
                add(entropy, entry.entropy)
                if with_edges and not recall(entry, before, edges):
                    return NO_MEMORY
                before += entry.characters
            else:
                if not with_edges:
                    edges.size = 0
                first = edges.size
                characters = before
                memset(&word_partition, 0, sizeof(Sum))
                memset(&word_entropy, 0, sizeof(Sum))
                status = word_quantities(vocabulary, weights, text, at, end, scratch, &characters, &word_partition,
                                         &word_entropy, edges)
                if status != OK:
                    return status
                word_partition.value += word_partition.rest
                word_entropy.value += word_entropy.rest
                add(log_partition, word_partition.value)
                add(entropy, word_entropy.value)
                if place != NULL:
                    keep(text + at, end - at, before, characters - before, word_partition.value, word_entropy.value, edges,
                         first, known, place)
                before = characters
            if with_edges:
                if edges.size > 0x7FFFFFFF:
                    return TOO_LONG
                if not reserve_ints(parts, parts.size + 2):
                    return NO_MEMORY
                parts.data[parts.size] = before
                parts.data[parts.size + 1] = <int32_t>edges.size
                parts.size += 2
            at = end
        if scratch.cancelled[0]:
            return CANCELLED
    return OK


cdef bint has_token(const Edges* edges, int32_t token) noexcept nogil:
    cdef bint found = False
    cdef size_t k
    for k in range(edges.size):
        found |= edges.tokens.data[k] == token
    return found


cdef tuple edge_arrays(Edges* edges, bint weighted):
    """(starts, ends, tokens, marginals or None) as numpy arrays; they may take the memory of the edges."""
    cdef Py_ssize_t n = <Py_ssize_t>edges.size
    cdef bytearray block
    cdef char* data
    if n == 0 or n > FEW_EDGES or not weighted:
        return (
            array_from(&edges.starts.data, n * sizeof(int32_t), INT32),
            array_from(&edges.ends.data, n * sizeof(int32_t), INT32),
            array_from(&edges.tokens.data, n * sizeof(int32_t), INT32),
            array_from(&edges.marginals.data, n * sizeof(double), FLOAT64) if weighted else None,
        )
    block = PyByteArray_FromStringAndSize(NULL, 20 * n)
    data = PyByteArray_AS_STRING(block)
    memcpy(data, edges.marginals.data, 8 * n)
    memcpy(data + 8 * n, edges.starts.data, 4 * n)
    memcpy(data + 12 * n, edges.ends.data, 4 * n)
    memcpy(data + 16 * n, edges.tokens.data, 4 * n)
    numbers = from_buffer(block, INT32, 3 * n, 8 * n)
    return numbers[:n], numbers[n:2 * n], numbers[2 * n:], from_buffer(block, FLOAT64, n)


def analyse(Encoder encoder not None, Rows rows not None, double alpha=0.0, weights=None, bint with_edges=False,
            bint with_conditionals=False):
    """What there is to know of the law of the first row.

    text : bytes, the normalized text as the engine spells it
    starts, ends, tokens : int32 of shape (n,), the edges, by start and end rising; positions count characters, in a
        bytewise vocabulary bytes
    has_unknown : whether one of the edges is that of an unknown character
    parts : int32 of shape (m, 2), where each part between two cuts ends, and the number of edges up to there
    marginals : float64 of shape (n,), the probability of each edge
    conditionals : float64 of shape (n,), its probability given that a path goes through its end

    Only the text unless `with_edges`, without the last and the parts unless `with_conditionals`. Without `weights` only
    the text, the edges and the parts are known.
    """
    cdef Edges edges
    cdef Ints parts
    cdef Weights law
    cdef Sum log_partition, entropy
    cdef int cancelled = 0, status
    cdef const double[::1] values
    cdef const int32_t[::1] exponents
    cdef bint weighted = weights is not None
    cdef tuple key = ("quantities", alpha)
    cdef Workspace space = encoder.borrow(key)
    memset(&edges, 0, sizeof(Edges))
    memset(&parts, 0, sizeof(Ints))
    memset(&log_partition, 0, sizeof(Sum))
    memset(&entropy, 0, sizeof(Sum))
    edges.with_conditionals = with_conditionals
    space.scratch.cancelled = &cancelled
    if weighted:
        values, exponents = weights
        law.alpha = alpha
        law.values = &values[0]
        law.exponents = &exponents[0] if exponents is not None else NULL
    try:
        with nogil:
            status = TOO_LONG
            if rows.sizes[0] <= MAX_TEXT:
                status = normalize(&encoder.normalizer.rules, rows.data[0], rows.sizes[0], &space.normalized, NULL)
            if status == OK:
                status = quantities(&encoder.vocabulary, &encoder.cuts.table, &law if weighted else NULL,
                                    space.normalized.data, <int32_t>space.normalized.size, &space.table, &space.scratch,
                                    &log_partition, &entropy, with_edges, &edges, &parts)
        raise_for_status(status, 0)
        log_z, nats = log_partition.value + log_partition.rest, entropy.value + entropy.rest
        text = space.normalized.data[:space.normalized.size]
        if not with_edges:
            return Analysis(log_z, nats, text, None, None, None, None, None, None, None)
        has_unknown = has_token(&edges, encoder.vocabulary.unknown)
        starts, ends, tokens, marginals = edge_arrays(&edges, weighted)
        parts_array = conditionals = None
        if with_conditionals or not weighted:
            parts_array = array_from(&parts.data, parts.size * sizeof(int32_t), INT32).reshape(-1, 2)
        if with_conditionals:
            conditionals = array_from(&edges.conditionals.data, tokens.shape[0] * sizeof(double), FLOAT64)
        return Analysis(log_z, nats, text, starts, ends, tokens, has_unknown, parts_array, marginals, conditionals)
    finally:
        edges_free(&edges)
        free(parts.data)
        encoder.give_back(key, space)


def count_paths(const int32_t[::1] starts, const int32_t[::1] ends, const int32_t[:, ::1] parts):
    """The number of paths through each part, as a list of int: exact, in 64 bits where they suffice.

    A part of n characters has a count of up to n bits or more, so its time grows with n squared beyond 64 bits.
    """
    cdef Py_ssize_t part, k, first = 0
    cdef int32_t begin = 0, at
    cdef uint64_t[::1] counts
    cdef bint fits
    found = []
    for part in range(parts.shape[0]):
        array = np.zeros(parts[part, 0] - begin + 1, np.uint64)
        counts = array
        counts[0] = 1
        fits = True
        for k in range(first, parts[part, 1]):
            counts[ends[k] - begin] += counts[starts[k] - begin]
            if counts[ends[k] - begin] >> 62:
                fits = False
                break
        if fits:
            found.append(int(counts[parts[part, 0] - begin]))
        else:
            # Only the counts between the start of an edge and the furthest end are kept: each may have millions of bits.
            large = {begin: 1}
            at = begin
            for k in range(first, parts[part, 1]):
                if not k & 0xFFF:
                    PyErr_CheckSignals()
                while at < starts[k]:
                    large.pop(at, None)
                    at += 1
                large[ends[k]] = large.get(ends[k], 0) + large[starts[k]]
            found.append(large[parts[part, 0]])
        begin = parts[part, 0]
        first = parts[part, 1]
    return found


# -- the probability of given tokens -------------------------------------------------------------------

cdef enum:
    MARK_BYTES = 4

cdef struct Reached:            # positions that paths with the tokens so far lead to, rising
    Ints positions
    Doubles weights             # the logarithm of the sum of the weights of these paths, for each position


cdef bint reach(Reached* reached, int32_t position, double weight) noexcept nogil:
    cdef size_t count = reached.positions.size
    if not reserve_ints(&reached.positions, count + 1) or not reserve_doubles(&reached.weights, count + 1):
        return False
    reached.positions.data[count] = position
    reached.weights.data[count] = weight
    reached.positions.size += 1
    return True


cdef int32_t matched(const Vocabulary* vocabulary, const uint8_t* text, int32_t position, int32_t end) noexcept nogil:
    """The piece that is text[position:end], or NO_PIECE."""
    cdef uint32_t node = ROOT
    while position < end:
        node = step(vocabulary.nodes, node, text[position])
        if node == ROOT:
            return NO_PIECE
        position += 1
    return vocabulary.nodes[node].piece


cdef bint follow_run(const Vocabulary* vocabulary, const uint8_t* text, int32_t size, bint single, double weight,
                     const Reached* before, Reached* after) noexcept nogil:
    """Go on by one unknown character, or unless `single` by one or more of them. False without memory."""
    cdef size_t i = 0
    cdef int32_t carried = -1, position
    cdef double carry = 0, here
    while i < before.positions.size or carried >= 0:
        if carried < 0 or (i < before.positions.size and before.positions.data[i] <= carried):
            position = before.positions.data[i]
            here = before.weights.data[i]
            if position == carried:
                here = max(here, carry) + log1p(exp(-abs(here - carry)))
            i += 1
        else:
            position = carried
            here = carry
        carried = -1
        if position < size:
            carry = here + weight
            carried = next_position(vocabulary, text, position, size)
            if matched(vocabulary, text, position, carried) != NO_PIECE:
                carried = -1
            elif not reach(after, carried, carry):
                return False
        if single:
            carried = -1
    return True


cdef void pass_marks(const uint8_t* text, int32_t size, Reached* reached, bint only) noexcept nogil:
    """Go on beyond marks between pre-tokens, which no token stands for. `only`: forget positions without one."""
    cdef size_t i, kept = 0
    cdef int32_t position
    for i in range(reached.positions.size):
        position = reached.positions.data[i]
        while (position + MARK_BYTES <= size and text[position] == MARK and text[position + 1] == 0x80
               and text[position + 2] == 0x80 and text[position + 3] == 0x80):
            position += MARK_BYTES
        if only and position == reached.positions.data[i]:
            continue
        reached.positions.data[kept] = position
        reached.weights.data[kept] = reached.weights.data[i]
        kept += 1
    reached.positions.size = reached.weights.size = kept


cdef int32_t id_of_mark(const Vocabulary* vocabulary, const int32_t* aliases, const uint8_t* text,
                        int32_t position) noexcept nogil:
    """The id of the added token whose mark is at `position`, or -1."""
    cdef int32_t token = matched(vocabulary, text, position, position + MARK_BYTES)
    return aliases[token - vocabulary.pieces - 1] if token > vocabulary.pieces else -1


def log_weight(Encoder encoder not None, const uint8_t[::1] text, const int32_t[::1] tokens, double alpha, bint merged):
    """The logarithm of the sum of the weights of the paths over a normalized text that have these tokens.

    None where there is no such path. `merged`: an unknown token stands for a run of them.
    """
    cdef Reached[2] reached
    cdef Reached* before
    cdef Reached* after
    cdef const Vocabulary* vocabulary = &encoder.vocabulary
    cdef const uint8_t* data = &text[0] if text.shape[0] else NULL
    cdef int32_t size = <int32_t>text.shape[0], token, last = NO_PIECE
    cdef Py_ssize_t k
    cdef size_t i
    cdef bint fits = True, with_marks = encoder.spelling.whole_runs
    cdef const int32_t* aliases = encoder.spelling.aliases
    memset(reached, 0, sizeof(reached))
    try:
        with nogil:
            fits = reach(&reached[0], 0, 0.0)
            for k in range(tokens.shape[0]):
                token = tokens[k]
                before = &reached[k & 1]
                after = &reached[1 - (k & 1)]
                after.positions.size = 0
                if with_marks:
                    pass_marks(data, size, before, merged and token == vocabulary.unknown and last == token)
                if token != vocabulary.unknown:
                    for i in range(before.positions.size):
                        if with_marks and before.positions.data[i] < size and data[before.positions.data[i]] >= MARK:
                            if id_of_mark(vocabulary, aliases, data, before.positions.data[i]) == token:
                                fits = fits and reach(after, before.positions.data[i] + MARK_BYTES,
                                                      before.weights.data[i])
                            continue
                        if (vocabulary.lengths[token] <= size - before.positions.data[i]
                                and matched(vocabulary, data, before.positions.data[i],
                                            before.positions.data[i] + vocabulary.lengths[token]) == token):
                            fits = fits and reach(after, before.positions.data[i] + vocabulary.lengths[token],
                                                  before.weights.data[i] + alpha * vocabulary.scores[token])
                elif with_marks or not (merged and last == token):
                    fits = fits and follow_run(vocabulary, data, size, not merged, alpha * vocabulary.scores[token], before,
                                               after)
                last = token
        if not fits:
            raise MemoryError()
        after = &reached[tokens.shape[0] & 1]
        if with_marks:
            pass_marks(data, size, after, False)
        if after.positions.size and after.positions.data[after.positions.size - 1] == size:
            return after.weights.data[after.positions.size - 1]
        return None
    finally:
        for k in range(2):
            free(reached[k].positions.data)
            free(reached[k].weights.data)
