"""Exact quantities of the law p(path) ∝ exp(alpha * score): its partition, its entropy, the marginals of its edges.

One pass forward gives the sums F. One pass backward splits the probability P[t] that a path goes
through t among the edges e that end there, by the law q of the backward choice, and passes it on to
their starts. So the marginal of e is P[t]·q(e), and the entropy is the sum over t of P[t] times the
entropy of the choice at t (the chain rule): all terms are positive, and nothing cancels.

All of it factorises at cuts: what is known of a word is kept, and the same numbers come again with
the word. The log-partition and the entropy of a text are the sums of those of its words.
"""

from libc.math cimport log, log1p
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.arrays cimport array_from
from viterbi_sampling.engine.buffer cimport (
    CANCELLED, MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Doubles, Ints, Sum, add, reserve_doubles, reserve_ints,
)
from viterbi_sampling.engine.choices cimport FFBS, Weights, forward, log_sum, next_edges, through
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.edges cimport (
    EDGE_BYTES, Edges, add_edges, edge_arrays, edges_free, edges_reserve, edges_start, pack_edges, unpack_edges,
)
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_start
from viterbi_sampling.engine.normalizer cimport normalize
from viterbi_sampling.engine.rows cimport Rows, raise_for_status
from viterbi_sampling.engine.scratch cimport Cell, Scratch
from viterbi_sampling.engine.words cimport (
    MAX_WORD, Ahead, Slot, Table, find_ahead, look_ahead, prefetch, record_of, take,
)
from viterbi_sampling.engine.workspace cimport Workspace


cdef enum:
    MOST_EDGES = 1024           # of a word that is kept
    NEXT_RECORD = 4             # words before a record is needed it is asked for

cdef struct Known:              # the record of a word; then its edges, packed
    double log_partition
    double entropy
    uint16_t edges
    uint8_t characters
    uint8_t has_unknown

cdef struct Summary:            # of a text, or of a word
    Sum log_partition
    Sum entropy
    int32_t characters          # up to its end
    bint has_unknown            # some edge is that of an unknown character


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


cdef int word_quantities(const Vocabulary* vocabulary, const Weights* weights, const uint8_t* text, int32_t size,
                         int32_t begin, int32_t end, Scratch* scratch, Doubles* conditionals, Summary* summary,
                         Edges* edges) noexcept nogil:
    """All that there is to know of text[begin:end], which lies between cuts. Without weights only its edges.

    Of these the `conditionals` are set in an array of their own.
    """
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin
    cdef size_t first = edges.size, k
    cdef int status
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = next_edges(vocabulary, FFBS, scratch, &ready, <size_t>-1)
        if status != OK:
            return status
        if not edges_reserve(edges, lattice.count, begin, size):
            return NO_MEMORY
        if weights != NULL:
            if not reserve_doubles(conditionals, edges.size - first + lattice.count):
                return NO_MEMORY
            forward(lattice, weights, scratch.cells, scratch.previous.data, 0)
            add(&summary.log_partition, log_sum(&scratch.cells[lattice.at - lattice.cut]))
            status = part_quantities(lattice, weights, scratch, &summary.entropy, edges.marginals + edges.size,
                                     conditionals.data + edges.size - first)
            if status != OK:
                return status
        status = add_edges(lattice, vocabulary.bytewise, &summary.characters, scratch, edges)
        if status != OK:
            return status
        lattice_clear(lattice, True)
    for k in range(first, edges.size):
        summary.has_unknown |= edges.tokens[k] == vocabulary.unknown
    if edges.conditionals != NULL:
        memcpy(edges.conditionals + first, conditionals.data, (edges.size - first) * sizeof(double))
    return OK


cdef void keep(const uint8_t* word, int32_t size, const Summary* summary, const Edges* edges, size_t first,
               const double* conditionals, int32_t before, Table* known, Slot* place) noexcept nogil:
    """Keep what is known of a word: its summary, and the edges from `first` on. `before`: characters before the word."""
    cdef size_t count = edges.size - first
    cdef Slot* slot
    cdef Known* entry
    if count > MOST_EDGES:
        return
    slot = take(known, place, word, size, sizeof(Known) + EDGE_BYTES * count)
    if slot == NULL:
        return
    entry = <Known*>record_of(known, slot)
    entry.log_partition = summary.log_partition.value
    entry.entropy = summary.entropy.value
    entry.edges = <uint16_t>count
    entry.characters = <uint8_t>(summary.characters - before)
    entry.has_unknown = summary.has_unknown
    pack_edges(edges, first, conditionals, before, <uint8_t*>(entry + 1))


cdef inline const void* likely_record(const Table* known, uint32_t hash) noexcept nogil:
    """The record of a word with this hash value, if it is the first that is looked at."""
    return known.arena.data + known.slots[hash & (known.count - 1)].link


