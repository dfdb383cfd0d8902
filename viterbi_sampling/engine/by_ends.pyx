"""Perfect sampling from end to end, of a vocabulary with an automaton.

Each end that several edges lead to has a uniform. Which of them it is, is counted on the way, and only at the ends of the path,
which is read backwards, are choices made at all. The edges of one end come in the order of their starts, so that sums are
added up as where edges are gone through by their starts: the choices are those of directly.pyx to the last bit. Sums are
doubles without an exponent: where they have grown or shrunk much, those that are still needed are written again, all by
the same power of two.
"""

from libc.math cimport fabs, frexp, ldexp
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memmove

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Ints, reserve, reserve_doubles, reserve_ints
from viterbi_sampling.engine.choices cimport CERTAIN, MOST_EDGES, MOST_PATHS, PERFECT, Weights
from viterbi_sampling.engine.directly cimport sample_directly
from viterbi_sampling.engine.endings cimport (
    ENDS, Automaton, depth_of, edges_of, find_endings, length_of, list_of, token_of,
)
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport SHORT, SHORT_PATHS, SHORT_TOKENS, SHORTS, Added, Arrivals, Scratch, Short
from viterbi_sampling.engine.stream cimport STREAM_WORDS, Stream, stream_look, stream_next, stream_skip, stream_take, uniform_of
from viterbi_sampling.engine.sweeps cimport APART, CLOSE, LARGE, SMALL, VERY_LARGE, VERY_SMALL
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens
from viterbi_sampling.engine.trie cimport ROOT
from viterbi_sampling.engine.words cimport CACHE_LINE, KEY_MASKS, prefetch

cdef enum:
    MOST_BYTES = 1 << 20        # of a part that is sampled so
    LOOKED_AHEAD = 2048         # words of the stream that are made at once
    BETWEEN_SHIFTS = 64         # ends after which sums are looked at
    FEW_BYTES = 7               # of a part that has at most MOST_PATHS paths: each inner byte ends a piece or does not
    ANY_EDGES = 10              # bytes of a part that has less than MOST_PATHS edges, whatever they are
    FEW_TOKENS = 8              # of a path that are copied in any case
    UNUSUAL = 1                 # a part is to be sampled edge by edge: sums leave the doubles, or a draw falls on a border


cdef bint find_cuts(const Automaton* automaton, const uint32_t* ends, int32_t first, int32_t read, int32_t lower, int32_t known,
                    Ints* cuts) noexcept nogil:
    """The cuts of a text behind `lower` up to `read`, from the last to the first; `ends` tells from `first` on what ends there.

    A piece that ends behind `read` begins at `known` or later. False without memory.
    """
    cdef const uint32_t* lists = automaton.pieces
    cdef const uint32_t* before = ends - first - 1
    cdef int32_t at, least = known          # where the earliest piece begins that ends behind `at`
    cdef int32_t* found
    cdef size_t count = 0
    if not reserve_ints(cuts, read - lower):
        return False
    found = cuts.data
    for at in range(read, lower, -1):
        found[count] = at
        count += at <= least
        least = min(least, at - length_of(list_of(lists, before[at])[1]))
    cuts.size = count
    return True


# -- forward sums ------------------------------------------------------------------------------------

cdef int write_again(const Automaton* automaton, int32_t at, Arrivals* found) noexcept nogil:
    """Write the sums that pieces which end behind `at` may begin at, so that the last is moderate.

    UNUSUAL where the sums are so far apart that this could lose a bit.
    """
    cdef int32_t first = max(0, at - automaton.longest + 1), shift = found.shift, new = at + shift + 1 - first, i
    cdef double* sums
    cdef int power
    cdef double sum
    if not reserve_doubles(&found.sums, at + new + 1) or not reserve_ints(&found.shifts, found.shifts.size + 2):
        return NO_MEMORY
    sums = found.sums.data
    frexp(sums[at + shift], &power)
    for i in range(first, at + 1):
        sum = ldexp(sums[i + shift], -power)
        if not VERY_SMALL <= sum <= VERY_LARGE:
            return UNUSUAL
        sums[i + new] = sum
    found.shifts.data[found.shifts.size] = at
    found.shifts.data[found.shifts.size + 1] = shift
    found.shifts.size += 2
    found.shift = new
    return OK


