"""From ids back to text, as sentencepiece 0.2.3 does it.

Pieces are joined, U+2581 becomes a space, the space that the normalizer put in front goes, control
pieces vanish, runs of byte pieces become characters (a byte that belongs to none becomes U+FFFD).
"""

from cpython.list cimport PyList_GET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.buffer cimport NO_MEMORY, OK, Bytes, reserve_bytes
from viterbi_sampling.engine.characters cimport Texts, add_text
from viterbi_sampling.engine.id_rows cimport IdRows, count_of, ids_of, not_an_id, small_int
from viterbi_sampling.engine.results cimport Results
from viterbi_sampling.engine.utf8 cimport decode
from viterbi_sampling.engine.workers cimport Worker, do_rows, raise_first

cdef enum:
    NOT_AN_ID = -100        # a status beside those of all rows
    TOKENS_AT_ONCE = 1 << 12
    BYTES_A_THREAD = 1 << 18
    TOKENS_WITH_LOCK = 1 << 12      # fewer are decoded before the interpreter lock would be given away

cdef enum Kind:
    TEXT = 0
    CONTROL = 1
    UNKNOWN = 2
    BYTE = 3
    SPACE_FIRST = 8         # a flag: the piece begins with U+2581

cdef enum:
    AT_HAND = 15            # bytes of a surface that lies in its record
    OTHER = 0xFF            # in place of the size of any other: a longer one, or a piece that is not spelled as it is

cdef struct Surface:        # of a piece: what most tokens need in one place, to be copied in one go
    uint8_t bytes[AT_HAND]
    uint8_t size

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
    cdef int64_t pieces
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
        self.pieces = self.kinds.shape[0]
        cdef Py_ssize_t i, size
        cdef const uint8_t[::1] source = self.text
        self.surfaces = <Surface*>calloc(self.kinds.shape[0] + 1, sizeof(Surface))
        if self.surfaces == NULL:
            raise MemoryError()
        for i in range(self.kinds.shape[0]):
            size = self.offsets[i + 1] - self.offsets[i]
            self.surfaces[i].size = <uint8_t>size if size <= AT_HAND and self.kinds[i] & 7 == TEXT else <uint8_t>OTHER
            if 0 < size <= AT_HAND:
                memcpy(self.surfaces[i].bytes, &source[self.offsets[i]], size)

    def __dealloc__(self):
        free(self.surfaces)

    def decode(self, IdRows rows not None, int num_threads=1):
        """The texts of rows of ids, as a list of str. ValueError where one is no id of the vocabulary."""
        cdef Results results = Results(rows, 1, False)
        cdef Texts texts = Texts(self.errors)
        cdef Decoding worker
        cdef int64_t total = rows.at_least(<int64_t>num_threads * BYTES_A_THREAD)
        workers = []
        for _ in range(max(1, min(<int64_t>num_threads, total // BYTES_A_THREAD))):
            worker = Decoding()
            worker.decoder = self
            worker.rows = rows
            worker.results = results
            workers.append(worker)
        do_rows(workers, results, &results.given_up, False, texts)
        raise_first(workers)
        return texts.all()

    def decode_list(self, list ids not None):
        """The text of a list of ids; None where one of them is no int from 0 to the last id of the vocabulary."""
        cdef Bytes out, queue
        cdef Py_ssize_t i, count = len(ids)
        cdef long id
        cdef int32_t* numbers = <int32_t*>malloc((count + 1) * sizeof(int32_t))
        cdef int status = OK
        memset(&out, 0, sizeof(Bytes))
        memset(&queue, 0, sizeof(Bytes))
        if numbers == NULL:
            raise MemoryError()
        try:
            for i in range(count):      # none of this runs any code of Python, which might change the list
                id = small_int(PyList_GET_ITEM(ids, i))
                if not 0 <= id < self.pieces:
                    return None
                numbers[i] = <int32_t>id
            if count < TOKENS_WITH_LOCK:
                status = self.decode_row(numbers, count, &queue, &out)
            else:
                with nogil:
                    status = self.decode_row(numbers, count, &queue, &out)
            if status != OK:
                raise MemoryError()
            return PyUnicode_DecodeUTF8(<const char*>out.data, out.size, <const char*>self.errors) if out.size else ""
        finally:
            free(numbers)
            free(out.data)
            free(queue.data)

    cdef int decode_row(self, const int32_t* ids, int64_t count, Bytes* queue, Bytes* out) noexcept nogil:
        """The text of ids, in UTF-8 unless pieces are not, in `out`. A Status, or NOT_AN_ID; `queue` is scratch."""
        cdef int64_t i = 0, begin, end
        cdef int32_t id
        cdef uint8_t kind
        cdef bint at_start = True, stripped
        cdef const uint8_t* surface = self.surface
        cdef size_t surface_size = self.surface_size
        out.size = queue.size = 0
        while i < count:
            if not at_start and queue.size == 0:
                end = min(count, i + TOKENS_AT_ONCE)
                if not reserve_bytes(out, out.size + (end - i) * sizeof(Surface)):
                    return NO_MEMORY
                i += self.copy_surfaces(ids + i, end - i, out)
                if i == end:
                    continue
            id = ids[i]
            if not 0 <= id < self.pieces:
                return NOT_AN_ID
            i += 1
            kind = self.kinds[id] & 7
            if kind == BYTE:
                if not append(queue, &self.byte_values[id], 1):
                    return NO_MEMORY
                continue
            if queue.size and not end_bytes(queue, out):
                return NO_MEMORY
            at_start = at_start and out.size == 0
            if kind == CONTROL:
                continue
            begin = self.offsets[id]
            end = self.offsets[id + 1]
            stripped = at_start and self.strip_first and self.kinds[id] & SPACE_FIRST
            if kind == UNKNOWN:
                if not append(out, surface, surface_size):
                    return NO_MEMORY
            else:
                begin += stripped
                if begin < end and not append(out, &self.text[begin], end - begin):
                    return NO_MEMORY
            if (stripped and not self.strip_all) or out.size:
                at_start = False
        return OK if end_bytes(queue, out) else NO_MEMORY

    cdef inline int64_t copy_surfaces(self, const int32_t* ids, int64_t count, Bytes* out) noexcept nogil:
        """Add what is spelled as it is, up to the first id that is not: how many. There is room for all."""
        cdef const Surface* surfaces = self.surfaces
        cdef uint64_t pieces = self.pieces, id
        cdef const Surface* piece
        cdef uint8_t* to = out.data + out.size
        cdef int64_t i = 0
        while i < count:
            id = <uint64_t>ids[i]
            if id >= pieces:
                break
            piece = surfaces + id
            if piece.size == OTHER:
                break
            memcpy(to, piece, sizeof(Surface))      # what is too much is overwritten
            to += piece.size
            i += 1
        out.size = to - out.data
        return i


cdef class Decoding(Worker):
    """What one thread needs to decode rows of ids."""

    cdef Decoder decoder
    cdef IdRows rows
    cdef Bytes text
    cdef Bytes queue

    def __dealloc__(self):
        free(self.text.data)
        free(self.queue.data)

    def raise_for_status(self):
        """Raise what went wrong, if anything did."""
        if self.status == NOT_AN_ID:
            raise not_an_id(self.rows, self.failed_row)
        Worker.raise_for_status(self)

    cdef int run_row(self, Py_ssize_t row) noexcept nogil:
        cdef int status = self.decoder.decode_row(ids_of(self.rows, row), count_of(self.rows, row), &self.queue, &self.text)
        if status == OK and not add_text(&self.made.text, self.text.data, self.text.size):
            status = NO_MEMORY
        return status
