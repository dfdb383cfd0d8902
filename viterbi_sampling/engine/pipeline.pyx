"""The steps of a tokenizer.json in compiled code: a text in, pre-tokens and marks out.

The modules of `viterbi_sampling.steps` say in plain Python what each step does, alignments included.
Each step looks first for what it would change; where there is nothing the text goes on as it is, and
most texts reach the end without a copy.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.added cimport Splitter, find_added
from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, reserve_bytes, reserve_ints
from viterbi_sampling.engine.clusters cimport apply_map, mark_ruled
from viterbi_sampling.engine.forms cimport Table, apply_form, apply_table
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.pretokens cimport ALWAYS, FIRST_ONLY, NEVER, SPACES, WHOLE, WORDS, Output, append_mark, append_text
from viterbi_sampling.engine.rewriting cimport (
    Text, View, Writer, copy_aligned, copy_unchanged, is_white, text_free, writer_start, writer_view,
)
from viterbi_sampling.engine.strings cimport (
    AT_END, AT_START, EVERY_RUN, EVERY_STRING, MOST_RANGES, apply_first, apply_replace, apply_strip, without_white_end,
)
from viterbi_sampling.engine.trie cimport Trie
from viterbi_sampling.engine.utf8 cimport code_at, decode, in_set
from viterbi_sampling.engine.words cimport SLACK

from viterbi_sampling.engine.normalizer import read_charsmap

KINDS = {"map": MAP, "form": FORM, "table": TABLE, "strip": STRIP, "string": STRING, "run": RUN, "start": START, "end": END, "first": FIRST}
CUTTINGS = {"whole": WHOLE, "spaces": SPACES, "words": WORDS}
PREFIXES = {"never": NEVER, "first": FIRST_ONLY, "always": ALWAYS}


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
            apply_strip(pipeline.steps[i].left, pipeline.steps[i].right, view)
            continue
        elif pipeline.steps[i].kind == FIRST:
            status = apply_first(pipeline.steps[i].replace.content, pipeline.steps[i].replace.content_size, view, &spare[used], shift)
        else:
            status = apply_replace(&pipeline.steps[i].replace, view, &spare[used], shift)
        if status != OK:
            return status
        if view.text != before:
            used = 1 - used
        if view.size > MAX_TEXT:
            return TOO_LONG
    if pipeline.after.nodes == NULL:
        return append_text(pipeline.cutting, pipeline.prefix, view, out)
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
            status = run_part(pipeline, &part, at, spare, out) if given else append_text(pipeline.cutting, pipeline.prefix, &part, out)
            if status != OK:
                return status
        if begin == view.size:
            return OK
        if not append_mark(out, number, view, begin, end):
            return NO_MEMORY
        if out.bytes.size > MAX_TEXT:
            return TOO_LONG
        at = end


def character_set(flags):
    """The set of the code points that have a flag, in 64 bits each; see utf8.pxd."""
    return np.packbits(np.asarray(flags, np.bool_), bitorder="little").view("<u8").astype(np.uint64)


def first_byte(int code):
    """The byte that the UTF-8 of a code point begins with; it rises with the code point."""
    return code if code < 0x80 else 0xC0 | code >> 6 if code < 0x800 else 0xE0 | code >> 12 if code < 0x10000 else 0xF0 | code >> 18


cdef extern from *:
    """
    // Whether 48 bytes are 16 characters of three bytes, none of which begins with E0 or ED: these are not always valid.
    static inline int viterbi_sampling_are_three_bytes(const unsigned char* text) {
        static const unsigned char masks[48] = {
            0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0,
            0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0,
            0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0, 0xF0, 0xC0, 0xC0};
        static const unsigned char wanted[48] = {
            0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0,
            0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80,
            0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80, 0xE0, 0x80, 0x80};
        unsigned char other = 0;
        for (int i = 0; i < 48; i++)
            other |= ((text[i] & masks[i]) ^ wanted[i]) | (text[i] == 0xE0) | (text[i] == 0xED);
        return other == 0;
    }
    """
    bint are_three_bytes "viterbi_sampling_are_three_bytes"(const uint8_t* text) noexcept nogil


cdef size_t invalid_at(const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """The place of the next byte that is not valid UTF-8, or the end."""
    cdef size_t looked = at     # up to here are not only characters of three bytes
    cdef uint64_t bytes
    cdef uint32_t code
    cdef int used
    while at < size:
        if at >= looked and (text[at] & 0xF0) == 0xE0 and at + 48 <= size:
            looked = at + 48
            if are_three_bytes(text + at):
                at += 48
                continue
        if at + 8 <= size:
            memcpy(&bytes, text + at, 8)
            if not bytes & <uint64_t>0x8080808080808080U:
                at += 8
                continue
        # Most characters are told by the bits of their first and the other bytes; decode tells the rest.
        if at + 2 < size and (text[at + 1] & 0xC0) == 0x80:
            if 0xC2 <= text[at] < 0xE0:
                at += 2
                continue
            if 0xE1 <= text[at] < 0xED and (text[at + 2] & 0xC0) == 0x80:
                at += 3
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
        touched, codes, bounds, parts = needed
        cdef const uint64_t[::1] set_view = touched
        cdef const uint32_t[::1] code_view = codes
        cdef const int32_t[::1] bound_view = bounds
        cdef const uint32_t[::1] part_view = parts
        if set_view.shape[0] != 0x110000 // 64 or bound_view.shape[0] != code_view.shape[0] + 1:
            raise ValueError("a table has one bit for each code point, and one bound more than codes")
        self.owners.append(needed)
        table.touched = &set_view[0]
        table.count = code_view.shape[0]
        table.codes = &code_view[0] if table.count else NULL
        table.bounds = &bound_view[0]
        table.parts = &part_view[0] if part_view.shape[0] else NULL
        return 0

    cdef int set_step(self, Step* step, needed) except -1:
        cdef const uint32_t[::1] units
        cdef const uint8_t[::1] strings, flags, classes, ranks
        cdef const uint64_t[::1] pairs
        cdef uint64_t[::1] touched
        cdef const uint32_t[::1] composed
        cdef int i, code
        if step.kind == MAP:
            charsmap, classes_of = needed
            unit_array, string_bytes = read_charsmap(charsmap)
            string_array = np.frombuffer(string_bytes, np.uint8)
            set_array = character_set(classes_of)
            units, strings, classes, touched = unit_array, string_array, classes_of, set_array
            self.owners.append((unit_array, string_array, set_array))
            mark_ruled(&units[0], &touched[0])
            step.map.units = &units[0]
            step.map.replacements = &strings[0]
            step.map.touched = &touched[0]
            step.map.classes = &classes[0]
            step.map.printable = not any(in_set(&touched[0], code) for code in range(0x20, 0x7F))
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
            step.replace.kind = EVERY_RUN
            ranges, low, exact, content = needed
            if len(ranges) > MOST_RANGES:
                raise ValueError(f"at most {MOST_RANGES} ranges, got {len(ranges)}")
            step.replace.range_count = <int>len(ranges)
            step.replace.low = low
            step.replace.exact = exact
            for i in range(step.replace.range_count):
                step.replace.ranges[2 * i], step.replace.ranges[2 * i + 1] = ranges[i]
                for code in range(ranges[i][0], min(ranges[i][1], 0x7F) + 1):
                    step.replace.ascii[code] = 1
                for code in range(first_byte(ranges[i][0]), first_byte(ranges[i][1]) + 1):
                    step.replace.firsts[code] = 1
            single = len(ranges) == 1 and ranges[0][0] == ranges[0][1] < 0x80
            step.replace.twice = ranges[0][0] if single and low == 2 and not exact else -1
            self.set_content(step, content)
        else:
            step.replace.kind = AT_START if step.kind == START else AT_END if step.kind == END else EVERY_STRING
            pattern, content, step.replace.repeated = needed
            flags = pattern
            self.owners.append(pattern)
            step.replace.pattern = &flags[0] if flags.shape[0] else NULL
            step.replace.pattern_size = flags.shape[0]
            self.set_content(step, content)
        return 0

    cdef int set_content(self, Step* step, content) except -1:
        cdef const uint8_t[::1] view = content
        self.owners.append(content)
        step.replace.content = &view[0] if view.shape[0] else NULL
        step.replace.content_size = view.shape[0]
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
        splitter.entries = trie.entries
        splitter.firsts = &firsts[0]
        splitter.strips = &strips[0]
        splitter.only_first = int(np.argmax(first_array)) if np.sum(first_array) == 1 else -1
        return 0

    def normalize(self, const uint8_t[::1] text):
        """The text as the engine gets it, with its marks, as bytes."""
        return Normalizer.normalize(self, text)
