"""The samplers of one path: perfect sampling, forward filtering with backward sampling, Viterbi Sampling.

Each goes through the text once from left to right. The thresholds of words that come again are kept.
Since a word lies between cuts, its thresholds are the same numbers wherever it stands, and a sample
does not depend on what the cache holds.
"""

from libc.stdint cimport int32_t, uint8_t, uint64_t

from viterbi_sampling.engine.buffer cimport CANCELLED, NO_MEMORY, OK, Sum, reserve_ints
from viterbi_sampling.engine.by_ends cimport sample_by_ends
from viterbi_sampling.engine.choices cimport MOST_PATHS, PERFECT, VITERBI_SAMPLING, Algorithm, Weights
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.directly cimport count_directly, sample_directly
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.records cimport (
    AT_ONCE, ROW, AtOnce, Known, add_tokens_of, at_once, copy_tokens, draw, is_narrow, learn, path_of, row_bytes,
    tokens_in_row, uniforms_in,
)
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream, stream_take
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_tokens, add_unknown_run
from viterbi_sampling.engine.words cimport (
    LOOKED, MAX_WORD, MOST_AHEAD, Ahead, Slot, Table, find_ahead, is_run, look_ahead, prefetch, record_of, runs_are_near,
    skipped, tokens_in,
)

cdef enum:
    MOST_DRAWN = 512            # tokens of words that are drawn before the tokens of a run of words are copied


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
        fits = add_tokens_of(tokens, count, entry, vocabulary, spelling, text, begin, out, weights.alpha, log_prob)
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
    cdef Slot* slots[MOST_AHEAD]                # NULL for a run of foreign characters
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
        look_ahead(cuts, vocabulary.held, known, text, size, at, &ahead)
        word = 0
        while word < ahead.count:
            # The words from here on that are known.
            first = word
            begin = at
            while word < ahead.count:
                if is_run(&ahead, text + begin):
                    runs_are_near(known, ahead.ends[word] - begin > 4)
                    slots[word] = NULL
                    entries[word] = NULL
                    begin = ahead.ends[word]
                    word += 1
                    continue
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
                if slots[word] == NULL:
                    continue
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
                if slots[word] == NULL:
                    # One path: its probability is 1.
                    if not add_unknown_run(out, spelling, text, at, ahead.ends[word]):
                        return NO_MEMORY
                elif plain and (entry == NULL or not entry.has_unknown):
                    if not reserve_ints(&out.ids, out.ids.size + MAX_WORD + ROW):
                        return NO_MEMORY
                    copy_tokens(paths[word], counts[word], narrows[word], out.ids.data + out.ids.size)
                    out.ids.size += counts[word]
                    out.after_unknown = False
                else:
                    copy_tokens(paths[word], counts[word], narrows[word], tokens)
                    if entry != NULL and entry.has_unknown:
                        runs_are_near(known, out.after_unknown)
                    if entry == NULL:
                        # One path: its probability is 1.
                        fits = add_tokens(out, spelling, vocabulary.lengths, text, at, tokens, counts[word], False)
                    else:
                        fits = add_tokens_of(tokens, counts[word], entry, vocabulary, spelling, text, at, out, weights.alpha,
                                             log_prob)
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
        if is_raised(scratch.cancelled):
            return CANCELLED
    stop[0] = at
    return OK


# -- how many uniforms a text takes --------------------------------------------------------------------

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
        look_ahead(cuts, vocabulary.held, known, text, size, at, &ahead)
        for word in range(ahead.count):
            end = ahead.ends[word]
            if is_run(&ahead, text + at):
                runs_are_near(known, end - at > 4)
                at = end
                continue
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
        if is_raised(scratch.cancelled):
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
