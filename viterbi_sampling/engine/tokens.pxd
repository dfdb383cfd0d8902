# The tokens of a path as the caller gets them: runs of unknown characters merged, or spelled in bytes.

from libc.stdint cimport int32_t, uint8_t

from viterbi_sampling.engine.buffer cimport Ints, reserve_ints
from viterbi_sampling.engine.utf8 cimport char_length

cdef enum Alias:                # what a token beyond those of the pieces and the unknown one stands for, if not for an id
    NO_TOKEN = -1               # the mark between two pre-tokens
    LITERAL_UNKNOWN = -2        # the unknown piece, spelled out in the text: it joins a run of unknown characters

cdef enum Run:                  # what `after_unknown` is after an unknown character
    IN_RUN = 1
    LITERAL = 2                 # the run is the unknown piece itself

cdef struct Spelling:           # what becomes of tokens, by model
    int32_t pieces              # the tokens below are ids
    const int32_t* aliases      # of each token from pieces + 1 on the id, or an Alias
    bint whole_runs             # of Hugging Face: a run of unknown characters is spelled as one
    bint runs_end_at_spaces     # a space begins a pre-token, so that no run goes on beyond it
    int32_t unknown             # the token of an unknown character inside the engine
    int32_t unknown_id          # its id outside, -1 where it has none
    bint byte_fallback          # its bytes are given instead
    bint escape_whitespaces     # a space in the engine is U+2581 outside
    int32_t byte_ids[256]

cdef struct Tokens:
    Ints ids
    Ints spans                  # with_spans: where each token begins and ends in the normalized text
    bint with_spans
    int after_unknown           # a Run
    size_t run_first            # the first token of that run, with whole_runs
    int32_t run_begin           # and where it begins


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


cdef inline bint add_bytes(Tokens* out, const Spelling* spelling, const uint8_t* text, int32_t begin,
                           int32_t end) noexcept nogil:
    """Spell text[begin:end], a part of a run, in bytes. All of them begin where the run does, which tells them later."""
    cdef int32_t i, k
    cdef uint8_t* visible_space = [0xE2, 0x96, 0x81]
    for i in range(begin, end):
        if spelling.escape_whitespaces and text[i] == 0x20:
            for k in range(3):
                if not add_token(out, spelling.byte_ids[visible_space[k]], out.run_begin, end):
                    return False
        elif not add_token(out, spelling.byte_ids[text[i]], out.run_begin, end):
            return False
    return True


cdef inline bint add_to_run(Tokens* out, const Spelling* spelling, const uint8_t* text, int32_t begin, int32_t end,
                            bint literal) noexcept nogil:
    """An unknown character, or the unknown piece spelled out, as tokenizers has them: a run of them is one token.

    With byte fallback a run is spelled in bytes, unless it is the unknown piece alone.
    """
    cdef bint first = not out.after_unknown or (spelling.runs_end_at_spaces and text[begin] == 0x20)
    if first:
        out.run_first = out.ids.size
        out.run_begin = begin
    if not spelling.byte_fallback or (first and literal):
        if first:
            out.after_unknown = LITERAL if literal else IN_RUN
            return add_token(out, spelling.unknown_id, begin, end)
        if out.with_spans:
            out.spans.data[out.spans.size - 1] = end
        return True
    if not first and out.after_unknown == LITERAL:
        out.ids.size = out.run_first
        if out.with_spans:
            out.spans.size -= 2
        if not add_bytes(out, spelling, text, out.run_begin, begin):
            return False
    out.after_unknown = IN_RUN
    return add_bytes(out, spelling, text, begin, end)


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
    out.after_unknown = IN_RUN
    return True


cdef inline bint add_other(Tokens* out, const Spelling* spelling, const uint8_t* text, int32_t token, int32_t begin,
                           int32_t end) noexcept nogil:
    """A token that is not the id of a piece. False without memory."""
    cdef int32_t id
    if token == spelling.unknown:
        if spelling.whole_runs:
            return add_to_run(out, spelling, text, begin, end, False)
        return add_unknown(out, spelling, text, begin, end)
    id = spelling.aliases[token - spelling.pieces - 1]
    if id == LITERAL_UNKNOWN:
        return add_to_run(out, spelling, text, begin, end, True)
    out.after_unknown = 0
    return id == NO_TOKEN or add_token(out, id, begin, end)


cdef inline bint add_unknown_run(Tokens* out, const Spelling* spelling, const uint8_t* text, int32_t begin,
                                 int32_t end) noexcept nogil:
    """Unknown characters, text[begin:end]. False without memory."""
    cdef int32_t next
    if not spelling.byte_fallback:
        # What would be merged is added at once.
        return add_other(out, spelling, text, spelling.unknown, begin, end)
    while begin < end:
        next = min(begin + char_length(text[begin]), end)
        if not add_other(out, spelling, text, spelling.unknown, begin, next):
            return False
        begin = next
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
        if token >= spelling.pieces:
            if not add_other(out, spelling, text, token, begin, end):
                return False
        else:
            out.after_unknown = 0
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
        out.after_unknown = 0
        return True
    for i in range(count):
        if tokens[i] >= spelling.pieces:
            end = begin + (char_length(text[begin]) if tokens[i] == spelling.unknown else lengths[tokens[i]])
            if not add_other(out, spelling, text, tokens[i], begin, end):
                return False
        else:
            end = begin + lengths[tokens[i]]
            out.after_unknown = 0
            if not add_token(out, tokens[i], begin, end):
                return False
        begin = end
    return True
