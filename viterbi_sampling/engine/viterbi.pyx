"""The best path: the plain pass, and the same answer from a cache of words.

The plain pass adds scores from left to right and replaces only by a strictly greater sum. In single
precision it is sentencepiece's decoder to the last bit; in double precision, beginning anew where the
vocabulary says, that of Hugging Face's tokenizers and of BytePiece. The score that the path has at a
cut is carried on, so that going from cut to cut changes no sum.

**Why a word from the cache is the plain pass's to the last bit.** Let S be the rounded score where
the word begins, u the unit roundoff (2^-24 in single precision, 2^-53 in double), c the word's number
of positions, A the greatest magnitude of a score among its edges, and B the best path over the word in
exact arithmetic, better by `gap` than any other.
1. The pass keeps at each position the greatest rounded sum. Rounded addition is monotone, so the
   rounded sum of the path P that it ends with is at least that of B.
2. A path has at most c edges, and no sum on the way exceeds |S| + R with R = c·A (but for rounding).
   Each addition errs by at most u of its result. So a rounded sum differs from the exact one by
   less than E = c·(|S| + R)·u, with 1 % for the rounding of the sums themselves.
3. Hence exact(P) >= exact(B) - 2E, and where gap > 2E, P = B.
4. `gap` is found in double precision, where it errs by less than 2·c·R·2^-53: in double precision as
   much as the R in 2E allows for, so R counts twice there.
5. Where |S| + R stays below 100,000, no rebase happens inside the word (in single precision).
Each word is kept with `limit`, the |S| up to which 3 to 5 hold. Beyond it the plain pass decides the
word from the true S.

**Why not all paths are looked at.** No path from a position on has more than the greatest score of an edge that
begins with its byte, and for each byte after it the greatest score that an edge has a byte, 0 where none is positive.
Once a path leads to the end, the edges of a position are left out where even so they would lose by what makes `gap`
as good as any. What they would have had counts in `gap` as another path: rounded addition being monotone, the rounded
sum of such a path is no greater than that of its beginning with these scores. The pass meets positions that only such
paths lead to, and would rebase where their sums are too far down; so A is then the greatest magnitude of a score that
there is. Where that is so great that little would be left for |S|, all paths are looked at.

**Why S need not be known otherwise.** The sum of |score| over the tokens of a path bounds |S|: it is
kept as `bound`, with one addition a word, and compared with the limit. The rounding of S and that of
the bound stay below (1 + 2u)^n for n additions, less than 1 % for n up to 2^16 and the tokens of the
words that are looked at at once; the limits are 1 % lower for it. Where the true S is needed, the scores
of the tokens since it was known last are added, in the order of the text: that is done after 2^16
tokens anyway, and all in all adds each score once. Against the true S the 1 % need not be left: that
matters just before each rebase, where else one word in sixty would be decided plainly.
"""

from libc.math cimport fabs
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy

from viterbi_sampling.engine.arrivals cimport best_arrivals
from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, NO_PATH, OK, reserve_ints
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport NEVER, Vocabulary, next_position
from viterbi_sampling.engine.scratch cimport Cell, Pair, Scratch, reserve_cells
from viterbi_sampling.engine.sweeps cimport best_sweep, read_back
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens, add_unknown_run
from viterbi_sampling.engine.trie cimport NO_PIECE, Cursor, Node, go_down, has_piece, root_of
from viterbi_sampling.engine.utf8 cimport char_length
from viterbi_sampling.engine.words cimport (
    Ahead, INLINE_TOKENS, LOOKED, MAX_WORD, SHORT_WORD, Slot, Table, find_ahead, is_run, look_ahead, record_of,
    runs_are_near, skipped, take, tokens_in,
)

cdef enum:
    MOST_SINCE = 1 << 16        # tokens since the true score was known

cdef double REBASE = 100000.0
cdef double WIDE_GAP = 0.0125       # a position: no greater one has a limit beyond the rebase, in single precision
cdef double UNREACHED = -1e300
cdef double REACHED = -1e299        # all sums of paths are above, or too far down to be kept

ctypedef fused real:
    float
    double


# -- the plain pass --------------------------------------------------------------------------------

