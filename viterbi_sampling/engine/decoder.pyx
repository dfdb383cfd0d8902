"""From ids back to text, as sentencepiece 0.2.3 does it.

Pieces are joined, U+2581 becomes a space, the space that the normalizer put in front goes, control
pieces vanish, runs of byte pieces become characters (a byte that belongs to none becomes U+FFFD).
"""

from cpython.list cimport PyList_GET_ITEM
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport Bytes, reserve_bytes
from viterbi_sampling.engine.utf8 cimport decode

cdef enum:
    BYTES_AT_ONCE = 1 << 19
    ROWS_AT_ONCE = 4096

cdef enum Kind:
    TEXT = 0
    CONTROL = 1
    UNKNOWN = 2
    BYTE = 3
    SPACE_FIRST = 8         # a flag: the piece begins with U+2581

cdef enum:
    AT_HAND = 14            # bytes of a surface that lies in its record
    LONG = 0xFF             # in place of the size of a longer one

cdef struct Surface:        # of a piece: what most tokens need in one place, to be copied in one go
    uint8_t bytes[AT_HAND]
    uint8_t size
    uint8_t kind

cdef const uint8_t* REPLACEMENT_CHARACTER = b"\xef\xbf\xbd"


cdef bint append(Bytes* out, const uint8_t* data, size_t size) noexcept nogil:
    if not reserve_bytes(out, out.size + size):
        return False
    memcpy(out.data + out.size, data, size)
    out.size += size
    return True


cdef bint end_bytes(Bytes* queue, Bytes* out) noexcept nogil:
    """Append the queued bytes as characters; False without memory."""
    cdef size_t at = 0
    cdef int used
    cdef uint32_t codepoint
    while at < queue.size:
        used = decode(queue.data + at, queue.size - at, &codepoint)
        if used:
            if not append(out, queue.data + at, used):
                return False
            at += used
        else:
            if not append(out, REPLACEMENT_CHARACTER, 3):
                return False
            at += 1
    queue.size = 0
    return True


