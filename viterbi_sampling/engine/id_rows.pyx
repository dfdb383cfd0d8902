"""Rows of ids, as a batch that is decoded has them: in flat arrays, in place, or lists, which are read little by little."""

from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.arrays cimport Memory, check_bounds
from viterbi_sampling.engine.buffer cimport Ints, reserve_ints
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.words cimport prefetch

cdef extern from "Python.h":
    PyObject* PyTuple_GET_ITEM(object rows, Py_ssize_t i)
    bint PyList_CheckExact(PyObject* row)
    Py_ssize_t PyList_GET_SIZE(PyObject* row)
    ctypedef struct PyListObject:
        PyObject** ob_item

cdef enum:
    ROWS_AT_ONCE = 1 << 10
    BOUNDS_AT_ONCE = 1 << 12
    LISTS_AHEAD = 16
    ENTRIES_AHEAD = 8
    IDS_AHEAD = 3
    MOST_ASKED = 64             # of a list, whose next ones the processor asks for by itself
    ENTRIES_A_LINE = 8          # of a cache


cdef class IdRows(Rows):
    """Rows of the ids of a vocabulary."""

    def arrays(self):
        """(ids, bounds) of the rows: row i is ids[bounds[i]:bounds[i + 1]]. ValueError where an id is none."""
        cdef Py_ssize_t row
        cdef int64_t k, at = 0
        cdef int32_t[::1] numbers
        cdef int64_t[::1] places
        self.complete()
        ids = np.empty(self.total >> 2, np.int32)
        bounds = np.zeros(self.count + 1, np.int64)
        numbers = ids
        places = bounds
        for row in range(self.count):
            for k in range(count_of(self, row)):
                if not 0 <= ids_of(self, row)[k] < self.end:
                    raise not_an_id(self, row)
                numbers[at] = ids_of(self, row)[k]
                at += 1
            places[row + 1] = at
        return ids, bounds


cdef object not_an_id(IdRows rows, Py_ssize_t row):
    cdef int64_t k
    cdef int32_t id
    for k in range(count_of(rows, row)):
        id = ids_of(rows, row)[k]
        if not 0 <= id < rows.end:
            return ValueError(f"row {row} of batch: ids[{k}] = {id} is not an id of this model: ids are 0 to {rows.end - 1}")
    return ValueError(f"row {row} of batch: the ids have changed while they were read")


cdef class IdsInPlace(IdRows):
    """Rows of an array of ids, whose bounds are looked up little by little, so that the first are at work before the last are."""

    cdef const int64_t[::1] bounds
    cdef const uint8_t* first
    cdef int64_t ids            # how many there are

    cdef int more(self) except -1:
        cdef Py_ssize_t i, ready = self.ready.load()
        cdef Py_ssize_t last = min(ready + BOUNDS_AT_ONCE, self.count)
        cdef int64_t begin, end
        for i in range(ready, last):
            begin = self.bounds[i]
            end = self.bounds[i + 1]
            # They were right, but the array may be anybody's.
            if not 0 <= begin <= end <= self.ids:
                raise IndexError(f"row {i} of batch: its bounds have changed while they were read, to {begin} and {end}")
            self.data[i] = self.first + 4 * begin
            self.sizes[i] = 4 * (end - begin)
            self.total += self.sizes[i]
        self.ready.store(last)
        return 0


def rows_of_array(const int32_t[::1] ids not None, const int64_t[::1] bounds not None, int64_t end):
    """Row i is ids[bounds[i]:bounds[i + 1]], in place. IndexError where bounds fall or lead outside."""
    cdef IdsInPlace rows = IdsInPlace()
    check_bounds(bounds, ids.shape[0])
    rows.allocate(max(bounds.shape[0] - 1, 0))
    rows.ready.store(0)
    rows.owner = ids
    rows.bounds = bounds
    rows.first = <const uint8_t*>&ids[0] if ids.shape[0] else NULL
    rows.ids = ids.shape[0]
    rows.end = end
    return rows


