"""The normalizer of sentencepiece: a character map, spaces, and the dummy prefix.

At each position the longest matching rule of the character map is applied (user-defined pieces are
protected: they are copied), runs of spaces shrink to one and those at the ends go, a space is put
in front. A byte that is not valid UTF-8 becomes U+FFFD. The order of these steps, their limits and
their corner cases are those of sentencepiece 0.2.3.

One thing differs, inside only: where sentencepiece writes U+2581 for a space, here the space stays
(and a U+2581 in the text becomes one), so that most ASCII is copied as it is. The trie spells its
pieces the same way; the two spellings are in one-to-one correspondence since no space is left.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free

import numpy as np

from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, reserve_bytes, reserve_ints
from viterbi_sampling.engine.charsmap cimport unit_has_leaf, unit_label, unit_offset
from viterbi_sampling.engine.nfc cimport compose
from viterbi_sampling.engine.trie cimport Cursor, Trie, go_down, has_piece, root_of
from viterbi_sampling.engine.utf8 cimport decode
from viterbi_sampling.engine.words cimport SLACK
from viterbi_sampling.engine.nfc import composer
from viterbi_sampling.errors import ModelError

cdef enum:
    MAX_RULE_MATCHES = 32       # sentencepiece looks at so many matching rules, shortest first
    MAX_SYMBOL_MATCHES = 64     # and at so many matching symbols
    SPACE = 0x20
    MOST_DEPTH = 256            # of the trie of a character map whose depth is asked for
    PRINTABLE = 255             # the flag that says that all printable ASCII characters are plain

cdef const uint8_t* REPLACEMENT_CHARACTER = b"\xef\xbf\xbd"


cdef inline bint is_visible_space(const uint8_t* text, size_t size) noexcept nogil:
    return size >= 3 and text[0] == 0xE2 and text[1] == 0x96 and text[2] == 0x81


cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>
    // Copy eight bytes where all of them are printable ASCII and `next`, the byte after them, is ASCII; 0 where not.
    // With `single`, spaces must stand alone: none next to another, none first where *after_space, which is set to
    // whether the last is one.
    static inline int viterbi_sampling_copy_printable(unsigned char* out, const unsigned char* text, unsigned char next,
                                                      int single, int* after_space) {
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        return 0;
    #else
        const std::uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
        std::uint64_t bytes, spaces;
        std::memcpy(&bytes, text, 8);
        // No byte of 0x80 and more, none below 0x20, none of 0x7F.
        if ((bytes | (bytes - 0x20 * ones) | (bytes + ones) | next) & tops)
            return 0;
        if (single) {
            spaces = bytes ^ (0x20 * ones);
            spaces = ~(spaces + 0x7F * ones) & tops;    // exact: no byte has its top bit set
            if (spaces & (spaces << 8 | (*after_space ? 0x80 : 0)))
                return 0;
            *after_space = (int)(spaces >> 63);
        }
        std::memcpy(out, &bytes, 8);
        return 1;
    #endif
    }
    // Copy one character of three bytes, from U+1000 to U+CFFF, that is not special; 0 where there is no such one. Four
    // bytes are read and written.
    static inline int viterbi_sampling_copy_three_bytes(unsigned char* out, const unsigned char* text,
                                                        const unsigned char* special) {
        unsigned lead = text[0] - 0xE1u, second = text[1] ^ 0x80u, third = text[2] ^ 0x80u, c;
        if (lead >= 12 || (second | third) >= 0x40)
            return 0;
        c = (lead + 1) << 12 | second << 6 | third;
        if (special[c >> 3] >> (c & 7) & 1)
            return 0;
        std::memcpy(out, text, 4);
        return 1;
    }
    """
    int copy_three_bytes "viterbi_sampling_copy_three_bytes"(uint8_t* out, const uint8_t* text, const uint8_t* special) noexcept nogil
    int copy_printable "viterbi_sampling_copy_printable"(uint8_t* out, const uint8_t* text, uint8_t next, bint single,
                                                         bint* after_space) noexcept nogil


