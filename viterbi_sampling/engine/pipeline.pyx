"""The steps of a tokenizer.json in compiled code: a text in, pre-tokens and marks out.

The modules of `viterbi_sampling.steps` say in plain Python what each step does, alignments included.
Each step looks first for what it would change; where there is nothing the text goes on as it is, and
most texts reach the end without a copy.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

import numpy as np

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, reserve_bytes, reserve_ints
from viterbi_sampling.engine.clusters cimport RULED, apply_map, mark_ruled
from viterbi_sampling.engine.forms cimport apply_form, apply_table
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.rewriting cimport (
    Text, View, Writer, code_at, copy_aligned, copy_unchanged, is_white, text_free, writer_start, writer_view,
)
from viterbi_sampling.engine.trie cimport NO_PIECE, ROOT, Trie, step as step_down
from viterbi_sampling.engine.utf8 cimport char_length, decode
from viterbi_sampling.engine.words cimport SLACK

from viterbi_sampling.engine.normalizer import read_charsmap

KINDS = {"map": MAP, "form": FORM, "table": TABLE, "strip": STRIP, "string": STRING, "run": RUN, "start": START, "first": FIRST}
CUTTINGS = {"whole": WHOLE, "spaces": SPACES, "words": WORDS}
PREFIXES = {"never": NEVER, "first": FIRST_ONLY, "always": ALWAYS}


# -- steps of strings --------------------------------------------------------------------------------

cdef int apply_strip(const Step* step, View* view) noexcept nogil:
    cdef int length
    cdef size_t end
    while step.left and view.size and is_white(code_at(view.text, &length)):
        view.text += length
        view.size -= length
        if view.origins != NULL:
            view.origins += 2 * length
    while step.right and view.size:
        end = view.size - 1
        while (view.text[end] & 0xC0) == 0x80:
            end -= 1
        if not is_white(code_at(view.text + end, &length)):
            break
        view.size = end
    return OK


cdef size_t find_string(const Step* step, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the pattern of a STRING step comes next, or the end."""
    cdef const uint8_t* found
    while at + step.pattern_size <= size:
        found = <const uint8_t*>memchr(text + at, step.pattern[0], size - at - step.pattern_size + 1)
        if found == NULL:
            return size
        at = found - text
        if memcmp(found, step.pattern, step.pattern_size) == 0:
            return at
        at += 1
    return size


cdef inline bint in_ranges(const Step* step, const uint8_t* text, int* length) noexcept nogil:
    cdef uint32_t code
    cdef int i
    if text[0] < 0x80:
        length[0] = 1
        return step.ascii[text[0]]
    code = code_at(text, length)
    for i in range(step.range_count):
        if step.ranges[2 * i] <= code <= step.ranges[2 * i + 1]:
            return True
    return False


cdef size_t find_run(const Step* step, const uint8_t* text, size_t size, size_t at, size_t* end) noexcept nogil:
    """Where the next match of a RUN step begins, or the end of the text; `end` receives where it ends."""
    cdef int length, count
    cdef size_t begin
    while at < size:
        if not in_ranges(step, text + at, &length):
            at += length
            continue
        begin = at
        count = 0
        while at < size and not (step.exact and count == step.low) and in_ranges(step, text + at, &length):
            at += length
            count += count < step.low
        if count == step.low:
            end[0] = at
            return begin
    return size


