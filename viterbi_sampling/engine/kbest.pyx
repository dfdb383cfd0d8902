"""The best paths of a lattice in order, as many as are asked for, exactly.

Within a part between two cuts: lazy k-best enumeration (Huang and Chiang 2005, algorithm 3). Each
position keeps the best paths to it that were asked for, and a heap of candidates: one edge and the
rank of the path to its start. The next best path is taken from the heap; only then the candidate
after it is worked out, which may ask an earlier position for its next best. There is no agenda cut
and no time limit; the depth of the asking is kept on a stack of our own.

Across parts the choices are independent. The k best combinations differ from the best one in parts
whose second best path is among the k nearest, so only those parts are ever gone into.

Ties go to the earliest start, as in Viterbi. Scores are summed in double precision.
"""

from libc.stdint cimport int32_t, int64_t
from libcpp.algorithm cimport pop_heap, push_heap
from libcpp.pair cimport pair
from libcpp.vector cimport vector

import heapq

import numpy as np

ctypedef pair[double, pair[int32_t, int32_t]] Candidate     # score, (-edge, -rank): greater is better


cdef class PartPaths:
    """The paths of one part, best first: a path is a rank from 0, worked out when it is asked for."""

    cdef const int32_t[:, ::1] edges    # those of the part
    cdef const double[::1] scores       # of tokens
    cdef int32_t begin
    cdef int32_t size
    cdef vector[vector[Candidate]] found
    cdef vector[vector[Candidate]] waiting
    cdef vector[vector[int32_t]] arriving       # edges by their end
    cdef vector[bint] opened

    def __init__(self, edges, const double[::1] scores, int32_t begin, int32_t end):
        cdef Py_ssize_t k
        self.edges = edges
        self.scores = scores
        self.begin = begin
        self.size = end - begin
        self.found.resize(self.size + 1)
        self.waiting.resize(self.size + 1)
        self.arriving.resize(self.size + 1)
        self.opened.resize(self.size + 1)
        for k in range(self.edges.shape[0]):
            self.arriving[self.edges[k, 1] - begin].push_back(<int32_t>k)
        self.found[0].push_back(Candidate(0.0, pair[int32_t, int32_t](1, 0)))
        self.opened[0] = True
        # The best path to each position, in the order of positions: nothing has to be asked for.
        for k in range(1, self.size + 1):
            self.open(<int32_t>k)

    cdef void open(self, int32_t position):
        cdef int32_t edge, start
        self.opened[position] = True
        for edge in self.arriving[position]:
            start = self.edges[edge, 0] - self.begin
            if self.found[start].size():
                self.offer(position, edge, 0)
        self.settle(position)

    cdef void offer(self, int32_t position, int32_t edge, int32_t rank):
        cdef double score = self.found[self.edges[edge, 0] - self.begin][rank].first + self.scores[self.edges[edge, 2]]
        self.waiting[position].push_back(Candidate(score, pair[int32_t, int32_t](-edge, -rank)))
        push_heap(self.waiting[position].begin(), self.waiting[position].end())

    cdef void settle(self, int32_t position):
        """Take the best candidate as the next path to `position`."""
        if self.waiting[position].size():
            pop_heap(self.waiting[position].begin(), self.waiting[position].end())
            self.found[position].push_back(self.waiting[position].back())
            self.waiting[position].pop_back()

    cdef bint reach(self, int32_t position, int32_t rank):
        """Work out the path of `rank` to `position`, where those before it are known; False where there is none."""
        cdef vector[pair[int32_t, int32_t]] asked
        cdef int32_t edge, start, before
        cdef Candidate last
        asked.push_back(pair[int32_t, int32_t](position, rank))
        while asked.size():
            position = asked.back().first
            rank = asked.back().second
            if <int32_t>self.found[position].size() > rank or position == 0:
                asked.pop_back()
                continue
            last = self.found[position].back()
            edge = -last.second.first
            before = -last.second.second
            start = self.edges[edge, 0] - self.begin
            if <int32_t>self.found[start].size() == before + 1 and start > 0 and not self.exhausted(start):
                asked.push_back(pair[int32_t, int32_t](start, before + 1))
                continue
            asked.pop_back()
            if <int32_t>self.found[start].size() > before + 1:
                self.offer(position, edge, before + 1)
            if self.waiting[position].empty():
                self.opened[position] = False       # no path is left
            else:
                self.settle(position)
        return True

    cdef bint exhausted(self, int32_t position):
        return not self.opened[position]

    def score(self, int32_t rank):
        """The score of the path of `rank`, asked for in the order of ranks; None where there are fewer."""
        while <int32_t>self.found[self.size].size() <= rank:
            if self.exhausted(self.size):
                return None
            self.reach(self.size, <int32_t>self.found[self.size].size())
        return self.found[self.size][rank].first

    def tokens(self, int32_t rank):
        """The tokens of the path of `rank`, as a list of int."""
        cdef int32_t position = self.size, edge
        cdef Candidate at
        found = []
        while position > 0:
            at = self.found[position][rank]
            edge = -at.second.first
            found.append(self.edges[edge, 2])
            position = self.edges[edge, 0] - self.begin
            rank = -at.second.second
        found.reverse()
        return found


