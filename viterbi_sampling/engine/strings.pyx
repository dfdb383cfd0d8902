"""Strings, runs of characters and white space in a text: found, removed, replaced."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG
from viterbi_sampling.engine.rewriting cimport (
    Text, View, Writer, copy_aligned, copy_unchanged, is_white, writer_start, writer_view,
)
from viterbi_sampling.engine.utf8 cimport code_at


cdef size_t without_white_end(const uint8_t* text, size_t begin, size_t end) noexcept nogil:
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


cdef void apply_strip(bint left, bint right, View* view) noexcept nogil:
    cdef int length
    while left and view.size and is_white(code_at(view.text, &length)):
        view.text += length
        view.size -= length
        if view.origins != NULL:
            view.origins += 2 * length
    if right:
        view.size = without_white_end(view.text, 0, view.size)


cdef size_t find_string(const ReplaceStep* step, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the pattern of an EVERY_STRING step comes next, or the end."""
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


cdef inline bint in_ranges(const ReplaceStep* step, const uint8_t* text, int* length) noexcept nogil:
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


cdef inline size_t find_twice(const uint8_t* text, size_t size, size_t at, uint8_t character) noexcept nogil:
    """Where an ASCII character stands twice in a row, or the end."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101U, low = 0x7F * ones, bytes, found
    while at + 8 < size:
        memcpy(&bytes, text + at, 8)
        bytes ^= character * ones
        found = ~(((bytes & low) + low) | bytes | low)      # the top bit of each byte that is the character
        if found & (found << 8) or (text[at + 7] == character and text[at + 8] == character):
            break
        at += 8
    while at + 1 < size and not (text[at] == character and text[at + 1] == character):
        at += 1
    return at if at + 1 < size else size


cdef size_t find_run(const ReplaceStep* step, const uint8_t* text, size_t size, size_t at, size_t* end) noexcept nogil:
    """Where the next match of an EVERY_RUN step begins, or the end of the text; `end` receives where it ends."""
    cdef int length, count
    cdef size_t begin
    while at < size:
        if step.twice >= 0:
            at = find_twice(text, size, at, <uint8_t>step.twice)
        else:
            while at < size and not step.firsts[text[at]]:
                at += 1
        if at == size:
            break
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


cdef inline bint is_pattern(const ReplaceStep* step, const uint8_t* text) noexcept nogil:
    """Whether the pattern stands here, where there is room for it. An empty one, which has no memory, always does."""
    return step.pattern_size == 0 or memcmp(text, step.pattern, step.pattern_size) == 0


cdef inline bint begins_with(const ReplaceStep* step, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Whether the pattern stands at this place."""
    return at + step.pattern_size <= size and is_pattern(step, text + at)


cdef int apply_replace(const ReplaceStep* step, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef size_t size = view.size, at = 0, begin, end = 0
    cdef int32_t first, last
    cdef Writer w
    if size == 0:
        return OK
    if step.kind == AT_START:
        begin = 0 if begins_with(step, view.text, size, 0) else size
        end = step.pattern_size
        while step.repeated and begin < size and begins_with(step, view.text, size, end):
            end += step.pattern_size
    elif step.kind == AT_END:
        begin = size - step.pattern_size if size >= step.pattern_size else size
        if begin < size and not is_pattern(step, view.text + begin):
            begin = size
        end = size
        while (step.repeated and step.pattern_size <= begin < size
                and begins_with(step, view.text, size, begin - step.pattern_size)):
            begin -= step.pattern_size
    elif step.kind == EVERY_STRING:
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
        if step.kind == AT_START or step.kind == AT_END:
            begin = size
        elif step.kind == EVERY_STRING:
            begin = find_string(step, view.text, size, at)
            end = begin + step.pattern_size
        else:
            begin = find_run(step, view.text, size, at, &end)
        if w.target.bytes.size > MAX_TEXT:
            return TOO_LONG
    writer_view(&w, view)
    return OK


cdef int apply_first(const uint8_t* content, size_t size, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef Writer w
    if view.size == 0:
        return OK
    writer_start(&w, view, target, shift)
    if not copy_aligned(&w, content, size, view.origins[0] if view.origins != NULL else 0,
                        view.origins[1] if view.origins != NULL else 0) or not copy_unchanged(&w, 0, view.size):
        return NO_MEMORY
    writer_view(&w, view)
    return OK
