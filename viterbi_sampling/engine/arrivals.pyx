"""Passes over a text from end to end: at each the pieces that end there are gone through, the longest first.

The edges of one end come in the order of their starts, so that sums are added up and ties are settled as where edges are gone
through by their starts: the answers are those of sweeps.pyx to the last bit. But no edge is written down, and what belongs
to an end stays in registers until it is done.

Perfect sampling has a uniform for each end that several edges lead to. Which of them is that of an end is counted on the way,
and only at the ends of the path, which is read backwards, are choices made at all. Sums are doubles without an exponent:
where they have grown or shrunk much, those that are still needed are written again, all by the same power of two.
"""

from libc.math cimport INFINITY, fabs, frexp, ldexp
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Ints, reserve_doubles, reserve_ints
from viterbi_sampling.engine.choices cimport CERTAIN, MOST_EDGES, MOST_PATHS, Weights
from viterbi_sampling.engine.endings cimport ENDS, Automaton, depth_of, find_endings, length_of, token_of
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport (
    SHORT, SHORT_PATHS, SHORT_TOKENS, SHORTS, Arrivals, Cell, Scratch, Short, reserve_cells,
)
from viterbi_sampling.engine.stream cimport STREAM_WORDS, Stream, stream_look, stream_next, stream_skip, stream_take, uniform_of
from viterbi_sampling.engine.sweeps cimport APART, CLOSE, LARGE, SMALL, UNIT, VERY_LARGE, VERY_SMALL, read_back
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path
from viterbi_sampling.engine.trie cimport ROOT
from viterbi_sampling.engine.words cimport prefetch

cdef enum:
    AHEAD = 12                  # ends ahead of which the score of the longest piece is asked for
    LOOKED_AHEAD = 2048         # words of the stream that are made at once
    BETWEEN_SHIFTS = 64         # ends after which sums are looked at
    ANY_EDGES = 10              # bytes of a part that has less than MOST_PATHS edges, whatever they are


cdef bint find_cuts(const Automaton* automaton, const uint32_t* ends, int32_t first, int32_t read, int32_t lower, int32_t known,
                    const double* values, Ints* cuts) noexcept nogil:
    cdef const uint32_t* pieces = automaton.pieces
    cdef const uint32_t* before = ends - first - 1
    cdef int32_t at, least = known          # where the earliest piece begins that ends behind `at`
    cdef int32_t* found
    cdef uint32_t piece
    cdef size_t count = 0
    if not reserve_ints(cuts, read - lower):
        return False
    found = cuts.data
    for at in range(read, lower, -1):
        found[count] = at
        count += at <= least
        piece = pieces[before[at] >> 8]
        prefetch(&values[token_of(piece)])
        least = min(least, at - length_of(piece))
    cuts.size = count
    return True


# -- the best path -----------------------------------------------------------------------------------

cdef int32_t last_cut_of(const Cell* cells, int32_t cut, int32_t read, int32_t lower, int32_t known) noexcept nogil:
    """The last cut as in find_cuts, or `cut`. The exponents of the cells tell where the longest piece to each begins."""
    cdef int32_t at = read, least = known
    while at > lower:
        if at <= least:
            return at
        least = min(least, <int32_t>cells[at - cut].exponent)
        at -= 1
    return cut


cdef int best_arrivals(const Vocabulary* vocabulary, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t size,
                       double* total, Scratch* scratch, Tokens* out) noexcept nogil:
    cdef const Automaton* automaton = vocabulary.automaton
    cdef const double* scores = vocabulary.scores
    cdef const uint32_t* pieces
    cdef Cell* cells
    cdef uint32_t ends[ENDS]
    cdef uint32_t state = ROOT, piece, kept, mask
    cdef int32_t read = begin, cut = begin, lower = begin, known, last_cut, count, i, k, paths
    cdef double best, candidate
    cdef int status
    if not reserve_cells(scratch, 1):
        return NO_MEMORY
    scratch.cells[0].value = total[0]
    while read < size:
        if scratch.cancelled[0]:
            return CANCELLED
        count = min(<int32_t>ENDS, size - read)
        if not reserve_cells(scratch, read + count - cut + 1):
            return NO_MEMORY
        find_endings(automaton, text + read, count, &state, ends)
        cells = scratch.cells + (read - cut)
        for i in range(1, count + 1):
            pieces = automaton.pieces + (ends[i - 1] >> 8)
            paths = ends[i - 1] & 0xFF
            kept = pieces[0]
            prefetch(&scores[token_of(automaton.pieces[ends[min(i + AHEAD, count) - 1] >> 8])])
            cells[i].exponent = read + i - length_of(kept)
            best = cells[i - length_of(kept)].value + scores[token_of(kept)]
            for k in range(1, paths):
                piece = pieces[k]
                candidate = cells[i - length_of(piece)].value + scores[token_of(piece)]
                # The tie rule: only a strictly greater score replaces, so the earliest start wins.
                mask = -<uint32_t>(candidate > best)
                best = candidate if candidate > best else best
                kept ^= (kept ^ piece) & mask
            cells[i].value = best
            cells[i].start = read + i - length_of(kept)
            cells[i].token = token_of(kept)
        read += count
        known = read if read == size else read - depth_of(automaton, state)
        last_cut = read if read == size else last_cut_of(scratch.cells, cut, read, lower, known)
        if last_cut > cut:
            status = read_back(spelling, text, cut, last_cut, scratch, out)
            if status != OK:
                return status
            memmove(scratch.cells, scratch.cells + (last_cut - cut), (read - last_cut + 1) * sizeof(Cell))
            cut = last_cut
        lower = max(cut, known)
    total[0] = scratch.cells[0].value
    return OK


