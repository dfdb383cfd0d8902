# The tokens of a path as the caller gets them: runs of unknown characters merged, or spelled in bytes.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints, reserve_ints
from viterbi_sampling.engine.utf8 cimport char_length

cdef struct Spelling:           # what becomes of tokens, by model
    int32_t unknown             # the token of an unknown character inside the engine
    int32_t unknown_id          # its id outside, -1 where it has none
    bint byte_fallback          # its bytes are given instead
    bint escape_whitespaces     # a space in the engine is U+2581 outside
    int32_t byte_ids[256]

cdef struct Tokens:
    Ints ids
    Ints spans                  # with_spans: where each token begins and ends in the normalized text
    bint with_spans
    bint after_unknown


cdef inline bint add_token(Tokens* out, int32_t id, int32_t begin, int32_t end) noexcept nogil:
    if not reserve_ints(&out.ids, out.ids.size + 1):
        return False
    out.ids.data[out.ids.size] = id
    out.ids.size += 1
    if out.with_spans:
        if not reserve_ints(&out.spans, out.spans.size + 2):
            return False
        out.spans.data[out.spans.size] = begin
        out.spans.data[out.spans.size + 1] = end
        out.spans.size += 2
    return True


cdef inline bint add_unknown(Tokens* out, const Spelling* spelling, const uint8_t* text,
                             int32_t begin, int32_t end) noexcept nogil:
    """One unknown character, text[begin:end]. False without memory.

    Of the bytes that spell it the last one has its span, the others an empty one, as in sentencepiece.
    """
    cdef int32_t i
    cdef uint8_t* visible_space = [0xE2, 0x96, 0x81]
    cdef const uint8_t* spelled = text + begin
    cdef int32_t size = end - begin
    if spelling.byte_fallback:
        if spelling.escape_whitespaces and size == 1 and spelled[0] == 0x20:
            spelled = visible_space
            size = 3
        for i in range(size):
            if not add_token(out, spelling.byte_ids[spelled[i]], begin, end if i == size - 1 else begin):
                return False
    elif out.after_unknown:
        if out.with_spans:
            out.spans.data[out.spans.size - 1] = end
    elif not add_token(out, spelling.unknown_id, begin, end):
        return False
    out.after_unknown = True
    return True


cdef inline bint add_path(Tokens* out, const Spelling* spelling, const uint8_t* text, const int32_t* path,
                          size_t count, int32_t begin) noexcept nogil:
    """Add the tokens of a path that begins at `begin`. False without memory.

    `path` holds (token, end) pairs, the last token first, as a walk backwards finds them.
    """
    cdef int32_t token, end
    cdef size_t k = count
    if not reserve_ints(&out.ids, out.ids.size + count):
        return False
    while k:
        k -= 1
        token = path[2 * k]
        end = path[2 * k + 1]
        if token == spelling.unknown:
            if not add_unknown(out, spelling, text, begin, end):
                return False
        else:
            out.after_unknown = False
            if not add_token(out, token, begin, end):
                return False
        begin = end
    return True


cdef inline bint add_tokens(Tokens* out, const Spelling* spelling, const int32_t* lengths, const uint8_t* text,
                            int32_t begin, const int32_t* tokens, int32_t count, bint has_unknown) noexcept nogil:
    """Add the tokens of a path that begins at `begin`, in the order of the text. False without memory."""
    cdef int32_t i, end
    if not out.with_spans and not has_unknown:
        if not reserve_ints(&out.ids, out.ids.size + count):
            return False
        for i in range(count):
            out.ids.data[out.ids.size + i] = tokens[i]
        out.ids.size += count
        out.after_unknown = False
        return True
    for i in range(count):
        if tokens[i] == spelling.unknown:
            end = begin + char_length(text[begin])
            if not add_unknown(out, spelling, text, begin, end):
                return False
        else:
            end = begin + lengths[tokens[i]]
            out.after_unknown = False
            if not add_token(out, tokens[i], begin, end):
                return False
        begin = end
    return True
