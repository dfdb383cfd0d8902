"""The texts of numpy arrays for the engine, no Python object a row."""

from cpython.buffer cimport PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from viterbi_sampling.engine.rows cimport Rows

cdef extern from *:
    """
    #define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
    #define NPY_TARGET_VERSION NPY_2_0_API_VERSION
    #include <numpy/arrayobject.h>
    #include <numpy/ndarraytypes.h>
    static inline npy_string_allocator* viterbi_sampling_acquire(PyObject* array) {
        return NpyString_acquire_allocator((const PyArray_StringDTypeObject*)PyArray_DESCR((PyArrayObject*)array));
    }
    static inline const void* viterbi_sampling_item(PyObject* array, npy_intp i) {
        return PyArray_GETPTR1((PyArrayObject*)array, i);
    }
    static inline int viterbi_sampling_load(npy_string_allocator* allocator, const void* item, npy_static_string* text) {
        return NpyString_load(allocator, (const npy_packed_static_string*)item, text);
    }
    """
    ctypedef struct npy_string_allocator:
        pass
    ctypedef struct npy_static_string:
        size_t size
        const char* buf
    int _import_array() except -1
    npy_string_allocator* acquire "viterbi_sampling_acquire"(array)
    const void* item_of "viterbi_sampling_item"(array, Py_ssize_t i)
    int load "viterbi_sampling_load"(npy_string_allocator* allocator, const void* item, npy_static_string* text)
    void NpyString_release_allocator(npy_string_allocator* allocator)

_import_array()


def rows_of_fixed_width(array not None):
    """Rows of a numpy array of one dimension and dtype S, read in place: zero bytes at the end are padding.

    The array must stay as it is during the call.
    """
    cdef Rows rows = Rows()
    cdef Column column = Column()
    cdef Py_ssize_t i, size
    PyObject_GetBuffer(array, &column.buffer, PyBUF_STRIDED_RO)
    column.held = True
    rows.owner = column
    rows.allocate(column.buffer.shape[0])
    for i in range(rows.count):
        rows.data[i] = <const uint8_t*>column.buffer.buf + i * column.buffer.strides[0]
        size = column.buffer.itemsize
        while size and rows.data[i][size - 1] == 0:
            size -= 1
        rows.sizes[i] = size
        rows.total += size
    return rows


cdef class Column:
    """Holds the memory of an array."""

    cdef Py_buffer buffer
    cdef bint held

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.buffer)


cdef class Copy:
    """Holds texts of its own."""

    cdef uint8_t* data

    def __dealloc__(self):
        free(self.data)


def rows_of_variable_width(array not None):
    """Rows of a numpy array of one dimension and dtype StringDType; TypeError names the first null.

    The texts are copied at once: they lie where another thread may write or free them, under a
    lock that cannot be held while the engine works.
    """
    cdef Rows rows = Rows()
    cdef Copy copy = Copy()
    cdef npy_static_string text
    cdef npy_string_allocator* allocator
    cdef Py_ssize_t i = 0
    cdef int status = 0
    cdef uint8_t* place
    rows.owner = copy
    rows.allocate(array.shape[0])
    allocator = acquire(array)
    while i < rows.count and status == 0:
        status = load(allocator, item_of(array, i), &text)
        if status == 0:
            rows.sizes[i] = text.size
            rows.total += text.size
            i += 1
    if status == 0:
        place = copy.data = <uint8_t*>malloc(rows.total + 1)
        for i in range(rows.count if place != NULL else 0):
            load(allocator, item_of(array, i), &text)
            memcpy(place, text.buf, text.size)
            rows.data[i] = place
            rows.in_characters[i] = True
            place += text.size
    NpyString_release_allocator(allocator)
    if status > 0:
        raise TypeError(f"row {i} of texts is null: each must be a string; drop or fill the nulls")
    if status < 0:
        raise ValueError(f"row {i} of texts: numpy cannot read it")
    if copy.data == NULL:
        raise MemoryError()
    return rows
