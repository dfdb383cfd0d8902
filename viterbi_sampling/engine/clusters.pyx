"""Grapheme clusters, and sentencepiece's character map as tokenizers applies it.

To a cluster of less than 6 bytes the shortest rule that it begins with is applied, and stands for all
of it; in longer ones, and where no rule fits, each character is looked up alone.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK
from viterbi_sampling.engine.charsmap cimport unit_has_leaf, unit_label, unit_offset
from viterbi_sampling.engine.rewriting cimport (
    Text, View, Writer, copy_unchanged, drop_with_last, encode, write, writer_start, writer_view,
)
from viterbi_sampling.engine.utf8 cimport char_length, code_at, in_set, is_trail, pass_others

cdef enum Class:                # those of steps/characters.py
    OTHER = 0
    CR = 1
    LF = 2
    CONTROL = 3
    EXTEND = 4
    LINKER = 5
    NON_JOINER = 6
    JOINER = 7
    REGIONAL = 8
    PREPEND = 9
    SPACING = 10
    L = 11
    V = 12
    T = 13
    LV = 14
    LVT = 15
    PICTURE = 16
    CONSONANT = 17

cdef enum:
    CLUSTER_BYTES = 6           # the map looks at whole clusters that are shorter than this


cdef inline bint extends(uint8_t kind) noexcept nogil:
    return kind == EXTEND or kind == LINKER or kind == NON_JOINER or kind == JOINER


cdef inline bint breaks(uint8_t before, uint8_t kind, bint odd_regionals, bint picture, int conjunct) noexcept nogil:
    """Whether a cluster ends between two characters, by the rules of UAX 29 in their order."""
    if before == CR or before == LF or before == CONTROL or kind == CR or kind == LF or kind == CONTROL:
        return not (before == CR and kind == LF)
    if before == L and (kind == L or kind == V or kind == LV or kind == LVT):
        return False
    if (before == LV or before == V) and (kind == V or kind == T):
        return False
    if (before == LVT or before == T) and kind == T:
        return False
    if extends(kind) or kind == SPACING or before == PREPEND:
        return False
    if conjunct == 2 and kind == CONSONANT:
        return False
    if before == JOINER and kind == PICTURE and picture:
        return False
    return not (before == REGIONAL and kind == REGIONAL and odd_regionals)


cdef size_t cluster_end(const uint8_t* classes, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """Where the cluster that begins at `at` ends."""
    cdef int length
    cdef uint8_t before = classes[code_at(text + at, &length)], kind
    cdef bint odd_regionals = before == REGIONAL, picture = before == PICTURE
    cdef int conjunct = before == CONSONANT
    at += length
    while at < size:
        kind = classes[code_at(text + at, &length)]
        if breaks(before, kind, odd_regionals, picture, conjunct):
            return at
        odd_regionals = kind == REGIONAL and not odd_regionals
        picture = kind == PICTURE or (picture and extends(kind) and before != JOINER)
        if kind == CONSONANT:
            conjunct = 1
        elif conjunct and kind == LINKER:
            conjunct = 2
        elif kind != EXTEND and kind != JOINER:
            conjunct = 0
        before = kind
        at += length
    return at


cdef const uint8_t* rule_of(const MapStep* step, const uint8_t* text, size_t size) noexcept nogil:
    """What the shortest rule that text[:size] begins with puts in its place, or NULL."""
    cdef uint32_t position = unit_offset(step.units[0]), unit
    cdef size_t i
    for i in range(size):
        if text[i] == 0:
            return NULL
        position ^= text[i]
        unit = step.units[position]
        if unit_label(unit) != text[i]:
            return NULL
        position ^= unit_offset(unit)
        if unit_has_leaf(unit):
            return step.replacements + (step.units[position] & 0x7FFFFFFF)
    return NULL


cdef bint put(Writer* w, const uint8_t* old, size_t old_size, const uint8_t* new) noexcept nogil:
    """Write the string `new` in the place of old[:old_size]. False without memory."""
    cdef int32_t before = 0, written = 0
    cdef size_t i
    cdef int size
    for i in range(old_size):
        before += (old[i] & 0xC0) != 0x80
    while new[0]:
        size = char_length(new[0])
        if not write(w, new, size, 0 if written < before else 1):
            return False
        new += size
        written += 1
    if written < before:
        drop_with_last(w, before - written)
    return True


cdef size_t plain_until(const MapStep* step, const uint8_t* text, size_t size, size_t at) noexcept nogil:
    """The end of what no rule touches from `at` on, a place between two clusters."""
    cdef uint64_t bytes
    cdef size_t begin = at
    cdef uint32_t code
    cdef int length
    while at < size:
        # Printable ASCII, eight bytes at a time.
        while step.printable and at + 8 <= size:
            memcpy(&bytes, text + at, 8)
            if ((bytes | (bytes - <uint64_t>0x2020202020202020U) | (bytes + <uint64_t>0x0101010101010101U))
                    & <uint64_t>0x8080808080808080U):
                break
            at += 8
        at = pass_others(step.touched, text, size, at)
        if at == size:
            break
        code = code_at(text + at, &length)
        if in_set(step.touched, code):
            # It may join the cluster of the character before it, which a control character does not.
            if at > begin and step.classes[code] > CONTROL:
                at -= 1
                while is_trail(text[at]):
                    at -= 1
            return at
        at += length
    return size


cdef int apply_map(const MapStep* step, View* view, Text* target, int32_t shift) noexcept nogil:
    cdef const uint8_t* text = view.text
    cdef const uint8_t* new
    cdef size_t size = view.size, at = 0, end, begin
    cdef int length
    cdef Writer w
    end = plain_until(step, text, size, 0)
    if end == size:
        return OK
    writer_start(&w, view, target, shift)
    while True:
        if not copy_unchanged(&w, at, end):
            return NO_MEMORY
        at = end
        if at == size:
            break
        end = cluster_end(step.classes, text, size, at)
        new = rule_of(step, text + at, end - at) if end - at < CLUSTER_BYTES else NULL
        if new != NULL:
            if not put(&w, text + at, end - at, new):
                return NO_MEMORY
            at = end
        while at < end:
            code_at(text + at, &length)
            new = rule_of(step, text + at, length)
            if new == NULL:
                if not copy_unchanged(&w, at, at + length):
                    return NO_MEMORY
            elif not put(&w, text + at, length, new):
                return NO_MEMORY
            at += length
        end = plain_until(step, text, size, at)
    writer_view(&w, view)
    return OK


cdef void mark_ruled(const uint32_t* units, uint64_t* set) noexcept nogil:
    cdef MapStep step
    cdef uint32_t code
    cdef uint8_t encoded[4]
    cdef uint8_t nothing = 0
    step.units = units
    step.replacements = &nothing
    for code in range(1, 0x110000):
        if not 0xD800 <= code < 0xE000 and rule_of(&step, encoded, encode(code, encoded)) != NULL:
            set[code >> 6] |= <uint64_t>1 << (code & 63)
