"""The best path from end to end: at each the pieces that end there are gone through, the longest first.

The edges of one end come in the order of their starts, so that ties are settled as where edges are gone through by their
starts: the answers are those of sweeps.pyx to the last bit. But no edge is written down, and what belongs to an end stays
in registers until it is done.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memmove

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK
from viterbi_sampling.engine.endings cimport ENDS, Automaton, depth_of, edges_of, find_endings, length_of, list_of, token_of
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.scratch cimport Cell, Scratch, reserve_cells
from viterbi_sampling.engine.sweeps cimport read_back
from viterbi_sampling.engine.tokens cimport Spelling, Tokens
from viterbi_sampling.engine.trie cimport ROOT
from viterbi_sampling.engine.words cimport prefetch

cdef enum:
    AHEAD = 12                  # ends ahead of which the score of the longest piece is asked for


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
    cdef const uint32_t* lists = automaton.pieces
    cdef const double* scores = vocabulary.scores
    cdef const uint32_t* pieces
    cdef Cell* cells
    cdef uint32_t ends[ENDS]
    cdef uint32_t state = ROOT, piece, kept, mask
    cdef int32_t read = begin, cut = begin, lower = begin, known, last_cut, count, i, k, edges
    cdef double best, before, candidate
    cdef int status
    if not reserve_cells(scratch, 1):
        return NO_MEMORY
    scratch.cells[0].value = total[0]
    while read < size:
        if is_raised(scratch.cancelled):
            return CANCELLED
        count = min(<int32_t>ENDS, size - read)
        if not reserve_cells(scratch, read + count - cut + 1):
            return NO_MEMORY
        find_endings(automaton, text + read, count, &state, ends)
        cells = scratch.cells + (read - cut)
        best = cells[0].value
        for i in range(1, count + 1):
            pieces = list_of(lists, ends[i - 1])
            edges = edges_of(ends[i - 1])
            kept = pieces[edges > 1]
            prefetch(&scores[token_of(list_of(lists, ends[min(i + AHEAD, count) - 1])[1])])
            cells[i].exponent = read + i - length_of(kept)
            before = best
            best = cells[i - length_of(kept)].value + scores[token_of(kept)]
            for k in range(2, edges):
                piece = pieces[k]
                candidate = cells[i - length_of(piece)].value + scores[token_of(piece)]
                # The tie rule: only a strictly greater score replaces, so the earliest start wins.
                mask = -<uint32_t>(candidate > best)
                best = candidate if candidate > best else best
                kept ^= (kept ^ piece) & mask
            candidate = before + scores[token_of(pieces[0])]
            mask = -<uint32_t>(candidate > best)
            best = candidate if candidate > best else best
            kept ^= (kept ^ pieces[0]) & mask
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
