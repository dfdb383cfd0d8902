"""Results of many texts straight from the engine's arrays: messages in their wire format, and offset mappings.

protos.py has the messages as classes, field by field; those of whole corpora are too many for that.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.arrays cimport list_from, pairs_from
from viterbi_sampling.engine.buffer cimport Bytes, reserve_bytes
from viterbi_sampling.engine.pieces cimport PieceStrings

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

cdef enum:                      # field numbers and wire types
    TEXT_TAG = 0x0A             # of SentencePieceText: a string
    PIECES_TAG = 0x12           # messages
    PIECE_TAG = 0x0A            # of SentencePiece: a string
    ID_TAG = 0x10               # an integer
    SURFACE_TAG = 0x1A          # a string
    BEGIN_TAG = 0x20            # integers
    END_TAG = 0x28
    MOST_OVERHEAD = 64          # tags, sizes and integers of one piece


cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size


cdef inline void put_varint(Bytes* out, uint64_t value) noexcept nogil:
    while value > 0x7F:
        out.data[out.size] = <uint8_t>(value | 0x80)
        out.size += 1
        value >>= 7
    out.data[out.size] = <uint8_t>value
    out.size += 1


cdef inline void put_integer(Bytes* out, uint8_t tag, uint64_t value) noexcept nogil:
    out.data[out.size] = tag
    out.size += 1
    put_varint(out, value)


cdef inline void put_string(Bytes* out, uint8_t tag, const uint8_t* data, size_t size) noexcept nogil:
    put_integer(out, tag, size)
    if size:
        memcpy(out.data + out.size, data, size)
        out.size += size


cdef inline bint put_piece(Bytes* out, const uint8_t* piece, size_t piece_size, uint64_t id, const uint8_t* text, int32_t begin,
                           int32_t end, bint has_surface) noexcept nogil:
    """Add one piece; its surface is text[begin:end]. False without memory."""
    cdef size_t surface = end - begin
    cdef size_t size = (1 + varint_size(piece_size) + piece_size + 1 + varint_size(id) + 1 + varint_size(begin) + 1
                        + varint_size(end))
    if has_surface:
        size += 1 + varint_size(surface) + surface
    if not reserve_bytes(out, out.size + size + MOST_OVERHEAD):
        return False
    put_integer(out, PIECES_TAG, size)
    put_string(out, PIECE_TAG, piece, piece_size)
    put_integer(out, ID_TAG, id)
    if has_surface:
        put_string(out, SURFACE_TAG, text + begin, surface)
    put_integer(out, BEGIN_TAG, begin)
    put_integer(out, END_TAG, end)
    return True


cdef inline int following_bytes(uint8_t first) noexcept nogil:
    return 0 if first < 0xC0 else 1 if first < 0xE0 else 2 if first < 0xF0 else 3


cdef bytes message_of(Bytes* out, bytes text, list ids, list pieces, list spans, const int16_t[::1] byte_values):
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(text)
    cdef Py_ssize_t k
    cdef int64_t id, begin, end, length = PyBytes_GET_SIZE(text)
    cdef int following = 0
    cdef bytes piece
    if not reserve_bytes(out, length + MOST_OVERHEAD):
        raise MemoryError()
    put_string(out, TEXT_TAG, data, length)
    for k in range(len(ids)):
        id = ids[k]
        piece = pieces[k]
        begin, end = spans[k]
        if not 0 <= begin <= end <= length or not 0 <= id <= 0xFFFFFFFF:
            raise ValueError(f"token {k} has id {id} and span {begin} to {end}, in a text of {length} bytes")
        if id < byte_values.shape[0] and byte_values[id] >= 0:
            following = following - 1 if following else following_bytes(<uint8_t>byte_values[id])
        else:
            following = 0
        if not put_piece(out, <const uint8_t*>PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece), id, data,
                         <int32_t>begin, <int32_t>end, following == 0):
            raise MemoryError()
    return out.data[:out.size]


def serialize_tokens(bytes text not None, list ids not None, list pieces not None, list spans not None,
                     const int16_t[::1] byte_values not None):
    """The message of one text, from lists of its tokens' ids, pieces in UTF-8, and (begin, end) in bytes."""
    cdef Bytes out
    if not len(ids) == len(pieces) == len(spans):
        raise ValueError(f"{len(ids)} ids, {len(pieces)} pieces and {len(spans)} spans do not fit each other")
    memset(&out, 0, sizeof(Bytes))
    try:
        return message_of(&out, text, ids, pieces, spans, byte_values)
    finally:
        free(out.data)


