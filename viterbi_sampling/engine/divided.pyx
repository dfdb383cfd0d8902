"""One long text divided among threads: what comes out is what one thread makes of it.

The text is cut at borders (borders.pyx), where it falls apart but for two things, which run through all of it. Each thread
takes the next stretch, normalizes it and makes of it its part of the path; parts are put in their order as they are done.

**The score of the best path**, of sums in single precision that never begin anew, those of sentencepiece: a word may
depend on the score S of the path before it. A part begun when all before it are placed has it. The
others are begun without: the tokens of a word are those that are the same for all |S| up to the word's limit (see
viterbi.pyx), and a run of words is kept with the least of their limits. When such a part is placed, one pass goes through it
with the true S: it adds the scores of the tokens in the order of the text, and where |S| and the scores of a run may add
up to its limit, it decides the run again. (Limits are 1 % lower than they need be against a true S, which is more than
the rounding of that sum.)
Words with limits beyond ASSUMED, which are nearly all, make runs with that limit: it is decided again just before each
rebase only. A word with a lower one is a run of its own. Other sums begin anew at the borders.

**The number of uniforms** that a sample has taken so far. How many a stretch takes is the same for all samples of
it, but for sampling backwards, whose texts are one stretch: perfect sampling and Viterbi Sampling compare one with each edge
whose end another edge has reached before, or one for a part of few paths, whatever they have chosen so far. So those of a
stretch are counted first (sampling.pyx); once those of all before are, it is sampled from its place in the stream on.
Uniforms are the same numbers wherever a stream is begun, and so are the choices.

The draws of a text go one after the other, each stretch by stretch; a text of one stretch is divided by draws.

The log-probability of a sample is the sum of those of its parts. It may differ from that of one thread in its last bits,
as it does with the words that a cache holds.
"""

from libc.math cimport fabsf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from viterbi_sampling.engine.borders cimport next_border
from viterbi_sampling.engine.buffer cimport (
    CANCELLED, MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Ints, add, extend, reserve_exactly, reserve_ints,
)
from viterbi_sampling.engine.choices cimport VITERBI
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.normalizer cimport normalize, normalize_part
from viterbi_sampling.engine.placing cimport Cursor, Given, place_next, place_spans
from viterbi_sampling.engine.sampling cimport count_uniforms, sample
from viterbi_sampling.engine.stream cimport stream_pass, stream_start
from viterbi_sampling.engine.threads cimport Threads, give_way, threads_of
from viterbi_sampling.engine.tokens cimport Tokens, add_token, add_tokens
from viterbi_sampling.engine.viterbi cimport Record, between, know, known_now, learn, limit_of
from viterbi_sampling.engine.words cimport (
    INLINE_TOKENS, LOOKED, MAX_WORD, Ahead, Slot, find_ahead, is_run, look_ahead, record_of, runs_are_near, skipped,
    tokens_in,
)
from viterbi_sampling.engine.workspace cimport Workspace

cdef enum:
    BYTES_A_TOKEN = 3               # or more, in most texts
    MOST_DRAWS = 16                 # for whose tokens room is asked for at once

cdef float ASSUMED = 98000.0        # near the score at which sentencepiece rebases
cdef float NONE = 0                 # the limit of what only the true score decides


cdef inline bint mark(Ints* marks, int32_t at, size_t tokens, float limit) noexcept nogil:
    if not reserve_ints(marks, marks.size + 3):
        return False
    marks.data[marks.size] = at
    marks.data[marks.size + 1] = <int32_t>tokens
    memcpy(&marks.data[marks.size + 2], &limit, sizeof(float))
    marks.size += 3
    return True


cdef inline bint extend_tokens(Tokens* to, const Tokens* tokens, size_t first, size_t last) noexcept nogil:
    return extend(&to.ids, &tokens.ids, first, last) and (
        not to.with_spans or extend(&to.spans, &tokens.spans, 2 * first, 2 * last))