cdef size_t rewrite_one(const Rules* rules, const uint8_t* text, size_t size,
                        const uint8_t** result, size_t* result_size) noexcept nogil:
    """What the beginning of text[:size] (not empty) becomes; the number of bytes that are used up."""
    cdef size_t i, longest = 0
    cdef int matches = 0
    cdef Cursor cursor
    cdef uint32_t position, unit, value = 0, codepoint
    if rules.symbols != NULL:
        cursor = root_of(rules.symbols)
        for i in range(size):
            if not go_down(rules.symbols, &cursor, text[i]):
                break
            if has_piece(cursor.node):
                longest = i + 1
                matches += 1
                if matches == MAX_SYMBOL_MATCHES:
                    break
        if longest:
            result[0] = text
            result_size[0] = longest
            return longest
    if rules.units != NULL:
        matches = 0
        position = unit_offset(rules.units[0])
        for i in range(size):
            position ^= text[i]
            unit = rules.units[position]
            if unit_label(unit) != text[i]:
                break
            position ^= unit_offset(unit)
            if unit_has_leaf(unit):
                longest = i + 1
                value = rules.units[position] & 0x7FFFFFFF
                matches += 1
                if matches == MAX_RULE_MATCHES:
                    break
        if longest:
            result[0] = rules.replacements + value
            i = 0
            while result[0][i]:
                i += 1
            result_size[0] = i
            return longest
    i = decode(text, size, &codepoint)
    if i == 0:
        result[0] = REPLACEMENT_CHARACTER
        result_size[0] = 3
        return 1
    result[0] = text
    result_size[0] = i
    return i


cdef int normalize(const Rules* rules, const uint8_t* text, size_t size, Bytes* out, Ints* origins) noexcept nogil:
    if rules.prepare != NULL:
        return rules.prepare(rules.pipeline, text, size, out, origins)
    return normalize_part(rules, text, size, True, True, out, origins)