def serialize(PieceStrings strings not None, list texts not None, const int32_t[::1] ids not None,
              const int64_t[::1] offsets not None, const int32_t[:, ::1] spans not None, list unknown not None,
              const int16_t[::1] byte_values not None):
    """One message a text: its tokens are ids[offsets[i]:offsets[i + 1]], `spans` where they lie in it, in bytes.

    `unknown`: the pieces of unknown tokens, in their order. `byte_values`: the byte that an id stands for, or -1; of
    the bytes that spell one character, the last has the surface. ValueError where these do not fit each other.
    """
    cdef Bytes out
    cdef Py_ssize_t row, at = 0
    cdef int64_t k
    cdef int32_t id, begin, end
    cdef int following
    cdef int64_t first, length
    cdef bytes text, piece
    cdef const uint8_t* data
    cdef const uint8_t* spelled
    cdef size_t size
    cdef list messages = []
    if offsets.shape[0] != len(texts) + 1 or spans.shape[0] != ids.shape[0] or spans.shape[1] != 2:
        raise ValueError("texts, ids, offsets and spans do not fit each other")
    if byte_values.shape[0] != len(strings):
        raise ValueError(f"byte_values must have {len(strings)} entries, got {byte_values.shape[0]}")
    memset(&out, 0, sizeof(Bytes))
    try:
        for row in range(len(texts)):
            text = texts[row]
            data = <const uint8_t*>PyBytes_AS_STRING(text)
            length = PyBytes_GET_SIZE(text)
            out.size = 0
            if not reserve_bytes(&out, length + MOST_OVERHEAD):
                raise MemoryError()
            put_string(&out, TEXT_TAG, data, length)
            following = 0
            if not 0 <= offsets[row] <= offsets[row + 1] <= ids.shape[0]:
                raise ValueError(f"offsets of row {row} are no bounds in {ids.shape[0]} ids")
            for k in range(offsets[row], offsets[row + 1]):
                id = ids[k]
                begin = spans[k, 0]
                end = spans[k, 1]
                if not 0 <= id < byte_values.shape[0] or not 0 <= begin <= end <= length:
                    raise ValueError(f"token {k} has id {id} and span {begin} to {end}, in a text of {length} bytes")
                if id == strings.unknown_id:
                    piece = unknown[at]
                    at += 1
                    spelled = <const uint8_t*>PyBytes_AS_STRING(piece)
                    size = PyBytes_GET_SIZE(piece)
                else:
                    first = strings.offsets[id]
                    size = strings.offsets[id + 1] - first
                    spelled = &strings.text[first] if size else NULL
                if byte_values[id] >= 0:
                    following = following - 1 if following else following_bytes(<uint8_t>byte_values[id])
                else:
                    following = 0
                if not put_piece(&out, spelled, size, id, data, begin, end, following == 0):
                    raise MemoryError()
            messages.append(out.data[:out.size])
    finally:
        free(out.data)
    return messages


def offset_mappings(PieceStrings strings not None, const int32_t[::1] ids not None, const int64_t[::1] offsets not None,
                    const int32_t[:, ::1] spans not None, list unknown not None, bint as_bytes):
    """One dict a text, of the ids, pieces and offsets of its tokens ids[offsets[i]:offsets[i + 1]].

    `unknown`: the pieces of unknown tokens, in their order. ValueError and IndexError where these do not fit each other.
    """
    cdef Py_ssize_t i
    cdef int64_t first, count
    cdef const int32_t* numbers = &ids[0] if ids.shape[0] else NULL
    cdef const int32_t* places = &spans[0, 0] if spans.shape[0] else NULL
    cdef list rows, mappings = []
    cdef int collects
    if spans.shape[0] != ids.shape[0] or spans.shape[1] != 2:
        raise ValueError(f"{ids.shape[0]} ids and spans of shape {spans.shape[0]}, {spans.shape[1]} do not fit each other")
    # None of these objects can be part of a cycle, and nothing else runs until all are made: the collector, which would
    # look at them again and again, can wait that long.
    collects = PyGC_Disable()
    try:
        rows = strings.rows(ids, offsets, unknown, as_bytes)
        for i in range(len(rows)):
            first = offsets[i]
            count = offsets[i + 1] - first
            mappings.append({
                "ids": list_from(numbers + first, count), "pieces": rows[i], "offsets": pairs_from(places + 2 * first, count)
            })
    finally:
        if collects:
            PyGC_Enable()
    return mappings
