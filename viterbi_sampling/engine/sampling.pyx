"""The samplers of one path: perfect sampling, forward filtering with backward sampling, Viterbi Sampling.

Each goes through the text once from left to right. The thresholds of words that come again are kept.
Since a word lies between cuts, its thresholds are the same numbers wherever it stands, and a sample
does not depend on what the cache holds.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memmove

from viterbi_sampling.engine.arrivals cimport (
    MOST_BYTES, UNUSUAL, draw_short, find_cuts, key_of_short, learn_short, place_of_short, sample_part,
)
from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Ints, Sum, add, reserve_ints
from viterbi_sampling.engine.choices cimport (
    FFBS, MOST_EDGES, MOST_PATHS, PERFECT, VITERBI_SAMPLING, Algorithm, Weights, add_scores, backward, choose_path,
    count_paths, forward, link_edges, log_sum, next_edges, perfect_choices, perfect_path, sigmoid_choices,
)
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.endings cimport ENDS, Automaton, depth_of, find_endings
from viterbi_sampling.engine.lattice cimport MORE, Edge, Lattice, Vocabulary, lattice_clear, lattice_pass, lattice_start
from viterbi_sampling.engine.records cimport (
    AT_ONCE, ROW, AtOnce, Known, add_tokens_of, at_once, copy_tokens, draw, is_narrow, learn, path_of, row_bytes,
    tokens_in_row, uniforms_in,
)
from viterbi_sampling.engine.scratch cimport SHORTS, Arrivals, Cell, Scratch, Short, add_step
from viterbi_sampling.engine.stream cimport Stream, stream_next, stream_take
from viterbi_sampling.engine.sweeps cimport DRAWN, draw_few, forward_sweep
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_path, add_tokens
from viterbi_sampling.engine.trie cimport ROOT
from viterbi_sampling.engine.words cimport (
    LOOKED, MAX_WORD, MOST_AHEAD, Ahead, Slot, Table, find_ahead, look_ahead, prefetch, record_of, skipped, tokens_in,
)

cdef enum:
    EDGES_AT_ONCE = 4096
    MOST_DRAWN = 512            # tokens of words that are drawn before the tokens of a run of words are copied


cdef int read_back(const Lattice* lattice, const Vocabulary* vocabulary, double alpha, const Spelling* spelling,
                   Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """Add the tokens of the path that was kept for the part, and its log-probability."""
    cdef size_t count = 0
    cdef int32_t position = lattice.at
    cdef const Cell* cell
    while position > lattice.cut:
        cell = &scratch.cells[position - lattice.cut]
        if not add_step(scratch, count, cell.token, position):
            return NO_MEMORY
        count += 1
        position = cell.start
    if log_prob != NULL:
        add_scores(log_prob, vocabulary, alpha, scratch.path.data, <int32_t>count, 2)
        add(log_prob, -log_sum(&scratch.cells[lattice.at - lattice.cut]))
    if not add_path(out, spelling, lattice.text, scratch.path.data, count, lattice.cut):
        return NO_MEMORY
    return OK


cdef inline bint may_be_few(Algorithm algorithm, const Vocabulary* vocabulary, const Lattice* lattice) noexcept nogil:
    """Whether the paths over a part have to be counted, since few of them are drawn with one uniform."""
    # Where all positions are on a path, each edge that its end could do without is another path.
    return (lattice.count <= MOST_EDGES and algorithm != VITERBI_SAMPLING
            and not (vocabulary.steps != NULL and lattice.count >= lattice.at - lattice.cut + <size_t>MOST_PATHS))


cdef int sample_directly(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights,
                         const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t end, Stream* stream,
                         Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """One random path over text[begin:end], which lies between cuts."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin, decided = begin
    cdef int status, done, count
    cdef size_t summed = 0      # edges whose weights are in the sums
    cdef bint whole = True      # no edge of the part is gone
    lattice_start(lattice, text, begin, end)
    lattice.values = weights.values
    while lattice.at < end:
        status = next_edges(vocabulary, algorithm, scratch, &ready, lattice.count + EDGES_AT_ONCE)
        if status < 0:
            return status
        if scratch.cancelled[0]:
            return CANCELLED
        if algorithm == FFBS and status == MORE:
            continue            # sampling backwards needs all edges of a part; the others let go of them as they pass
        count = MOST_PATHS + 1
        if status == OK and whole and may_be_few(algorithm, vocabulary, lattice):
            if vocabulary.steps != NULL and vocabulary.at_once == MOST_PATHS and weights.exponents == NULL:
                count = draw_few(lattice, weights, scratch, stream)
            else:
                count = count_paths(lattice, &scratch.path)
            if count == 0:
                return NO_MEMORY
        if count == DRAWN:
            pass
        elif count <= max(1, vocabulary.at_once):
            forward(lattice, weights, scratch.cells, scratch.previous.data, 0)
            choose_path(lattice, weights, scratch.cells, scratch.previous.data, count, scratch.thresholds.data,
                        stream_next(stream) if count > 1 else 0.0)
        elif algorithm == VITERBI_SAMPLING:
            sigmoid_choices(lattice, vocabulary, weights.alpha, scratch.cells, stream)
        else:
            if weights.exponents == NULL:
                forward_sweep(lattice, weights, scratch.cells, scratch.previous.data, summed)
            else:
                forward(lattice, weights, scratch.cells, scratch.previous.data, summed)
            if algorithm == FFBS:
                backward(lattice, weights, scratch.cells, scratch.previous.data, stream)
            elif status == OK and whole:
                perfect_path(lattice, weights, scratch.cells, scratch.previous.data, scratch.thresholds.data, stream)
            else:
                perfect_choices(lattice, weights, scratch.cells, scratch.previous.data, decided, lattice.at, stream)
        decided = lattice.at
        whole = status == OK
        if whole:
            done = read_back(lattice, vocabulary, weights.alpha, spelling, scratch, out, log_prob)
            if done != OK:
                return done
        if whole or algorithm == VITERBI_SAMPLING:
            lattice_clear(lattice, whole)
            summed = 0
        else:
            lattice_pass(lattice)
            link_edges(lattice, scratch.cells, scratch.previous.data)
            summed = lattice.count
    return OK


