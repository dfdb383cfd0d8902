"""One long text in shares, each by a thread of its own: the same path as in one go, to the last bit.

It is for single precision sums that never begin anew, those of sentencepiece, where a word may
depend on the score of the path before it. A share begins at a cut. The first is decided as ever.
The others are begun without knowing the score S of the path before them: the tokens of a word are those that are the
same for all |S| up to the word's limit (see viterbi.pyx), and a run of words is kept with the least of their limits. At
the end one pass goes through these shares with the true S: it adds the scores of the tokens in the order of the text, and
where |S| and the scores of a run may add up to its limit, it decides the run again. (Limits are 1 % lower than they
need be against a true S, which is more than the rounding of that sum.)

Words with limits beyond ASSUMED, which are nearly all, make runs with that limit: it is decided again just before each
rebase only. A word with a lower one is a run of its own.
"""

from libc.math cimport fabsf
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Ints, extend, reserve_ints
from viterbi_sampling.engine.cuts cimport BLOCK_BYTES, word_ends
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.tokens cimport Tokens, add_token, add_tokens
from viterbi_sampling.engine.utf8 cimport is_trail
from viterbi_sampling.engine.viterbi cimport Record, Score, between, know, known_now, learn, limit_of
from viterbi_sampling.engine.words cimport (
    LOOKED, MAX_WORD, Ahead, Slot, find_ahead, look_ahead, record_of, skipped, tokens_in,
)
from viterbi_sampling.engine.workspace cimport Workspace

cdef float ASSUMED = 98000.0    # near the score at which sentencepiece rebases
cdef float NONE = 0             # the limit of what only the true score decides
cdef double FIRST_PORTION = 1.1   # of the first share, beside 1 of each other, which takes longer and is gone through again


cdef inline bint mark(Ints* marks, int32_t at, size_t tokens, float limit) noexcept nogil:
    if not reserve_ints(marks, marks.size + 3):
        return False
    marks.data[marks.size] = at
    marks.data[marks.size + 1] = <int32_t>tokens
    memcpy(&marks.data[marks.size + 2], &limit, sizeof(float))
    marks.size += 3
    return True


