"""Lines of a file as texts, and ids as lines of a file: no Python object a line."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr

from viterbi_sampling.engine.rows cimport Rows


cdef class Memory:
    """Holds the memory of an object that has the buffer protocol."""

    cdef Py_buffer buffer
    cdef bint held

    def __init__(self, data):
        PyObject_GetBuffer(data, &self.buffer, PyBUF_SIMPLE)
        self.held = True

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.buffer)


cdef const uint8_t* end_of_line(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """The newline that ends the line at `at`, or the end of the data."""
    cdef const uint8_t* found = <const uint8_t*>memchr(at, 10, end - at)
    return end if found == NULL else found


cdef bint is_blank(const uint8_t* at, const uint8_t* end) noexcept nogil:
    while at < end and at[0] in (9, 10, 13, 32):
        at += 1
    return at == end


def count_lines(data, bint skip_blank=False):
    """How many lines `data` has, each ended by a newline or by the end; those of white space may be left out."""
    cdef Memory memory = Memory(data)
    cdef const uint8_t* at = <const uint8_t*>memory.buffer.buf
    cdef const uint8_t* end = at + memory.buffer.len
    cdef const uint8_t* stop
    cdef Py_ssize_t count = 0
    with nogil:
        while at < end:
            stop = end_of_line(at, end)
            count += not (skip_blank and is_blank(at, stop))
            at = stop + 1
    return count


def rows_of_lines(data):
    """Rows of the lines of `data`, without their newlines, read in place; spans are counted in bytes."""
    cdef Memory memory = Memory(data)
    cdef Rows rows = Rows()
    cdef const uint8_t* at = <const uint8_t*>memory.buffer.buf
    cdef const uint8_t* end = at + memory.buffer.len
    cdef const uint8_t* stop
    cdef Py_ssize_t i
    rows.owner = memory
    rows.allocate(count_lines(data))
    with nogil:
        for i in range(rows.count):
            stop = end_of_line(at, end)
            rows.data[i] = at
            rows.sizes[i] = stop - at
            rows.total += stop - at
            at = stop + 1
    return rows


cdef inline int digits(int32_t id) noexcept nogil:
    # Compared, not counted in a loop whose end cannot be foreseen.
    return (1 + (id >= 10) + (id >= 100) + (id >= 1000) + (id >= 10000) + (id >= 100000) + (id >= 1000000)
            + (id >= 10000000) + (id >= 100000000) + (id >= 1000000000))


def lines_of_ids(const int32_t[::1] ids not None, const int64_t[::1] offsets not None):
    """Each row of ids, none negative, as a line: decimal numbers with a space between two of them, and a newline."""
    cdef Py_ssize_t rows = offsets.shape[0] - 1, row
    cdef int64_t k, size = 0
    cdef int32_t id
    cdef int i, count
    cdef uint8_t* out
    with nogil:
        for row in range(rows):
            for k in range(offsets[row], offsets[row + 1]):
                size += digits(ids[k]) + 1      # and a space, or the newline
            size += offsets[row] == offsets[row + 1]
    result = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t*>PyBytes_AS_STRING(result)
    with nogil:
        for row in range(rows):
            for k in range(offsets[row], offsets[row + 1]):
                id = ids[k]
                count = digits(id)
                for i in range(count):
                    out[count - 1 - i] = 48 + id % 10
                    id //= 10
                out[count] = 32
                out += count + 1
            if offsets[row] == offsets[row + 1]:
                out += 1
            out[-1] = 10
    return result
