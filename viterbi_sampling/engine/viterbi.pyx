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
Each word is kept with `limit`, the |S| up to which 3 to 5 hold. Beyond it the plain pass decides
the word from the true S, which is always at hand: one addition a token keeps it.
"""

from libc.math cimport fabs, fabsf
from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, NO_PATH, OK, reserve_ints
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport AFTER_NEWLINE, AT_SPACE, NEVER, Vocabulary
from viterbi_sampling.engine.scratch cimport Cell, Pair, Scratch, add_step, reserve_cells
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path, add_tokens
from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, Node, step
from viterbi_sampling.engine.utf8 cimport char_length
from viterbi_sampling.engine.words cimport Ahead, MAX_WORD, SHORT_WORD, Slot, Table, find_ahead, look_ahead, take

cdef enum:
    MOST_INLINE = 4             # tokens in a slot

cdef struct Single:             # the payload of a slot, sums in single precision
    int32_t offset              # of the word, then the tokens and scores, in the arena, where they are not here
    float limit
    int16_t count
    int16_t has_unknown
    int32_t tokens[4]
    float scores[4]

cdef struct Double:             # the same, sums in double precision
    int32_t offset
    float limit
    int16_t count
    int16_t has_unknown
    int32_t tokens[3]
    double scores[3]

ctypedef fused Known:
    Single
    Double

cdef double REBASE = 100000.0
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


cdef int read_back(const Spelling* spelling, const uint8_t* text, int32_t cut, int32_t end, Scratch* scratch,
                   Tokens* out) noexcept nogil:
    """Add the tokens of the best path from `cut` to `end` to `out`."""
    cdef size_t count = 0
    cdef int32_t position = end
    while position > cut:
        if not add_step(scratch, count, scratch.cells[position - cut].token, position):
            return NO_MEMORY
        count += 1
        position = scratch.cells[position - cut].start
    if not add_path(out, spelling, text, scratch.path.data, count, cut):
        return NO_MEMORY
    return OK


cdef int plain_pass(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin,
                    int32_t size, real* total, Scratch* scratch, Tokens* out) noexcept nogil:
    """The best path over text[begin:size], where `begin` is a cut. `total` is its score so far, before and after."""
    cdef const Node* nodes = vocabulary.nodes
    cdef Cell* cells
    cdef int32_t at = begin, cut = begin, frontier = begin, one, position, token, i
    cdef uint32_t node
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
            if scratch.cancelled[0]:
                return CANCELLED
            cells[0].value = cells[at - cut].value
            cut = at
        elif not at & 0xFFFF and scratch.cancelled[0]:
            return CANCELLED
        one = min(at + char_length(text[at]), size)
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
        node = ROOT
        position = at
        while position < size:
            node = step(nodes, node, text[position])
            if node == ROOT:
                break
            position += 1
            token = nodes[node].piece
            if token != NO_PIECE:
                if <size_t>(position - cut) >= scratch.cell_capacity:
                    if not reserve_cells(scratch, position - cut + 1):
                        return NO_MEMORY
                    cells = scratch.cells
                if real is float:
                    score = nodes[node].score
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
    """The best path over a word, in `pairs`, and by how much it is better than any other.

    `greatest` receives the greatest magnitude of a score among the edges.
    """
    cdef const Node* nodes = vocabulary.nodes
    cdef int32_t at = 0, one, position, token, i
    cdef uint32_t node
    cdef bint single
    cdef double score
    greatest[0] = 0
    for i in range(1, size + 1):
        pairs[i].best = pairs[i].second = UNREACHED
    pairs[0].best = 0
    pairs[0].second = UNREACHED
    while at < size:
        one = min(at + char_length(word[at]), size)
        if pairs[at].best < REACHED:
            at = one
            continue
        single = False
        node = ROOT
        position = at
        while position < size:
            node = step(nodes, node, word[position])
            if node == ROOT:
                break
            position += 1
            token = nodes[node].piece
            if token != NO_PIECE:
                score = nodes[node].score if single_precision else vocabulary.scores[token]
                offer_both(&pairs[position], &pairs[at], score, at, token)
                greatest[0] = max(greatest[0], fabs(score))
                single = single or position == one
        if not single and vocabulary.unknown != NO_PIECE:
            score = vocabulary.unknown_score if single_precision else vocabulary.scores[vocabulary.unknown]
            offer_both(&pairs[one], &pairs[at], score, at, vocabulary.unknown)
            greatest[0] = max(greatest[0], fabs(score))
        at = one
    return pairs[size].best - pairs[size].second


cdef Slot* learn(const Vocabulary* vocabulary, const uint8_t* word, int32_t size, Table* known, Slot* place, Pair* pairs,
                 Known* kind) noexcept nogil:
    """Keep the best path of a word of at most MAX_WORD bytes; its slot, or NULL where it is not kept.

    The type of `kind` tells the precision of the sums, here and below; nothing else of it counts.
    """
    cdef double greatest, gap, reach, limit
    cdef int32_t position, characters = 0, count = 0, inline_tokens, item, i
    cdef size_t head = 0
    cdef Known* entry
    cdef Slot* slot
    cdef int32_t* tokens
    cdef float* scores = NULL
    cdef double* double_scores = NULL
    gap = best_two(vocabulary, word, size, Known is Single, pairs, &greatest)
    if pairs[size].best < REACHED:
        return NULL
    for i in range(size):
        characters += (word[i] & 0xC0) != 0x80
    position = size
    while position > 0:
        count += 1
        position = pairs[position].start
    reach = characters * greatest
    if Known is Single:
        limit = min(gap * 8388608.0 / (1.01 * characters), REBASE * 0.999) - reach
        inline_tokens = 4
        item = 8
    else:
        limit = gap * 4503599627370496.0 / (1.01 * characters) - 2 * reach
        inline_tokens = 3
        item = 12
    if size > SHORT_WORD:
        head = (size + 7) & ~7
    slot = take(known, place, word, size, head + (item * count if count > inline_tokens else 0))
    if slot == NULL:
        return NULL
    entry = <Known*>slot.payload
    entry.limit = <float>(limit * 0.999) if limit > 0 else 0
    entry.count = <int16_t>count
    entry.has_unknown = False
    memset(entry.scores, 0, sizeof(entry.scores))
    if count > inline_tokens:
        entry.tokens[0] = entry.offset + <int32_t>head
        if Known is Single:
            scores = <float*>(known.arena.data + entry.tokens[0])
            tokens = <int32_t*>(scores + count)
        else:
            double_scores = <double*>(known.arena.data + entry.tokens[0])
            tokens = <int32_t*>(double_scores + count)
    else:
        tokens = entry.tokens
        if Known is Single:
            scores = entry.scores
        else:
            double_scores = entry.scores
    position = size
    i = count
    while position > 0:
        i -= 1
        tokens[i] = pairs[position].token
        if Known is Single:
            scores[i] = vocabulary.single_scores[tokens[i]]
        else:
            double_scores[i] = vocabulary.scores[tokens[i]]
        entry.has_unknown = entry.has_unknown or tokens[i] == vocabulary.unknown
        position = pairs[position].start
    return slot


cdef inline bint begins_anew(const Vocabulary* vocabulary, const uint8_t* text, int32_t at) noexcept nogil:
    """Whether the sum begins anew at a cut of the text."""
    if vocabulary.restart == AT_SPACE:
        return text[at] == 0x20
    return at > 0 and text[at - 1] == 0x0A and text[at] != 0x0A


cdef int through_words(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, const uint8_t* text,
                       int32_t size, Table* known, Scratch* scratch, Tokens* out, Known* kind) noexcept nogil:
    """The best path over a text, word by word."""
    cdef float total = 0
    cdef double double_total = 0
    cdef int32_t at = 0, end, i, count, inline_tokens = 4 if Known is Single else 3
    cdef int word, status
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef Known* entry
    cdef const int32_t* tokens
    cdef const float* scores
    cdef const double* double_scores
    cdef bint decided
    while at < size:
        look_ahead(cuts, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            if vocabulary.restart != NEVER and begins_anew(vocabulary, text, at):
                total = 0
                double_total = 0
            slot = NULL
            if end - at <= MAX_WORD:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
                if slot == NULL:
                    slot = learn(vocabulary, text + at, end - at, known, place, scratch.pairs, kind)
            if slot != NULL:
                entry = <Known*>slot.payload
                if Known is Single:
                    decided = fabsf(total) < entry.limit
                else:
                    decided = fabs(double_total) < entry.limit
                if decided:
                    count = entry.count
                    if count <= inline_tokens:
                        # All places are added and copied; those beyond `count` hold scores of 0, and are overwritten.
                        for i in range(inline_tokens):
                            if Known is Single:
                                total = entry.scores[i] + total
                            else:
                                double_total = entry.scores[i] + double_total
                        if not entry.has_unknown and not out.with_spans:
                            if not reserve_ints(&out.ids, out.ids.size + MOST_INLINE):
                                return NO_MEMORY
                            memcpy(out.ids.data + out.ids.size, entry.tokens, sizeof(entry.tokens))
                            out.ids.size += count
                            out.after_unknown = False
                            at = end
                            continue
                        tokens = entry.tokens
                    elif Known is Single:
                        scores = <const float*>(known.arena.data + entry.tokens[0])
                        tokens = <const int32_t*>(scores + count)
                        for i in range(count):
                            total = scores[i] + total
                    else:
                        double_scores = <const double*>(known.arena.data + entry.tokens[0])
                        tokens = <const int32_t*>(double_scores + count)
                        for i in range(count):
                            double_total = double_scores[i] + double_total
                    if not add_tokens(out, spelling, vocabulary.lengths, text, at, tokens, count, entry.has_unknown):
                        return NO_MEMORY
                    at = end
                    continue
            if Known is Single:
                status = plain_pass[float](vocabulary, spelling, text, at, end, &total, scratch, out)
            else:
                status = plain_pass[double](vocabulary, spelling, text, at, end, &double_total, scratch, out)
            if status != OK:
                return status
            at = end
        if scratch.cancelled[0]:
            return CANCELLED
    return OK


cdef int directly(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                  Scratch* scratch, Tokens* out, real zero) noexcept nogil:
    """The best path over a text by the plain pass alone."""
    cdef real total
    cdef int32_t at = 0, end
    cdef int status
    while at < size:
        end = size
        if vocabulary.restart != NEVER:
            end = at + 1
            while end < size and not begins_anew(vocabulary, text, end):
                end += 1
        total = zero
        status = plain_pass[real](vocabulary, spelling, text, at, end, &total, scratch, out)
        if status != OK:
            return status
        at = end
    return OK


cdef int viterbi(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling, bint single_precision,
                 const uint8_t* text, int32_t size, Table* known, Scratch* scratch, Tokens* out) noexcept nogil:
    if vocabulary.directly:
        if single_precision:
            return directly[float](vocabulary, spelling, text, size, scratch, out, 0)
        return directly[double](vocabulary, spelling, text, size, scratch, out, 0)
    if single_precision:
        return through_words[Single](vocabulary, cuts, spelling, text, size, known, scratch, out, NULL)
    return through_words[Double](vocabulary, cuts, spelling, text, size, known, scratch, out, NULL)