cdef int normalize_part(const Rules* rules, const uint8_t* text, size_t size, bint first, bint last, Bytes* out,
                        Ints* origins) noexcept nogil:
    cdef size_t at = 0, used, length, piece_size, begin, written = 0, i, run
    cdef const uint8_t* piece
    cdef uint32_t codepoint
    cdef uint8_t byte
    cdef bint after_space = first and rules.remove_extra_whitespaces, found
    if rules.composition != NULL:
        return compose(rules.composition, text, size, out, origins)
    out.size = 0
    if origins != NULL:
        origins.size = 0
    if size > MAX_TEXT:
        return TOO_LONG
    if after_space:
        while at < size:
            used = rewrite_one(rules, text + at, size - at, &piece, &piece_size)
            if piece_size != 1 or piece[0] != SPACE:
                break
            at += used
    if at == size:
        return OK
    if not reserve_bytes(out, size - at + 2 + SLACK) or (origins != NULL and not reserve_ints(origins, size - at + 3)):
        return NO_MEMORY
    if first and rules.add_dummy_prefix and not rules.whitespace_as_suffix:
        out.data[0] = SPACE
        if origins != NULL:
            origins.data[0] = <int32_t>at
        written = 1
    while at < size:
        # What no rule touches is copied. There is always room for as many bytes as are left, and two.
        run = at - written          # out trails text by this much
        found = False
        while at < size:
            if rules.plain[PRINTABLE]:
                while at + 8 < size and copy_printable(out.data + (at - run), text + at, text[at + 8] & 0x80,
                                                       rules.remove_extra_whitespaces, &after_space):
                    if origins != NULL:
                        for i in range(8):
                            origins.data[at - run + i] = <int32_t>(at + i)
                    at += 8
                begin = at
                while at + 4 <= size and copy_three_bytes(out.data + (at - run), text + at, rules.special):
                    if origins != NULL:
                        for i in range(3):
                            origins.data[at - run + i] = <int32_t>at
                    at += 3
                if at > begin:
                    after_space = False
                    continue
            byte = text[at]
            if byte < 0x80:
                if not rules.plain[byte] or (at + 1 < size and text[at + 1] >= 0x80):
                    break
                if byte == SPACE:
                    if after_space:
                        at += 1
                        run += 1
                        continue
                    after_space = rules.remove_extra_whitespaces
                else:
                    after_space = False
                out.data[at - run] = byte
                if origins != NULL:
                    origins.data[at - run] = <int32_t>at
                at += 1
            else:
                used = decode(text + at, size - at, &codepoint)
                if used == 0:
                    break
                if rules.special[codepoint >> 3] >> (codepoint & 7) & 1:
                    # A rule may begin with this character. Most often none does: it is left as it is.
                    length = used
                    used = rewrite_one(rules, text + at, size - at, &piece, &piece_size)
                    if used != length or piece != text + at or (rules.escape_whitespaces and is_visible_space(piece, used)):
                        found = True
                        break
                for i in range(used):
                    out.data[at - run + i] = text[at + i]
                    if origins != NULL:
                        origins.data[at - run + i] = <int32_t>at
                at += used
                after_space = False
        written = at - run
        if at == size:
            break
        if not found:
            used = rewrite_one(rules, text + at, size - at, &piece, &piece_size)
        begin = 0
        if after_space:
            while begin < piece_size and piece[begin] == SPACE:
                begin += 1
        if begin < piece_size:
            after_space = rules.remove_extra_whitespaces and piece[piece_size - 1] == SPACE
            i = written + (piece_size - begin) + (size - at) + 2
            if not reserve_bytes(out, i + SLACK) or (origins != NULL and not reserve_ints(origins, i + 1)):
                return NO_MEMORY
            while begin < piece_size:
                if rules.escape_whitespaces and is_visible_space(piece + begin, piece_size - begin):
                    out.data[written] = SPACE
                    begin += 3
                else:
                    out.data[written] = piece[begin]
                    begin += 1
                if origins != NULL:
                    origins.data[written] = <int32_t>at
                written += 1
            if written > MAX_TEXT:
                return TOO_LONG
        at += used
    if last and rules.remove_extra_whitespaces:
        while written and out.data[written - 1] == SPACE:
            written -= 1
            if origins != NULL:
                at = origins.data[written]
    if last and rules.add_dummy_prefix and rules.whitespace_as_suffix:
        out.data[written] = SPACE
        if origins != NULL:
            origins.data[written] = <int32_t>at
        written += 1
    out.size = written
    if origins != NULL:
        origins.data[written] = <int32_t>at
        origins.size = written + 1
    return OK