cdef int sample_by_ends(const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling, const uint8_t* text,
                        int32_t size, Stream* stream, Scratch* scratch, Tokens* out) noexcept nogil:
    """Perfect sampling over text[:size], part by part, of a vocabulary with an automaton."""
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
    if arrivals.shorts == NULL:
        arrivals.shorts = <Short*>calloc(SHORTS, sizeof(Short))
        if arrivals.shorts == NULL:
            return NO_MEMORY
    while read < size:
        if scratch.cancelled[0]:
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
        if not find_cuts(automaton, found, cut, read, lower, known, weights.values, cuts):
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
                if status == OK and not draw_short(short_one, stream, out):
                    return NO_MEMORY
            else:
                status = sample_part(automaton, weights, spelling, text, begin, end - begin, found + (begin - cut), stream,
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


# -- a text ------------------------------------------------------------------------------------------

cdef int sample_word(Algorithm algorithm, const Vocabulary* vocabulary, const Weights* weights, const Spelling* spelling,
                     const uint8_t* text, int32_t begin, int32_t end, Slot* place, Stream* stream, Table* known,
                     Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """One random path over a new word, which is kept in `place` if it can be."""
    cdef const Known* entry
    cdef Slot* slot = NULL
    cdef int32_t tokens[MAX_WORD + ROW]
    cdef int32_t count
    cdef bint fits
    if end - begin <= MAX_WORD:
        slot = learn(algorithm, vocabulary, weights, text + begin, end - begin, known, place, scratch)
    if slot == NULL:
        return sample_directly(algorithm, vocabulary, weights, spelling, text, begin, end, stream, scratch, out, log_prob)
    if slot.tokens[0] >= 0:
        # One path: its probability is 1.
        fits = add_tokens(out, spelling, vocabulary.lengths, text, begin, slot.tokens, tokens_in(slot), False)
    else:
        entry = <const Known*>record_of(known, slot)
        count = draw(algorithm, entry, is_narrow(vocabulary), stream, tokens)
        fits = add_tokens_of(tokens, count, entry.log_sum, entry.has_unknown, vocabulary, spelling, text, begin, out,
                             weights.alpha, log_prob)
    return OK if fits else NO_MEMORY


cdef int sample_words(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                      const Spelling* spelling, const uint8_t* text, int32_t from_, int32_t* stop, Stream* stream,
                      Table* known, Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """One random path over text[from_:stop], word by word; up to an earlier `stop`, if it should be asked whether that pays.

    In three steps, each of which asks for the cache lines of the next: slots, records, tokens.
    """
    cdef int32_t at = from_, begin, size = stop[0]
    cdef int32_t path, i
    cdef int word, first, known_words, status
    cdef Ahead ahead
    cdef Slot* place = NULL
    cdef Slot* slot
    cdef Slot* slots[MOST_AHEAD]
    cdef const Known* entries[MOST_AHEAD]       # NULL for a word of one path, which is in the slot
    cdef const void* paths[MOST_AHEAD]          # the tokens of each word
    cdef int32_t counts[MOST_AHEAD]             # how many
    cdef bint narrows[MOST_AHEAD]               # and whether they take 2 bytes each
    cdef int32_t drawn[MOST_DRAWN + MAX_WORD + ROW]
    cdef int32_t drawn_count
    cdef AtOnce record
    cdef const Known* entry
    cdef int32_t tokens[MAX_WORD + ROW]
    cdef bint plain = not out.with_spans and log_prob == NULL, narrow = is_narrow(vocabulary), is_new, fits
    while at < size and known.looked < LOOKED:
        look_ahead(cuts, known, text, size, at, &ahead)
        word = 0
        while word < ahead.count:
            # The words from here on that are known.
            first = word
            begin = at
            while word < ahead.count:
                slot = NULL
                if ahead.ends[word] - begin <= MAX_WORD:
                    slot = find_ahead(known, text + begin, ahead.ends[word] - begin, &ahead, word, &place)
                if slot == NULL:
                    break
                slots[word] = slot
                entries[word] = NULL
                if slot.tokens[0] < 0:
                    entries[word] = <const Known*>record_of(known, slot)
                    prefetch(entries[word])
                    prefetch(<const uint8_t*>entries[word] + 64)
                begin = ahead.ends[word]
                word += 1
            known_words = word
            is_new = word < ahead.count
            drawn_count = 0
            for word in range(first, known_words):
                entry = entries[word]
                if entry == NULL:
                    paths[word] = &slots[word].tokens[0]
                    counts[word] = tokens_in(slots[word])
                    narrows[word] = False
                elif entry.kind == AT_ONCE:
                    record = at_once(entry, narrow)
                    path = 0
                    if entry.choices > 1:
                        path = path_of(&record, entry, stream_take(stream, 1)[0])
                    paths[word] = record.rows + path * row_bytes(entry, narrow)
                    prefetch(paths[word])
                elif drawn_count > MOST_DRAWN:
                    known_words = word
                    is_new = False
                    break
                else:
                    paths[word] = drawn + drawn_count
                    counts[word] = draw(algorithm, entry, narrow, stream, drawn + drawn_count)
                    narrows[word] = False
                    drawn_count += counts[word]
            for word in range(first, known_words):
                entry = entries[word]
                if entry != NULL and entry.kind == AT_ONCE:
                    counts[word] = tokens_in_row(paths[word], narrow)
                    narrows[word] = narrow
                    paths[word] = <const uint8_t*>paths[word] + (2 if narrow else 4)
                if plain and (entry == NULL or not entry.has_unknown):
                    if not reserve_ints(&out.ids, out.ids.size + MAX_WORD + ROW):
                        return NO_MEMORY
                    copy_tokens(paths[word], counts[word], narrows[word], out.ids.data + out.ids.size)
                    out.ids.size += counts[word]
                    out.after_unknown = False
                else:
                    copy_tokens(paths[word], counts[word], narrows[word], tokens)
                    if entry == NULL:
                        # One path: its probability is 1.
                        fits = add_tokens(out, spelling, vocabulary.lengths, text, at, tokens, counts[word], False)
                    else:
                        fits = add_tokens_of(tokens, counts[word], entry.log_sum, entry.has_unknown, vocabulary, spelling,
                                             text, at, out, weights.alpha, log_prob)
                    if not fits:
                        return NO_MEMORY
                at = ahead.ends[word]
            word = known_words
            if is_new:
                # A new word; what is known may have moved afterwards.
                known.missed += 1
                status = sample_word(algorithm, vocabulary, weights, spelling, text, at, ahead.ends[word], place, stream, known,
                                     scratch, out, log_prob)
                if status != OK:
                    return status
                at = ahead.ends[word]
                word += 1
        known.looked += ahead.count
        if scratch.cancelled[0]:
            return CANCELLED
    stop[0] = at
    return OK


# -- how many uniforms a text takes --------------------------------------------------------------------

cdef int count_directly(Algorithm algorithm, const Vocabulary* vocabulary, const uint8_t* text, int32_t begin, int32_t end,
                        Scratch* scratch, uint64_t* total) noexcept nogil:
    """As sample_directly, where no choice is made."""
    cdef Lattice* lattice = &scratch.lattice
    cdef int32_t ready = begin
    cdef int status, count
    cdef bint whole = True
    cdef Cell* to
    cdef size_t k
    lattice_start(lattice, text, begin, end)
    while lattice.at < end:
        status = next_edges(vocabulary, algorithm, scratch, &ready, lattice.count + EDGES_AT_ONCE)
        if status < 0:
            return status
        if scratch.cancelled[0]:
            return CANCELLED
        count = MOST_PATHS + 1
        if status == OK and whole and may_be_few(algorithm, vocabulary, lattice):
            count = count_paths(lattice, &scratch.path)
            if count == 0:
                return NO_MEMORY
        if count <= max(1, vocabulary.at_once):
            total[0] += count > 1
        else:
            for k in range(lattice.count):
                to = &scratch.cells[lattice.edges[k].end - lattice.cut]
                if algorithm == VITERBI_SAMPLING:
                    total[0] += to.start >= 0       # for each edge whose end another edge has reached before
                else:
                    total[0] += to.start == 0       # for each end that several edges reach
                to.start = min(to.start + 1, 1)
        whole = status == OK
        lattice_clear(lattice, whole)
    return OK


cdef int count_in_words(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                        const uint8_t* text, int32_t from_, int32_t* stop, Table* known, Scratch* scratch,
                        uint64_t* total) noexcept nogil:
    """As sample_words, where no choice is made. New words are kept: the choices will find them."""
    cdef int32_t at = from_, end, size = stop[0]
    cdef int word, status
    cdef Ahead ahead
    cdef Slot* slot
    cdef Slot* place
    while at < size and known.looked < LOOKED:
        look_ahead(cuts, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            slot = NULL
            if end - at <= MAX_WORD:
                slot = find_ahead(known, text + at, end - at, &ahead, word, &place)
                if slot == NULL:
                    known.missed += 1
                    slot = learn(algorithm, vocabulary, weights, text + at, end - at, known, place, scratch)
            if slot == NULL:
                status = count_directly(algorithm, vocabulary, text, at, end, scratch, total)
                if status != OK:
                    return status
            else:
                total[0] += uniforms_in(slot)
            at = end
        known.looked += ahead.count
        if scratch.cancelled[0]:
            return CANCELLED
    stop[0] = at
    return OK


cdef inline bint keeps_nothing(Algorithm algorithm, const Vocabulary* vocabulary) noexcept nogil:
    # Of Viterbi Sampling nothing is kept. A complete vocabulary is matched in less time than its words, which are long and
    # have many paths, take to be kept and found again.
    return vocabulary.directly or algorithm == VITERBI_SAMPLING or vocabulary.steps != NULL


cdef int count_uniforms(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                        const uint8_t* text, int32_t size, Table* known, Scratch* scratch, uint64_t* count) noexcept nogil:
    cdef int32_t at = 0, end
    cdef int status
    cdef bint alone = keeps_nothing(algorithm, vocabulary)
    while at < size:
        end = size if alone else skipped(known, cuts, text, size, at)
        if end > at:
            status = count_directly(algorithm, vocabulary, text, at, end, scratch, count)
        else:
            end = size
            status = count_in_words(algorithm, vocabulary, cuts, weights, text, at, &end, known, scratch, count)
        if status != OK:
            return status
        at = end
    return OK


# -- a path --------------------------------------------------------------------------------------------

cdef int sample(Algorithm algorithm, const Vocabulary* vocabulary, const CutTable* cuts, const Weights* weights,
                const Spelling* spelling, const uint8_t* text, int32_t size, Stream* stream, Table* known,
                Scratch* scratch, Tokens* out, Sum* log_prob) noexcept nogil:
    """One random path over a text, word by word where the cache pays."""
    cdef int32_t at = 0, end
    cdef int status
    cdef bint alone = keeps_nothing(algorithm, vocabulary)
    if (vocabulary.automaton != NULL and algorithm == PERFECT and weights.exponents == NULL and log_prob == NULL
            and vocabulary.at_once == MOST_PATHS):
        return sample_by_ends(vocabulary, weights, spelling, text, size, stream, scratch, out)
    while at < size:
        end = size if alone else skipped(known, cuts, text, size, at)
        if end > at:
            status = sample_directly(algorithm, vocabulary, weights, spelling, text, at, end, stream, scratch, out, log_prob)
        else:
            end = size
            status = sample_words(algorithm, vocabulary, cuts, weights, spelling, text, at, &end, stream, known, scratch, out,
                                  log_prob)
        if status != OK:
            return status
        at = end
    return OK
