"""The best path: the plain pass, and the same answer from a cache of words.

The plain pass adds scores from left to right and replaces only by a strictly greater sum. In single
precision it is sentencepiece's decoder to the last bit. The score that the path has at a cut is
carried on, so that going from cut to cut changes no sum.

**Why a word from the cache is sentencepiece's to the last bit.** Let S be the score in single
precision where the word begins, c its number of characters, A the greatest magnitude of a score
among its edges, and B the best path over the word in exact arithmetic, better by `gap` than any other.
1. The pass keeps at each position the greatest rounded sum. Rounded addition is monotone, so the
   rounded sum of the path P that it ends with is at least that of B.
2. A path has at most c edges, and no sum on the way exceeds |S| + R with R = c·A (but for rounding).
   Each addition errs by at most 2^-24 of its result. So a rounded sum differs from the exact one by
   less than E = c·(|S| + R)·2^-24, with 1 % for the rounding of the sums themselves.
3. Hence exact(P) >= exact(B) - 2E, and where gap > 2E, P = B.
4. Where |S| + R stays below 100,000, no rebase happens inside the word.
Each word is kept with `limit`, the |S| up to which 3 and 4 hold. Beyond it the plain pass decides
the word from the true S, which is always at hand: one addition a token keeps it.
"""

from libc.math cimport fabs, fabsf
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, NO_PATH, OK, reserve_ints
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Cell, Pair, Scratch, add_step, reserve_cells
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path, add_tokens
from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, Node, step
from viterbi_sampling.engine.utf8 cimport char_length
from viterbi_sampling.engine.words cimport Ahead, MAX_WORD, SHORT_WORD, Slot, Table, find_ahead, look_ahead, take

cdef enum:
    INLINE_TOKENS = 4

cdef struct Known:              # the payload of a slot
    int32_t offset              # of the tokens and scores in the arena, where they are not here
    float limit
    int32_t count
    bint has_unknown
    int32_t tokens[INLINE_TOKENS]
    float scores[INLINE_TOKENS]

cdef double REBASE = 100000.0

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


cdef int viterbi_double(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t size,
                        Scratch* scratch, Tokens* out) noexcept nogil:
    cdef double total = 0
    return plain_pass[double](vocabulary, spelling, text, 0, size, &total, scratch, out)


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


cdef double best_two(const Vocabulary* vocabulary, const uint8_t* word, int32_t size, Pair* pairs,
                     double* greatest) noexcept nogil:
    """The best path over a word, in `pairs`, and by how much it is better than any other.

    `greatest` receives the greatest magnitude of a score among the edges. Every character has an
    edge of its own, so every position is reached.
    """
    cdef const Node* nodes = vocabulary.nodes
    cdef int32_t at = 0, one, position, i
    cdef uint32_t node
    cdef bint single
    greatest[0] = 0
    for i in range(1, size + 1):
        pairs[i].best = pairs[i].second = -1e300
    pairs[0].best = 0
    pairs[0].second = -1e300
    while at < size:
        one = min(at + char_length(word[at]), size)
        single = False
        node = ROOT
        position = at
        while position < size:
            node = step(nodes, node, word[position])
            if node == ROOT:
                break
            position += 1
            if nodes[node].piece != NO_PIECE:
                offer_both(&pairs[position], &pairs[at], nodes[node].score, at, nodes[node].piece)
                greatest[0] = max(greatest[0], fabs(nodes[node].score))
                single = single or position == one
        if not single:
            offer_both(&pairs[one], &pairs[at], vocabulary.unknown_score, at, vocabulary.unknown)
            greatest[0] = max(greatest[0], fabs(vocabulary.unknown_score))
        at = one
    return pairs[size].best - pairs[size].second


cdef Slot* learn(const Vocabulary* vocabulary, const uint8_t* word, int32_t size, Table* known, Slot* place,
                 Pair* pairs) noexcept nogil:
    """Keep the best path of a word of at most MAX_WORD bytes; its slot, or NULL where it is not kept."""
    cdef double greatest, gap, reach, limit
    cdef int32_t position, characters = 0, count = 0, i
    cdef size_t head = 0
    cdef Known* entry
    cdef Slot* slot
    cdef int32_t* tokens
    cdef float* scores
    gap = best_two(vocabulary, word, size, pairs, &greatest)
    for i in range(size):
        characters += (word[i] & 0xC0) != 0x80
    position = size
    while position > 0:
        count += 1
        position = pairs[position].start
    reach = characters * greatest
    limit = min(gap * 8388608.0 / (1.01 * characters), REBASE * 0.999) - reach
    if size > SHORT_WORD:
        head = (size + 3) & ~3
    slot = take(known, place, word, size, head + (8 * count if count > INLINE_TOKENS else 0))
    if slot == NULL:
        return NULL
    entry = <Known*>slot.payload
    entry.limit = <float>(limit * 0.999) if limit > 0 else 0
    entry.count = count
    entry.has_unknown = False
    memset(entry.scores, 0, sizeof(entry.scores))
    if count > INLINE_TOKENS:
        tokens = <int32_t*>(known.arena.data + entry.offset + head)
        scores = <float*>(tokens + count)
        entry.tokens[0] = <int32_t>(<uint8_t*>tokens - known.arena.data)
    else:
        tokens = entry.tokens
        scores = entry.scores
    position = size
    i = count
    while position > 0:
        i -= 1
        tokens[i] = pairs[position].token
        scores[i] = vocabulary.single_scores[tokens[i]]
        entry.has_unknown = entry.has_unknown or tokens[i] == vocabulary.unknown
        position = pairs[position].start
    return slot


cdef int viterbi_single(const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling,
                        const uint8_t* text, int32_t size, Table* known, Scratch* scratch, Tokens* out) noexcept nogil:
    cdef float total = 0
    cdef int32_t at = 0, end, i, count
    cdef int word
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    cdef Known* entry
    cdef const int32_t* tokens
    cdef const float* scores
    cdef int status
    while at < size:
        look_ahead(cuts, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = NULL
            if end - at <= MAX_WORD:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
                if slot == NULL:
                    slot = learn(vocabulary, text + at, end - at, known, place, scratch.pairs)
            if slot != NULL:
                entry = <Known*>slot.payload
                if fabsf(total) < entry.limit:
                    count = entry.count
                    if count <= INLINE_TOKENS:
                        # All places are added and copied; those beyond `count` hold scores of 0, and are overwritten.
                        for i in range(INLINE_TOKENS):
                            total = entry.scores[i] + total
                        if not entry.has_unknown and not out.with_spans:
                            if not reserve_ints(&out.ids, out.ids.size + INLINE_TOKENS):
                                return NO_MEMORY
                            memcpy(out.ids.data + out.ids.size, entry.tokens, INLINE_TOKENS * sizeof(int32_t))
                            out.ids.size += count
                            out.after_unknown = False
                            at = end
                            continue
                        tokens = entry.tokens
                    else:
                        tokens = <const int32_t*>(known.arena.data + entry.tokens[0])
                        scores = <const float*>(tokens + count)
                        for i in range(count):
                            total = scores[i] + total
                    if not add_tokens(out, spelling, vocabulary.lengths, text, at, tokens, count, entry.has_unknown):
                        return NO_MEMORY
                    at = end
                    continue
            status = plain_pass[float](vocabulary, spelling, text, at, end, &total, scratch, out)
            if status != OK:
                return status
            at = end
        if scratch.cancelled[0]:
            return CANCELLED
    return OK
