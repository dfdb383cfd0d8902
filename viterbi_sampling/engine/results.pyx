"""The result of a batch: runs of rows are handed out to workers, and what they make is put in the order of the rows.

A run is so short that its tokens are still in a near cache when they are copied to their place, and that no
worker has to wait long for the last ones. The place is known once all runs before it are made; each worker copies
what it has made itself, from the caches of its own core. One worker needs no copy: it goes on in the same memory.

Python objects are made of rows by the calling thread alone, which has the interpreter lock. It collects run after run, as
they were made, while the others go on.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.arrays cimport array_from
from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, reserve, reserve_bytes, reserve_exactly, reserve_ints
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
        cdef Waiting* kept
        made_free(&self.made)
        free(self.waiting)
        while self.every != NULL:
            kept = self.every
            self.every = kept.other
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

    cdef int deliver(self, const Run* run, Made* made, Own* own) noexcept nogil:
        cdef size_t more
        cdef bint done
        if self.alone:
            self.cost += cost_of(run.bytes, run.last - run.first)
            if run.last == self.rows.count:
                return OK
            # Room for the next runs, too, if they are as those before; the worker grows it where they are not.
            more = 2 * made.tokens.ids.size // <size_t>(run.number + 1)
            return OK if self.make_room(&made.tokens, made.tokens.ids.size, more) else NO_MEMORY
        self.lock.lock()
        done = self.keep(run, made, own) and self.place_next()
        self.lock.unlock()
        return OK if done and self.put(own) else NO_MEMORY

    cdef void leave(self, Own* own) noexcept nogil:
        self.lock.lock()
        if own.first != NULL:
            own.last.next = self.left.first
            self.left.first = own.first
            own.first = NULL
        self.lock.unlock()

    cdef int finish(self) except -1:
        if not self.stopped and not self.put(&self.left):
            raise MemoryError()
        return 0

    cdef bint place_next(self) noexcept nogil:
        """Find the places of the runs that were made next, with the lock. False without memory."""
        cdef Made* all = &self.made
        cdef Waiting* kept
        while <size_t>self.placed < self.waiting_count and self.waiting[self.placed] != NULL:
            kept = self.waiting[self.placed]
            if not self.collects:
                if not add_texts(all, &kept.made):
                    return False
                kept.place = all.tokens.ids.size
                all.tokens.ids.size += kept.made.tokens.ids.size
                all.tokens.spans.size += kept.made.tokens.spans.size
                self.waiting[self.placed] = NULL
            self.cost += cost_of(kept.run.bytes, kept.run.last - kept.run.first)
            self.placed += 1
            self.placed_rows = kept.run.last
        return True

    cdef bint put(self, Own* own) noexcept nogil:
        """Put what a worker has made in its place, as far as that is known. False without memory."""
        cdef Waiting* kept
        cdef Py_ssize_t placed
        cdef bint fits
        self.lock.lock()
        placed = self.placed
        if own.first == NULL or own.first.run.number >= placed:
            self.lock.unlock()
            return True
        fits = self.has_room()
        while not fits and self.copying:
            self.lock.unlock()
            give_way()
            self.lock.lock()
            fits = self.has_room()
        fits = fits or self.make_room(&self.made.tokens, self.made.tokens.ids.size, 0)
        self.copying += 1
        self.lock.unlock()
        while fits and own.first != NULL and own.first.run.number < placed:
            kept = own.first
            self.copy(kept)
            made_empty(&kept.made)
            own.first = kept.next
            kept.next = own.free
            own.free = kept
        self.lock.lock()
        self.copying -= 1
        self.lock.unlock()
        return fits

    cdef bint has_room(self) noexcept nogil:
        cdef Tokens* tokens = &self.made.tokens
        return tokens.ids.size <= tokens.ids.capacity and (not tokens.with_spans or tokens.spans.size <= tokens.spans.capacity)

    cdef void copy(self, const Waiting* kept) noexcept nogil:
        cdef const Tokens* tokens = &kept.made.tokens
        cdef Py_ssize_t i
        if tokens.ids.size:
            memcpy(self.made.tokens.ids.data + kept.place, tokens.ids.data, tokens.ids.size * sizeof(int32_t))
        if tokens.spans.size:
            memcpy(self.made.tokens.spans.data + 2 * kept.place, tokens.spans.data, tokens.spans.size * sizeof(int32_t))
        for i in range(kept.run.first * self.draws, kept.run.last * self.draws):
            self.ends[i] += kept.place

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
        self.waiting[kept.run.number] = NULL
        kept.next = self.left.free
        self.left.free = kept
        self.lock.unlock()
        return count

    cdef void stop(self) noexcept nogil:
        self.lock.lock()
        self.stopped = True
        self.lock.unlock()

    cdef bint keep(self, const Run* run, Made* made, Own* own) noexcept nogil:
        """Keep what was made until its turn comes, and give other memory for it, with the lock. False without memory."""
        cdef Waiting* kept
        if <size_t>run.number >= self.waiting_count:
            if not reserve(&self.waiting, &self.waiting_capacity, run.number + 1, sizeof(Waiting*)):
                return False
            while self.waiting_count <= <size_t>run.number:
                self.waiting[self.waiting_count] = NULL
                self.waiting_count += 1
        if own.free != NULL:
            kept = own.free
            own.free = kept.next
        elif self.left.free != NULL:
            kept = self.left.free
            self.left.free = kept.next
        else:
            kept = <Waiting*>calloc(1, sizeof(Waiting))
            if kept == NULL:
                return False
            kept.made.tokens.with_spans = made.tokens.with_spans
            kept.other = self.every
            self.every = kept
        exchange(&kept.made, made)
        kept.run = run[0]
        kept.next = NULL
        self.waiting[run.number] = kept
        if not self.collects:
            if own.first == NULL:
                own.first = kept
            else:
                own.last.next = kept
            own.last = kept
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


cdef bint add_texts(Made* all, const Made* made) noexcept nogil:
    """Add the texts of what was made; False without memory. There are few, so that this is done with the lock."""
    cdef int32_t text = <int32_t>all.text.size
    cdef size_t i
    if not made.text_ends.size:
        return True
    if (all.text.size + made.text.size > MAX_TEXT or not reserve_bytes(&all.text, all.text.size + made.text.size)
            or not reserve_ints(&all.text_ends, all.text_ends.size + made.text_ends.size)):
        return False
    if made.text.size:
        memcpy(all.text.data + text, made.text.data, made.text.size)
        all.text.size += made.text.size
    for i in range(made.text_ends.size):
        all.text_ends.data[all.text_ends.size] = made.text_ends.data[i] + text
        all.text_ends.size += 1
    return True


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
