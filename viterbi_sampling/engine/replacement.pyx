"""Paths without replacement: the k paths with the greatest perturbed log-probabilities.

Give each path its log-probability plus a Gumbel variable of its own: the k greatest are a sample
without replacement (Gumbel-top-k). The paths are too many to perturb each, so the greatest perturbed
value of a *set* of paths, those that share their last pieces, is drawn first: it is Gumbel with the
log-probability of the set as its location. A set splits by the edge that comes before; the values of
the subsets are drawn given that their maximum is that of the set (truncated Gumbels). A queue that
always splits the set with the greatest value gives the paths in order, none twice.
Source: Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them", section 4 and
appendix B.3.

Each set in the queue has a path with the set's value, so of the queue only as many sets are kept as
there are paths to come: time and memory grow with k times the pieces of a path.
"""

from cpython.exc cimport PyErr_CheckSignals
from cython.operator cimport dereference, predecrement
from libc.math cimport exp, fabs, log, log1p
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free
from libcpp.map cimport map
from libcpp.pair cimport pair
from libcpp.vector cimport vector

import numpy as np

from viterbi_sampling.engine.buffer cimport TOO_LONG, reserve
from viterbi_sampling.engine.rows cimport raise_for_status
from viterbi_sampling.engine.stream cimport Stream, stream_next, stream_start

cdef struct Suffix:             # pieces that paths end in
    int32_t token               # the first of them
    int32_t rest                # the suffix after it, NONE for none

cdef struct Paths:              # all that end in the same pieces
    double log_prob
    int32_t edge                # of the first of these pieces, NONE for none
    int32_t rest                # the suffix after it

ctypedef pair[double, int64_t] Place    # in the queue: by the set's value, of equal ones by their order

cdef enum:
    NONE = -1
    STEPS = 4096                # between two looks at signals


cdef inline double gumbel(Stream* stream) noexcept nogil:
    # the middle of the uniform's bracket, which is neither 0 nor 1
    return -log(-log(stream_next(stream) + 5.551115123125783e-17))


cdef inline double truncated(double value, double greatest, double top) noexcept nogil:
    """A Gumbel variable `value` given that the greatest of them, `greatest`, is `top` instead.

    Written so that nothing overflows or cancels.
    """
    cdef double below
    if value == greatest:
        return top
    below = top - value + log1p(-exp(value - greatest))
    return top - max(0.0, below) - log1p(exp(-fabs(below)))


cdef int gather(const int32_t[::1] ends, const double[::1] conditionals, vector[int32_t]& first,
                vector[int32_t]& arriving) except -1 nogil:
    """The edges of some probability by their ends: those to t are arriving[first[t]:first[t + 1]]."""
    cdef Py_ssize_t k
    cdef int32_t end, before = 0, count
    first.resize(ends[ends.shape[0] - 1] + 2)
    for k in range(ends.shape[0]):
        first[ends[k] + 1] += conditionals[k] > 0
    for end in range(<int32_t>first.size()):
        before += first[end]
        first[end] = before
    arriving.resize(before)
    for k in range(ends.shape[0]):
        if conditionals[k] > 0:
            arriving[first[ends[k]]] = <int32_t>k
            first[ends[k]] += 1
    # Each place has moved on to where the edges of the next end begin.
    for end in range(<int32_t>first.size() - 1, 0, -1):
        first[end] = first[end - 1]
    first[0] = 0
    return 0


cdef object tokens_of(const Suffix* suffixes, int32_t at):
    cdef int32_t suffix = at
    cdef Py_ssize_t count = 0
    cdef int32_t[::1] tokens
    while suffix != NONE:
        count += 1
        suffix = suffixes[suffix].rest
    path = np.empty(count, np.int32)
    tokens = path
    count = 0
    while at != NONE:
        tokens[count] = suffixes[at].token
        count += 1
        at = suffixes[at].rest
    return path


def without_replacement(const int32_t[::1] starts, const int32_t[::1] ends, const int32_t[::1] tokens,
                        const double[::1] conditionals, Py_ssize_t count, uint64_t seed, uint64_t index, excluded=None):
    """Up to `count` + 1 different paths, as a list of (tokens, log_prob, perturbed), the greatest perturbed first.

    The edges and `conditionals` are those of `analyse`. `excluded`: the tokens of a path that is left out. Tokens are
    int32 arrays.
    """
    cdef vector[int32_t] first
    cdef vector[int32_t] arriving
    cdef vector[double] values
    cdef map[Place, Paths] queue
    cdef map[Place, Paths].iterator last
    cdef Suffix* suffixes = NULL
    cdef size_t size = 0, capacity = 0, wanted = count + 1, steps = 0
    cdef int64_t number = 0
    cdef Stream stream
    cdef Paths paths, longer
    cdef double top, greatest, value
    cdef int32_t position, at, i
    cdef list found = []
    if excluded is not None:
        wanted += 1
    if ends.shape[0]:
        gather(ends, conditionals, first, arriving)
    stream_start(&stream, seed, index, 0)
    paths.log_prob = 0
    paths.edge = paths.rest = NONE
    queue[Place(gumbel(&stream), number)] = paths
    try:
        while queue.size() and wanted:
            steps += 1
            if steps % STEPS == 0:
                PyErr_CheckSignals()
            last = queue.end()
            predecrement(last)
            top = dereference(last).first.first
            paths = dereference(last).second
            queue.erase(last)
            if paths.edge == NONE:
                at = NONE
                position = ends[ends.shape[0] - 1] if ends.shape[0] else 0
            else:
                if size >= 0x7FFFFFFF:
                    raise_for_status(TOO_LONG, 0)
                if not reserve(&suffixes, &capacity, size + 1, sizeof(Suffix)):
                    raise MemoryError()
                suffixes[size].token = tokens[paths.edge]
                suffixes[size].rest = paths.rest
                at = <int32_t>size
                size += 1
                position = starts[paths.edge]
            if position == 0:
                path = tokens_of(suffixes, at)
                wanted -= 1
                if excluded is None or not np.array_equal(path, excluded):
                    found.append((path, paths.log_prob, top))
                if len(found) > count:
                    break
                continue
            values.clear()
            greatest = -1e300
            for i in range(first[position], first[position + 1]):
                value = paths.log_prob + log(conditionals[arriving[i]]) + gumbel(&stream)
                values.push_back(value)
                greatest = max(greatest, value)
            for i in range(first[position], first[position + 1]):
                value = truncated(values[i - first[position]], greatest, top)
                if queue.size() == wanted:
                    if value < dereference(queue.begin()).first.first:
                        continue
                    queue.erase(queue.begin())
                number += 1
                longer.log_prob = paths.log_prob + log(conditionals[arriving[i]])
                longer.edge = arriving[i]
                longer.rest = at
                queue[Place(value, number)] = longer
        return found
    finally:
        free(suffixes)