cdef inline void offer(Cell* cells, int32_t cut, int32_t* frontier, int32_t start, int32_t end, int32_t token,
                       double candidate) noexcept nogil:
    """Take a candidate for the best path to `end`.

    The tie rule: only a strictly greater score replaces, so the earliest start wins.
    """
    cdef Cell* cell
    while frontier[0] < end:
        frontier[0] += 1
        cells[frontier[0] - cut].start = -1
    cell = &cells[end - cut]
    if cell.start < 0 or candidate > cell.value:
        cell.value = candidate
        cell.start = start
        cell.token = token


cdef int plain_pass(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin,
                    int32_t size, real* total, Scratch* scratch, Tokens* out) noexcept nogil:
    """The best path over text[begin:size], where `begin` is a cut. `total` is its score so far, before and after."""
    cdef const Node* nodes = vocabulary.nodes
    cdef Cell* cells
    cdef int32_t at = begin, cut = begin, frontier = begin, one, position, token, i
    cdef Cursor cursor
    cdef real here, score
    cdef bint single
    cdef int status
    if not reserve_cells(scratch, 256):
        return NO_MEMORY
    cells = scratch.cells
    cells[0].value = total[0]
    while at < size:
        if at == frontier and at > cut:
            status = read_back(spelling, text, cut, at, scratch, out)
            if status != OK:
                return status
            if is_raised(scratch.cancelled):
                return CANCELLED
            cells[0].value = cells[at - cut].value
            cut = at
        elif not at & 0xFFFF and is_raised(scratch.cancelled):
            return CANCELLED
        one = next_position(vocabulary, text, at, size)
        if at > frontier:
            return NO_PATH
        if at > cut and cells[at - cut].start < 0:
            at = one
            continue
        here = <real>cells[at - cut].value
        if real is float:
            # sentencepiece's rebase: a large score is taken from all that lies ahead.
            if here > REBASE or here < -REBASE:
                for i in range(at, frontier + 1):
                    if i == at or cells[i - cut].start >= 0:
                        cells[i - cut].value = <real>(<real>cells[i - cut].value - here)
                here = 0
        single = False
        cursor = root_of(nodes)
        position = at
        while position < size and go_down(nodes, &cursor, text[position]):
            position += 1
            if has_piece(cursor.node):
                token = vocabulary.entries[cursor.place].piece
                if <size_t>(position - cut) >= scratch.cell_capacity:
                    if not reserve_cells(scratch, position - cut + 1):
                        return NO_MEMORY
                    cells = scratch.cells
                if real is float:
                    score = vocabulary.entries[cursor.place].score
                else:
                    score = vocabulary.scores[token]
                offer(cells, cut, &frontier, at, position, token, <real>(score + here))
                single = single or position == one
        if not single and vocabulary.unknown != NO_PIECE:
            if <size_t>(one - cut) >= scratch.cell_capacity:
                if not reserve_cells(scratch, one - cut + 1):
                    return NO_MEMORY
                cells = scratch.cells
            if real is float:
                score = vocabulary.unknown_score
            else:
                score = vocabulary.scores[vocabulary.unknown]
            offer(cells, cut, &frontier, at, one, vocabulary.unknown, <real>(score + here))
        at = one
    if frontier < size or (size > begin and cells[size - cut].start < 0):
        return NO_PATH
    total[0] = <real>cells[size - cut].value
    return read_back(spelling, text, cut, size, scratch, out)


# -- the cache -------------------------------------------------------------------------------------

cdef inline void offer_both(Pair* to, const Pair* from_, double score, int32_t start, int32_t token) noexcept nogil:
    """Take two candidates for the best two paths to a position."""
    cdef double best = from_.best + score, second = from_.second + score
    if best > to.best:
        to.second = second if second > to.best else to.best
        to.best = best
        to.start = start
        to.token = token
    elif best > to.second:
        to.second = best