cdef class Normalizer:
    """The rules of one model, ready to run. Immutable; any number of threads may use it."""

    def __init__(self, bytes charsmap not None, Trie symbols, bint add_dummy_prefix, bint remove_extra_whitespaces,
                 bint escape_whitespaces, bint whitespace_as_suffix, bint nfc=False):
        """`charsmap` is the precompiled map of a model file, `symbols` the user-defined pieces in plain UTF-8 or None.

        `nfc`: NFC instead of all of these. ModelError where the map is not well formed.
        """
        cdef const uint32_t[::1] units
        cdef const uint8_t[::1] replacements
        cdef uint8_t[::1] flags
        self.rules.add_dummy_prefix = add_dummy_prefix
        self.rules.remove_extra_whitespaces = remove_extra_whitespaces
        self.rules.escape_whitespaces = escape_whitespaces
        self.rules.whitespace_as_suffix = whitespace_as_suffix
        self.charsmap = charsmap
        self.symbols = symbols
        self.rules.symbols = symbols.nodes if symbols is not None else NULL
        self.rules.units = NULL
        self.rules.composition = NULL
        if nfc:
            self.composer = composer()
            self.rules.composition = &self.composer.composition
        if charsmap:
            self.units, strings = read_charsmap(charsmap)
            self.charsmap = np.frombuffer(strings, np.uint8)
            units = self.units
            replacements = self.charsmap
            self.rules.units = &units[0]
            self.rules.replacements = &replacements[0]
        self.special = np.zeros(0x110000 // 8, np.uint8)
        self.plain = np.zeros(256, np.uint8)
        flags = self.special
        self.rules.special = &flags[0]
        mark_special(&self.rules, &flags[0])
        if escape_whitespaces:
            flags[0x2581 >> 3] |= 1 << (0x2581 & 7)
        flags = self.plain
        self.rules.plain = &flags[0]
        mark_plain(&self.rules, &flags[0])

    cdef int find_longest_match(self) except -2:
        """The most bytes that a rule or a symbol matches, zero bytes not counted; -1 where there is no end of them."""
        if self.longest_match == 0:
            self.longest_match = 1
            if self.rules.units != NULL:
                self.longest_match = longest_rule(self.units)
            if self.symbols is not None and self.longest_match > 0:
                self.longest_match = max(self.longest_match, self.symbols.longest)
        return self.longest_match

    def normalize(self, const uint8_t[::1] text):
        """The rewritten text as bytes, with U+2581 where spaces are escaped."""
        cdef Bytes out
        cdef int status
        out.data = NULL
        out.size = out.capacity = 0
        try:
            status = normalize(&self.rules, &text[0] if text.shape[0] else NULL, text.shape[0], &out, NULL)
            if status == NO_MEMORY:
                raise MemoryError()
            if status == TOO_LONG:
                raise ValueError(f"a text must be shorter than {MAX_TEXT} bytes, before and after normalization")
            result = out.data[:out.size]
        finally:
            free(out.data)
        return result.replace(b" ", b"\xe2\x96\x81") if self.rules.escape_whitespaces else result


def read_charsmap(bytes blob not None):
    """(units: uint32 array, replacement strings: bytes) of a precompiled character map, checked.

    After the checks no walk over the units leaves the array, every value is the beginning of a
    string that is valid UTF-8 and ends with a zero byte.
    """
    cdef uint32_t size, i, unit
    cdef const uint32_t[::1] units
    cdef const uint8_t[::1] text
    broken = "the precompiled_charsmap of the normalizer is broken: "
    if len(blob) <= 4:
        raise ModelError(broken + f"it has {len(blob)} bytes")
    trie_bytes = int.from_bytes(blob[:4], "little")
    if trie_bytes >= len(blob) - 4 or trie_bytes < 1024 or trie_bytes % 1024:
        raise ModelError(broken + f"its trie cannot have {trie_bytes} of its {len(blob)} bytes")
    array = np.frombuffer(blob, "<u4", trie_bytes // 4, 4).astype(np.uint32)
    strings = blob[4 + trie_bytes:]
    if strings[len(strings) - 1]:
        raise ModelError(broken + "the last replacement string does not end")
    try:
        strings.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(broken + f"the replacement string at {error.start} is not valid UTF-8") from None
    units = array
    text = strings
    size = <uint32_t>units.shape[0]
    if unit_label(units[0]) or unit_has_leaf(units[0]) or not unit_offset(units[0]):
        raise ModelError(broken + "the root of its trie is not one")
    for i in range(size):
        unit = units[i]
        if unit_label(unit) > 0xFF:
            if (unit & 0x7FFFFFFF) >= <uint32_t>text.shape[0] or (text[unit & 0x7FFFFFFF] & 0xC0) == 0x80:
                raise ModelError(broken + f"unit {i} of its trie points to no replacement string")
        elif ((i ^ unit_offset(unit)) | 0xFF) >= size:
            raise ModelError(broken + f"unit {i} of its trie points outside")
        elif unit_has_leaf(unit) and unit_label(units[i ^ unit_offset(unit)]) <= 0xFF:
            raise ModelError(broken + f"unit {i} of its trie has no value")
    return array, strings


cdef int longest_rule(const uint32_t[::1] units) except -2:
    """The depth of the trie of a checked character map without its edges for zero bytes; -1 where it has a cycle.

    Such an edge may be an unused unit, which leads back to the node itself.
    """
    cdef Py_ssize_t i, size = units.shape[0]
    cdef uint32_t label
    cdef int depth = 0
    cdef bint deeper = True
    cdef uint8_t[::1] bases = np.zeros(size, np.uint8)      # of the nodes of a depth
    cdef uint8_t[::1] below = np.zeros(size, np.uint8)
    bases[unit_offset(units[0])] = True
    while deeper:
        if depth == MOST_DEPTH:
            return -1
        deeper = False
        for i in range(size):
            label = unit_label(units[i])
            if 0 < label <= 0xFF and bases[i ^ label]:
                below[i ^ unit_offset(units[i])] = True
                deeper = True
        bases, below = below, bases
        below[:] = 0
        depth += deeper
    return max(depth, 1)


cdef struct Walk:           # a place in both tries; a trie that was left is not entered again
    bint in_rules
    bint in_symbols
    uint32_t position
    Cursor symbol
    bint matched            # a rule or a symbol ended on the way


cdef void walk_start(const Rules* rules, Walk* walk) noexcept nogil:
    walk.in_rules = rules.units != NULL
    walk.in_symbols = rules.symbols != NULL
    walk.position = unit_offset(rules.units[0]) if walk.in_rules else 0
    if walk.in_symbols:
        walk.symbol = root_of(rules.symbols)
    walk.matched = False


cdef bint walk_step(const Rules* rules, Walk* walk, uint8_t byte) noexcept nogil:
    """Go on by one byte; True while either trie goes on or something matched."""
    cdef uint32_t unit
    if walk.in_rules:
        unit = rules.units[walk.position ^ byte]
        walk.in_rules = unit_label(unit) == byte
        if walk.in_rules:
            walk.position = walk.position ^ byte ^ unit_offset(unit)
            walk.matched = walk.matched or unit_has_leaf(unit)
    if walk.in_symbols:
        walk.in_symbols = go_down(rules.symbols, &walk.symbol, byte)
        walk.matched = walk.matched or (walk.in_symbols and has_piece(walk.symbol.node))
    return walk.in_rules or walk.in_symbols or walk.matched


cdef void mark_range(uint8_t* special, uint32_t first, uint32_t count) noexcept nogil:
    cdef uint32_t c
    for c in range(first, first + count):
        special[c >> 3] |= 1 << (c & 7)


cdef void mark_special(const Rules* rules, uint8_t* special) noexcept nogil:
    """Set the bit of each character that a rule or a symbol may begin with: its first bytes lead somewhere."""
    cdef Walk at[4]
    cdef uint32_t a, b, c, d, code
    for a in range(256):
        walk_start(rules, &at[0])
        if not walk_step(rules, &at[0], a):
            continue
        if a < 0x80:
            mark_range(special, a, 1)
        elif 0xC2 <= a < 0xE0:
            for b in range(64):
                at[1] = at[0]
                if walk_step(rules, &at[1], 0x80 | b):
                    mark_range(special, (a & 0x1F) << 6 | b, 1)
        elif 0xE0 <= a < 0xF0:
            for b in range(64):
                at[1] = at[0]
                if walk_step(rules, &at[1], 0x80 | b):
                    for c in range(64):
                        at[2] = at[1]
                        if walk_step(rules, &at[2], 0x80 | c):
                            mark_range(special, (a & 0x0F) << 12 | b << 6 | c, 1)
        elif 0xF0 <= a < 0xF5:
            for b in range(64):
                at[1] = at[0]
                code = (a & 7) << 18 | b << 12
                if code < 0x110000 and walk_step(rules, &at[1], 0x80 | b):
                    for c in range(64):
                        at[2] = at[1]
                        if walk_step(rules, &at[2], 0x80 | c):
                            for d in range(64):
                                at[3] = at[2]
                                if walk_step(rules, &at[3], 0x80 | d):
                                    mark_range(special, code | c << 6 | d, 1)


cdef void mark_plain(const Rules* rules, uint8_t* plain) noexcept nogil:
    """Flag each ASCII character that nothing matches when another, or the end, follows."""
    cdef Walk first, second
    cdef uint32_t a, b
    for a in range(0x80):
        walk_start(rules, &first)
        plain[a] = True
        if not walk_step(rules, &first, a):
            continue
        plain[a] = not first.matched
        for b in range(0x80):
            second = first
            if walk_step(rules, &second, b):
                plain[a] = False
    plain[PRINTABLE] = True
    for a in range(0x20, 0x7F):
        plain[PRINTABLE] = plain[PRINTABLE] and plain[a]