cdef class ListedIds(IdRows):
    """Rows of a tuple of sequences of ids, read little by little, so that the first are at work before the last are."""

    cdef object checked         # gives an int32 array of the ids of a row that is no list of int, or raises what is wrong
    cdef list blocks            # of memory: what was read at once

    cdef int more(self) except -1:
        cdef Py_ssize_t first = self.ready.load(), i
        cdef Py_ssize_t last = min(first + ROWS_AT_ONCE, self.count)
        cdef Memory block = Memory()
        cdef Ints read
        cdef const uint8_t* at
        cdef bint plain
        memset(&read, 0, sizeof(Ints))
        try:
            for i in range(first, last):
                self.sizes[i] = <int64_t>read.size
                look_ahead(<tuple>self.owner, i, last)
                row = (<tuple>self.owner)[i]
                plain = type(row) is list and add_list(&read, <list>row, self.end)
                if not plain:
                    add_array(&read, self.checked(row, i))
                self.sizes[i] = 4 * (<int64_t>read.size - self.sizes[i])
        finally:
            block.data = read.data
        self.blocks.append(block)
        at = <const uint8_t*>read.data
        for i in range(first, last):
            self.data[i] = at
            at += self.sizes[i]
            self.total += self.sizes[i]
        self.ready.store(last)
        return 0


cdef inline Py_ssize_t entries(PyObject* row, PyObject*** items) noexcept:
    """How many of the first entries of a list are to be asked for."""
    if not PyList_CheckExact(row):
        return 0
    items[0] = (<PyListObject*>row).ob_item
    return min(PyList_GET_SIZE(row), <Py_ssize_t>MOST_ASKED)


cdef inline void look_ahead(tuple rows, Py_ssize_t row, Py_ssize_t last) noexcept:
    """Ask for what is needed for the rows to come: lists, their entries and ids all lie about in memory."""
    cdef PyObject** items
    cdef Py_ssize_t k = 0, count
    if row + LISTS_AHEAD >= last:
        return
    prefetch(PyTuple_GET_ITEM(rows, row + LISTS_AHEAD))
    count = entries(PyTuple_GET_ITEM(rows, row + ENTRIES_AHEAD), &items)
    while k < count:
        prefetch(items + k)
        k += ENTRIES_A_LINE
    for k in range(entries(PyTuple_GET_ITEM(rows, row + IDS_AHEAD), &items)):
        prefetch(items[k])


cdef bint add_list(Ints* ids, list row, int64_t end) except -1:
    """Add the ids of a list; False, and none added, where one is no int from 0 to end - 1. Runs no code of Python."""
    cdef Py_ssize_t k, count = len(row)
    cdef int32_t* out
    cdef long id
    if not reserve_ints(ids, ids.size + count):
        raise MemoryError()
    out = ids.data + ids.size
    for k in range(count):
        id = small_int(PyList_GET_ITEM(row, k))
        if not 0 <= id < end:
            return False
        out[k] = <int32_t>id
    ids.size += count
    return True


cdef int add_array(Ints* ids, const int32_t[::1] row) except -1:
    if not reserve_ints(ids, ids.size + row.shape[0]):
        raise MemoryError()
    if row.shape[0]:
        memcpy(ids.data + ids.size, &row[0], row.shape[0] * sizeof(int32_t))
    ids.size += row.shape[0]
    return 0


def rows_of_lists(tuple rows not None, int64_t end, checked):
    """Rows of ids from 0 to `end` - 1. Of what is no list of such int `checked(row, number)` makes an int32 array, or raises."""
    cdef ListedIds listed = ListedIds()
    listed.allocate(len(rows))
    listed.owner = rows
    listed.end = end
    listed.checked = checked
    listed.blocks = []
    listed.ready.store(0)
    return listed
