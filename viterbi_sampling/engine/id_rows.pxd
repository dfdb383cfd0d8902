# Rows of ids, as a batch that is decoded has them.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t

from viterbi_sampling.engine.rows cimport Rows

cdef extern from *:
    """
    // The value of an int of one digit, which all ids are; -1 for any other object.
    static inline long viterbi_sampling_small(PyObject* number) {
        if (!PyLong_CheckExact(number))
            return -1;
    #if PY_VERSION_HEX >= 0x030C0000
        return PyUnstable_Long_IsCompact((PyLongObject*)number) ? (long)PyUnstable_Long_CompactValue((PyLongObject*)number) : -1;
    #else
        switch (Py_SIZE(number)) {
            case 0: return 0;
            case 1: return (long)((PyLongObject*)number)->ob_digit[0];
            default: return -1;
        }
    #endif
    }
    """
    long small_int "viterbi_sampling_small"(PyObject* number) nogil

cdef class IdRows(Rows):        # `data` points to int32, and `sizes` are 4 bytes an id
    cdef readonly int64_t end   # ids are 0 to end - 1; whoever reads the rows has to check that
    # How many bytes there are, or that there are `wanted` at least; gathers rows where they cannot be counted otherwise.
    cdef int64_t at_least(self, int64_t wanted) except -1

cdef inline const int32_t* ids_of(Rows rows, Py_ssize_t row) noexcept nogil:
    return <const int32_t*>rows.data[row]

cdef inline int64_t count_of(Rows rows, Py_ssize_t row) noexcept nogil:
    return rows.sizes[row] >> 2

# What is wrong with the first of these ids that is none.
cdef object not_an_id(IdRows rows, Py_ssize_t row)