cdef int quantities(const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights, const uint8_t* text,
                    int32_t size, Table* known, Scratch* scratch, Summary* summary, bint with_edges, Edges* edges,
                    Doubles* conditionals, Ints* parts) noexcept nogil:
    """All that there is to know of text[:size]. A Status.

    `parts`, unless NULL, receives the (end, number of edges so far) of each word. Without weights the edges and the
    parts are found, without `with_edges` only the sums.
    """
    cdef int32_t at = 0, end
    cdef size_t first
    cdef int word, status
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef const Known* entry
    cdef Summary of_word
    cdef Summary total          # nobody else has its address: it can stay in registers
    memset(&total, 0, sizeof(Summary))
    while at < size:
        look_ahead(cuts, NULL, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = place = NULL
            if word + NEXT_RECORD < ahead.count:
                prefetch(likely_record(known, ahead.hashes[word + NEXT_RECORD]))
            if end - at <= MAX_WORD and weights != NULL:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
            if slot != NULL:
                entry = <const Known*>record_of(known, slot)
                add(&total.log_partition, entry.log_partition)
                add(&total.entropy, entry.entropy)
                if with_edges:
                    if not edges_reserve(edges, entry.edges, at, size):
                        return NO_MEMORY
                    unpack_edges(<const uint8_t*>(entry + 1), entry.edges, total.characters, edges)
                total.characters += entry.characters
                total.has_unknown |= entry.has_unknown
            else:
                if not with_edges:
                    edges.size = 0
                first = edges.size
                memset(&of_word, 0, sizeof(Summary))
                of_word.characters = total.characters
                status = word_quantities(vocabulary, weights, text, size, at, end, scratch, conditionals, &of_word, edges)
                if status != OK:
                    return status
                of_word.log_partition.value += of_word.log_partition.rest
                of_word.entropy.value += of_word.entropy.rest
                add(&total.log_partition, of_word.log_partition.value)
                add(&total.entropy, of_word.entropy.value)
                if place != NULL:
                    keep(text + at, end - at, &of_word, edges, first, conditionals.data, total.characters, known, place)
                total.characters = of_word.characters
                total.has_unknown |= of_word.has_unknown
            if edges.size > 0x7FFFFFFF:
                return TOO_LONG
            if parts != NULL:
                if not reserve_ints(parts, parts.size + 2):
                    return NO_MEMORY
                parts.data[parts.size] = total.characters
                parts.data[parts.size + 1] = <int32_t>edges.size
                parts.size += 2
            at = end
        if is_raised(scratch.cancelled):
            return CANCELLED
    summary[0] = total
    return OK


cdef class Analysis:
    """What `analyse` finds out."""

    cdef readonly double log_partition
    cdef readonly double entropy
    cdef readonly bytes text
    cdef readonly object starts, ends, tokens, marginals, conditionals, parts
    cdef readonly bint has_unknown


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
    cdef Doubles conditionals
    cdef Weights law
    cdef Summary summary
    cdef Analysis found
    cdef int cancelled = 0, status
    cdef const double[::1] values
    cdef const int32_t[::1] exponents
    cdef bint weighted = weights is not None, with_parts = with_conditionals or not weighted
    cdef tuple key = ("quantities", alpha)
    cdef Workspace space = encoder.borrow(key)
    rows.complete()
    memset(&edges, 0, sizeof(Edges))
    memset(&parts, 0, sizeof(Ints))
    memset(&conditionals, 0, sizeof(Doubles))
    memset(&summary, 0, sizeof(Summary))
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
            if status == OK and not edges_start(&edges, space.normalized.size if with_edges else 0, weighted,
                                                with_conditionals):
                status = NO_MEMORY
            if status == OK:
                status = quantities(&encoder.vocabulary, &encoder.cuts.table, &law if weighted else NULL,
                                    space.normalized.data, <int32_t>space.normalized.size, &space.table, &space.scratch,
                                    &summary, with_edges, &edges, &conditionals, &parts if with_parts else NULL)
        raise_for_status(status, 0)
        found = Analysis()
        found.log_partition = summary.log_partition.value + summary.log_partition.rest
        found.entropy = summary.entropy.value + summary.entropy.rest
        found.text = space.normalized.data[:space.normalized.size]
        found.has_unknown = summary.has_unknown
        if with_edges:
            found.starts, found.ends, found.tokens, found.marginals, found.conditionals = edge_arrays(&edges)
            if with_parts:
                found.parts = array_from(&parts).reshape(-1, 2)
        return found
    finally:
        edges_free(&edges)
        free(parts.data)
        free(conditionals.data)
        encoder.give_back(key, space)