cdef inline void sum_up(const Automaton* automaton, const double* weights, const uint32_t* ends, Py_ssize_t first, Py_ssize_t last,
                        double* sums, int32_t* paths, Arrivals* found) noexcept nogil:
    """The sums at the ends behind `first` up to `last`, and unless it is NULL the number of paths to each."""
    cdef const uint32_t* lists = automaton.pieces
    cdef const uint32_t* pieces
    cdef Added* added = found.added
    cdef Py_ssize_t i, from_
    cdef int32_t k, edges, count = 0
    cdef double sum = sums[first], rest, least = found.least, greatest = found.greatest
    if paths != NULL:
        count = paths[first]
    for i in range(first + 1, last + 1):
        pieces = list_of(lists, ends[i - 1])
        edges = edges_of(ends[i - 1])
        # Without a branch where there is only the byte: the other one has no weight then.
        from_ = i - length_of(pieces[1])
        rest = added[i].longest = sums[from_] * weights[token_of(pieces[1])]
        if paths != NULL:
            count += paths[from_] & -(edges > 1)
        for k in range(2, edges):
            from_ = i - length_of(pieces[k])
            rest += sums[from_] * weights[token_of(pieces[k])]
            if paths != NULL:
                count += paths[from_]
        sum *= weights[token_of(pieces[0])]
        added[i].shortest = sum
        sum = rest + sum
        sums[i] = sum
        least = least if least < sum else sum
        greatest = greatest if greatest > sum else sum
        if paths != NULL:
            count = min(count, MOST_PATHS + 1)
            paths[i] = count
    found.least = least
    found.greatest = greatest


cdef void count_choices(const uint32_t* ends, int32_t size, int32_t* choices) noexcept nogil:
    """How many ends up to each several edges lead to."""
    cdef int32_t i, count = 0
    choices[0] = 0
    for i in range(size):
        count += edges_of(ends[i]) > 1
        choices[i + 1] = count


cdef inline bint are_moderate(const Arrivals* found) noexcept nogil:
    """Whether the sums are so near to 1 that shares can be told apart as APART says."""
    return SMALL <= found.least and found.greatest <= LARGE


cdef int add_up(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, int32_t* paths,
                Arrivals* found) noexcept nogil:
    """The forward sums of a part.

    The sum of a position is at position + shift; `found.shifts` holds pairs: a position, and the shift up to there.
    `paths` gets the number of paths to each position, MOST_PATHS + 1 for more, or is NULL.
    """
    cdef int32_t done = 0, last
    cdef int status
    found.shifts.size = found.shift = 0
    found.sums.data[0] = found.least = found.greatest = 1.0
    if paths != NULL:
        paths[0] = 1
    while True:
        last = min(size, done + BETWEEN_SHIFTS)
        if found.shift and not reserve_doubles(&found.sums, last + found.shift + 1):
            return NO_MEMORY
        if paths != NULL:
            sum_up(automaton, weights, ends, done, last, found.sums.data + found.shift, paths, found)
        else:
            sum_up(automaton, weights, ends, done, last, found.sums.data + found.shift, NULL, found)
        if not (VERY_SMALL <= found.least and found.greatest <= VERY_LARGE):
            return UNUSUAL
        done = last
        if done == size:
            return OK
        if not SMALL <= found.sums.data[done + found.shift] <= LARGE:
            status = write_again(automaton, done, found)
            if status != OK:
                return status


# -- short parts -------------------------------------------------------------------------------------

cdef inline uint32_t key_of_short(const uint8_t* text, int32_t size) noexcept nogil:
    """The key of a part in the table of short ones; 0 for a longer one."""
    cdef uint32_t key, mask
    memcpy(&key, text, 4)
    memcpy(&mask, KEY_MASKS + 16 - min(size, <int32_t>SHORT), 4)
    key &= mask
    (<uint8_t*>&key)[3] = <uint8_t>size
    return key if size <= SHORT else 0


cdef inline Short* place_of_short(const Arrivals* arrivals, uint32_t key) noexcept nogil:
    return arrivals.shorts + ((key * <uint32_t>0x9E3779B1U) >> 20)


cdef bint start_shorts(Arrivals* arrivals) noexcept nogil:
    """An empty table of short parts, at a cache line. False without memory."""
    arrivals.shorts_memory = calloc(SHORTS * sizeof(Short) + CACHE_LINE, 1)
    if arrivals.shorts_memory != NULL:
        arrivals.shorts = <Short*>((<size_t>arrivals.shorts_memory + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1))
    return arrivals.shorts_memory != NULL