# -- perfect sampling --------------------------------------------------------------------------------

cdef bint add_found(Tokens* out, const Spelling* spelling, const uint8_t* text, int32_t begin, const int32_t* path,
                    int32_t count) noexcept nogil:
    """Add a path of (token, end) pairs, the last token first. False without memory."""
    cdef int32_t k
    cdef int32_t* ids
    if out.with_spans:
        return add_path(out, spelling, text, path, count, begin)
    if not reserve_ints(&out.ids, out.ids.size + count):
        return False
    ids = out.ids.data + out.ids.size + count
    for k in range(count):
        ids -= 1
        ids[0] = path[2 * k]
    out.ids.size += count
    out.after_unknown = False
    return True


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


cdef inline void sum_up(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t first, int32_t last,
                        double* sums, int32_t* paths, Arrivals* found) noexcept nogil:
    """The sums at the ends behind `first` up to `last`, and unless it is NULL the number of paths to each."""
    cdef const uint32_t* pieces
    cdef int32_t* choices = found.choices.data
    cdef int32_t i, k, edges, from_, count = 0
    cdef double sum, least = found.least, greatest = found.greatest
    for i in range(first + 1, last + 1):
        pieces = automaton.pieces + (ends[i - 1] >> 8)
        edges = <int32_t>(ends[i - 1] & 0xFF)
        from_ = i - length_of(pieces[0])
        sum = sums[from_] * weights[token_of(pieces[0])]
        if paths != NULL:
            count = paths[from_]
        # Most ends have one or two edges: the second is nought times the first where there is none.
        k = edges > 1
        from_ = i - length_of(pieces[k])
        sum += sums[from_] * weights[token_of(pieces[k])] * <double>k
        if paths != NULL:
            count += paths[from_] & -k
        choices[i] = choices[i - 1] + k
        for k in range(2, edges):
            from_ = i - length_of(pieces[k])
            sum += sums[from_] * weights[token_of(pieces[k])]
            if paths != NULL:
                count += paths[from_]
        sums[i] = sum
        least = min(least, sum)
        greatest = max(greatest, sum)
        if paths != NULL:
            paths[i] = min(count, MOST_PATHS + 1)
    found.least = least
    found.greatest = greatest


cdef inline bint are_moderate(const Arrivals* found) noexcept nogil:
    """Whether the sums are so near to 1 that shares can be told apart as APART says."""
    return SMALL <= found.least and found.greatest <= LARGE


cdef int add_up(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, int32_t* paths,
                Arrivals* found) noexcept nogil:
    """The forward sums of a part, and how many ends up to each several edges lead to.

    The sum of a position is at position + shift; `found.shifts` holds pairs: a position, and the shift up to there.
    `paths` gets the number of paths to each position, MOST_PATHS + 1 for more, or is NULL.
    """
    cdef int32_t done = 0, last
    cdef int status
    if not reserve_ints(&found.choices, size + 1) or not reserve_doubles(&found.sums, 1):
        return NO_MEMORY
    found.shifts.size = found.shift = found.choices.data[0] = 0
    found.sums.data[0] = found.least = found.greatest = 1.0
    if paths != NULL:
        paths[0] = 1
    while True:
        last = min(size, done + BETWEEN_SHIFTS)
        if not reserve_doubles(&found.sums, last + found.shift + 1):
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


cdef int learn_short(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t size, uint32_t key,
                     Short* kept, Arrivals* found) noexcept nogil:
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
    untried[0] = <int32_t>(ends[size - 1] & 0xFF)
    while depth >= 0:
        if untried[depth] == 0:
            depth -= 1
            continue
        untried[depth] -= 1
        pieces = automaton.pieces + (ends[at[depth] - 1] >> 8)
        piece = pieces[untried[depth]]
        from_ = at[depth] - length_of(piece)
        tokens[depth] = token_of(piece)
        share = left[depth] * (sums[from_] * weights[token_of(piece)] / sums[at[depth]])
        if from_ > 0:
            depth += 1
            left[depth] = share
            at[depth] = from_
            untried[depth] = <int32_t>(ends[from_ - 1] & 0xFF)
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