cdef double best_two(const Vocabulary* vocabulary, const uint8_t* word, int32_t size, bint single_precision, Pair* pairs,
                     double* greatest) noexcept nogil:
    """The best path over a word, in `pairs`, and by how much at least it is better than any other.

    `greatest` receives no less than the greatest magnitude of a score among the edges.
    """
    cdef const Node* nodes = vocabulary.nodes
    cdef int32_t at = 0, one, position, token, i
    cdef Cursor cursor
    cdef bint single
    cdef double score, most, others = UNREACHED
    greatest[0] = 0
    for i in range(1, size + 1):
        pairs[i].best = pairs[i].second = UNREACHED
    pairs[0].best = 0
    pairs[0].second = UNREACHED
    while at < size:
        one = next_position(vocabulary, word, at, size)
        if pairs[at].best < REACHED:
            at = one
            continue
        score = vocabulary.greatest[word[at]] + vocabulary.rise * (size - at - 1)
        most = pairs[at].best + score
        if most < pairs[size].best - WIDE_GAP * size:
            others = max(others, most)
            greatest[0] = max(greatest[0], vocabulary.furthest)
            at = one
            continue
        single = False
        cursor = root_of(nodes)
        position = at
        while position < size and go_down(nodes, &cursor, word[position]):
            position += 1
            if has_piece(cursor.node):
                token = vocabulary.entries[cursor.place].piece
                score = vocabulary.entries[cursor.place].score if single_precision else vocabulary.scores[token]
                offer_both(&pairs[position], &pairs[at], score, at, token)
                greatest[0] = max(greatest[0], fabs(score))
                single = single or position == one
        if not single and vocabulary.unknown != NO_PIECE:
            score = vocabulary.unknown_score if single_precision else vocabulary.scores[vocabulary.unknown]
            offer_both(&pairs[one], &pairs[at], score, at, vocabulary.unknown)
            greatest[0] = max(greatest[0], fabs(score))
        at = one
    return pairs[size].best - max(pairs[size].second, others)


cdef inline uint32_t bits_of(float x) noexcept nogil:
    cdef uint32_t bits
    memcpy(&bits, &x, 4)
    return bits


cdef inline uint32_t link_of(float limit, float total) noexcept nogil:
    """Both in 32 bits: the upper half of a float each, the limit rounded down, the total up."""
    return (bits_of(limit) & <uint32_t>0xFFFF0000U) | (bits_of(total) + 0xFFFF) >> 16


cdef Slot* learn(const Vocabulary* vocabulary, bint single_precision, const uint8_t* word, int32_t size, Table* known,
                 Slot* place, Pair* pairs) noexcept nogil:
    cdef double greatest, gap, reach, limit, total = 0
    cdef int32_t position, positions = 0, count = 0, i
    cdef Slot* slot
    cdef Record* record
    cdef int32_t* tokens
    cdef bint has_unknown = False, inside
    cdef const Pair* pair
    gap = best_two(vocabulary, word, size, single_precision, pairs, &greatest)
    if pairs[size].best < REACHED:
        return NULL
    for i in range(size):
        positions += vocabulary.bytewise or (word[i] & 0xC0) != 0x80
    position = size
    while position > 0:
        count += 1
        pair = &pairs[position]
        position = pair.start
        total += fabs(pair.best - pairs[position].best)     # the score but for rounding, without looking it up
        has_unknown = has_unknown or pair.token >= vocabulary.pieces
    reach = positions * greatest
    if single_precision:
        limit = min(gap * 8388608.0 / (1.01 * positions), REBASE * 0.999) - reach
    else:
        limit = min(gap * 4503599627370496.0 / (1.01 * positions) - 2 * reach, 1e38)
    limit = limit * 0.989 if limit > 0 and reach < 1e298 else 0
    total = min(total * 1.000001 + reach * 1e-12, 1e38)
    inside = count <= INLINE_TOKENS and size <= SHORT_WORD and not has_unknown
    slot = take(known, place, word, size, 0 if inside else sizeof(Record) + count * sizeof(int32_t))
    if slot == NULL:
        return NULL
    if inside:
        slot.link = link_of(<float>limit, <float>total)
        slot.tokens[1] = slot.tokens[2] = -1
        tokens = slot.tokens
    else:
        record = <Record*>record_of(known, slot)
        record.limit = <float>limit
        record.total = <float>total
        record.count = count
        record.has_unknown = has_unknown
        tokens = <int32_t*>(record + 1)
    position = size
    i = count
    while position > 0:
        i -= 1
        tokens[i] = pairs[position].token
        position = pairs[position].start
    return slot


cdef void know(Score* score, const Vocabulary* vocabulary, bint single_precision, const int32_t* tokens,
               size_t count) noexcept nogil:
    cdef size_t i
    cdef float single = <float>score.value
    cdef double value = score.value
    if single_precision:
        for i in range(score.known, count):
            single = vocabulary.single_scores[tokens[i]] + single
        value = single
    else:
        for i in range(score.known, count):
            value = vocabulary.scores[tokens[i]] + value
    known_now(score, value, count)


