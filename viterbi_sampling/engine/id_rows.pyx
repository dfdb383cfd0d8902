"""Rows of ids, as a batch that is decoded has them: in flat arrays, in place, or lists, which all threads read."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.arrays cimport check_bounds
from viterbi_sampling.engine.buffer cimport Ints, reserve_ints
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.threads cimport give_way, mutex
from viterbi_sampling.engine.words cimport prefetch

cdef extern from "Python.h":
    Py_ssize_t PySequence_Fast_GET_SIZE(PyObject* rows)
    PyObject** PySequence_Fast_ITEMS(PyObject* rows)
    bint PyList_CheckExact(PyObject* row) nogil
    Py_ssize_t PyList_GET_SIZE(PyObject* row) nogil
    ctypedef struct PyListObject:
        PyObject** ob_item

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define viterbi_sampling_lock_protects 0
    #else
    #define viterbi_sampling_lock_protects 1
    #endif
    """
    const bint LOCK_PROTECTS "viterbi_sampling_lock_protects"    # there is an interpreter lock, and objects change under it only

cdef enum:
    MOST_ROWS = 1 << 10         # of a block
    LEAST_BLOCKS = 1 << 6       # where there are enough rows, so that threads end at about the same time
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

    cdef int64_t at_least(self, int64_t wanted) except -1:
        while self.ready.load() < self.count and self.total < wanted:
            self.more()
        return self.total


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
    """Rows of a list or a tuple of sequences of ids. Lists of int, which most of them are, are read by all threads at once.

    That is safe although the others do not hold the interpreter lock: the calling thread does, from before the first block
    of rows is handed out until the last one is read, and meanwhile it only reads blocks, too, and waits for the others. So
    no code of Python runs anywhere, no object is made, changed or freed, and who looks at one need not count a reference.
    Where the interpreter has no such lock, the calling thread reads alone.

    What else a row may be is asked for its ids afterwards, which runs code of Python: by the calling thread, in the order of
    the rows. Whatever comes after it is read after it, again if need be, as that code may change it.
    """

    cdef object checked         # gives an int32 array of the ids of a row that is no list of int, or raises what is wrong
    cdef PyObject** rows        # those of `owner`, until code of Python runs
    cdef Ints* blocks           # the ids of `block_rows` rows each
    cdef Py_ssize_t block_rows
    cdef Py_ssize_t block_count
    cdef bint together          # what can be read by all threads at once has been
    cdef mutex lock             # of all below
    cdef Py_ssize_t plain       # so many first blocks are lists of int, as far as is known; 0 until blocks are handed out
    cdef Py_ssize_t next_block  # the first that is not handed out
    cdef int readers            # threads that are reading a block

    def __dealloc__(self):
        cdef Py_ssize_t number
        if self.blocks != NULL:
            for number in range(self.block_count):
                free(self.blocks[number].data)
            free(self.blocks)

    cdef int allocate(self, Py_ssize_t count) except -1:
        Rows.allocate(self, count)
        self.ready.store(0)
        self.block_rows = min(max(count // LEAST_BLOCKS, 1), <Py_ssize_t>MOST_ROWS)
        self.block_count = (count + self.block_rows - 1) // self.block_rows
        self.blocks = <Ints*>calloc(self.block_count + 1, sizeof(Ints))
        if self.blocks == NULL:
            raise MemoryError()
        return 0

    cdef int64_t at_least(self, int64_t wanted) except -1:
        cdef int64_t found = 0
        cdef Py_ssize_t i = 0
        self.look()
        while i < self.count and found < wanted:
            # Lists are counted and not read, as there are no threads yet.
            if not PyList_CheckExact(self.rows[i]):
                return IdRows.at_least(self, wanted)
            found += 4 * PyList_GET_SIZE(self.rows[i])
            i += 1
        return found

    cdef int look(self) except -1:
        cdef Py_ssize_t count = PySequence_Fast_GET_SIZE(<PyObject*>self.owner)
        if count != self.count:
            raise RuntimeError(f"batch has changed while it was read: there were {self.count} rows, and now there are {count}")
        self.rows = PySequence_Fast_ITEMS(<PyObject*>self.owner)
        return 0

    cdef int more(self) except -1:
        if not self.together:
            self.look()
            self.read_together()
            self.together = True
        if self.ready.load() < self.count:
            self.owner = tuple(self.owner)      # a list may lose rows to the code that one of them runs
            self.look()
            self.read_in_order(self.ready.load() // self.block_rows)
        return 0

    cdef void read_together(self) noexcept:
        """Hand out blocks of lists of int until there is another row. Nobody reads one any more when this ends."""
        cdef Py_ssize_t number
        cdef bint ended = False
        self.lock.lock()
        self.plain = self.block_count
        self.lock.unlock()
        while self.read_block():
            pass
        while not ended:
            self.lock.lock()
            ended = self.readers == 0
            self.lock.unlock()
            if not ended:
                give_way()
        for number in range(self.plain):
            self.total += 4 * <int64_t>self.blocks[number].size
        self.ready.store(min(self.plain * self.block_rows, self.count))

    cdef bint help(self) noexcept nogil:
        return LOCK_PROTECTS and self.read_block()

    cdef bint read_block(self) noexcept nogil:
        """Read the next block; False if there is none to be handed out."""
        cdef Py_ssize_t number
        cdef bint found, plain
        self.lock.lock()
        number = self.next_block
        found = number < self.plain
        self.next_block += found
        self.readers += found
        self.lock.unlock()
        if found:
            plain = self.read_lists(number)
            self.lock.lock()
            self.readers -= 1
            if not plain:
                self.plain = min(self.plain, number)
            self.lock.unlock()
        return found

    cdef bint read_lists(self, Py_ssize_t number) noexcept nogil:
        """Read a block; False where a row is no list of int, or without memory."""
        cdef Ints read      # not in `blocks`, where those of other threads lie on the same line of a cache
        cdef Py_ssize_t i, first = number * self.block_rows
        cdef Py_ssize_t last = min(first + self.block_rows, self.count)
        cdef bint plain = True
        memset(&read, 0, sizeof(Ints))
        i = first
        while plain and i < last:
            look_ahead(self.rows, i, last)
            self.sizes[i] = <int64_t>read.size
            plain = add_list(&read, self.rows[i], self.end)
            self.sizes[i] = 4 * (<int64_t>read.size - self.sizes[i])
            i += 1
        self.blocks[number] = read
        if plain:
            self.place(&read, first, last)
        return plain

    cdef int read_in_order(self, Py_ssize_t number) except -1:
        """Read a block of rows that may be anything."""
        cdef Ints* read = &self.blocks[number]
        cdef Py_ssize_t i, first = number * self.block_rows
        cdef Py_ssize_t last = min(first + self.block_rows, self.count)
        read.size = 0
        for i in range(first, last):
            row = (<tuple>self.owner)[i]
            self.sizes[i] = <int64_t>read.size
            if not add_list(read, <PyObject*>row, self.end):
                add_array(read, self.checked(row, i))
            self.sizes[i] = 4 * (<int64_t>read.size - self.sizes[i])
        self.place(read, first, last)
        self.total += 4 * <int64_t>read.size
        self.ready.store(last)
        return 0

    cdef void place(self, const Ints* read, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        """Note where the ids of each row lie."""
        cdef const uint8_t* at = <const uint8_t*>read.data
        cdef Py_ssize_t i
        for i in range(first, last):
            self.data[i] = at
            at += self.sizes[i]


cdef inline Py_ssize_t entries(PyObject* row, PyObject*** items) noexcept nogil:
    """How many of the first entries of a list are to be asked for."""
    if not PyList_CheckExact(row):
        return 0
    items[0] = (<PyListObject*>row).ob_item
    return min(PyList_GET_SIZE(row), <Py_ssize_t>MOST_ASKED)


cdef inline void look_ahead(PyObject** rows, Py_ssize_t row, Py_ssize_t last) noexcept nogil:
    """Ask for what is needed for the rows to come: lists, their entries and ids all lie about in memory."""
    cdef PyObject** items
    cdef Py_ssize_t k = 0, count
    if row + LISTS_AHEAD >= last:
        return
    prefetch(rows[row + LISTS_AHEAD])
    count = entries(rows[row + ENTRIES_AHEAD], &items)
    while k < count:
        prefetch(items + k)
        k += ENTRIES_A_LINE
    for k in range(entries(rows[row + IDS_AHEAD], &items)):
        prefetch(items[k])


cdef bint add_list(Ints* ids, PyObject* row, int64_t end) noexcept nogil:
    """Add the ids of a list; False, and none added, where it is none, one is no int from 0 to end - 1, or without memory."""
    cdef PyObject** items
    cdef Py_ssize_t k, count
    cdef int32_t* out
    cdef long id
    if not PyList_CheckExact(row):
        return False
    count = PyList_GET_SIZE(row)
    if not reserve_ints(ids, ids.size + count):
        return False
    items = (<PyListObject*>row).ob_item
    out = ids.data + ids.size
    for k in range(count):
        id = small_int(items[k])
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


def rows_of_lists(rows not None, int64_t end, checked):
    """Rows of ids from 0 to `end` - 1, in a list or a tuple.

    Of what is no list of such int `checked(row, number)` makes an int32 array, or raises. RuntimeError where the list of rows
    gets longer or shorter before all are read.
    """
    cdef ListedIds listed = ListedIds()
    if type(rows) is not list and type(rows) is not tuple:
        raise TypeError(f"rows must be a list or a tuple, not {type(rows).__name__}")
    listed.allocate(len(rows))
    listed.owner = rows
    listed.end = end
    listed.checked = checked
    return listed
