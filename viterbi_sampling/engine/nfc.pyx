"""NFC, the canonical composition of Unicode, as this Python's unicodedata has it.

Nearly all text is in NFC. A character is *plain* where composition neither changes it nor joins it with
what comes before; a text of plain characters is copied as it is. Another character is brought into NFC
with its surroundings: from the last plain character before it, which is the only one that it can join,
to the next character that joins nothing before it. What lies outside cannot change, since NFC keeps
what is on both sides of such borders apart (Unicode Standard Annex 15, section 9).

The tables are read from unicodedata once in a process, so that version and result are the same.
"""

import unicodedata
from functools import lru_cache

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

import numpy as np

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, reserve_bytes, reserve_ints
from viterbi_sampling.engine.utf8 cimport decode, is_trail
from viterbi_sampling.engine.words cimport SLACK

cdef enum:
    CODE_POINTS = 0x110000
    FEW = 24                # characters that are sorted by insertion
    # Hangul, which is composed by arithmetic: The Unicode Standard, section 3.12.
    FIRST_SYLLABLE = 0xAC00
    SYLLABLES = 11172
    FIRST_LEADING = 0x1100
    LEADINGS = 19
    FIRST_VOWEL = 0x1161
    VOWELS = 21
    BEFORE_TRAILING = 0x11A7
    TRAILINGS = 28          # with none

cdef const uint8_t* REPLACEMENT_CHARACTER = b"\xef\xbf\xbd"


cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    // Whether the eight bytes at `text` are ASCII.
    static inline int viterbi_sampling_eight_ascii(const unsigned char* text) {
        std::uint64_t bytes;
        std::memcpy(&bytes, text, 8);
        return !(bytes & 0x8080808080808080u);
    }
    """
    bint eight_ascii "viterbi_sampling_eight_ascii"(const uint8_t* text) noexcept nogil


cdef inline bint add_point(Ints* points, uint32_t point) noexcept nogil:
    if not reserve_ints(points, points.size + 1):
        return False
    points.data[points.size] = <int32_t>point
    points.size += 1
    return True


cdef bint decompose(const Composition* composition, uint32_t point, Ints* points) noexcept nogil:
    """Add the canonical decomposition of a character. False without memory."""
    cdef uint16_t number = composition.numbers[point]
    cdef uint32_t syllable = point - FIRST_SYLLABLE
    cdef int32_t i
    if syllable < SYLLABLES:
        return (add_point(points, FIRST_LEADING + syllable // (VOWELS * TRAILINGS))
                and add_point(points, FIRST_VOWEL + syllable % (VOWELS * TRAILINGS) // TRAILINGS)
                and (syllable % TRAILINGS == 0 or add_point(points, BEFORE_TRAILING + syllable % TRAILINGS)))
    if number == 0:
        return add_point(points, point)
    for i in range(composition.starts[number], composition.starts[number + 1]):
        if not add_point(points, composition.parts[i]):
            return False
    return True


cdef uint32_t composed(const Composition* composition, uint32_t first, uint32_t second) noexcept nogil:
    """The character that a pair composes to, 0 where it does not."""
    cdef uint64_t pair = <uint64_t>first << 32 | second
    cdef int32_t low = 0, high = composition.count, middle
    if first - FIRST_LEADING < LEADINGS and second - FIRST_VOWEL < VOWELS:
        return FIRST_SYLLABLE + ((first - FIRST_LEADING) * VOWELS + second - FIRST_VOWEL) * TRAILINGS
    if first - FIRST_SYLLABLE < SYLLABLES:
        if (first - FIRST_SYLLABLE) % TRAILINGS == 0 and second - BEFORE_TRAILING - 1 < TRAILINGS - 1:
            return first + second - BEFORE_TRAILING
        return 0
    while low < high:
        middle = (low + high) >> 1
        if composition.pairs[middle] < pair:
            low = middle + 1
        else:
            high = middle
    return composition.composites[low] if low < composition.count and composition.pairs[low] == pair else 0


cdef bint put_in_order(const Composition* composition, Ints* points, Ints* sorted_points) noexcept nogil:
    """Sort each run of characters with a combining class by it, equal ones in their order. False without memory.

    Linear: a text may well be one such run.
    """
    cdef size_t begin = 0, end, i, k
    cdef size_t counts[256]
    cdef size_t total, count
    cdef int32_t point
    cdef uint8_t combining
    while begin < points.size:
        if composition.classes[points.data[begin]] == 0:
            begin += 1
            continue
        end = begin
        while end < points.size and composition.classes[points.data[end]]:
            end += 1
        if end - begin <= FEW:
            for i in range(begin + 1, end):
                point = points.data[i]
                combining = composition.classes[point]
                k = i
                while k > begin and composition.classes[points.data[k - 1]] > combining:
                    points.data[k] = points.data[k - 1]
                    k -= 1
                points.data[k] = point
        else:
            if not reserve_ints(sorted_points, end - begin):
                return False
            memset(counts, 0, sizeof(counts))
            for i in range(begin, end):
                counts[composition.classes[points.data[i]]] += 1
            total = 0
            for i in range(256):
                count = counts[i]
                counts[i] = total
                total += count
            for i in range(begin, end):
                combining = composition.classes[points.data[i]]
                sorted_points.data[counts[combining]] = points.data[i]
                counts[combining] += 1
            memcpy(points.data + begin, sorted_points.data, (end - begin) * sizeof(int32_t))
        begin = end
    return True


cdef void compose_points(const Composition* composition, Ints* points) noexcept nogil:
    """Compose what can be: each character with the last starter, where nothing between the two blocks it."""
    cdef size_t kept = 0, starter = 0, i
    cdef bint has_starter = False
    cdef uint32_t composite
    cdef int32_t point
    cdef int combining, last = 0
    for i in range(points.size):
        point = points.data[i]
        combining = composition.classes[point]
        if has_starter and (kept == starter + 1 or last < combining):
            composite = composed(composition, points.data[starter], point)
            if composite:
                points.data[starter] = <int32_t>composite
                continue
        if combining == 0:
            has_starter = True
            starter = kept
        last = combining
        points.data[kept] = point
        kept += 1
    points.size = kept


cdef inline size_t write_point(uint8_t* out, uint32_t point) noexcept nogil:
    """Write a character in UTF-8; the number of its bytes, for which there is room."""
    if point < 0x80:
        out[0] = <uint8_t>point
        return 1
    if point < 0x800:
        out[0] = <uint8_t>(0xC0 | point >> 6)
        out[1] = <uint8_t>(0x80 | (point & 0x3F))
        return 2
    if point < 0x10000:
        out[0] = <uint8_t>(0xE0 | point >> 12)
        out[1] = <uint8_t>(0x80 | (point >> 6 & 0x3F))
        out[2] = <uint8_t>(0x80 | (point & 0x3F))
        return 3
    out[0] = <uint8_t>(0xF0 | point >> 18)
    out[1] = <uint8_t>(0x80 | (point >> 12 & 0x3F))
    out[2] = <uint8_t>(0x80 | (point >> 6 & 0x3F))
    out[3] = <uint8_t>(0x80 | (point & 0x3F))
    return 4


cdef bint make_room(Bytes* out, Ints* origins, size_t wanted) noexcept nogil:
    return reserve_bytes(out, wanted + SLACK) and (origins == NULL or reserve_ints(origins, wanted + 1))


cdef inline void copy(const uint8_t* text, size_t begin, size_t end, Bytes* out, Ints* origins) noexcept nogil:
    """Add text[begin:end] as it is; there is room."""
    cdef size_t i
    memcpy(out.data + out.size, text + begin, end - begin)
    if origins != NULL:
        for i in range(end - begin):
            origins.data[out.size + i] = <int32_t>(begin + i)
    out.size += end - begin


cdef inline bint is_plain_three(const Composition* composition, const uint8_t* text) noexcept nogil:
    """Whether three bytes are one plain character."""
    if text[0] >> 4 != 0xE or not is_trail(text[2]):
        return False
    return composition.plain_threes[(text[0] & 0xF) << 8 | text[1]] >> (text[2] & 0x3F) & 1


cdef int compose_all(const Composition* composition, const uint8_t* text, size_t size, Bytes* out, Ints* origins,
                     Ints* points, Ints* sorted_points) noexcept nogil:
    cdef size_t at = 0, done = 0, last = 0, begin, written, i
    cdef int used
    cdef uint32_t point
    cdef bint same, has_last = False          # there is a valid character before, which begins at `last`
    if not make_room(out, origins, size):
        return NO_MEMORY
    while at < size:
        # What is plain. text[done:at] is to be copied; of the rest there is room for as many bytes.
        used = 1
        point = 0
        while at < size:
            if text[at] < 0x80:
                while at + 8 < size and eight_ascii(text + at):
                    at += 8
                if text[at] < 0x80:
                    last = at
                    has_last = True
                    at += 1
                    continue
                last = at - 1
                has_last = True
            begin = at
            while at + 3 <= size and is_plain_three(composition, text + at):
                at += 3
            if at > begin:
                last = at - 3
                has_last = True
            if at == size:
                break
            used = decode(text + at, size - at, &point)
            if used == 0 or composition.kinds[point] != PLAIN:
                break
            last = at
            has_last = True
            at += used
        if at == size:
            break
        if used == 0:
            copy(text, done, at, out, origins)
            if not make_room(out, origins, out.size + 3 + size - at):
                return NO_MEMORY
            memcpy(out.data + out.size, REPLACEMENT_CHARACTER, 3)
            for i in range(3):
                if origins != NULL:
                    origins.data[out.size + i] = <int32_t>at
            out.size += 3
            at += 1
            done = at
            has_last = False
            continue
        begin = last if has_last and composition.kinds[point] == COMBINING else at
        copy(text, done, begin, out, origins)
        points.size = 0
        at = begin
        while at < size:
            used = decode(text + at, size - at, &point)
            if used == 0 or (at > begin and composition.kinds[point] != COMBINING):
                break
            if not decompose(composition, point, points):
                return NO_MEMORY
            at += used
        if not put_in_order(composition, points, sorted_points):
            return NO_MEMORY
        compose_points(composition, points)
        if not make_room(out, origins, out.size + 4 * points.size + size - at):
            return NO_MEMORY
        written = out.size
        for i in range(points.size):
            out.size += write_point(out.data + out.size, points.data[i])
        if origins != NULL:
            same = out.size - written == at - begin and memcmp(out.data + written, text + begin, at - begin) == 0
            for i in range(out.size - written):
                origins.data[written + i] = <int32_t>(begin + i if same else begin)
        if out.size > MAX_TEXT:
            return TOO_LONG
        done = at
        has_last = False
    copy(text, done, size, out, origins)
    if origins != NULL:
        origins.data[out.size] = <int32_t>size
        origins.size = out.size + 1
    return TOO_LONG if out.size > MAX_TEXT else OK


cdef int compose(const Composition* composition, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil:
    cdef Ints points, sorted_points
    cdef int status
    out.size = 0
    if origins != NULL:
        origins.size = 0
    if size > MAX_TEXT:
        return TOO_LONG
    if size == 0:
        return OK
    points.data = sorted_points.data = NULL
    points.size = points.capacity = sorted_points.size = sorted_points.capacity = 0
    status = compose_all(composition, text, size, out, origins, &points, &sorted_points)
    free(points.data)
    free(sorted_points.data)
    return status


# -- the tables --------------------------------------------------------------------------------------

def unusual_points():
    """The code points but Hangul syllables that have a combining class or a canonical decomposition, rising."""
    block = 1024
    points = np.arange(CODE_POINTS, dtype="<u4").reshape(-1, block)
    # A character with neither stands between marks of the highest and of the lowest class and leaves all as it is.
    marked = np.empty((block, 4), "<u4")
    marked[:, 0] = 0x345
    marked[:, 2] = 0x334
    marked[:, 3] = 0x41
    for row in points:
        if 0xD800 <= row[0] < 0xE000:
            continue
        marked[:, 1] = row
        if FIRST_SYLLABLE <= row[0] and row[block - 1] < FIRST_SYLLABLE + SYLLABLES:
            continue
        if unicodedata.is_normalized("NFD", marked.tobytes().decode("utf-32-le", "surrogatepass")):
            continue
        for point in row.tolist():
            character = chr(point)
            if FIRST_SYLLABLE <= point < FIRST_SYLLABLE + SYLLABLES or 0xD800 <= point < 0xE000:
                continue
            if unicodedata.combining(character) or not unicodedata.is_normalized("NFD", character):
                yield point


cdef class Composer:
    """The canonical composition of this Python's unicodedata. Immutable; any number of threads may use it."""

    def __init__(self):
        kinds = np.zeros(CODE_POINTS, np.uint8)
        classes = np.zeros(CODE_POINTS, np.uint8)
        numbers = np.zeros(CODE_POINTS, np.uint16)
        parts, starts = [], [0, 0]
        pairs = {}
        unusual = list(unusual_points())
        for point in unusual:
            character = chr(point)
            classes[point] = unicodedata.combining(character)
            decomposition = unicodedata.normalize("NFD", character)
            if decomposition != character:
                numbers[point] = len(starts) - 1
                parts += map(ord, decomposition)
                starts.append(len(parts))
                kinds[point] = PLAIN if unicodedata.is_normalized("NFC", character) else CHANGED
                direct = unicodedata.decomposition(character).split()
                if len(direct) == 2 and kinds[point] == PLAIN:
                    pairs[int(direct[0], 16) << 32 | int(direct[1], 16)] = point
        kinds[classes != 0] = COMBINING
        kinds[[pair & 0xFFFFFFFF for pair in pairs]] = COMBINING
        kinds[FIRST_VOWEL:FIRST_VOWEL + VOWELS] = COMBINING
        kinds[BEFORE_TRAILING + 1:BEFORE_TRAILING + TRAILINGS] = COMBINING
        for point in unusual:
            if numbers[point] and kinds[parts[starts[numbers[point]]]] == COMBINING:
                kinds[point] = COMBINING
        ordered = sorted(pairs)
        arrays = (kinds, classes, numbers, np.array(starts, np.int32), np.array(parts, np.uint32),
                  np.array(ordered, np.uint64), np.array([pairs[pair] for pair in ordered], np.uint32),
                  plain_threes(kinds))
        cdef const uint8_t[::1] kind_view = kinds
        cdef const uint8_t[::1] class_view = classes
        cdef const uint16_t[::1] number_view = numbers
        cdef const int32_t[::1] start_view = arrays[3]
        cdef const uint32_t[::1] part_view = arrays[4]
        cdef const uint64_t[::1] pair_view = arrays[5]
        cdef const uint32_t[::1] composite_view = arrays[6]
        cdef const uint64_t[::1] three_view = arrays[7]
        self.arrays = arrays
        self.composition.kinds = &kind_view[0]
        self.composition.classes = &class_view[0]
        self.composition.numbers = &number_view[0]
        self.composition.starts = &start_view[0]
        self.composition.parts = &part_view[0]
        self.composition.pairs = &pair_view[0]
        self.composition.composites = &composite_view[0]
        self.composition.count = <int32_t>len(ordered)
        self.composition.plain_threes = &three_view[0]


def plain_threes(kinds):
    """For the lower half of a first byte, and a second byte: of 64 third bytes, which end a plain character of three bytes."""
    plain = kinds[:0x10000] == PLAIN
    plain[:0x800] = plain[0xD800:0xE000] = False
    threes = np.zeros((16, 256), np.uint64)
    threes[:, 0x80:0xC0] = np.packbits(plain, bitorder="little").view("<u8").reshape(16, 64)
    return threes.reshape(-1)


@lru_cache(maxsize=1)
def composer():
    """The one Composer of this process, made when it is first needed."""
    return Composer()