cdef int decide_plainly(const Vocabulary* vocabulary, const Spelling* spelling, bint single_precision, const uint8_t* text,
                        int32_t begin, int32_t end, Score* score, Scratch* scratch, Tokens* out) noexcept nogil:
    """A word by the plain pass, from the true score."""
    cdef float single
    cdef double value
    cdef int status
    know(score, vocabulary, single_precision, out.ids.data, out.ids.size)
    value = score.value
    if single_precision:
        single = <float>value
        status = plain_pass[float](vocabulary, spelling, text, begin, end, &single, scratch, out)
        value = single
    elif vocabulary.automaton != NULL:
        status = best_arrivals(vocabulary, spelling, text, begin, end, &value, scratch, out)
    elif vocabulary.steps != NULL:
        status = best_sweep(vocabulary, spelling, text, begin, end, &value, scratch, out)
    else:
        status = plain_pass[double](vocabulary, spelling, text, begin, end, &value, scratch, out)
    known_now(score, value, out.ids.size)
    return status


cdef int32_t next_beginning(const Vocabulary* vocabulary, const uint8_t* text, int32_t at, int32_t end) noexcept nogil:
    """The next place from `at` on where the sum begins anew, or `end`."""
    if vocabulary.restart == NEVER:
        return end
    while at < end and not begins_anew(vocabulary, text, at):
        at += 1
    return at


cdef bint add_record(const Vocabulary* vocabulary, const Spelling* spelling, bint single_precision, const uint8_t* text,
                     int32_t begin, const Record* record, Score* score, Tokens* out) noexcept nogil:
    """Add the tokens of a record, and its score. False without memory."""
    cdef const int32_t* tokens = <const int32_t*>(record + 1)
    if record.has_unknown:
        # These tokens are spelled in another way, so their scores are added now.
        know(score, vocabulary, single_precision, out.ids.data, out.ids.size)
        score.known = 0
        know(score, vocabulary, single_precision, tokens, record.count)
    if not add_tokens(out, spelling, vocabulary.lengths, text, begin, tokens, record.count, record.has_unknown):
        return False
    if record.has_unknown:
        score.known = out.ids.size
    else:
        score.bound += record.total
    return True


cdef bint add_foreign(const Vocabulary* vocabulary, const Spelling* spelling, bint single_precision, const uint8_t* text,
                      int32_t begin, int32_t end, Score* score, Tokens* out) noexcept nogil:
    """Add a run of foreign characters, whose only path the plain pass would go. False without memory."""
    cdef int32_t characters = (end - begin) // char_length(text[begin]), i
    cdef float single
    cdef double value
    know(score, vocabulary, single_precision, out.ids.data, out.ids.size)
    value = score.value
    if single_precision:
        single = <float>value
        for i in range(characters):
            if single > REBASE or single < -REBASE:
                single = 0
            single = vocabulary.unknown_score + single
        value = single
    else:
        for i in range(characters):
            value = vocabulary.scores[vocabulary.unknown] + value
    if not add_unknown_run(out, spelling, text, begin, end):
        return False
    known_now(score, value, out.ids.size)
    return True


cdef inline bint holds(float limit, Score* score, const Vocabulary* vocabulary, bint single_precision,
                       const Tokens* out) noexcept nogil:
    """Whether a word with this limit can be taken; the true score is worked out where its bound does not tell."""
    if score.bound < limit:
        return True
    know(score, vocabulary, single_precision, out.ids.data, out.ids.size)
    return score.bound * <float>0.99 < limit