cdef inline bint make_room(Ints* numbers, size_t count) noexcept nogil:
    return reserve_exactly(&numbers.data, &numbers.capacity, count, sizeof(int32_t))


cdef int32_t characters_in(const uint8_t* text, int32_t size) noexcept nogil:
    cdef int32_t i, count = 0
    for i in range(size):
        count += (text[i] & 0xC0) != 0x80
    return count


cdef void part_free(Part* part) noexcept nogil:
    if part != NULL:
        free(part.own.data)
        free(part.origins.data)
        free(part.tokens.ids.data)
        free(part.tokens.spans.data)
        free(part.marks.data)
        free(part)


cdef class Share:
    """What one thread needs to work on a text."""

    cdef Division division
    cdef Workspace space

    def __init__(self, Division division not None, Workspace space not None):
        self.division = division
        self.space = space


cdef void do_share(void* owner) noexcept nogil:
    """Make parts, as long as there are any left."""
    cdef int status
    (<Share>owner).space.scratch.cancelled = &(<Share>owner).division.job.cancelled
    status = (<Share>owner).division.work_on((<Share>owner).space)
    if status != OK:
        (<Share>owner).division.fail(status)


cdef class Division:
    """A long text, and the paths over it, on which any number of threads work at once."""

    def __dealloc__(self):
        cdef Part* part
        cdef Py_ssize_t k
        for k in range(self.begun):
            part_free(self.waiting[k])
        while self.free != NULL:
            part = self.free
            self.free = part.next
            part_free(part)
        free(self.waiting)
        free(self.stretches)
        free(self.ends)
        free(self.normalized.data)
        free(self.origins.data)
        free(self.tokens.ids.data)
        free(self.tokens.spans.data)

    cdef int run(self, list spaces, int* flag, bint first_here) except -1:
        cdef Threads threads = threads_of(flag)
        cdef Share share
        cdef bint apart
        self.start()
        if self.status != OK:
            return 0
        try:
            for space in spaces[1:]:
                threads.start(do_share, Share(self, space))
            share = Share(self, spaces[0])
            apart = not first_here and threads.start(do_share, share)
            if not apart:
                with nogil:
                    do_share(<void*>share)
            threads.end()
        except BaseException:
            threads.stop()
            raise
        with nogil:
            self.place_whole()
        return 0

    cdef void place_whole(self) noexcept nogil:
        """Turn the spans of a text that was normalized as a whole into ones in the given text."""
        cdef int32_t* spans = self.tokens.spans.data
        cdef Py_ssize_t draw
        cdef int64_t begin = 0
        if self.whole and self.tokens.with_spans and self.status == OK:
            for draw in range(self.job.draws):
                place_spans(&self.given, &self.origins, True, spans + 2 * begin, spans + 2 * self.ends[draw])
                begin = self.ends[draw]

    def start(self):
        """Make ready what the threads share."""
        cdef size_t stretches, most
        if self.whole:
            with nogil:
                self.status = normalize(&self.encoder.normalizer.rules, self.given.text, self.given.size, &self.normalized,
                                        &self.origins if self.tokens.with_spans else NULL)
            self.text = self.normalized.data
            self.size = <int32_t>self.normalized.size
        if self.status != OK:
            return
        # What is made of a stretch stays in a near cache, and the last ones are not waited for long.
        self.stretch = self.encoder.bytes_a_thread // 2 if self.with_borders else max(self.size, 1)
        stretches = self.size // self.stretch + 1
        most = self.size // BYTES_A_TOKEN * min(self.job.draws, <Py_ssize_t>MOST_DRAWS)
        self.stretches = <Stretch*>calloc(stretches, sizeof(Stretch))
        self.waiting = <Part**>calloc(stretches * self.job.draws, sizeof(Part*))
        self.ends = <int64_t*>calloc(self.job.draws, sizeof(int64_t))
        if self.stretches == NULL or self.waiting == NULL or self.ends == NULL:
            self.status = NO_MEMORY
        # Where there is no memory for so much, less may do.
        make_room(&self.tokens.ids, most)
        if self.tokens.with_spans:
            make_room(&self.tokens.spans, 2 * most)

    cdef void fail(self, int status) noexcept nogil:
        self.lock.lock()
        # The first error is that of the text; threads that others have stopped have none of their own.
        if self.status == OK:
            self.status = status
        self.lock.unlock()

    cdef int work_on(self, Workspace space) noexcept nogil:
        cdef Part* part = NULL
        cdef int status
        while True:
            status = self.begin_part(&part)
            if status != OK or part == NULL:
                return status
            status = self.make(part, space)
            if status == OK:
                status = self.end_part(part, space)
            else:
                part_free(part)
            if status != OK:
                return status

    cdef int begin_part(self, Part** given) noexcept nogil:
        """The next part, with its stretch; NULL where there is none."""
        cdef Part* part = NULL
        cdef Part kept
        cdef Stretch* stretch
        cdef int status = OK
        cdef int32_t begin
        given[0] = NULL
        self.lock.lock()
        if is_raised(&self.job.cancelled):
            status = CANCELLED
        elif self.status == OK and not (self.complete and self.begun == self.found * self.job.draws):
            part = self.free
            if part != NULL:
                self.free = part.next
            else:
                part = <Part*>calloc(1, sizeof(Part))
                status = OK if part != NULL else NO_MEMORY
        if part != NULL:
            if not self.complete:
                begin = self.stretches[self.found - 1].end if self.found else 0
                stretch = &self.stretches[self.found]
                stretch.begin = begin
                stretch.end = self.size
                if self.size - begin > self.stretch:
                    stretch.end = next_border(&self.grounds, self.text, self.size, begin + self.stretch)
                self.found += 1
                self.complete = stretch.end == self.size
            part.number = self.begun
            part.draw = 0 if self.begun < self.found else self.begun // self.found
            part.stretch = &self.stretches[self.begun - part.draw * self.found]
            part.assumed = self.chained and self.placed < self.begun
            # Of other sums nothing is taken on; and where all parts are placed, nobody writes the score.
            if self.chained and not part.assumed:
                part.score = self.score
            self.begun += 1
            given[0] = part
        self.lock.unlock()
        return status

    cdef int end_part(self, Part* part, Workspace space) noexcept nogil:
        """Place a part, and those after it that wait; or let it wait until all before it are placed.

        One thread at a time places parts, while the others go on.
        """
        cdef int status = OK
        cdef bint placing
        self.lock.lock()
        self.waiting[part.number] = part
        placing = not self.placing
        self.placing = True
        while placing and status == OK and self.placed < self.begun and self.waiting[self.placed] != NULL:
            part = self.waiting[self.placed]
            self.lock.unlock()
            status = self.put(part, space)
            self.lock.lock()
            self.waiting[self.placed] = NULL
            self.placed += 1
            part.next = self.free
            self.free = part
        if self.status == OK:
            self.status = status
        if placing:
            self.placing = False
        self.lock.unlock()
        return status

    # -- a part --------------------------------------------------------------------------------------------

    cdef int make(self, Part* part, Workspace space) noexcept nogil:
        """Make a part of a path, as far as it can be without those before."""
        cdef Stretch* stretch = part.stretch
        cdef const uint8_t* text = self.text + stretch.begin
        cdef int32_t size = stretch.end - stretch.begin
        cdef bint with_spans = self.tokens.with_spans
        cdef Cursor cursor
        cdef int status = OK
        part.tokens.ids.size = part.tokens.spans.size = part.marks.size = 0
        part.tokens.after_unknown = 0
        part.tokens.with_spans = with_spans
        part.characters = 0
        part.log_prob.value = part.log_prob.rest = 0
        if self.whole:
            part.text = self.text
            part.at = stretch.begin
            part.stop = stretch.end
        else:
            status = normalize_part(&self.encoder.normalizer.rules, text, size, stretch.begin == 0, stretch.end == self.size,
                                    &part.own, &part.origins if with_spans else NULL)
            part.text = part.own.data
            part.at = 0
            part.stop = <int32_t>part.own.size
            if with_spans and self.given.in_characters:
                part.characters = characters_in(text, size)
        if status != OK:
            return status
        if (not part.assumed and stretch.begin == 0 and self.job.prefix_id >= 0
                and not add_token(&part.tokens, self.job.prefix_id, 0, 0)):
            return NO_MEMORY
        if self.job.algorithm != VITERBI:
            status = self.draw_part(part, space)
        elif part.assumed:
            status = self.assume(part, space)
        else:
            status = self.decide(part, space)
        if status != OK:
            return status
        if (not part.assumed and stretch.end == self.size and self.job.suffix_id >= 0
                and not add_token(&part.tokens, self.job.suffix_id, part.stop, part.stop)):
            return NO_MEMORY
        cursor.position = cursor.characters = 0
        self.place(part, &cursor, &part.tokens, 0)
        return OK

    cdef void place(self, Part* part, Cursor* cursor, Tokens* tokens, size_t first) noexcept nogil:
        """Turn the spans from token `first` on into ones in the stretch as it was given; not of a text normalized as a whole."""
        cdef Given given
        if self.whole or not tokens.with_spans:
            return
        given.text = self.text + part.stretch.begin
        given.size = part.stretch.end - part.stretch.begin
        given.in_characters = self.given.in_characters
        place_next(&given, &part.origins, cursor, tokens.spans.data + 2 * first, tokens.spans.data + tokens.spans.size)

    cdef int draw_part(self, Part* part, Workspace space) noexcept nogil:
        """Sample a stretch from its place in the stream on."""
        cdef size_t i, first = part.tokens.spans.size
        cdef int status = OK
        if part.draw == 0 and part.stretch.end < self.size:
            status = count_uniforms(self.job.algorithm, &self.encoder.vocabulary, &self.encoder.cuts.table,
                                    &self.job.weights, part.text + part.at, part.stop - part.at, &space.table,
                                    &space.scratch, &part.stretch.uniforms)
        if status == OK:
            status = self.wait_for_count(part)
        if status != OK:
            return status
        stream_start(&space.stream, self.job.seed, self.index, self.job.first_draw + <uint64_t>part.draw)
        stream_pass(&space.stream, part.stretch.before)
        status = sample(self.job.algorithm, &self.encoder.vocabulary, &self.encoder.cuts.table, &self.job.weights,
                        &self.encoder.spelling, part.text + part.at, part.stop - part.at, &space.stream, &space.table,
                        &space.scratch, &part.tokens, &part.log_prob if self.log_probs != NULL else NULL)
        for i in range(first, part.tokens.spans.size):
            part.tokens.spans.data[i] += part.at
        return status

    cdef int wait_for_count(self, Part* part) noexcept nogil:
        """Say that the uniforms of a stretch are counted, and wait until those before are, by threads that have begun before."""
        cdef Stretch* stretch
        cdef bint ready
        cdef int status
        self.lock.lock()
        # Later draws may have come to the stretch before the first, which counts, is done with it.
        part.stretch.counted = part.stretch.counted or part.draw == 0
        while self.counted < self.found and self.stretches[self.counted].counted:
            stretch = &self.stretches[self.counted]
            self.counted += 1
            if stretch.end < self.size:
                self.stretches[self.counted].before = stretch.before + stretch.uniforms
        self.lock.unlock()
        while True:
            self.lock.lock()
            ready = self.stretches + self.counted >= part.stretch
            status = self.status
            self.lock.unlock()
            if ready:
                return OK
            if status != OK or is_raised(&self.job.cancelled):
                return CANCELLED
            give_way()

    cdef int decide(self, Part* part, Workspace space) noexcept nogil:
        """The best path over a stretch, after a path of known score."""
        cdef int status
        known_now(&part.score, part.score.value if self.chained else 0, part.tokens.ids.size)
        status = between(&self.encoder.vocabulary, &self.encoder.cuts.table, &self.encoder.spelling,
                         self.encoder.single_precision, part.text, part.at, part.stop, &space.table, &part.score,
                         &space.scratch, &part.tokens)
        if status == OK and self.chained:
            know(&part.score, &self.encoder.vocabulary, True, part.tokens.ids.data, part.tokens.ids.size)
        return status

    cdef int assume(self, Part* part, Workspace space) noexcept nogil:
        """The best path over a stretch, as far as the score before it does not matter."""
        cdef int32_t at = part.at, end, count
        cdef int word
        cdef Ahead ahead
        cdef Slot* slot
        cdef Slot* place
        cdef const int32_t* tokens = NULL
        cdef const Record* record
        cdef float limit = NONE
        cdef bint with_spans = part.tokens.with_spans
        cdef size_t* made = &part.tokens.ids.size
        while at < part.stop:
            end = part.stop
            if not self.encoder.vocabulary.directly:
                end = skipped(&space.table, &self.encoder.cuts.table, part.text, part.stop, at)
            if end > at:
                if not mark(&part.marks, at, made[0], NONE):
                    return NO_MEMORY
                at = end
            while at < part.stop and space.table.looked < LOOKED:
                look_ahead(&self.encoder.cuts.table, self.encoder.vocabulary.held, &space.table, part.text, part.stop, at, &ahead)
                if not mark(&part.marks, at, made[0], ASSUMED):
                    return NO_MEMORY
                for word in range(ahead.count):
                    end = ahead.ends[word]
                    slot = NULL
                    count = 0
                    if is_run(&ahead, part.text + at):
                        runs_are_near(&space.table, end - at > 4)
                    elif end - at <= MAX_WORD:
                        slot = find_ahead(&space.table, part.text + at, end - at, &ahead, word, &place)
                        if slot == NULL:
                            space.table.missed += 1
                            slot = learn(&self.encoder.vocabulary, True, part.text + at, end - at, &space.table, place,
                                         space.scratch.pairs)
                    if slot == NULL:
                        limit = NONE
                    elif slot.tokens[0] >= 0:
                        limit = limit_of(slot)
                        tokens = slot.tokens
                        count = tokens_in(slot)
                    else:
                        record = <const Record*>record_of(&space.table, slot)
                        if record.has_unknown:
                            runs_are_near(&space.table, limit < 0)
                        limit = -record.limit if record.has_unknown else record.limit
                        tokens = <const int32_t*>(record + 1)
                        count = record.count
                    if limit <= ASSUMED and not mark(&part.marks, at, made[0], limit):
                        return NO_MEMORY
                    if slot != NULL and slot.tokens[0] >= 0 and not with_spans:
                        # All places are copied; what is not there is overwritten.
                        if not reserve_ints(&part.tokens.ids, made[0] + INLINE_TOKENS):
                            return NO_MEMORY
                        memcpy(part.tokens.ids.data + made[0], tokens, INLINE_TOKENS * sizeof(int32_t))
                        made[0] += count
                    elif not self.add(part, at, tokens, count, limit < 0):
                        return NO_MEMORY
                    if limit <= ASSUMED and not mark(&part.marks, end, made[0], ASSUMED):
                        return NO_MEMORY
                    at = end
                space.table.looked += ahead.count
                if is_raised(space.scratch.cancelled):
                    return CANCELLED
        return OK if mark(&part.marks, at, made[0], NONE) else NO_MEMORY

    cdef bint add(self, Part* part, int32_t at, const int32_t* tokens, int32_t count, bint has_unknown) noexcept nogil:
        """Keep the tokens of a word. With unknown ones they are spelled when it is known what stands before them."""
        cdef int32_t i
        if not has_unknown:
            return add_tokens(&part.tokens, &self.encoder.spelling, self.encoder.vocabulary.lengths, part.text, at, tokens,
                              count, False)
        for i in range(count):
            if not add_token(&part.tokens, tokens[i], at, at):
                return False
        return True

    # -- parts in their order ------------------------------------------------------------------------------

    cdef int put(self, Part* part, Workspace space) noexcept nogil:
        """Add a part to those before it."""
        cdef size_t first = self.tokens.ids.size, i
        cdef int status = OK
        if part.assumed:
            status = self.settle(part, space)
        elif extend_tokens(&self.tokens, &part.tokens, 0, part.tokens.ids.size):
            self.score = part.score
            self.tokens.after_unknown = 0
        else:
            status = NO_MEMORY
        if status != OK:
            return status
        if part.stretch.begin == 0:
            self.base = self.normalized_size = 0
        self.normalized_size += part.stop - part.at
        if self.normalized_size > MAX_TEXT:
            return TOO_LONG
        if not self.whole:
            for i in range(2 * first, self.tokens.spans.size):
                self.tokens.spans.data[i] += <int32_t>self.base
            self.base += part.characters if self.given.in_characters else part.stretch.end - part.stretch.begin
        add(&self.log_prob, part.log_prob.value)
        add(&self.log_prob, part.log_prob.rest)
        if part.stretch.end == self.size:
            self.ends[part.draw] = <int64_t>self.tokens.ids.size
            if self.log_probs != NULL:
                self.log_probs[part.draw] = min(0.0, self.log_prob.value + self.log_prob.rest)
            self.log_prob.value = self.log_prob.rest = 0
        return OK

    cdef int settle(self, Part* part, Workspace space) noexcept nogil:
        """Add the tokens of an assumed part to those before it."""
        cdef const float* scores = self.encoder.vocabulary.single_scores
        cdef const int32_t* marks = part.marks.data
        cdef const int32_t* ids = part.tokens.ids.data
        cdef Tokens* out = &self.tokens
        cdef size_t k, i, first, last
        cdef size_t begun = 0, done = 0         # of its tokens those to be added next
        cdef size_t anew = out.ids.size         # from here on tokens are new, and their spans are not placed yet
        cdef float single = <float>self.score.value, before, most, limit
        cdef Cursor cursor
        cdef int status = OK
        cdef bint fits = True
        cursor.position = cursor.characters = 0
        for k in range(0, part.marks.size - 3, 3):
            if marks[k] == marks[k + 3]:
                continue
            first = marks[k + 1]
            last = marks[k + 4]
            memcpy(&limit, &marks[k + 2], sizeof(float))
            before = single
            most = fabsf(single)
            for i in range(first, last):
                single = scores[ids[i]] + single
                most += fabsf(scores[ids[i]])
            if <float>0.99 * most < limit:
                done = last
                continue
            if begun < done:
                self.place(part, &cursor, out, anew)
                fits = fits and extend_tokens(out, &part.tokens, begun, done)
                out.after_unknown = 0
                anew = out.ids.size
            begun = done = last
            if <float>0.99 * most < -limit:
                fits = fits and add_tokens(out, &self.encoder.spelling, self.encoder.vocabulary.lengths, part.text, marks[k],
                                           ids + first, <int32_t>(last - first), True)
            else:
                known_now(&self.score, before, out.ids.size)
                status = between(&self.encoder.vocabulary, &self.encoder.cuts.table, &self.encoder.spelling, True, part.text,
                                 marks[k], marks[k + 3], &space.table, &self.score, &space.scratch, out)
                if status != OK:
                    return status
                know(&self.score, &self.encoder.vocabulary, True, out.ids.data, out.ids.size)
                single = <float>self.score.value
        if begun < done:
            self.place(part, &cursor, out, anew)
            fits = fits and extend_tokens(out, &part.tokens, begun, done)
            out.after_unknown = 0
            anew = out.ids.size
        if part.stretch.end == self.size and self.job.suffix_id >= 0:
            fits = fits and add_token(out, self.job.suffix_id, part.stop, part.stop)
        self.place(part, &cursor, out, anew)
        known_now(&self.score, single, out.ids.size)
        return OK if fits else NO_MEMORY
