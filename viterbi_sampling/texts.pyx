"""The texts of a call as rows for the engine: str through its UTF-8 view, bytes in place, nothing copied."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_GET_LENGTH
from libc.stdint cimport uint8_t

from viterbi_sampling.engine.rows cimport Rows

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL


def rows_of(texts not None):
    """Rows of a sequence of str and UTF-8 bytes; str and bytes may be mixed.

    TypeError names the row and its type. A str that holds a lone surrogate, which has no UTF-8,
    is a UnicodeEncodeError.
    """
    cdef Rows rows = Rows()
    cdef Py_ssize_t i, size
    cdef tuple items = tuple(texts)     # a list of our own: the caller may change theirs meanwhile
    rows.allocate(len(items))
    rows.owner = items
    for i in range(rows.count):
        text = items[i]
        if isinstance(text, str):
            rows.data[i] = <const uint8_t*>PyUnicode_AsUTF8AndSize(text, &size)
            rows.in_characters[i] = PyUnicode_GET_LENGTH(text) != size
        elif isinstance(text, bytes):
            rows.data[i] = <const uint8_t*>PyBytes_AS_STRING(text)
            size = PyBytes_GET_SIZE(text)
        else:
            raise TypeError(f"row {i} of texts must be str or UTF-8 bytes, not {type(text).__name__}")
        rows.sizes[i] = size
        rows.total += size
    return rows