cdef int32_t draw_few(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t begin, int32_t size,
                      const double* sums, double uniform, int32_t* path) noexcept nogil:
    """Choose a path from its end, edge by edge, where it is clear on which side of each border the uniform lies; else 0.

    As walk_back in sweeps.pyx, with the weights themselves in the place of shares of the sum over the part.
    """
    cdef double target = uniform * sums[size], apart = APART * sums[size], left = 1.0, total = 0.0, border
    cdef int32_t at = size, count = 0, k, from_, beyond
    cdef const uint32_t* pieces
    cdef uint32_t piece
    cdef bint unclear
    while at > 0:
        pieces = automaton.pieces + (ends[at - 1] >> 8)
        # All edges of this end, since which one it will be is as good as random.
        border = total
        beyond = 0
        unclear = False
        for k in range(<int32_t>(ends[at - 1] & 0xFF) - 1, -1, -1):
            piece = pieces[k]
            from_ = at - length_of(piece)
            border += left * (sums[from_] * weights[token_of(piece)])
            unclear = unclear | (fabs(target - border) <= apart)
            total = border if target >= border else total
            beyond += target >= border
        k = <int32_t>(ends[at - 1] & 0xFF) - 1 - beyond
        if unclear or k < 0:
            return 0
        piece = pieces[k]
        path[2 * count] = token_of(piece)
        path[2 * count + 1] = begin + at
        count += 1
        left *= weights[token_of(piece)]
        at -= length_of(piece)
    return count


cdef int32_t choose(const Automaton* automaton, const double* weights, const uint32_t* ends, int32_t begin, int32_t size,
                    Stream* stream, Arrivals* found, int32_t* path) noexcept nogil:
    """The choices at the ends of the path, from the last to the first: the number of its tokens, or -1 without memory.

    Whether uniform < share / sum is asked as uniform * sum < share, without a division, and with it only where rounding
    could tell the one from the other.
    """
    cdef const int32_t* choices = found.choices.data
    cdef const uint64_t* words = NULL
    cdef const double* sums
    cdef const uint32_t* pieces
    cdef uint32_t piece
    cdef int32_t at = size, count = 0, last, beyond, k, low = choices[size], high, shift = found.shift
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
        pieces = automaton.pieces + (ends[at - 1] >> 8)
        last = <int32_t>(ends[at - 1] & 0xFF) - 1
        beyond = 0
        if last > 0:
            if choices[at] <= low:
                high = choices[at]
                low = max(0, high - <int32_t>LOOKED_AHEAD)
                if not reserve_doubles(&found.words, high - low):
                    return -1
                stream_look(stream, low, high - low, <uint64_t*>found.words.data)
                words = <const uint64_t*>found.words.data
            uniform = uniform_of(words[choices[at] - 1 - low])
            product = uniform * sums[at]
            share = 0.0
            unclear = False
            # All edges of this end, since which one it will be is as good as random.
            for k in range(last, 0, -1):
                share += sums[at - length_of(pieces[k])] * weights[token_of(pieces[k])]
                unclear = unclear | (fabs(product - share) <= share * CLOSE)
                beyond += product >= share
            if unclear:
                beyond = 0
                share = 0.0
                for k in range(last, 0, -1):
                    share += sums[at - length_of(pieces[k])] * weights[token_of(pieces[k])]
                    beyond += uniform >= share / sums[at]
        piece = pieces[last - beyond]
        path[2 * count] = token_of(piece)
        path[2 * count + 1] = begin + at
        count += 1
        at -= length_of(piece)
    if not at_once:
        stream_skip(stream, choices[size])
    return count


cdef int sample_part(const Automaton* automaton, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                     int32_t begin, int32_t size, const uint32_t* ends, Stream* stream, Scratch* scratch,
                     Tokens* out) noexcept nogil:
    cdef Arrivals* found = &scratch.arrivals
    cdef int32_t paths[MOST_EDGES + 1]
    cdef size_t edges = 0
    cdef int32_t count, i
    cdef int status
    cdef bint few
    cdef double uniform
    if not reserve_ints(&scratch.path, 2 * size):
        return NO_MEMORY
    if size > ANY_EDGES:
        for i in range(size):
            edges += ends[i] & 0xFF
    # All positions are on a path, so that each edge that its end could do without is another path.
    few = edges <= <size_t>MOST_EDGES and edges < <size_t>(size + MOST_PATHS)
    status = add_up(automaton, weights.values, ends, size, &paths[0] if few else <int32_t*>NULL, found)
    if status != OK:
        return status
    if few and paths[size] <= MOST_PATHS:
        if not are_moderate(found):
            return UNUSUAL
        uniform = stream_next(stream) if paths[size] > 1 else 0.0
        count = draw_few(automaton, weights.values, ends, begin, size, found.sums.data, uniform, scratch.path.data)
        if count == 0:
            stream.at -= 1      # the one that was taken is in the buffer still
            return UNUSUAL
    else:
        count = choose(automaton, weights.values, ends, begin, size, stream, found, scratch.path.data)
        if count < 0:
            return NO_MEMORY
    return OK if add_found(out, spelling, text, begin, scratch.path.data, count) else NO_MEMORY
