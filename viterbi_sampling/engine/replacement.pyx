"""Paths without replacement: the k paths with the greatest perturbed log-probabilities.

Give each path its log-probability plus a Gumbel variable of its own: the k greatest are a sample
without replacement (Gumbel-top-k). The paths are too many to perturb each, so the greatest perturbed
value of a *set* of paths, those that share their last pieces, is drawn first: it is Gumbel with the
log-probability of the set as its location. A set splits by the edge that comes before; the values of
the subsets are drawn given that their maximum is that of the set (truncated Gumbels). A queue that
always splits the set with the greatest value gives the paths in order, none twice.
Source: Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them", section 4 and
appendix B.3.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport exp, fabs, log, log1p
from libc.stdint cimport int32_t, uint64_t
from libcpp.algorithm cimport pop_heap, push_heap
from libcpp.pair cimport pair
from libcpp.vector cimport vector

from viterbi_sampling.engine.stream cimport Stream, stream_next, stream_start

cdef struct Suffix:             # all paths that end in the same pieces
    double log_prob
    int32_t position            # where these pieces begin
    int32_t token               # the first of them
    int32_t rest                # the suffix after it, -1 for none


cdef inline double gumbel(Stream* stream) noexcept nogil:
    # the middle of the uniform's bracket, which is neither 0 nor 1
    return -log(-log(stream_next(stream) + 5.551115123125783e-17))


def without_replacement(const int32_t[::1] starts, const int32_t[::1] ends, const int32_t[::1] tokens,
                        const double[::1] conditionals, Py_ssize_t count, uint64_t seed, uint64_t index, excluded=None):
    """Up to `count` + 1 different paths, as a list of (tokens, log_prob, perturbed), the greatest perturbed first.

    The edges and `conditionals` are those of `analyse`. `excluded`: the tokens of a path that is left out.
    """
    cdef vector[vector[int32_t]] arriving
    cdef vector[Suffix] suffixes
    cdef vector[pair[double, int32_t]] queue
    cdef vector[double] values
    cdef Suffix suffix, longer
    cdef Stream stream
    cdef double top, greatest, below, value
    cdef int32_t edge, at, size
    cdef Py_ssize_t k, i
    found = []
    size = ends[ends.shape[0] - 1] if ends.shape[0] else 0
    arriving.resize(size + 1)
    for k in range(ends.shape[0]):
        if conditionals[k] > 0:
            arriving[ends[k]].push_back(<int32_t>k)
    stream_start(&stream, seed, index, 0)
    suffix.log_prob = 0
    suffix.position = size
    suffix.token = suffix.rest = -1
    suffixes.push_back(suffix)
    queue.push_back(pair[double, int32_t](gumbel(&stream), 0))
    while queue.size() and <Py_ssize_t>len(found) <= count:
        if not suffixes.size() & 0xFFF:
            PyErr_CheckSignals()
        pop_heap(queue.begin(), queue.end())
        top = queue.back().first
        at = queue.back().second
        queue.pop_back()
        suffix = suffixes[at]
        if suffix.position == 0:
            path = []
            while at > 0:
                path.append(suffixes[at].token)
                at = suffixes[at].rest
            if path != excluded:
                found.append((path, suffix.log_prob, top))
            continue
        values.clear()
        greatest = -1e300
        for edge in arriving[suffix.position]:
            value = suffix.log_prob + log(conditionals[edge]) + gumbel(&stream)
            values.push_back(value)
            greatest = max(greatest, value)
        i = 0
        for edge in arriving[suffix.position]:
            # Given that the greatest is `top`; written so that nothing overflows or cancels.
            if values[i] == greatest:
                value = top
            else:
                below = top - values[i] + log1p(-exp(values[i] - greatest))
                value = top - max(0.0, below) - log1p(exp(-fabs(below)))
            longer.log_prob = suffix.log_prob + log(conditionals[edge])
            longer.position = starts[edge]
            longer.token = tokens[edge]
            longer.rest = at
            suffixes.push_back(longer)
            queue.push_back(pair[double, int32_t](value, <int32_t>(suffixes.size() - 1)))
            push_heap(queue.begin(), queue.end())
            i += 1
    return found
