"""Unicode normalization forms, accents and case, by tables: see steps/forms.py.

A form changes runs of characters at a time: a run ends before each starter that stands for itself and
composes with none before it. Linear: marks are sorted by counting.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK, Ints, reserve_ints
from viterbi_sampling.engine.rewriting cimport (
    Text, View, Writer, copy_unchanged, encode, pass_over, write, writer_start, writer_view,
)
from viterbi_sampling.engine.utf8 cimport code_at, in_set, pass_others

cdef enum:                      # Hangul syllables are composed and taken apart by arithmetic: Unicode, section 3.12
    SYLLABLES = 0xAC00
    SYLLABLE_COUNT = 11172
    LEADS = 0x1100
    LEAD_COUNT = 19
    VOWELS = 0x1161
    VOWEL_COUNT = 21
    TAILS = 0x11A7
    TAIL_COUNT = 28
    FEW = 16                    # marks that are sorted by insertion

cdef struct Run:
    Ints codes
    Ints changes
    Ints other_codes            # to sort
    Ints other_changes


cdef Py_ssize_t place_of(const Table* table, uint32_t code) noexcept nogil:
    """Where a code point stands in the table, or -1."""
    cdef Py_ssize_t low = 0, high = table.count, middle
    while low < high:
        middle = (low + high) >> 1
        if table.codes[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low if low < table.count and table.codes[low] == code else -1


cdef size_t untouched_until(const uint64_t* touched, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """The place of the next character of a set, or the end."""
    cdef int length
    while True:
        at = pass_others(touched, text, size, at)
        if at == size or in_set(touched, code_at(text + at, &length)):
            return at
        at += length


cdef bint add(Run* run, uint32_t code, int32_t change) noexcept nogil:
    cdef size_t count = run.codes.size
    if not reserve_ints(&run.codes, count + 1) or not reserve_ints(&run.changes, count + 1):
        return False
    run.codes.data[count] = <int32_t>code
    run.changes.data[count] = change
    run.codes.size = run.changes.size = count + 1
    return True


cdef bint decompose(const FormStep* step, uint32_t code, Run* run) noexcept nogil:
    cdef Py_ssize_t place
    cdef int32_t k
    cdef uint32_t tail
    if SYLLABLES <= code < SYLLABLES + SYLLABLE_COUNT:
        code -= SYLLABLES
        tail = code % TAIL_COUNT
        return (add(run, LEADS + code // (VOWEL_COUNT * TAIL_COUNT), 0)
                and add(run, VOWELS + code // TAIL_COUNT % VOWEL_COUNT, 1)
                and (tail == 0 or add(run, TAILS + tail, 1)))
    place = place_of(&step.table, code)
    if place < 0:
        return add(run, code, 0)
    for k in range(step.table.bounds[place], step.table.bounds[place + 1]):
        if not add(run, step.table.parts[k], 1 if k > step.table.bounds[place] else 0):
            return False
    return True


cdef bint sort_marks(const uint8_t* ranks, Run* run, size_t begin, size_t end) noexcept nogil:
    """Sort run[begin:end], marks all, by their classes; those of one class stay in their order."""
    cdef int32_t* codes = run.codes.data
    cdef int32_t* changes = run.changes.data
    cdef int32_t code, change
    cdef size_t i, k, total = begin, count
    cdef size_t counts[256]
    cdef uint8_t rank
    if end - begin <= FEW:
        for i in range(begin + 1, end):
            code = codes[i]
            change = changes[i]
            k = i
            while k > begin and ranks[codes[k - 1]] > ranks[code]:
                codes[k] = codes[k - 1]
                changes[k] = changes[k - 1]
                k -= 1
            codes[k] = code
            changes[k] = change
        return True
    if not reserve_ints(&run.other_codes, end) or not reserve_ints(&run.other_changes, end):
        return False
    memset(counts, 0, sizeof(counts))
    for i in range(begin, end):
        counts[ranks[codes[i]]] += 1
    for i in range(256):
        count = counts[i]
        counts[i] = total
        total += count
    for i in range(begin, end):
        rank = ranks[codes[i]]
        run.other_codes.data[counts[rank]] = codes[i]
        run.other_changes.data[counts[rank]] = changes[i]
        counts[rank] += 1
    for i in range(begin, end):
        codes[i] = run.other_codes.data[i]
        changes[i] = run.other_changes.data[i]
    return True


cdef bint sort_run(const uint8_t* ranks, Run* run) noexcept nogil:
    cdef size_t i = 0, begin
    while i < run.codes.size:
        if ranks[run.codes.data[i]] == 0:
            i += 1
            continue
        begin = i
        while i < run.codes.size and ranks[run.codes.data[i]]:
            i += 1
        if i - begin > 1 and not sort_marks(ranks, run, begin, i):
            return False
    return True


cdef uint32_t composed_of(const FormStep* step, uint32_t first, uint32_t second) noexcept nogil:
    """What two characters are composed to, or 0."""
    cdef uint64_t pair = <uint64_t>first << 32 | second
    cdef Py_ssize_t low = 0, high = step.pair_count, middle
    if LEADS <= first < LEADS + LEAD_COUNT and VOWELS <= second < VOWELS + VOWEL_COUNT:
        return SYLLABLES + ((first - LEADS) * VOWEL_COUNT + (second - VOWELS)) * TAIL_COUNT
    if (SYLLABLES <= first < SYLLABLES + SYLLABLE_COUNT and (first - SYLLABLES) % TAIL_COUNT == 0
            and TAILS < second < TAILS + TAIL_COUNT):
        return first + (second - TAILS)
    while low < high:
        middle = (low + high) >> 1
        if step.pairs[middle] < pair:
            low = middle + 1
        else:
            high = middle
    return step.composed[low] if low < step.pair_count and step.pairs[low] == pair else 0


cdef void compose_run(const FormStep* step, Run* run) noexcept nogil:
    """Compose starters with what follows them, in place."""
    cdef int32_t* codes = run.codes.data
    cdef int32_t* changes = run.changes.data
    cdef size_t i, written = 0, starter = 0
    cdef bint has_starter = False, held = False
    cdef uint8_t rank, last = 0
    cdef uint32_t both
    for i in range(run.codes.size):
        rank = step.ranks[codes[i]]
        if has_starter and (not held or last < rank):
            both = composed_of(step, codes[starter], codes[i])
            if both:
                codes[starter] = <int32_t>both
                changes[starter] += changes[i] - 1
                continue
        if rank == 0:
            has_starter = True
            starter = written
            held = False
        elif has_starter:
            held = True
            last = rank
        codes[written] = codes[i]
        changes[written] = changes[i]
        written += 1
    run.codes.size = run.changes.size = written


cdef bint write_run(Writer* w, const Run* run) noexcept nogil:
    cdef uint8_t encoded[4]
    cdef size_t i
    for i in range(run.codes.size):
        if not write(w, encoded, encode(run.codes.data[i], encoded), run.changes.data[i]):
            return False
    return True


cdef int apply_form(const FormStep* step, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef const uint8_t* text = view.text
    cdef const uint64_t* touched = step.table.touched
    cdef size_t size = view.size, at = 0, next = untouched_until(touched, text, size, 0), begin
    cdef int length
    cdef bint fits = True
    cdef Run run
    cdef Writer w
    if next == size:
        return OK
    memset(&run, 0, sizeof(Run))
    writer_start(&w, view, target, shift)
    while fits:
        begin = next
        if step.compose and next < size and begin > at:
            # The starter before may be composed with what follows.
            begin -= 1
            while (text[begin] & 0xC0) == 0x80:
                begin -= 1
        fits = copy_unchanged(&w, at, begin)
        at = begin
        if at == size or not fits:
            break
        run.codes.size = run.changes.size = 0
        while fits and at < size and (at <= next or in_set(touched, code_at(text + at, &length))):
            fits = decompose(step, code_at(text + at, &length), &run)
            at += length
        fits = fits and sort_run(step.ranks, &run)
        if step.compose:
            compose_run(step, &run)
        fits = fits and write_run(&w, &run)
        next = untouched_until(touched, text, size, at)
    free(run.codes.data)
    free(run.changes.data)
    free(run.other_codes.data)
    free(run.other_changes.data)
    if not fits:
        return NO_MEMORY
    writer_view(&w, view)
    return OK


cdef int apply_table(const Table* table, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef const uint8_t* text = view.text
    cdef size_t size = view.size, at = 0, next = untouched_until(table.touched, text, size, 0)
    cdef uint8_t encoded[4]
    cdef Py_ssize_t place
    cdef int32_t k
    cdef int length
    cdef Writer w
    if next == size:
        return OK
    writer_start(&w, view, target, shift)
    while True:
        if not copy_unchanged(&w, at, next):
            return NO_MEMORY
        at = next
        if at == size:
            break
        place = place_of(table, code_at(text + at, &length))
        if place >= 0:
            if table.bounds[place] == table.bounds[place + 1]:
                pass_over(&w, 1)
            for k in range(table.bounds[place], table.bounds[place + 1]):
                if not write(&w, encoded, encode(table.parts[k], encoded), 1 if k > table.bounds[place] else 0):
                    return NO_MEMORY
        elif not copy_unchanged(&w, at, at + length):
            return NO_MEMORY
        at += length
        next = untouched_until(table.touched, text, size, at)
    writer_view(&w, view)
    return OK
