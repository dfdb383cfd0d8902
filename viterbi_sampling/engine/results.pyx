"""The result of a batch: runs of rows are handed out to workers, and what they make is put in the order of the rows.

A run is so short that its tokens are still in the nearest cache when they are copied to their place, and that no
worker has to wait long for the last ones. One worker needs no copy: it goes on in the same memory.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.arrays cimport array_from
from viterbi_sampling.engine.buffer cimport (
    MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, extend, reserve, reserve_bytes, reserve_exactly, reserve_ints,
)
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.tokens cimport Tokens

cdef extern from "<thread>" namespace "std::this_thread" nogil:
    void give_way "std::this_thread::yield"() noexcept

cdef enum:
    RUN_BYTES = 1 << 15         # of text, with all draws
    LAST_BYTES = 1 << 11        # of the last runs, which get shorter and shorter
    ROW_BYTES = 16              # what a row costs besides its text, as bytes of text
    LONG_ROW = 1 << 20

cdef double MOST_EXPECTED = 1e12


cdef class Results:
    """Of `draws` paths a row."""

    def __cinit__(self, Rows rows not None, Py_ssize_t draws, bint with_spans):
        cdef int64_t[::1] view
        self.rows = rows
        self.draws = draws
        self.workers = 1
        self.made.tokens.with_spans = with_spans
        self.offsets = np.empty(rows.count * draws + 1, np.int64)
        view = self.offsets
        view[0] = 0
        self.ends = &view[0] + 1

    def __dealloc__(self):
        cdef size_t k
        cdef Waiting* kept
        made_free(&self.made)
        for k in range(self.waiting_count):
            if self.waiting[k] != NULL:
                made_free(&self.waiting[k].made)
                free(self.waiting[k])
        free(self.waiting)
        while self.free != NULL:
            kept = self.free
            self.free = kept.next
            made_free(&kept.made)
            free(kept)

    def arrays(self):
        """(ids, offsets, spans or None), once all workers have ended."""
        cdef Tokens* tokens = &self.made.tokens
        spans = None
        ids = array_from(&tokens.ids)
        if tokens.with_spans:
            spans = array_from(&tokens.spans).reshape(-1, 2)
        return ids, self.offsets, spans

    cdef bint take(self, Run* run) noexcept nogil:
        cdef Py_ssize_t ready
        cdef int64_t most = RUN_BYTES, cost = 0
        cdef bint found = False
        while not self.cancelled[0]:
            ready = self.rows.ready.load()
            self.lock.lock()
            if self.stopped or self.next_row < ready or ready == self.rows.count:
                break
            self.lock.unlock()
            give_way()
        else:
            return False
        if not self.stopped and self.next_row < ready:
            found = True
            run.number = self.handed
            self.handed += 1
            run.first = run.last = self.next_row
            run.bytes = 0
            if ready == self.rows.count:
                most = min(most, max(<int64_t>LAST_BYTES, (self.rows.total - self.handed_bytes) * self.draws // (4 * self.workers)))
            while run.last < ready and cost < most:
                run.bytes += max(self.rows.sizes[run.last], 0)
                run.last += 1
                cost = cost_of(run.bytes, run.last - run.first) * self.draws
            self.next_row = run.last
            self.handed_bytes += run.bytes
        self.lock.unlock()
        return found

    cdef int deliver(self, const Run* run, Made* made) noexcept nogil:
        cdef Waiting* kept
        cdef size_t more
        cdef bint done
        if self.workers == 1:
            self.cost += cost_of(run.bytes, run.last - run.first)
            # Room for the next runs, too, if they are as those before; the worker grows it where they are not.
            more = 2 * made.tokens.ids.size // <size_t>(run.number + 1)
            return OK if self.make_room(&made.tokens, made.tokens.ids.size, more) else NO_MEMORY
        self.lock.lock()
        if run.number != self.placed:
            done = self.keep(run, made)
        else:
            done = self.put(run, made)
            while done and <size_t>self.placed < self.waiting_count and self.waiting[self.placed] != NULL:
                kept = self.waiting[self.placed]
                self.waiting[self.placed] = NULL
                kept.next = self.free
                self.free = kept
                done = self.put(&kept.run, &kept.made)
        self.lock.unlock()
        return OK if done else NO_MEMORY

    cdef void stop(self) noexcept nogil:
        self.lock.lock()
        self.stopped = True
        self.lock.unlock()

    cdef bint put(self, const Run* run, Made* made) noexcept nogil:
        """Add what was made of the next run, and empty it. False without memory."""
        cdef Made* all = &self.made
        cdef size_t base = all.tokens.ids.size
        cdef size_t text = all.unknown.size
        cdef size_t i
        self.cost += cost_of(run.bytes, run.last - run.first)
        if (not self.make_room(&all.tokens, base + made.tokens.ids.size, 0)
                or not extend(&all.tokens.ids, &made.tokens.ids, 0, made.tokens.ids.size)
                or not extend(&all.tokens.spans, &made.tokens.spans, 0, made.tokens.spans.size)
                or not reserve_bytes(&all.unknown, text + made.unknown.size)
                or not reserve_ints(&all.unknown_ends, all.unknown_ends.size + made.unknown_ends.size)):
            return False
        for i in range(run.first * self.draws, run.last * self.draws):
            self.ends[i] += base
        if made.unknown.size:
            memcpy(all.unknown.data + text, made.unknown.data, made.unknown.size)
            all.unknown.size += made.unknown.size
        for i in range(made.unknown_ends.size):
            all.unknown_ends.data[all.unknown_ends.size] = made.unknown_ends.data[i] + <int32_t>text
            all.unknown_ends.size += 1
        self.placed += 1
        made.tokens.ids.size = made.tokens.spans.size = made.unknown.size = made.unknown_ends.size = 0
        return True

    cdef bint keep(self, const Run* run, Made* made) noexcept nogil:
        """Keep what was made until its turn comes, and give other memory for it. False without memory."""
        cdef Waiting* kept = self.free
        cdef Made other
        if <size_t>run.number >= self.waiting_count:
            if not reserve(&self.waiting, &self.waiting_capacity, run.number + 1, sizeof(Waiting*)):
                return False
            while self.waiting_count <= <size_t>run.number:
                self.waiting[self.waiting_count] = NULL
                self.waiting_count += 1
        if kept != NULL:
            self.free = kept.next
        else:
            kept = <Waiting*>calloc(1, sizeof(Waiting))
            if kept == NULL:
                return False
            kept.made.tokens.with_spans = made.tokens.with_spans
        other = kept.made
        kept.made = made[0]
        made[0] = other
        kept.run = run[0]
        self.waiting[run.number] = kept
        return True

    cdef void expect(self, const Run* run, Made* made) noexcept nogil:
        cdef size_t wanted = made.tokens.ids.size + run.bytes // 3
        if run.bytes >= LONG_ROW:
            reserve_tokens(&made.tokens, wanted)

    cdef bint make_room(self, Tokens* tokens, size_t made, size_t more) noexcept nogil:
        """Room for the `made` tokens of the rows that are done and some more; if there is none, for all there may be."""
        cdef size_t wanted = made + more
        cdef double expected
        if wanted <= tokens.ids.capacity and (not tokens.with_spans or 2 * wanted <= tokens.spans.capacity):
            return True
        # How much text there is, is known once all rows are gathered, and may not be read before.
        if self.cost and self.rows.ready.load() == self.rows.count:
            expected = 1.06 * made * (<double>cost_of(self.rows.total, self.rows.count) / self.cost)
            # What was expected in error may be more than there is.
            if wanted < expected < MOST_EXPECTED and reserve_tokens(tokens, <size_t>expected):
                return True
        return reserve_tokens(tokens, wanted + (wanted >> 1)) or reserve_tokens(tokens, wanted)


cdef inline int64_t cost_of(int64_t bytes, Py_ssize_t rows) noexcept nogil:
    return bytes + rows * ROW_BYTES


cdef bint reserve_tokens(Tokens* tokens, size_t count) noexcept nogil:
    """Room for so many tokens in all, and no more than that. False without memory."""
    return (reserve_exactly(&tokens.ids.data, &tokens.ids.capacity, count, sizeof(int32_t))
            and (not tokens.with_spans
                 or reserve_exactly(&tokens.spans.data, &tokens.spans.capacity, 2 * count, sizeof(int32_t))))


cdef void made_free(Made* made) noexcept nogil:
    free(made.tokens.ids.data)
    free(made.tokens.spans.data)
    free(made.unknown.data)
    free(made.unknown_ends.data)
    memset(made, 0, sizeof(Made))