cdef int through_words(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling,
                       bint single_precision, const uint8_t* text, int32_t begin, int32_t* stop, Table* known, Score* score,
                       Scratch* scratch, Tokens* out) noexcept nogil:
    """The best path over text[begin:stop], word by word; up to an earlier `stop`, if it should be asked whether that pays."""
    cdef int32_t at = begin, end, size = stop[0]
    cdef int word, status
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef int32_t* target
    cdef const Record* record
    while at < size and known.looked < LOOKED:
        look_ahead(cuts, vocabulary.held, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            if vocabulary.restart != NEVER and begins_anew(vocabulary, text, at):
                known_now(score, 0, out.ids.size)
            if is_run(&ahead, text + at):
                runs_are_near(known, end - at > 4)
                if not add_foreign(vocabulary, spelling, single_precision, text, at, end, score, out):
                    return NO_MEMORY
                at = end
                continue
            slot = NULL
            if end - at <= MAX_WORD:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
                if slot == NULL:
                    known.missed += 1
                    slot = learn(vocabulary, single_precision, text + at, end - at, known, place, scratch.pairs)
            if slot == NULL:
                status = decide_plainly(vocabulary, spelling, single_precision, text, at, end, score, scratch, out)
                if status != OK:
                    return status
            elif slot.tokens[0] >= 0:
                if holds(limit_of(slot), score, vocabulary, single_precision, out):
                    score.bound += float_of(slot.link << 16)
                    if out.with_spans:
                        if not add_tokens(out, spelling, vocabulary.lengths, text, at, slot.tokens, tokens_in(slot), False):
                            return NO_MEMORY
                    else:
                        # All places are copied; what is not there is overwritten.
                        if not reserve_ints(&out.ids, out.ids.size + INLINE_TOKENS):
                            return NO_MEMORY
                        target = out.ids.data + out.ids.size
                        target[0] = slot.tokens[0]
                        target[1] = slot.tokens[1]
                        target[2] = slot.tokens[2]
                        out.ids.size += tokens_in(slot)
                        out.after_unknown = False
                else:
                    status = decide_plainly(vocabulary, spelling, single_precision, text, at, end, score, scratch, out)
                    if status != OK:
                        return status
            else:
                record = <const Record*>record_of(known, slot)
                if record.has_unknown:
                    runs_are_near(known, out.after_unknown)
                if not holds(record.limit, score, vocabulary, single_precision, out):
                    status = decide_plainly(vocabulary, spelling, single_precision, text, at, end, score, scratch, out)
                    if status != OK:
                        return status
                elif not add_record(vocabulary, spelling, single_precision, text, at, record, score, out):
                    return NO_MEMORY
            at = end
        known.looked += ahead.count
        if out.ids.size - score.known > MOST_SINCE:
            know(score, vocabulary, single_precision, out.ids.data, out.ids.size)
        if is_raised(scratch.cancelled):
            return CANCELLED
    stop[0] = at
    return OK


cdef int directly(const Vocabulary* vocabulary, const Spelling* spelling, bint single_precision, const uint8_t* text,
                  int32_t begin, int32_t end, Score* score, Scratch* scratch, Tokens* out) noexcept nogil:
    """The best path over text[begin:end], which lies between cuts, by the plain pass alone."""
    cdef int32_t at = begin, next_at
    cdef int status
    while at < end:
        if vocabulary.restart != NEVER and begins_anew(vocabulary, text, at):
            known_now(score, 0, out.ids.size)
        next_at = next_beginning(vocabulary, text, at + 1, end)
        status = decide_plainly(vocabulary, spelling, single_precision, text, at, next_at, score, scratch, out)
        if status != OK:
            return status
        at = next_at
    return OK


cdef int between(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, bint single_precision,
                 const uint8_t* text, int32_t begin, int32_t size, Table* known, Score* score, Scratch* scratch,
                 Tokens* out) noexcept nogil:
    cdef int32_t at = begin, end
    cdef int status
    while at < size:
        if (vocabulary.automaton != NULL and known.looked >= LOOKED and 4 * known.used > known.most_slots
                and 4 * known.missed > known.looked):
            # Such a word is decided in a fraction of the time that it takes to learn it: with so many words kept already,
            # one new one in four is too many.
            known.missed = known.looked
        end = size if vocabulary.directly else skipped(known, cuts, text, size, at)
        if end > at:
            status = directly(vocabulary, spelling, single_precision, text, at, end, score, scratch, out)
        else:
            end = size
            status = through_words(vocabulary, cuts, spelling, single_precision, text, at, &end, known, score, scratch, out)
        if status != OK:
            return status
        at = end
    return OK


cdef int viterbi(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, bint single_precision,
                 const uint8_t* text, int32_t size, Table* known, Scratch* scratch, Tokens* out) noexcept nogil:
    """The best path over a text, word by word where the cache pays."""
    cdef Score score
    known_now(&score, 0, out.ids.size)
    return between(vocabulary, cuts, spelling, single_precision, text, 0, size, known, &score, scratch, out)