cdef int learn_short(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, uint32_t key,
                     Short* kept, Arrivals* found) noexcept nogil:
    """Keep the paths over a part of at most SHORT bytes as find_paths finds them."""
    cdef const uint32_t* lists = automaton.pieces
    cdef const double* sums
    cdef double left[SHORT]
    cdef int32_t at[SHORT]
    cdef int32_t tokens[SHORT]
    cdef int32_t untried[SHORT]
    cdef const uint32_t* pieces
    cdef uint32_t piece
    cdef int32_t depth = 0, count = 0, total_tokens = 0, from_, i
    cdef double share, total = 0.0
    cdef int status = add_up(automaton, weights, ends, size, NULL, found)
    if status != OK:
        return status
    if not are_moderate(found):
        return UNUSUAL
    sums = found.sums.data
    kept.key = key
    kept.first = 0
    for i in range(SHORT_PATHS - 1):
        kept.thresholds[i] = CERTAIN
    left[0] = 1.0
    at[0] = size
    untried[0] = edges_of(ends[size - 1])
    while depth >= 0:
        if untried[depth] == 0:
            depth -= 1
            continue
        pieces = list_of(lists, ends[at[depth] - 1])
        # The byte, and then from the shortest to the longest.
        piece = pieces[untried[depth] if untried[depth] < edges_of(ends[at[depth] - 1]) else 0]
        untried[depth] -= 1
        from_ = at[depth] - length_of(piece)
        tokens[depth] = token_of(piece)
        share = left[depth] * (sums[from_] * weights[token_of(piece)] / sums[at[depth]])
        if from_ > 0:
            depth += 1
            left[depth] = share
            at[depth] = from_
            untried[depth] = edges_of(ends[from_ - 1])
            continue
        total += share
        if count < SHORT_PATHS - 1:
            kept.thresholds[count] = total
        for i in range(depth, -1, -1):
            kept.tokens[total_tokens] = tokens[i]
            total_tokens += 1
        count += 1
        kept.first |= <uint32_t>total_tokens << (4 * count)
    if count < SHORT_PATHS:
        kept.thresholds[count - 1] = CERTAIN    # the last takes the rest
    return OK


cdef inline void draw_short(const Short* kept, Stream* stream, Tokens* out) noexcept nogil:
    """Add one of the paths that are kept, without spans. There is room."""
    cdef int32_t path, first, i
    cdef int32_t* ids
    cdef double uniform
    # Without a branch: where there is one path, the uniform stays for others.
    uniform = uniform_of(stream_take(stream, 1)[0])
    stream.at -= kept.thresholds[0] > 1.0
    path = (uniform >= kept.thresholds[0]) + (uniform >= kept.thresholds[1]) + (uniform >= kept.thresholds[2])
    first = kept.first >> (4 * path) & 0xF
    # All places are written; what is not there is overwritten.
    ids = out.ids.data + out.ids.size
    for i in range(SHORT):
        ids[i] = kept.tokens[(first + i) & (SHORT_TOKENS - 1)]
    out.ids.size += (kept.first >> (4 * path + 4) & 0xF) - first
    out.after_unknown = False


# -- other parts -------------------------------------------------------------------------------------

cdef inline bint add_found(Tokens* out, const Spelling* spelling, const int32_t* lengths, const uint8_t* text, int32_t begin,
                           const int32_t* tokens, int32_t count) noexcept nogil:
    """Add the tokens of a path, behind which FEW_TOKENS may be read, and for which there is room. False without memory."""
    if out.with_spans:
        return add_tokens(out, spelling, lengths, text, begin, tokens, count, False)
    memcpy(out.ids.data + out.ids.size, tokens, FEW_TOKENS * sizeof(int32_t))
    if count > FEW_TOKENS:
        memcpy(out.ids.data + out.ids.size, tokens, count * sizeof(int32_t))
    out.ids.size += count
    out.after_unknown = False
    return True


cdef inline double by(uint32_t piece, int32_t at, const double* sums, const double* weights) noexcept nogil:
    """The sum of the paths that come to a position by a piece."""
    return sums[at - length_of(piece)] * weights[token_of(piece)]