cdef class Decoder:
    """The surfaces of a vocabulary. Immutable; any number of threads may use it."""

    cdef const uint8_t[::1] text        # of all pieces, U+2581 spelled as a space
    cdef const int64_t[::1] offsets
    cdef const uint8_t[::1] kinds
    cdef const uint8_t[::1] byte_values # of BYTE pieces
    cdef Surface* surfaces
    cdef bytes unknown_surface
    cdef const uint8_t* surface         # its bytes
    cdef size_t surface_size
    cdef bytes errors
    cdef bint strip_first               # the space in front of a text is not the text's
    cdef bint strip_all                 # nor is any other before its first character

    def __init__(self, text, offsets, kinds, byte_values, bytes unknown_surface not None, bint strip_first, bint strip_all,
                 str errors="strict"):
        """`errors`: what becomes of bytes that are not UTF-8, which pieces of bytewise models can hold."""
        self.text = text
        self.offsets = offsets
        self.kinds = kinds
        self.byte_values = byte_values
        self.unknown_surface = unknown_surface
        self.surface = unknown_surface
        self.surface_size = len(unknown_surface)
        self.strip_first = strip_first
        self.strip_all = strip_all
        self.errors = errors.encode()
        cdef Py_ssize_t i, size
        cdef const uint8_t[::1] source = self.text
        self.surfaces = <Surface*>calloc(self.kinds.shape[0] + 1, sizeof(Surface))
        if self.surfaces == NULL:
            raise MemoryError()
        for i in range(self.kinds.shape[0]):
            size = self.offsets[i + 1] - self.offsets[i]
            self.surfaces[i].kind = self.kinds[i]
            self.surfaces[i].size = <uint8_t>size if size <= AT_HAND else <uint8_t>LONG
            if 0 < size <= AT_HAND:
                memcpy(self.surfaces[i].bytes, &source[self.offsets[i]], size)

    def __dealloc__(self):
        free(self.surfaces)

    def decode(self, const int32_t[::1] ids, const int64_t[::1] bounds):
        """The texts of rows ids[bounds[i]:bounds[i + 1]], as a list of str. The ids have been checked.

        The interpreter lock is given away once for some thousand bytes of text, so that threads can take turns.
        """
        cdef Bytes out, queue
        cdef Py_ssize_t row = 0, first, count = bounds.shape[0] - 1
        cdef int64_t begin, end
        cdef size_t ends[ROWS_AT_ONCE]
        cdef bint fits = True
        cdef const char* errors = self.errors
        cdef list texts = []
        memset(&out, 0, sizeof(Bytes))
        memset(&queue, 0, sizeof(Bytes))
        try:
            while row < count:
                first = row
                out.size = 0
                with nogil:
                    while fits and row < count and row - first < ROWS_AT_ONCE and out.size < BYTES_AT_ONCE:
                        begin = bounds[row]
                        end = bounds[row + 1]
                        fits = self.decode_row(&ids[0] + begin if begin < end else NULL, end - begin, &queue, &out)
                        ends[row - first] = out.size
                        row += 1
                if not fits:
                    raise MemoryError()
                begin = 0
                for k in range(row - first):
                    end = <int64_t>ends[k]
                    texts.append(PyUnicode_DecodeUTF8(<const char*>out.data + begin, end - begin, errors)
                                 if begin < end else "")
                    begin = end
        finally:
            free(out.data)
            free(queue.data)
        return texts

    def decode_list(self, list ids not None):
        """The text of a list of ids; None where one of them is no int from 0 to the last id of the vocabulary."""
        cdef Bytes out, queue
        cdef Py_ssize_t i, count = len(ids)
        cdef int64_t pieces = self.offsets.shape[0] - 1
        cdef long number
        cdef int overflow
        cdef int32_t* numbers = <int32_t*>malloc((count + 1) * sizeof(int32_t))
        cdef bint fits
        memset(&out, 0, sizeof(Bytes))
        memset(&queue, 0, sizeof(Bytes))
        if numbers == NULL:
            raise MemoryError()
        try:
            for i in range(count):      # none of this runs any code of Python, which might change the list
                if not PyLong_CheckExact(<object>PyList_GET_ITEM(ids, i)):
                    return None
                number = PyLong_AsLongAndOverflow(<object>PyList_GET_ITEM(ids, i), &overflow)
                if overflow or not 0 <= number < pieces:
                    return None
                numbers[i] = <int32_t>number
            fits = self.decode_row(numbers, count, &queue, &out)
            if not fits:
                raise MemoryError()
            return PyUnicode_DecodeUTF8(<const char*>out.data, out.size, NULL) if out.size else ""
        finally:
            free(numbers)
            free(out.data)
            free(queue.data)

    cdef bint decode_row(self, const int32_t* ids, int64_t count, Bytes* queue, Bytes* out) noexcept nogil:
        cdef int64_t i, begin, end
        cdef int32_t id
        cdef uint8_t kind
        cdef const Surface* piece
        cdef bint at_start = True, stripped
        cdef size_t start = out.size
        cdef const uint8_t* surface = self.surface
        cdef size_t surface_size = self.surface_size
        for i in range(count):
            id = ids[i]
            piece = &self.surfaces[id]
            if piece.kind & 7 == TEXT and piece.size != LONG and not at_start and queue.size == 0:
                # All of the record is copied; what is too much is overwritten.
                if not reserve_bytes(out, out.size + sizeof(Surface)):
                    return False
                memcpy(out.data + out.size, piece, sizeof(Surface))
                out.size += piece.size
                continue
            kind = self.kinds[id] & 7
            if kind == BYTE:
                if not append(queue, &self.byte_values[id], 1):
                    return False
                continue
            if queue.size and not end_bytes(queue, out):
                return False
            at_start = at_start and out.size == start
            if kind == CONTROL:
                continue
            begin = self.offsets[id]
            end = self.offsets[id + 1]
            stripped = at_start and self.strip_first and self.kinds[id] & SPACE_FIRST
            if kind == UNKNOWN:
                if not append(out, surface, surface_size):
                    return False
            else:
                begin += stripped
                if begin < end and not append(out, &self.text[begin], end - begin):
                    return False
            if (stripped and not self.strip_all) or out.size > start:
                at_start = False
        return end_bytes(queue, out)