cdef int apply_replace(const Step* step, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef size_t size = view.size, at = 0, begin, end = 0
    cdef int32_t first, last
    cdef Writer w
    if size == 0:
        return OK
    if step.kind == START:
        begin = size if size < step.pattern_size or memcmp(view.text, step.pattern, step.pattern_size) else 0
        end = step.pattern_size
    elif step.kind == STRING:
        begin = find_string(step, view.text, size, 0)
        end = begin + step.pattern_size
    else:
        begin = find_run(step, view.text, size, 0, &end)
    if begin == size:
        return OK
    writer_start(&w, view, target, shift)
    while True:
        w.at = at
        if not copy_unchanged(&w, at, begin):
            return NO_MEMORY
        if begin == size:
            break
        first = last = shift
        if view.origins != NULL and end:
            first = view.origins[2 * end - 2]
            last = view.origins[2 * end - 1]
        if not copy_aligned(&w, step.content, step.content_size, first, last):
            return NO_MEMORY
        at = end
        if step.kind == START:
            begin = size
        elif step.kind == STRING:
            begin = find_string(step, view.text, size, at)
            end = begin + step.pattern_size
        else:
            begin = find_run(step, view.text, size, at, &end)
        if w.target.bytes.size > MAX_TEXT:
            return TOO_LONG
    writer_view(&w, view)
    return OK


cdef int apply_first(const Step* step, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef Writer w
    if view.size == 0:
        return OK
    writer_start(&w, view, target, shift)
    if not copy_aligned(&w, step.content, step.content_size, view.origins[0] if view.origins != NULL else 0,
                        view.origins[1] if view.origins != NULL else 0) or not copy_unchanged(&w, 0, view.size):
        return NO_MEMORY
    writer_view(&w, view)
    return OK


# -- the way into the engine -------------------------------------------------------------------------

cdef struct Output:             # what the engine gets
    Bytes* bytes
    Ints* origins               # or NULL


cdef bint append(Output* out, const uint8_t* data, const int32_t* origins, size_t size) noexcept nogil:
    """Add bytes that stay as they are. False without memory."""
    if not reserve_bytes(out.bytes, out.bytes.size + size + SLACK):
        return False
    memcpy(out.bytes.data + out.bytes.size, data, size)
    out.bytes.size += size
    if out.origins != NULL:
        if not reserve_ints(out.origins, out.origins.size + 2 * size):
            return False
        memcpy(out.origins.data + out.origins.size, origins, 2 * size * sizeof(int32_t))
        out.origins.size += 2 * size
    return True


cdef bint append_from(Output* out, const uint8_t* data, int size, int32_t begin, int32_t end) noexcept nogil:
    """Add a few bytes that come from one place. False without memory."""
    cdef int i
    if not reserve_bytes(out.bytes, out.bytes.size + size + SLACK):
        return False
    for i in range(size):
        out.bytes.data[out.bytes.size + i] = data[i]
    out.bytes.size += size
    if out.origins != NULL:
        if not reserve_ints(out.origins, out.origins.size + 2 * size):
            return False
        for i in range(size):
            out.origins.data[out.origins.size + 2 * i] = begin
            out.origins.data[out.origins.size + 2 * i + 1] = end
        out.origins.size += 2 * size
    return True


cdef bint append_mark(Output* out, int32_t number, const View* view, size_t begin, size_t end) noexcept nogil:
    """Add the mark of an added token, which stands for view.text[begin:end]. False without memory."""
    cdef uint8_t encoded[4]
    cdef uint32_t value = <uint32_t>number + 1      # 0 is the mark between pre-tokens
    encoded[0] = <uint8_t>(0xF5 + (value >> 18))
    encoded[1] = <uint8_t>(0x80 | value >> 12 & 63)
    encoded[2] = <uint8_t>(0x80 | value >> 6 & 63)
    encoded[3] = <uint8_t>(0x80 | value & 63)
    if out.origins == NULL:
        return append_from(out, encoded, 4, 0, 0)
    return append_from(out, encoded, 4, view.origins[2 * begin], view.origins[2 * end - 1])


cdef bint append_with_spaces(Output* out, const View* view, size_t begin, size_t end) noexcept nogil:
    """Add view.text[begin:end] with a space for each U+2581. False without memory."""
    cdef const uint8_t* text = view.text
    cdef const uint8_t* found
    cdef size_t at = begin
    while True:
        found = <const uint8_t*>memchr(text + at, 0xE2, end - at) if at < end else NULL
        while found != NULL and not (found[1] == 0x96 and found[2] == 0x81):
            found = <const uint8_t*>memchr(found + 1, 0xE2, end - (found + 1 - text))
        at = end if found == NULL else <size_t>(found - text)
        if not append(out, text + begin, view.origins + 2 * begin if view.origins != NULL else NULL, at - begin):
            return False
        if at == end:
            return True
        if not append_from(out, b" ", 1, view.origins[2 * at] if view.origins != NULL else 0,
                           view.origins[2 * at + 1] if view.origins != NULL else 0):
            return False
        at += 3
        begin = at


cdef bint begins_with_space(const View* view, size_t at) noexcept nogil:
    cdef const uint8_t* text = view.text + at
    return text[0] == 0x20 or (view.size - at >= 3 and text[0] == 0xE2 and text[1] == 0x96 and text[2] == 0x81)


cdef size_t word_end(const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the white space after `at` begins, or the end."""
    cdef int length
    while at < size:
        if text[at] < 0x80:
            if text[at] <= 0x20 and is_white(text[at]):
                return at
            at += 1
        else:
            # White space begins with one of four bytes.
            if text[at] == 0xC2 or 0xE1 <= text[at] <= 0xE3:
                if is_white(code_at(text + at, &length)):
                    return at
            at += char_length(text[at])
    return size


cdef size_t word_begin(const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the white space that may be at `at` ends."""
    cdef int length
    while at < size and is_white(code_at(text + at, &length)):
        at += length
    return at


cdef size_t printable_words(const View* view, size_t at, Output* out) noexcept nogil:
    """Copy printable ASCII eight bytes at a time while spaces stand alone; where that ends. `at`: within a word.

    There is room for it. What is written ends within a word, too.
    """
    cdef const uint8_t* text = view.text
    cdef uint8_t* target = out.bytes.data + out.bytes.size
    cdef uint64_t bytes, spaces, ones = 0x0101010101010101U, tops = 0x8080808080808080U
    cdef size_t begin = at
    while at + 8 < view.size:
        memcpy(&bytes, text + at, 8)
        if (bytes | (bytes - 0x20 * ones) | (bytes + ones)) & tops:
            break
        spaces = bytes ^ (0x20 * ones)
        spaces = ~(spaces + 0x7F * ones) & tops
        # No two spaces in a row, none last.
        if spaces & (spaces << 8) or text[at + 7] == 0x20:
            break
        memcpy(target, &bytes, 8)
        target += 8
        at += 8
    out.bytes.size += at - begin
    return at


cdef int append_words(const View* view, Output* out) noexcept nogil:
    """Add the words of a text, each with a space before it unless it begins with U+2581."""
    cdef const uint8_t* text = view.text
    cdef size_t at = word_begin(text, view.size, 0), end
    if not reserve_bytes(out.bytes, out.bytes.size + view.size + 16 + SLACK):
        return NO_MEMORY
    while at < view.size:
        if not begins_with_space(view, at):
            if not append_from(out, b" ", 1, view.origins[2 * at] if view.origins != NULL else 0,
                               view.origins[2 * at + 1] if view.origins != NULL else 0):
                return NO_MEMORY
        if view.origins == NULL and text[at] < 0x80:
            # One byte, so that we are within the word; then many.
            end = at + 1
            out.bytes.data[out.bytes.size] = text[at]
            out.bytes.size += 1
            at = printable_words(view, end, out)
            if not reserve_bytes(out.bytes, out.bytes.size + (view.size - at) + 16 + SLACK):
                return NO_MEMORY
        end = word_end(text, view.size, at)
        if not append_with_spaces(out, view, at, end):
            return NO_MEMORY
        if out.bytes.size > MAX_TEXT:
            return TOO_LONG
        at = word_begin(text, view.size, end)
    return OK


cdef int append_text(const Pipeline* pipeline, const View* view, Output* out) noexcept nogil:
    """Add the pre-tokens of a normalized text."""
    cdef bint first
    if view.size == 0:
        return OK
    if pipeline.cutting == WORDS:
        return append_words(view, out)
    if pipeline.cutting == WHOLE:
        if not append(out, view.text, view.origins, view.size):
            return NO_MEMORY
    else:
        first = pipeline.prefix == ALWAYS or (pipeline.prefix == FIRST_ONLY and view.origins[0] == 0)
        if first and not begins_with_space(view, 0):
            if not append_from(out, b" ", 1, view.origins[0] if view.origins != NULL else 0,
                               view.origins[1] if view.origins != NULL else 0):
                return NO_MEMORY
        if not append_with_spaces(out, view, 0, view.size):
            return NO_MEMORY
    return TOO_LONG if out.bytes.size > MAX_TEXT else OK


# -- all of it -------------------------------------------------------------------------------------

cdef size_t find_added(const Splitter* splitter, const uint8_t* text, size_t size, size_t at, size_t* end,
                       int32_t* number) noexcept nogil:
    """Where the next added token begins, the longest there, or the end of the text."""
    cdef uint32_t node
    cdef size_t position, longest
    cdef const uint8_t* found
    while at < size:
        if splitter.only_first >= 0:
            found = <const uint8_t*>memchr(text + at, splitter.only_first, size - at)
            if found == NULL:
                return size
            at = found - text
        if splitter.firsts[text[at]]:
            node = ROOT
            position = at
            longest = 0
            while position < size:
                node = step_down(splitter.nodes, node, text[position])
                if node == ROOT:
                    break
                position += 1
                if splitter.nodes[node].piece != NO_PIECE:
                    longest = position
                    number[0] = splitter.nodes[node].piece
            if longest:
                end[0] = longest
                return at
        at += 1
    return size


cdef size_t without_white_end(const uint8_t* text, size_t begin, size_t end) noexcept nogil:
    """Where the white space that text[begin:end] ends with begins."""
    cdef size_t at
    cdef int length
    while end > begin:
        at = end - 1
        while at > begin and (text[at] & 0xC0) == 0x80:
            at -= 1
        if not is_white(code_at(text + at, &length)):
            break
        end = at
    return end


cdef inline void part_of(const View* view, size_t begin, size_t end, View* part) noexcept nogil:
    part.text = view.text + begin
    part.size = end - begin
    part.origins = view.origins + 2 * begin if view.origins != NULL else NULL


cdef int run_part(const Pipeline* pipeline, View* view, size_t base, Text* spare, Output* out) noexcept nogil:
    """Rewrite what lies between added tokens, and add it. `base`: where it begins in the given text."""
    cdef int i, status = OK, used = 0
    cdef int32_t shift = <int32_t>base
    cdef const uint8_t* before
    for i in range(pipeline.count):
        before = view.text
        if pipeline.steps[i].kind == MAP:
            status = apply_map(&pipeline.steps[i].map, view, &spare[used], shift)
        elif pipeline.steps[i].kind == FORM:
            status = apply_form(&pipeline.steps[i].form, view, &spare[used], shift)
        elif pipeline.steps[i].kind == TABLE:
            status = apply_table(&pipeline.steps[i].table, view, &spare[used], shift)
        elif pipeline.steps[i].kind == STRIP:
            status = apply_strip(&pipeline.steps[i], view)
            continue
        elif pipeline.steps[i].kind == FIRST:
            status = apply_first(&pipeline.steps[i], view, &spare[used], shift)
        else:
            status = apply_replace(&pipeline.steps[i], view, &spare[used], shift)
        if status != OK:
            return status
        if view.text != before:
            used = 1 - used
        if view.size > MAX_TEXT:
            return TOO_LONG
    if pipeline.after.nodes == NULL:
        return append_text(pipeline, view, out)
    return split(pipeline, &pipeline.after, view, False, spare, out)


cdef int split(const Pipeline* pipeline, const Splitter* splitter, View* view, bint given, Text* spare,
               Output* out) noexcept nogil:
    """Cut a text at added tokens, and add these and what lies between: `given`, as it was given; or normalized."""
    cdef size_t at = 0, begin, end = 0, searched = 0
    cdef int32_t number = 0
    cdef int length, status
    cdef View part
    while True:
        begin = find_added(splitter, view.text, view.size, searched, &end, &number)
        searched = end
        if begin < view.size:
            if splitter.strips[number] & 1:
                begin = max(at, without_white_end(view.text, at, begin)) if begin > at else begin
            if splitter.strips[number] & 2:
                while end < view.size and is_white(code_at(view.text + end, &length)):
                    end += length
        if at < begin:
            part_of(view, at, begin, &part)
            status = run_part(pipeline, &part, at, spare, out) if given else append_text(pipeline, &part, out)
            if status != OK:
                return status
        if begin == view.size:
            return OK
        if not append_mark(out, number, view, begin, end):
            return NO_MEMORY
        if out.bytes.size > MAX_TEXT:
            return TOO_LONG
        at = end


cdef size_t invalid_at(const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """The place of the next byte that is not valid UTF-8, or the end."""
    cdef uint64_t bytes
    cdef uint32_t code
    cdef int used
    while at < size:
        if at + 8 <= size:
            memcpy(&bytes, text + at, 8)
            if not bytes & <uint64_t>0x8080808080808080U:
                at += 8
                continue
        used = decode(text + at, size - at, &code)
        if not used:
            return at
        at += used
    return size


cdef bint make_valid(View* view, Text* target) noexcept nogil:
    """U+FFFD for each byte that is not valid UTF-8. False without memory."""
    cdef size_t at = 0, bad = invalid_at(view.text, view.size, 0)
    cdef Writer w
    if bad == view.size:
        return True
    writer_start(&w, view, target, 0)
    while True:
        w.at = at
        if not copy_unchanged(&w, at, bad):
            return False
        if bad == view.size:
            break
        if not copy_aligned(&w, b"\xef\xbf\xbd", 3, <int32_t>bad, <int32_t>bad + 1):
            return False
        at = bad + 1
        bad = invalid_at(view.text, view.size, at)
    writer_view(&w, view)
    return True


cdef bint given_origins(const uint8_t* text, size_t size, Ints* origins) noexcept nogil:
    """Each byte comes from its character. False without memory."""
    cdef size_t at = 0, end, i
    if not reserve_ints(origins, 2 * size + 2):
        return False
    while at < size:
        end = at + 1
        while end < size and (text[end] & 0xC0) == 0x80:
            end += 1
        for i in range(at, end):
            origins.data[2 * i] = <int32_t>at
            origins.data[2 * i + 1] = <int32_t>end
        at = end
    origins.size = 2 * size
    return True


cdef int run_pipeline(const void* pipeline_, const uint8_t* text, size_t size, Bytes* bytes, Ints* origins) noexcept nogil:
    cdef const Pipeline* pipeline = <const Pipeline*>pipeline_
    cdef Text spare[3]
    cdef Ints given, kept
    cdef View view
    cdef Output out
    cdef int status = OK
    bytes.size = 0
    if origins != NULL:
        origins.size = 0
    if size > MAX_TEXT // 2:
        return TOO_LONG
    if not reserve_bytes(bytes, size + 16 + SLACK):
        return NO_MEMORY
    if size == 0:
        return OK
    memset(spare, 0, sizeof(spare))
    memset(&given, 0, sizeof(Ints))
    memset(&kept, 0, sizeof(Ints))
    out.bytes = bytes
    out.origins = origins
    if origins == NULL and pipeline.prefix == FIRST_ONLY:
        out.origins = &kept             # whether a text is the first one its origins tell
    view.text = text
    view.size = size
    view.origins = NULL
    if out.origins != NULL:
        if not given_origins(text, size, &given):
            status = NO_MEMORY
        view.origins = given.data
    if status == OK and not make_valid(&view, &spare[2]):
        status = NO_MEMORY
    if status == OK:
        if pipeline.before.nodes == NULL:
            status = run_part(pipeline, &view, 0, spare, &out)
        else:
            status = split(pipeline, &pipeline.before, &view, True, spare, &out)
    text_free(&spare[0])
    text_free(&spare[1])
    text_free(&spare[2])
    free(given.data)
    free(kept.data)
    return status


# -- what Python has prepared ------------------------------------------------------------------------

cdef int verbatim(const void* pipeline, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil:
    """A text that is prepared already."""
    cdef size_t i
    if size > MAX_TEXT // 2:
        return TOO_LONG
    if not reserve_bytes(out, size + SLACK) or (origins != NULL and not reserve_ints(origins, 2 * size)):
        return NO_MEMORY
    if size:
        memcpy(out.data, text, size)
    out.size = size
    if origins != NULL:
        for i in range(size):
            origins.data[2 * i] = <int32_t>i
            origins.data[2 * i + 1] = <int32_t>i + 1
        origins.size = 2 * size
    return OK


cdef class Verbatim(Normalizer):
    """Rows are texts that plain Python has prepared."""

    def __init__(self):
        memset(&self.rules, 0, sizeof(self.rules))
        self.rules.prepare = verbatim


# -- a pipeline from its description -------------------------------------------------------------------

cdef class PipelineNormalizer(Normalizer):
    """A pipeline ready to run. Immutable; any number of threads may use it."""

    def __init__(self, list steps not None, str cutting not None, str prefix not None, before, after):
        """`steps`: (kind, what the kind needs) each. `before`, `after`: (trie, flags of first bytes, strips) or None."""
        cdef int i
        memset(&self.rules, 0, sizeof(self.rules))
        self.rules.prepare = run_pipeline
        self.rules.pipeline = &self.pipeline
        self.owners = []
        self.steps = <Step*>calloc(len(steps) + 1, sizeof(Step))
        if self.steps == NULL:
            raise MemoryError()
        self.pipeline.steps = self.steps
        self.pipeline.count = <int>len(steps)
        self.pipeline.cutting = CUTTINGS[cutting]
        self.pipeline.prefix = PREFIXES[prefix]
        for i in range(self.pipeline.count):
            kind, needed = steps[i]
            self.steps[i].kind = KINDS[kind]
            self.owners.append(needed)
            self.set_step(&self.steps[i], needed)
        self.set_splitter(&self.pipeline.before, before)
        self.set_splitter(&self.pipeline.after, after)

    def __dealloc__(self):
        free(self.steps)

    cdef int set_table(self, Table* table, needed) except -1:
        flags, codes, bounds, parts = needed
        cdef const uint8_t[::1] flag_view = flags
        cdef const uint32_t[::1] code_view = codes
        cdef const int32_t[::1] bound_view = bounds
        cdef const uint32_t[::1] part_view = parts
        if flag_view.shape[0] != 0x110000 or bound_view.shape[0] != code_view.shape[0] + 1:
            raise ValueError("a table has one flag for each code point, and one bound more than codes")
        self.owners.append(needed)
        table.flags = &flag_view[0]
        table.count = code_view.shape[0]
        table.codes = &code_view[0] if table.count else NULL
        table.bounds = &bound_view[0]
        table.parts = &part_view[0] if part_view.shape[0] else NULL
        return 0

    cdef int set_step(self, Step* step, needed) except -1:
        cdef const uint32_t[::1] units
        cdef const uint8_t[::1] strings, flags, classes, ranks
        cdef const uint64_t[::1] pairs
        cdef const uint32_t[::1] composed
        cdef uint8_t[::1] new_flags
        cdef int i, code
        if step.kind == MAP:
            charsmap, classes_of = needed
            unit_array, string_bytes = read_charsmap(charsmap)
            string_array = np.frombuffer(string_bytes, np.uint8)
            flag_array = (classes_of != 0).astype(np.uint8)
            units, strings, classes, new_flags = unit_array, string_array, classes_of, flag_array
            self.owners.append((unit_array, string_array, flag_array))
            mark_ruled(&units[0], &new_flags[0])
            step.map.units = &units[0]
            step.map.replacements = &strings[0]
            step.map.flags = &new_flags[0]
            step.map.classes = &classes[0]
            step.map.printable = not flag_array[0x20:0x7F].any()
        elif step.kind == FORM:
            table, rank_array, pair_array, composed_array = needed
            self.set_table(&step.form.table, table)
            ranks = rank_array
            step.form.ranks = &ranks[0]
            step.form.compose = pair_array is not None
            if pair_array is not None:
                pairs, composed = pair_array, composed_array
                step.form.pairs = &pairs[0]
                step.form.composed = &composed[0]
                step.form.pair_count = pairs.shape[0]
        elif step.kind == TABLE:
            self.set_table(&step.table, needed)
        elif step.kind == STRIP:
            step.left, step.right = needed
        elif step.kind == RUN:
            ranges, low, exact, content = needed
            if len(ranges) > MOST_RANGES:
                raise ValueError(f"at most {MOST_RANGES} ranges, got {len(ranges)}")
            step.range_count = <int>len(ranges)
            step.low = low
            step.exact = exact
            for i in range(step.range_count):
                step.ranges[2 * i], step.ranges[2 * i + 1] = ranges[i]
                for code in range(ranges[i][0], min(ranges[i][1], 0x7F) + 1):
                    step.ascii[code] = 1
            self.set_content(step, content)
        else:
            pattern, content = needed
            flags = pattern
            self.owners.append(pattern)
            step.pattern = &flags[0] if flags.shape[0] else NULL
            step.pattern_size = flags.shape[0]
            self.set_content(step, content)
        return 0

    cdef int set_content(self, Step* step, content) except -1:
        cdef const uint8_t[::1] view = content
        self.owners.append(content)
        step.content = &view[0] if view.shape[0] else NULL
        step.content_size = view.shape[0]
        return 0

    cdef int set_splitter(self, Splitter* splitter, needed) except -1:
        cdef Trie trie
        cdef const uint8_t[::1] firsts, strips
        if needed is None:
            return 0
        trie, first_array, strip_array = needed
        firsts, strips = first_array, strip_array
        self.owners.append(needed)
        splitter.nodes = trie.nodes
        splitter.firsts = &firsts[0]
        splitter.strips = &strips[0]
        splitter.only_first = int(np.argmax(first_array)) if np.sum(first_array) == 1 else -1
        return 0

    def normalize(self, const uint8_t[::1] text):
        """The text as the engine gets it, with its marks, as bytes."""
        return Normalizer.normalize(self, text)