cdef class Share:
    def __dealloc__(self):
        free(self.tokens.ids.data)
        free(self.tokens.spans.data)
        free(self.marks.data)

    def work(self):
        """Decide the first share, or of another one what the score before it does not matter for."""
        with nogil:
            self.status = self.assume() if self.begin else self.decide()

    cdef int decide(self) noexcept nogil:
        if self.prefix_id >= 0 and not add_token(&self.tokens, self.prefix_id, 0, 0):
            return NO_MEMORY
        known_now(&self.score, 0, self.tokens.ids.size)
        return between(&self.encoder.vocabulary, &self.encoder.cuts.table, &self.encoder.spelling, True, self.text, 0,
                       self.end, &self.space.table, &self.score, &self.space.scratch, &self.tokens)

    cdef int assume(self) noexcept nogil:
        cdef int32_t at = self.begin, end, count
        cdef int word
        cdef Ahead ahead
        cdef Slot* slot
        cdef Slot* place
        cdef const int32_t* tokens = NULL
        cdef const Record* record
        cdef float limit
        cdef size_t* made = &self.tokens.ids.size
        while at < self.end:
            end = self.end
            if not self.encoder.vocabulary.directly:
                end = skipped(&self.space.table, &self.encoder.cuts.table, self.text, self.end, at)
            if end > at:
                if not mark(&self.marks, at, made[0], NONE):
                    return NO_MEMORY
                at = end
            while at < self.end and self.space.table.looked < LOOKED:
                look_ahead(&self.encoder.cuts.table, &self.space.table, self.text, self.end, at, &ahead)
                if not mark(&self.marks, at, made[0], ASSUMED):
                    return NO_MEMORY
                for word in range(ahead.count):
                    end = ahead.ends[word]
                    slot = NULL
                    count = 0
                    if end - at <= MAX_WORD:
                        slot = find_ahead(&self.space.table, self.text + at, end - at, &ahead, word, &place)
                        if slot == NULL:
                            self.space.table.missed += 1
                            slot = learn(&self.encoder.vocabulary, True, self.text + at, end - at, &self.space.table, place,
                                         self.space.scratch.pairs)
                    if slot == NULL:
                        limit = NONE
                    elif slot.tokens[0] >= 0:
                        limit = limit_of(slot)
                        tokens = slot.tokens
                        count = tokens_in(slot)
                    else:
                        record = <const Record*>record_of(&self.space.table, slot)
                        limit = -record.limit if record.has_unknown else record.limit
                        tokens = <const int32_t*>(record + 1)
                        count = record.count
                    if limit <= ASSUMED and not mark(&self.marks, at, made[0], limit):
                        return NO_MEMORY
                    if not self.add(at, tokens, count, limit < 0):
                        return NO_MEMORY
                    if limit <= ASSUMED and not mark(&self.marks, end, made[0], ASSUMED):
                        return NO_MEMORY
                    at = end
                self.space.table.looked += ahead.count
                if self.space.scratch.cancelled[0]:
                    return CANCELLED
        return OK if mark(&self.marks, at, made[0], NONE) else NO_MEMORY

    cdef bint add(self, int32_t at, const int32_t* tokens, int32_t count, bint has_unknown) noexcept nogil:
        """Keep the tokens of a word. With unknown ones they are spelled when it is known what stands before them."""
        cdef int32_t i
        if not has_unknown:
            return add_tokens(&self.tokens, &self.encoder.spelling, self.encoder.vocabulary.lengths, self.text, at, tokens,
                              count, False)
        for i in range(count):
            if not add_token(&self.tokens, tokens[i], at, at):
                return False
        return True

    cdef int settle(self, Score* score, Workspace space, Tokens* out) noexcept nogil:
        """Add the tokens of this share to those before it, whose score is given, and given back."""
        cdef const float* scores = self.encoder.vocabulary.single_scores
        cdef const int32_t* marks = self.marks.data
        cdef size_t k, i, first, last
        cdef float single, most, limit
        cdef bint has_unknown
        cdef int status
        for k in range(0, self.marks.size - 3, 3):
            if marks[k] == marks[k + 3]:
                continue
            know(score, &self.encoder.vocabulary, True, out.ids.data, out.ids.size)
            first = marks[k + 1]
            last = marks[k + 4]
            memcpy(&limit, &marks[k + 2], sizeof(float))
            has_unknown = limit < 0
            limit = fabsf(limit)
            single = <float>score.value
            most = fabsf(single)
            if <float>0.99 * most < limit:
                for i in range(first, last):
                    single = scores[self.tokens.ids.data[i]] + single
                    most += fabsf(scores[self.tokens.ids.data[i]])
            if <float>0.99 * most < limit:
                if has_unknown:
                    if not add_tokens(out, &self.encoder.spelling, self.encoder.vocabulary.lengths, self.text, marks[k],
                                      self.tokens.ids.data + first, <int32_t>(last - first), True):
                        return NO_MEMORY
                else:
                    if not extend(&out.ids, &self.tokens.ids, first, last):
                        return NO_MEMORY
                    if out.with_spans and not extend(&out.spans, &self.tokens.spans, 2 * first, 2 * last):
                        return NO_MEMORY
                    out.after_unknown = 0
                known_now(score, single, out.ids.size)
                continue
            status = between(&self.encoder.vocabulary, &self.encoder.cuts.table, &self.encoder.spelling, True, self.text,
                             marks[k], marks[k + 3], &space.table, score, &space.scratch, out)
            if status != OK:
                return status
        return OK


cdef list shares_of(Encoder encoder, const uint8_t* text, int32_t size, int count):
    cdef int32_t ends[BLOCK_BYTES + 2]
    cdef int32_t at = 0, end
    cdef Share share
    cdef int k
    shares = []
    for k in range(count):
        end = size
        if k < count - 1:
            end = max(at, <int32_t>(size * (k + FIRST_PORTION) / (count - 1 + FIRST_PORTION)))
            while end < size and is_trail(text[end]):
                end += 1
            if end < size:
                word_ends(&encoder.cuts.table, text, size, end, 1, ends)
                end = ends[0]
        if end > at or not shares:
            share = Share()
            share.encoder = encoder
            share.text = text
            share.begin = at
            share.end = end
            shares.append(share)
        at = end
    return shares
