"""Exact quantities of the law p(path) ∝ exp(alpha * score): its partition, its entropy, the marginals of its edges.

One pass forward gives the sums F. One pass backward splits the probability P[t] that a path goes
through t among the edges e that end there, by the law q of the backward choice, and passes it on to
their starts. So the marginal of e is P[t]·q(e), and the entropy is the sum over t of P[t] times the
entropy of the choice at t (the chain rule): all terms are positive, and nothing cancels.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport log, log1p
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from collections import namedtuple

import numpy as np

from viterbi_sampling.engine.buffer cimport (
    MAX_TEXT, NO_MEMORY, NO_PATH, OK, TOO_LONG, Bytes, Doubles, Ints, Sum, add, reserve_doubles, reserve_ints,
)
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.lattice cimport Edge, Lattice, Vocabulary, lattice_clear, lattice_start
from viterbi_sampling.engine.normalizer cimport normalize
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.choices cimport FFBS, Weights, forward, log_sum, next_edges, through
from viterbi_sampling.engine.scratch cimport Cell, Scratch, scratch_free


Analysis = namedtuple("Analysis", "log_partition entropy text edges parts marginals conditionals")
Analysis.__doc__ = "What `analyse` finds out."


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


cdef int quantities(const Vocabulary* vocabulary, const Weights* weights, const uint8_t* text, int32_t size,
                    Scratch* scratch, Sum* log_partition, Sum* entropy, Ints* edges, Ints* cuts,
                    Doubles* marginals, Doubles* conditionals) noexcept nogil:
    """All that there is to know of text[:size]. A Status.

    `edges` receives (start, end, token) of each edge, `cuts` the (end, number of edges so far) of
    each part. Without weights only these; without `edges` only the sums.
    """
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = 0
    cdef size_t known
    cdef int status
    lattice_start(lattice, text, 0, size)
    while lattice.at < size:
        status = next_edges(vocabulary, FFBS, scratch, &ready, <size_t>-1)
        if status != OK:
            return status
        known = marginals.size
        if (not reserve_doubles(marginals, known + lattice.count)
                or not reserve_doubles(conditionals, known + lattice.count)):
            return NO_MEMORY
        if weights != NULL:
            forward(lattice, weights, scratch.cells, scratch.previous.data)
            add(log_partition, log_sum(&scratch.cells[lattice.at - lattice.cut]))
            status = part_quantities(lattice, weights, scratch, entropy, marginals.data + known,
                                     conditionals.data + known)
            if status != OK:
                return status
        if edges != NULL:
            marginals.size += lattice.count
            conditionals.size += lattice.count
            if not reserve_ints(edges, edges.size + 3 * lattice.count) or not reserve_ints(cuts, cuts.size + 2):
                return NO_MEMORY
            memcpy(edges.data + edges.size, lattice.edges, lattice.count * sizeof(Edge))
            edges.size += 3 * lattice.count
            if edges.size > 0x7FFFFFFF:
                return TOO_LONG
            cuts.data[cuts.size] = lattice.at
            cuts.data[cuts.size + 1] = <int32_t>(edges.size // 3)
            cuts.size += 2
        lattice_clear(lattice, True)
    return OK


def analyse(Encoder encoder not None, Rows rows not None, double alpha=0.0, weights=None, bint with_edges=False):
    """What there is to know of the law of the first row.

    text : bytes, the normalized text as the engine spells it, in which positions count bytes
    edges : int32 of shape (n, 3), start, end and token of each edge, by start and end rising; None unless with_edges
    parts : int32 of shape (m, 2), where each part between two cuts ends, and the number of edges up to there
    marginals : float64 of shape (n,), the probability of each edge
    conditionals : float64 of shape (n,), its probability given that a path goes through its end

    Without `weights` only the text, the edges and the parts are known.
    """
    cdef Scratch scratch
    cdef Bytes text
    cdef Ints edges, cuts
    cdef Doubles marginals, conditionals
    cdef Weights law
    cdef Sum log_partition, entropy
    cdef int cancelled = 0, status
    cdef const double[::1] values
    cdef const int32_t[::1] exponents
    cdef bint weighted = weights is not None
    memset(&scratch, 0, sizeof(Scratch))
    memset(&text, 0, sizeof(Bytes))
    memset(&edges, 0, sizeof(Ints))
    memset(&cuts, 0, sizeof(Ints))
    memset(&marginals, 0, sizeof(Doubles))
    memset(&conditionals, 0, sizeof(Doubles))
    memset(&log_partition, 0, sizeof(Sum))
    memset(&entropy, 0, sizeof(Sum))
    scratch.cancelled = &cancelled
    if weighted:
        values, exponents = weights
        law.alpha = alpha
        law.values = &values[0]
        law.exponents = &exponents[0] if exponents is not None else NULL
    try:
        with nogil:
            status = TOO_LONG
            if rows.sizes[0] <= MAX_TEXT:
                status = normalize(&encoder.normalizer.rules, rows.data[0], rows.sizes[0], &text, NULL)
            if status == OK:
                status = quantities(&encoder.vocabulary, &law if weighted else NULL, text.data, <int32_t>text.size,
                                    &scratch, &log_partition, &entropy, &edges if with_edges else NULL, &cuts, &marginals,
                                    &conditionals)
        if status == NO_MEMORY:
            raise MemoryError()
        if status == TOO_LONG:
            raise ValueError(f"the text is too long: it must be shorter than {MAX_TEXT} bytes, before and after "
                             "normalization, and its lattice smaller than 2^31 / 3 edges")
        if status == NO_PATH:
            raise ValueError("the text has no segmentation into the pieces of this model (give unk_score to allow "
                             "unknown characters)")
        return Analysis(
            log_partition.value + log_partition.rest,
            entropy.value + entropy.rest,
            text.data[:text.size],
            array_of(edges.data, edges.size * sizeof(int32_t), np.int32).reshape(-1, 3),
            array_of(cuts.data, cuts.size * sizeof(int32_t), np.int32).reshape(-1, 2),
            array_of(marginals.data, marginals.size * sizeof(double), np.float64),
            array_of(conditionals.data, conditionals.size * sizeof(double), np.float64),
        )
    finally:
        scratch_free(&scratch)
        free(text.data)
        free(edges.data)
        free(cuts.data)
        free(marginals.data)
        free(conditionals.data)


cdef array_of(const void* data, size_t bytes, dtype):
    """A numpy array with a copy of the data."""
    result = np.empty(bytes, np.uint8)
    cdef uint8_t[::1] view = result
    if bytes:
        memcpy(&view[0], data, bytes)
    return result.view(dtype)


def count_paths(const int32_t[:, ::1] edges, const int32_t[:, ::1] parts):
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
            counts[edges[k, 1] - begin] += counts[edges[k, 0] - begin]
            if counts[edges[k, 1] - begin] >> 62:
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
                while at < edges[k, 0]:
                    large.pop(at, None)
                    at += 1
                large[edges[k, 1]] = large.get(edges[k, 1], 0) + large[edges[k, 0]]
            found.append(large[parts[part, 0]])
        begin = parts[part, 0]
        first = parts[part, 1]
    return found