cdef int32_t draw_few(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, double uniform,
                      const Arrivals* found, int32_t* tokens) noexcept nogil:
    """Choose a path from its end, edge by edge, where it is clear on which side of each border the uniform lies; else 0.

    As walk_back in sweeps.pyx, with the weights themselves in the place of shares of the sum over the part. The tokens are
    written before `tokens`: how many there are is returned.
    """
    cdef const uint32_t* lists = automaton.pieces
    cdef const double* sums = found.sums.data
    cdef double target = uniform * sums[size], apart = APART * sums[size], left = 1.0, total = 0.0, border
    cdef int32_t at = size, count = 0, k, place
    cdef const uint32_t* pieces
    cdef uint32_t piece
    cdef bint unclear
    while at > 0:
        pieces = list_of(lists, ends[at - 1])
        # All edges of this end, the shortest first, since which one it will be is as good as random.
        border = total + left * found.added[at].shortest
        unclear = fabs(target - border) <= apart
        total = border if target >= border else total
        place = target >= border
        for k in range(edges_of(ends[at - 1]) - 1, 1, -1):
            place = k if target >= border else place
            border += left * by(pieces[k], at, sums, weights)
            unclear = unclear | (fabs(target - border) <= apart)
            total = border if target >= border else total
        place = 1 if target >= border else place
        border += left * found.added[at].longest
        if unclear | (target >= border) | (fabs(target - border) <= apart):
            return 0
        piece = pieces[place]
        count += 1
        tokens[-count] = token_of(piece)
        left *= weights[token_of(piece)]
        at -= length_of(piece)
    return count


cdef int32_t choose(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, Stream* stream,
                    Arrivals* found, int32_t* tokens) noexcept nogil:
    """The choices at the ends of the path, from the last to the first, written before `tokens`: how many, or -1 without memory.

    Whether uniform < share / sum is asked as uniform * sum < share, without a division, and with it only where rounding
    could tell the one from the other.
    """
    cdef const uint32_t* lists = automaton.pieces
    cdef const int32_t* choices = found.choices.data
    cdef const uint64_t* words = NULL
    cdef const double* sums
    cdef const uint32_t* pieces
    cdef uint32_t piece
    cdef int32_t at = size, count = 0, edges, place, k, low = choices[size], high, shift = found.shift
    cdef size_t shifts = found.shifts.size
    cdef double uniform, product, share
    cdef bint unclear, at_once = low <= <int32_t>(STREAM_WORDS - 4)
    if at_once:
        words = stream_take(stream, low)
        low = 0
    while at > 0:
        while shifts and at <= found.shifts.data[shifts - 2]:
            shifts -= 2
            shift = found.shifts.data[shifts + 1]
        sums = found.sums.data + shift
        pieces = list_of(lists, ends[at - 1])
        edges = edges_of(ends[at - 1])
        place = 0
        if edges > 1:
            if choices[at] <= low:
                high = choices[at]
                low = max(0, high - <int32_t>LOOKED_AHEAD)
                if not reserve_doubles(&found.words, high - low):
                    return -1
                stream_look(stream, low, high - low, <uint64_t*>found.words.data)
                words = <const uint64_t*>found.words.data
            uniform = uniform_of(words[choices[at] - 1 - low])
            product = uniform * sums[at]
            # As in draw_few; the longest takes the rest.
            share = found.added[at].shortest
            unclear = fabs(product - share) <= share * CLOSE
            for k in range(edges - 1, 1, -1):
                place = k if product >= share else place
                share += by(pieces[k], at, sums, weights)
                unclear = unclear | (fabs(product - share) <= share * CLOSE)
            place = 1 if product >= share else place
            if unclear:
                place = place_by_shares(pieces, edges, uniform, at, sums, weights)
        piece = pieces[place]
        count += 1
        tokens[-count] = token_of(piece)
        at -= length_of(piece)
    if not at_once:
        stream_skip(stream, choices[size])
    return count


cdef int32_t place_by_shares(const uint32_t* pieces, int32_t edges, double uniform, int32_t at, const double* sums,
                             const double* weights) noexcept nogil:
    """The place in a list of several pieces into whose share of the sum a uniform falls."""
    cdef double share = by(pieces[0], at, sums, weights)
    cdef int32_t place = 0, k = edges - 1
    while k > 0 and uniform >= share / sums[at]:
        place = k
        share += by(pieces[k], at, sums, weights)
        k -= 1
    return place


cdef bint has_room(int32_t size, Scratch* scratch, Tokens* out) noexcept nogil:
    """Make room for parts of so many bytes, and for their tokens. False without memory."""
    cdef Arrivals* found = &scratch.arrivals
    return (reserve_ints(&scratch.path, size + FEW_TOKENS) and reserve_ints(&found.choices, size + 1)
            and reserve_doubles(&found.sums, size + 1)
            and reserve(&found.added, &found.added_capacity, size + 1, sizeof(Added))
            and reserve_ints(&out.ids, out.ids.size + size + FEW_TOKENS))


