# A text that is rewritten step by step, and where each of its bytes comes from.

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport Bytes, Ints, reserve_bytes, reserve_ints
from viterbi_sampling.engine.utf8 cimport char_length

cdef struct View:               # a text as it is now
    const uint8_t* text
    size_t size
    const int32_t* origins      # a begin and an end for each byte, or NULL where nobody asks

cdef struct Text:               # what a step writes
    Bytes bytes
    Ints origins

cdef struct Writer:             # a step at work: `aligned.Aligned.transform` says what the numbers of changes mean
    View source
    Text* target
    int32_t shift               # where the text begins that all this comes from
    size_t at                   # the source has been used up to here, as far as alignments go
    int last_size               # bytes of the last character that was written; 0: none yet
    bint last_inserted


cdef inline void text_free(Text* text) noexcept nogil:
    free(text.bytes.data)
    free(text.origins.data)


cdef inline bint room(Writer* w, size_t size) noexcept nogil:
    return (reserve_bytes(&w.target.bytes, w.target.bytes.size + size + 8)
            and (w.source.origins == NULL or reserve_ints(&w.target.origins, w.target.origins.size + 2 * size + 16)))


cdef inline void writer_start(Writer* w, const View* source, Text* target, int32_t shift) noexcept nogil:
    w.source = source[0]
    w.target = target
    w.shift = shift
    w.at = 0
    w.last_size = 0
    w.last_inserted = False
    target.bytes.size = 0
    target.origins.size = 0
    room(w, source.size)    # most often enough; where there is no memory, whoever writes will see it


cdef inline void writer_view(const Writer* w, View* view) noexcept nogil:
    """What was written is the text now."""
    view.text = w.target.bytes.data
    view.size = w.target.bytes.size
    view.origins = w.target.origins.data if w.source.origins != NULL else NULL


cdef inline bint copy_aligned(Writer* w, const uint8_t* data, size_t size, int32_t begin, int32_t end) noexcept nogil:
    """Write bytes that come from one place. False without memory."""
    cdef size_t i
    cdef int32_t* origins
    if not room(w, size):
        return False
    if size == 0:
        return True     # of nothing there may be no memory to copy from
    memcpy(w.target.bytes.data + w.target.bytes.size, data, size)
    w.target.bytes.size += size
    if w.source.origins != NULL:
        origins = w.target.origins.data + w.target.origins.size
        for i in range(size):
            origins[2 * i] = begin
            origins[2 * i + 1] = end
        w.target.origins.size += 2 * size
    return True


cdef inline void pass_over(Writer* w, int32_t count) noexcept nogil:
    """So many characters of the source are used up."""
    while count > 0 and w.at < w.source.size:
        w.at += char_length(w.source.text[w.at])
        count -= 1


cdef inline bint write(Writer* w, const uint8_t* character, int size, int32_t change) noexcept nogil:
    """Write one character with its change. False without memory."""
    cdef int32_t begin = w.shift, end = w.shift
    cdef size_t place
    if w.source.origins != NULL:
        if change > 0:
            if w.at:
                begin = w.source.origins[2 * w.at - 2]
                end = w.source.origins[2 * w.at - 1]
        else:
            place = w.at if w.at < w.source.size else w.source.size - 1
            begin = w.source.origins[2 * place]
            end = w.source.origins[2 * place + 1]
            pass_over(w, 1 - change)
        w.last_inserted = change > 0
        w.last_size = size
    else:
        w.last_size = size
    return copy_aligned(w, character, size, begin, end)


cdef inline void drop_with_last(Writer* w, int32_t count) noexcept nogil:
    """So many characters go with the last one written; before the first one this is not accounted for."""
    cdef int32_t* origins
    cdef int i
    if w.source.origins == NULL or w.last_size == 0 or count == 0:
        return
    if w.last_inserted and w.at < w.source.size:
        origins = w.target.origins.data + w.target.origins.size - 2 * w.last_size
        for i in range(w.last_size):
            origins[2 * i] = w.source.origins[2 * w.at]
            origins[2 * i + 1] = w.source.origins[2 * w.at + 1]
        w.last_inserted = False
    pass_over(w, count)


cdef inline bint copy_unchanged(Writer* w, size_t begin, size_t end) noexcept nogil:
    """Write source.text[begin:end], whole characters, each in its own place. False without memory."""
    cdef int size
    if begin == end:
        return True
    if w.source.origins == NULL or w.at == begin:
        if not room(w, end - begin):
            return False
        memcpy(w.target.bytes.data + w.target.bytes.size, w.source.text + begin, end - begin)
        w.target.bytes.size += end - begin
        w.last_size = 1
        if w.source.origins != NULL:
            memcpy(w.target.origins.data + w.target.origins.size, w.source.origins + 2 * begin,
                   2 * (end - begin) * sizeof(int32_t))
            w.target.origins.size += 2 * (end - begin)
            w.at = end
            w.last_inserted = False
        return True
    while begin < end:
        size = char_length(w.source.text[begin])
        if not write(w, w.source.text + begin, size, 0):
            return False
        begin += size
    return True


cdef inline int encode(uint32_t code, uint8_t* out) noexcept nogil:
    """The UTF-8 of a code point, up to four bytes; their number."""
    if code < 0x80:
        out[0] = <uint8_t>code
        return 1
    if code < 0x800:
        out[0] = <uint8_t>(0xC0 | code >> 6)
        out[1] = <uint8_t>(0x80 | code & 0x3F)
        return 2
    if code < 0x10000:
        out[0] = <uint8_t>(0xE0 | code >> 12)
        out[1] = <uint8_t>(0x80 | code >> 6 & 0x3F)
        out[2] = <uint8_t>(0x80 | code & 0x3F)
        return 3
    out[0] = <uint8_t>(0xF0 | code >> 18)
    out[1] = <uint8_t>(0x80 | code >> 12 & 0x3F)
    out[2] = <uint8_t>(0x80 | code >> 6 & 0x3F)
    out[3] = <uint8_t>(0x80 | code & 0x3F)
    return 4


cdef inline bint is_white(uint32_t c) noexcept nogil:
    """Unicode's White_Space."""
    if c < 0x80:
        return c == 0x20 or 9 <= c <= 13
    return (c == 0x85 or c == 0xA0 or c == 0x1680 or 0x2000 <= c <= 0x200A or c == 0x2028 or c == 0x2029 or c == 0x202F
            or c == 0x205F or c == 0x3000)
