"""The pieces of a vocabulary as Python strings, shared by all results: making them anew would take most of the time."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_GET_ITEM, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsSsize_t
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t

from viterbi_sampling.model import spelled


cdef class PieceStrings:
    """The pieces of a vocabulary, each a str or bytes made when it is first asked for.

    Any number of threads may use it: what two of them make at the same time is equal.
    """

    def __init__(self, const uint8_t[::1] text not None, const int64_t[::1] offsets not None, int32_t unknown_id):
        """Piece i is text[offsets[i]:offsets[i + 1]], as a str `spelled`; unknown tokens, id `unknown_id`, spell what they cover."""
        if offsets.shape[0] == 0 or offsets[0] < 0 or offsets[offsets.shape[0] - 1] > text.shape[0]:
            raise ValueError(f"offsets must lie within the {text.shape[0]} bytes of the text")
        self.text = text
        self.offsets = offsets
        self.unknown_id = unknown_id
        self.strings = [None] * (offsets.shape[0] - 1)
        self.spelled = [None] * (offsets.shape[0] - 1)

    def __len__(self):
        return len(self.strings)

    def __getitem__(self, Py_ssize_t id):
        if not 0 <= id < len(self.strings):
            raise IndexError(f"id must be 0 to {len(self.strings) - 1}, got {id}")
        piece = self.strings[id]
        return self.make(<int32_t>id, False) if piece is None else piece

    cdef object make(self, int32_t id, bint as_bytes):
        cdef int64_t begin = self.offsets[id], size = self.offsets[id + 1] - begin
        cdef const char* start = NULL
        if size > 0:
            start = <const char*>&self.text[begin]
        if as_bytes:
            self.spelled[id] = PyBytes_FromStringAndSize(start, size)
            return self.spelled[id]
        try:
            self.strings[id] = PyUnicode_DecodeUTF8(start, size, NULL) if size else ""
        except UnicodeDecodeError:      # a piece of a bytewise model
            self.strings[id] = spelled(PyBytes_FromStringAndSize(start, size))
        return self.strings[id]

    cdef list of(self, const int32_t* ids, size_t count, bint as_bytes, list unknown, Py_ssize_t at):
        cdef list known = self.spelled if as_bytes else self.strings
        cdef list pieces = PyList_New(count)
        cdef size_t i
        for i in range(count):
            if ids[i] == self.unknown_id:
                piece = unknown[at]
                at += 1
                if not as_bytes:
                    piece = (<bytes>piece).decode("utf-8")
            else:
                piece = <object>PyList_GET_ITEM(known, ids[i])
                if piece is None:
                    piece = self.make(ids[i], as_bytes)
            Py_INCREF(piece)
            PyList_SET_ITEM(pieces, i, piece)
        return pieces

    def pieces(self, list ids not None, bint as_bytes=False):
        """The pieces of a list of ids, None where the unknown one is among them: its piece lies in the text."""
        cdef list known = self.spelled if as_bytes else self.strings
        cdef Py_ssize_t size = len(known), count = len(ids), i, id
        cdef list pieces = PyList_New(count)
        for i in range(count):
            id = PyLong_AsSsize_t(<object>PyList_GET_ITEM(ids, i))
            if id == self.unknown_id:
                return None
            if not 0 <= id < size:
                raise IndexError(f"ids[{i}] must be 0 to {size - 1}, got {id}")
            piece = <object>PyList_GET_ITEM(known, id)
            if piece is None:
                piece = self.make(<int32_t>id, as_bytes)
            Py_INCREF(piece)
            PyList_SET_ITEM(pieces, i, piece)
        return pieces

    def rows(self, const int32_t[::1] ids, const int64_t[::1] offsets, list unknown not None, bint as_bytes):
        """The pieces of rows ids[offsets[i]:offsets[i + 1]]; `unknown` are those of unknown tokens, in their order."""
        cdef Py_ssize_t i, k, count, at = 0, size = len(self.strings), wanted = 0
        cdef const int32_t* data = &ids[0] if ids.shape[0] else NULL
        cdef list rows = []
        for k in range(ids.shape[0]):
            if not 0 <= ids[k] < size:
                raise IndexError(f"ids[{k}] must be 0 to {size - 1}, got {ids[k]}")
            wanted += ids[k] == self.unknown_id
        if wanted != len(unknown):
            raise ValueError(f"{wanted} ids are the unknown one, but {len(unknown)} pieces were given for them")
        for i in range(offsets.shape[0] - 1):
            if not 0 <= offsets[i] <= offsets[i + 1] <= ids.shape[0]:
                raise IndexError(f"offsets[{i}:{i + 2}] = {offsets[i]}, {offsets[i + 1]} are no bounds in {ids.shape[0]} ids")
            count = offsets[i + 1] - offsets[i]
            rows.append(self.of(data + offsets[i], count, as_bytes, unknown, at))
            if wanted:
                for k in range(offsets[i], offsets[i + 1]):
                    at += ids[k] == self.unknown_id
        return rows