cdef int sample_part(const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                     int32_t begin, int32_t size, const uint32_t* ends, Stream* stream, Scratch* scratch,
                     Tokens* out) noexcept nogil:
    """Add a path over text[begin:begin + size]: OK, NO_MEMORY or UNUSUAL, and nothing is done then."""
    cdef const Automaton* automaton = vocabulary.automaton
    cdef const uint32_t* lists = automaton.pieces
    cdef Arrivals* found = &scratch.arrivals
    cdef int32_t paths[MOST_EDGES + 1]
    cdef size_t edges = 0
    cdef int32_t count, i
    cdef int status
    cdef bint few = size <= <int32_t>FEW_BYTES, counted
    cdef double uniform
    if size > ANY_EDGES:
        for i in range(size):
            edges += edges_of(ends[i])
    # All positions are on a path, so that each edge that its end could do without is another path.
    counted = not few and edges <= <size_t>MOST_EDGES and edges < <size_t>(size + MOST_PATHS)
    status = add_up(automaton, weights.values, ends, size, &paths[0] if counted else <int32_t*>NULL, found)
    if status != OK:
        return status
    if few or (counted and paths[size] <= MOST_PATHS):
        if not are_moderate(found):
            return UNUSUAL
        # Without a cut inside, a part has several paths, unless it is one byte.
        uniform = stream_next(stream) if size > 1 else 0.0
        count = draw_few(automaton, weights.values, ends, size, uniform, found, scratch.path.data + size)
        if count == 0:
            stream.at -= 1      # the one that was taken is in the buffer still
            return UNUSUAL
    else:
        count_choices(ends, size, found.choices.data)
        count = choose(automaton, weights.values, ends, size, stream, found, scratch.path.data + size)
        if count < 0:
            return NO_MEMORY
    if not add_found(out, spelling, vocabulary.lengths, text, begin, scratch.path.data + size - count, count):
        return NO_MEMORY
    return OK


# -- a text ------------------------------------------------------------------------------------------

cdef int sample_by_ends(const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                        int32_t size, Stream* stream, Scratch* scratch, Tokens* out) noexcept nogil:
    cdef const Automaton* automaton = vocabulary.automaton
    cdef Arrivals* arrivals = &scratch.arrivals
    cdef Ints* ends = &arrivals.ends
    cdef Ints* cuts = &arrivals.cuts
    cdef Short* short_one
    cdef uint32_t* found
    cdef uint32_t state = ROOT
    cdef uint32_t key, next_key
    cdef int32_t read = 0, cut = 0, begin = 0, lower = 0, known, count, end, i
    cdef int status
    if arrivals.shorts == NULL and not start_shorts(arrivals):
        return NO_MEMORY
    while read < size:
        if is_raised(scratch.cancelled):
            return CANCELLED
        if read - cut > MOST_BYTES:
            return sample_directly(PERFECT, vocabulary, weights, spelling, text, cut, size, stream, scratch, out, NULL)
        count = min(<int32_t>ENDS, size - read)
        if not reserve_ints(ends, read - cut + count):
            return NO_MEMORY
        found = <uint32_t*>ends.data
        find_endings(automaton, text + read, count, &state, found + (read - cut))
        read += count
        known = read if read == size else read - depth_of(automaton, state)
        if not has_room(read - cut, scratch, out):
            return NO_MEMORY
        if not find_cuts(automaton, found, cut, read, lower, known, cuts):
            return NO_MEMORY
        begin = cut
        next_key = key_of_short(text + begin, cuts.data[cuts.size - 1] - begin) if cuts.size else 0
        for i in range(<int32_t>cuts.size - 1, -1, -1):
            end = cuts.data[i]
            key = next_key
            if i > 0:
                next_key = key_of_short(text + end, cuts.data[i - 1] - end)
                prefetch(place_of_short(arrivals, next_key))
            if key and not out.with_spans:
                short_one = place_of_short(arrivals, key)
                status = OK
                if short_one.key != key:
                    status = learn_short(automaton, weights.values, found + (begin - cut), end - begin, key, short_one, arrivals)
                if status == OK:
                    draw_short(short_one, stream, out)
            else:
                status = sample_part(vocabulary, weights, spelling, text, begin, end - begin, found + (begin - cut), stream,
                                     scratch, out)
            if status == UNUSUAL:
                status = sample_directly(PERFECT, vocabulary, weights, spelling, text, begin, end, stream, scratch, out, NULL)
            if status != OK:
                return status
            begin = end
        memmove(found, found + (begin - cut), (read - begin) * sizeof(uint32_t))
        cut = begin
        lower = max(cut, known)
    return OK
