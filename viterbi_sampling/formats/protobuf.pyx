"""A bounded reader of the protocol-buffers wire format: only what a model file needs.

Every length is checked against the end of its message, nesting is limited, and nothing is copied
before it is checked. Numbers in errors are byte positions in the message.
Source: the encoding chapter of the Protocol Buffers documentation.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from viterbi_sampling.errors import ModelError

cdef enum:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    START_GROUP = 3
    END_GROUP = 4
    FIXED32 = 5
    MAX_GROUPS = 100
    USUAL_BYTES = 8         # of the message of a piece, at least

cdef struct Field:
    uint32_t number
    uint32_t wire_type
    uint64_t value          # of VARINT, FIXED32 and FIXED64
    const uint8_t* data     # of LENGTH
    size_t size

cdef struct Cursor:
    const uint8_t* start
    const uint8_t* at
    const uint8_t* end


cdef inline bint read_varint(Cursor* cursor, uint64_t* value) noexcept nogil:
    cdef uint64_t result = 0
    cdef uint8_t byte
    cdef int shift = 0
    while cursor.at < cursor.end and shift < 70:
        byte = cursor.at[0]
        cursor.at += 1
        if shift < 64:
            result |= (<uint64_t>(byte & 0x7F)) << shift
        if byte < 0x80:
            value[0] = result
            return True
        shift += 7
    return False


cdef bint read_field(Cursor* cursor, Field* field) noexcept nogil:
    """The next field that is not a group; False where the message is broken. Groups are skipped."""
    cdef uint64_t tag, size
    cdef int depth = 0
    while True:
        if not read_varint(cursor, &tag) or tag >> 32 or tag >> 3 == 0:
            return False
        field.number = <uint32_t>(tag >> 3)
        field.wire_type = <uint32_t>(tag & 7)
        field.data = NULL
        field.size = 0
        field.value = 0
        if field.wire_type == VARINT:
            if not read_varint(cursor, &field.value):
                return False
        elif field.wire_type == LENGTH:
            if not read_varint(cursor, &size) or size > <uint64_t>(cursor.end - cursor.at):
                return False
            field.data = cursor.at
            field.size = <size_t>size
            cursor.at += size
        elif field.wire_type == FIXED32:
            if cursor.end - cursor.at < 4:
                return False
            field.value = (<uint64_t>cursor.at[0] | <uint64_t>cursor.at[1] << 8
                           | <uint64_t>cursor.at[2] << 16 | <uint64_t>cursor.at[3] << 24)
            cursor.at += 4
        elif field.wire_type == FIXED64:
            if cursor.end - cursor.at < 8:
                return False
            cursor.at += 8
        elif field.wire_type == START_GROUP:
            depth += 1
            if depth > MAX_GROUPS:
                return False
        elif field.wire_type == END_GROUP:
            depth -= 1
            if depth < 0:
                return False
            if depth == 0:
                field.number = 0    # nothing that a caller would take for one of its fields
                return True
        else:
            return False
        if depth == 0:
            return True


def fields(const uint8_t[::1] message, str name):
    """Yield (number, value) for each varint, 32-bit and length-delimited field of `message`.

    A value is an int (32-bit fields: their bits) or bytes. ModelError names `name` and the byte.
    """
    cdef Cursor cursor
    cdef Field field
    cdef const uint8_t* before
    found = []
    if message.shape[0] == 0:
        return found
    cursor.start = cursor.at = &message[0]
    cursor.end = cursor.start + message.shape[0]
    while cursor.at < cursor.end:
        before = cursor.at
        if not read_field(&cursor, &field):
            raise ModelError(f"{name} is broken or truncated at its byte {before - cursor.start}")
        if field.wire_type == LENGTH:
            found.append((field.number, field.data[:field.size]))
        elif field.wire_type == VARINT or field.wire_type == FIXED32:
            found.append((field.number, field.value))
    return found


def read_pieces(const uint8_t[::1] message, uint32_t number):
    """The vocabulary of a sentencepiece ModelProto, and the positions of its other messages.

    `number` is the field of the pieces. Returns (text: bytes, offsets: int64, scores: float32,
    types: uint8, others: list of (number, bytes)); others holds the remaining length-delimited
    fields in the order of the file.
    """
    cdef Cursor cursor, inner
    cdef Field field, part
    cdef const uint8_t* before
    # Room that is not touched takes no memory: it is enough for all but the shortest pieces.
    cdef Py_ssize_t count = 0, capacity = message.shape[0] // USUAL_BYTES + 1
    cdef size_t used = 0
    cdef uint32_t bits
    cdef const uint8_t* piece
    cdef size_t piece_size
    if message.shape[0] == 0:
        return b"", np.zeros(1, np.int64), np.zeros(0, np.float32), np.zeros(0, np.uint8), []
    # The pieces of a message are together no longer than the message.
    text = np.empty(message.shape[0], np.uint8)
    cdef uint8_t[::1] text_view = text
    offsets = np.empty(capacity + 1, np.int64)
    scores = np.empty(capacity, np.uint32)
    types = np.empty(capacity, np.uint8)
    cdef int64_t[::1] offset_view = offsets
    cdef uint32_t[::1] score_view = scores
    cdef uint8_t[::1] type_view = types
    others = []
    cursor.start = cursor.at = &message[0]
    cursor.end = cursor.start + message.shape[0]
    offset_view[0] = 0
    while cursor.at < cursor.end:
        before = cursor.at
        if not read_field(&cursor, &field):
            raise ModelError(f"the model is broken or truncated at byte {before - cursor.start} of {message.shape[0]}, "
                             f"after {count} pieces")
        if field.wire_type != LENGTH:
            continue
        if field.number != number:
            others.append((field.number, field.data[:field.size]))
            continue
        if count == capacity:
            capacity *= 2
            offsets = np.concatenate([offsets, np.empty(capacity - count, np.int64)])
            scores = np.concatenate([scores, np.empty(capacity - count, np.uint32)])
            types = np.concatenate([types, np.empty(capacity - count, np.uint8)])
            offset_view = offsets
            score_view = scores
            type_view = types
        inner.start = inner.at = field.data
        inner.end = field.data + field.size
        piece = NULL
        piece_size = 0
        bits = 0
        type_view[count] = 1
        while inner.at < inner.end:
            before = inner.at
            if not read_field(&inner, &part):
                raise ModelError(f"piece {count} is broken or truncated at byte {before - cursor.start} of the model")
            if part.number == 1 and part.wire_type == LENGTH:
                piece = part.data
                piece_size = part.size
            elif part.number == 2 and part.wire_type == FIXED32:
                bits = <uint32_t>part.value
            elif part.number == 3 and part.wire_type == VARINT and 1 <= part.value <= 6:
                type_view[count] = <uint8_t>part.value
        if piece_size:
            memcpy(&text_view[used], piece, piece_size)
        used += piece_size
        score_view[count] = bits
        count += 1
        offset_view[count] = used
    # What was not needed is given back; nothing looks at it any more.
    offset_view = None
    score_view = None
    type_view = None
    offsets.resize(count + 1, refcheck=False)
    scores.resize(count, refcheck=False)
    types.resize(count, refcheck=False)
    return text[:used].tobytes(), offsets, scores.view(np.float32), types, others
