"""What the engine filled, for Python: its memory as numpy arrays, without a copy, or its numbers as lists."""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

import numpy as np

from viterbi_sampling.engine.buffer cimport Ints

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

cdef extern from *:
    """
    // A list of the numbers; those that `shared`, the list of 0, 1, ..., has are taken from it. NULL with an exception.
    static PyObject* viterbi_sampling_list(PyObject* shared, const int* values, Py_ssize_t count) {
        Py_ssize_t most = PyList_GET_SIZE(shared), i;
        PyObject* list = PyList_New(count);
        if (list == NULL)
            return NULL;
        for (i = 0; i < count; i++) {
            PyObject* number;
            if ((size_t)(Py_ssize_t)values[i] < (size_t)most) {
                number = PyList_GET_ITEM(shared, values[i]);
                Py_INCREF(number);
            }
            else if ((number = PyLong_FromLong(values[i])) == NULL) {
                Py_DECREF(list);
                return NULL;
            }
            PyList_SET_ITEM(list, i, number);
        }
        return list;
    }

    // A list of tuples of two numbers each, from 2 * count numbers; NULL with an exception.
    static PyObject* viterbi_sampling_pairs(PyObject* shared, const int* values, Py_ssize_t count) {
        Py_ssize_t most = PyList_GET_SIZE(shared), i;
        PyObject* list = PyList_New(count);
        if (list == NULL)
            return NULL;
        for (i = 0; i < 2 * count; i++) {
            PyObject* number;
            if (i % 2 == 0) {
                PyObject* pair = PyTuple_New(2);
                if (pair == NULL) {
                    Py_DECREF(list);
                    return NULL;
                }
                PyList_SET_ITEM(list, i / 2, pair);
            }
            if ((size_t)(Py_ssize_t)values[i] < (size_t)most) {
                number = PyList_GET_ITEM(shared, values[i]);
                Py_INCREF(number);
            }
            else if ((number = PyLong_FromLong(values[i])) == NULL) {
                Py_DECREF(list);
                return NULL;
            }
            PyTuple_SET_ITEM(PyList_GET_ITEM(list, i / 2), i % 2, number);
            if (i % 2)      // numbers make no cycles: the collector would find that out for each pair, which takes longer
                PyObject_GC_UnTrack(PyList_GET_ITEM(list, i / 2));
        }
        return list;
    }
    """
    list number_list "viterbi_sampling_list"(list shared, const int32_t* values, Py_ssize_t count)
    list pair_list "viterbi_sampling_pairs"(list shared, const int32_t* values, Py_ssize_t count)

cdef enum:
    MOST_SHARED = 1 << 20       # more than vocabularies have

cdef list shared = list(range(1 << 12))     # 0, 1, ...: grows with the ids that are met
cdef size_t met = 0                         # how many there were: it pays to share all below the greatest when as many came


cdef int share(const int32_t* values, size_t count) except -1:
    """See to it that these numbers are shared."""
    global met
    cdef int32_t greatest = 0
    cdef size_t i
    for i in range(count):
        greatest = max(greatest, values[i])
    met += count
    if len(shared) <= greatest < MOST_SHARED and met > <size_t>greatest:
        shared.extend(range(len(shared), greatest + 1))
    return 0


cdef class Memory:
    """A block of malloc's memory, freed with the last array over it."""

    def __dealloc__(self):
        free(self.data)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, False, flags)


cdef object array_from(Ints* numbers):
    cdef Memory memory
    cdef void* fitted
    if numbers.size == 0:
        return np.empty(0, np.int32)
    memory = Memory()
    memory.data = numbers.data
    memory.size = numbers.size * sizeof(int32_t)
    if numbers.capacity - numbers.size > numbers.size >> 3:     # much is given back; little would have to be asked for again
        fitted = realloc(memory.data, memory.size)
        if fitted != NULL:
            memory.data = fitted
    memset(numbers, 0, sizeof(Ints))
    return np.frombuffer(memory, np.int32)


cdef list list_from(const int32_t* values, size_t count):
    share(values, count)
    return number_list(shared, values, count)


cdef list pairs_from(const int32_t* values, size_t count):
    return pair_list(shared, values, count)


cdef int check_bounds(const int64_t[::1] offsets, Py_ssize_t size) except -1:
    cdef Py_ssize_t i
    for i in range(offsets.shape[0] - 1):
        if not 0 <= offsets[i] <= offsets[i + 1] <= size:
            raise IndexError(f"offsets[{i}:{i + 2}] = {offsets[i]}, {offsets[i + 1]} are no bounds in {size} values")
    return 0


def lists(const int32_t[::1] values, const int64_t[::1] offsets):
    """values[offsets[i]:offsets[i + 1]] as a list of int, for each i. IndexError where offsets fall or lead outside."""
    cdef list found = []
    check_bounds(offsets, values.shape[0])
    if offsets.shape[0] > 1:
        add_lists(found, &values[0] if values.shape[0] else NULL, offsets[0], &offsets[1], offsets.shape[0] - 1)
    return found


cdef int add_lists(list found, const int32_t* values, int64_t begin, const int64_t* ends, Py_ssize_t count) except -1:
    cdef Py_ssize_t i
    cdef bint collecting
    if count == 0:
        return 0
    share(values, ends[count - 1])
    # The garbage collector would look at all these lists again and again while they are made. No Python code runs here.
    collecting = PyGC_Disable()
    try:
        for i in range(count):
            found.append(number_list(shared, values + begin, ends[i] - begin))
            begin = ends[i]
    finally:
        if collecting:
            PyGC_Enable()
    return 0


def pairs(const int32_t[:, ::1] values, const int64_t[::1] offsets):
    """values[offsets[i]:offsets[i + 1]], rows of two, as a list of tuples of int, for each i; IndexError as in `lists`."""
    cdef Py_ssize_t i
    cdef const int32_t* data = &values[0, 0] if values.shape[0] else NULL
    cdef list result = []
    if values.shape[1] != 2:
        raise ValueError(f"values must have rows of two, got shape {values.shape[0]}, {values.shape[1]}")
    check_bounds(offsets, values.shape[0])
    for i in range(offsets.shape[0] - 1):
        result.append(pair_list(shared, data + 2 * offsets[i], offsets[i + 1] - offsets[i]))
    return result
