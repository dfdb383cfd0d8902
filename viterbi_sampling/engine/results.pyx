"""The result of a batch: runs of rows are handed out to workers, and what they make is put in the order of the rows.

A run is so short that its tokens are still in a near cache when they are copied to their place, and that no
worker has to wait long for the last ones. One worker needs no copy: it goes on in the same memory.

Python objects are made of rows by the calling thread alone, which has the interpreter lock. It collects run after run, as
they were made, while the others go on.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.arrays cimport array_from
from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK, extend, reserve, reserve_bytes, reserve_exactly, reserve_ints
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.threads cimport give_way
from viterbi_sampling.engine.tokens cimport Tokens

cdef extern from * nogil:
    """
    #include <chrono>
    #include <thread>
    static void viterbi_sampling_doze() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }
    """
    void doze "viterbi_sampling_doze"() noexcept

cdef enum:
    RUN_BYTES = 1 << 17         # of text, with all draws
    LAST_BYTES = 1 << 11        # of the last runs, which get shorter and shorter
    ROW_BYTES = 16              # what a row costs besides its text, as bytes of text
    LONG_ROW = 1 << 20
    COLLECTED_BYTES = 1 << 17   # of text, with all draws: for less the interpreter lock is not taken
    MOST_DOZES = 50

cdef double MOST_EXPECTED = 1e12


cdef class Results:
    """Of `draws` paths a row."""

    def __cinit__(self, Rows rows not None, Py_ssize_t draws, bint with_spans):
        cdef int64_t[::1] view
        self.rows = rows
        self.draws = draws
        self.workers = 1
        self.alone = True
        self.cancelled = &self.given_up
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

    cdef bint take(self, Run* run, bint collects) noexcept nogil:
        cdef Py_ssize_t ready
        # One worker alone would only move what it makes.
        cdef int64_t most = COLLECTED_BYTES if self.collects and self.workers == 1 else RUN_BYTES
        cdef int64_t cost = 0
        cdef bint found = False, ended
        while not is_raised(self.cancelled):
            ready = self.rows.ready.load()
            self.lock.lock()
            ended = self.stopped or (collects and self.many_wait())
            if ended or self.next_row < ready or ready == self.rows.count:
                break
            self.lock.unlock()
            if not self.rows.help():
                give_way()
        else:
            return False
        if not ended and self.next_row < ready:
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
        cdef bint done, placing
        if self.alone:
            self.cost += cost_of(run.bytes, run.last - run.first)
            if run.last == self.rows.count:
                return OK
            # Room for the next runs, too, if they are as those before; the worker grows it where they are not.
            more = 2 * made.tokens.ids.size // <size_t>(run.number + 1)
            return OK if self.make_room(&made.tokens, made.tokens.ids.size, more) else NO_MEMORY
        self.lock.lock()
        done = self.keep(run, made)
        # One thread at a time puts runs in their place, while the others go on.
        placing = not self.placing
        self.placing = True
        while placing and done and <size_t>self.placed < self.waiting_count and self.waiting[self.placed] != NULL:
            kept = self.waiting[self.placed]
            self.count_in(&kept.run)
            if self.collects:
                continue
            self.lock.unlock()
            done = self.put(&kept.run, &kept.made)
            self.lock.lock()
            self.let_go(kept)
        if placing:
            self.placing = False
        self.lock.unlock()
        return OK if done else NO_MEMORY

    cdef void count_in(self, const Run* run) noexcept nogil:
        self.cost += cost_of(run.bytes, run.last - run.first)
        self.placed += 1
        self.placed_rows = run.last

    cdef void let_go(self, Waiting* kept) noexcept nogil:
        self.waiting[kept.run.number] = NULL
        kept.next = self.free
        self.free = kept

    cdef bint many_wait(self) noexcept nogil:
        """Whether so many rows wait to be collected that it pays."""
        return (self.cost - self.collected_cost) * self.draws >= COLLECTED_BYTES

    cdef bint goes_on(self) noexcept nogil:
        cdef bint stopped
        self.lock.lock()
        stopped = self.stopped
        self.lock.unlock()
        return not stopped and self.collected < self.rows.count

    cdef Py_ssize_t collect(self, Made* made, int64_t** ends, bint patient) noexcept nogil:
        cdef Waiting* kept
        cdef Py_ssize_t count
        cdef int dozes = 0
        while True:
            self.lock.lock()
            if (self.collected < self.placed_rows and (not patient or self.many_wait() or dozes == MOST_DOZES
                                                       or self.placed_rows == self.rows.count)):
                break
            if self.stopped or dozes == MOST_DOZES:
                self.lock.unlock()
                return 0
            self.lock.unlock()
            if patient:
                doze()
                dozes += 1
            else:
                give_way()
        kept = self.waiting[self.collected_runs]
        exchange(&kept.made, made)
        ends[0] = self.ends + kept.run.first * self.draws
        count = (kept.run.last - kept.run.first) * self.draws
        self.collected = kept.run.last
        self.collected_runs += 1
        self.collected_cost += cost_of(kept.run.bytes, kept.run.last - kept.run.first)
        self.let_go(kept)
        self.lock.unlock()
        return count

    cdef void stop(self) noexcept nogil:
        self.lock.lock()
        self.stopped = True
        self.lock.unlock()

    cdef bint put(self, const Run* run, Made* made) noexcept nogil:
        """Add what was made of the next run, and empty it; without the lock. False without memory."""
        cdef Made* all = &self.made
        cdef size_t base = all.tokens.ids.size
        cdef size_t text = all.text.size
        cdef size_t i
        if (not self.make_room(&all.tokens, base + made.tokens.ids.size, 0)
                or not extend(&all.tokens.ids, &made.tokens.ids, 0, made.tokens.ids.size)
                or not extend(&all.tokens.spans, &made.tokens.spans, 0, made.tokens.spans.size)
                or not reserve_bytes(&all.text, text + made.text.size)
                or not reserve_ints(&all.text_ends, all.text_ends.size + made.text_ends.size)):
            return False
        if base:
            for i in range(run.first * self.draws, run.last * self.draws):
                self.ends[i] += base
        if made.text.size:
            memcpy(all.text.data + text, made.text.data, made.text.size)
            all.text.size += made.text.size
        for i in range(made.text_ends.size):
            all.text_ends.data[all.text_ends.size] = made.text_ends.data[i] + <int32_t>text
            all.text_ends.size += 1
        made_empty(made)
        return True

    cdef bint keep(self, const Run* run, Made* made) noexcept nogil:
        """Keep what was made until its turn comes, and give other memory for it. False without memory."""
        cdef Waiting* kept = self.free
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
        exchange(&kept.made, made)
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
            expected = 1.25 * made * (<double>cost_of(self.rows.total, self.rows.count) / self.cost)
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


cdef inline void exchange(Made* a, Made* b) noexcept nogil:
    cdef Made other = a[0]
    a[0] = b[0]
    b[0] = other


cdef void made_empty(Made* made) noexcept nogil:
    made.tokens.ids.size = made.tokens.spans.size = made.text.size = made.text_ends.size = 0


cdef void made_free(Made* made) noexcept nogil:
    free(made.tokens.ids.data)
    free(made.tokens.spans.data)
    free(made.text.data)
    free(made.text_ends.data)
    memset(made, 0, sizeof(Made))