def best_and_gaps(const int32_t[:, ::1] edges, const int32_t[:, ::1] parts, const double[::1] scores):
    """The best path, part by part: (scores, gaps, tokens, bounds).

    The gap of a part is how far its second best path lies behind, infinite where there is none. The
    best path of part i is tokens[bounds[i]:bounds[i + 1]].
    """
    cdef Py_ssize_t part, k, first = 0, count = 0, size
    cdef int32_t begin = 0, width, start, end
    cdef double best, second, score
    cdef vector[double] bests, seconds
    cdef vector[int32_t] kept
    cdef double minus = -float("inf")
    best_scores = np.empty(parts.shape[0])
    gaps = np.empty(parts.shape[0])
    # A path has no more edges than its part.
    tokens = np.empty(edges.shape[0], np.int32)
    bounds = np.zeros(parts.shape[0] + 1, np.int64)
    cdef double[::1] best_view = best_scores
    cdef double[::1] gap_view = gaps
    cdef int32_t[::1] token_view = tokens
    cdef int64_t[::1] bound_view = bounds
    for part in range(parts.shape[0]):
        width = parts[part, 0] - begin
        if parts[part, 1] == first + 1:
            best_view[part] = scores[edges[first, 2]]
            gap_view[part] = -minus
            token_view[count] = edges[first, 2]
            count += 1
        else:
            bests.assign(width + 1, minus)
            seconds.assign(width + 1, minus)
            kept.assign(width + 1, 0)
            bests[0] = 0
            for k in range(first, parts[part, 1]):
                start = edges[k, 0] - begin
                end = edges[k, 1] - begin
                score = scores[edges[k, 2]]
                best = bests[start] + score
                second = seconds[start] + score
                if best > bests[end]:
                    seconds[end] = max(second, bests[end])
                    bests[end] = best
                    kept[end] = <int32_t>k
                elif best > seconds[end]:
                    seconds[end] = best
            best_view[part] = bests[width]
            gap_view[part] = bests[width] - seconds[width]
            size = 0
            end = width
            while end > 0:
                size += 1
                end = edges[kept[end], 0] - begin
            count += size
            end = width
            for k in range(size):
                token_view[count - 1 - k] = edges[kept[end], 2]
                end = edges[kept[end], 0] - begin
        begin = parts[part, 0]
        first = parts[part, 1]
        bound_view[part + 1] = count
    return best_scores, gaps, tokens[:count], bounds


def nearest(gaps, Py_ssize_t count):
    """The parts of the `count` smallest finite gaps, by gap, of equal ones by part."""
    finite = np.flatnonzero(np.isfinite(gaps))
    if len(finite) > count:
        finite = finite[np.argpartition(gaps[finite], count - 1)[:count]]
        finite.sort()
    return finite[np.argsort(gaps[finite], kind="stable")].tolist()


def best_combinations(parts, gaps, Py_ssize_t count):
    """Yield (loss, changes) of the `count` best combinations of paths, the best first.

    `parts` gives the PartPaths of a part by its number. `loss` is how far the score lies below the
    best one, `changes` a list of (part, rank) for the parts whose path is not their best.
    """
    yield 0.0, []
    near = nearest(gaps, count)
    if not near:
        return
    paths = [None] * len(near)

    def loss(i, rank):
        """How far the path of `rank` of the i-th nearest part lies behind its best; None where there is none."""
        if paths[i] is None:
            paths[i] = parts(near[i])
        score = paths[i].score(rank)
        return None if score is None else max(0.0, paths[i].score(0) - score)

    # A state: the changes, the last of them in part i at `rank`. Each combination has one way to it: the last change
    # one rank further; one more change, in the next part; or the last change, if of rank 1, moved to the next part.
    number = 0
    heap = [(loss(0, 1), number, 0, 1, None)]
    given = 1
    while heap and given < count:
        value, _, i, rank, before = heapq.heappop(heap)
        changes = [(near[i], rank)]
        state = before
        while state is not None:
            changes.append((near[state[0]], state[1]))
            state = state[2]
        yield value, changes
        given += 1
        here = loss(i, rank)
        further = loss(i, rank + 1)
        if further is not None:
            number += 1
            heapq.heappush(heap, (value - here + further, number, i, rank + 1, before))
        if i + 1 < len(near):
            following = loss(i + 1, 1)
            number += 1
            heapq.heappush(heap, (value + following, number, i + 1, 1, (i, rank, before)))
            if rank == 1:
                number += 1
                heapq.heappush(heap, (value - here + following, number, i + 1, 1, before))
