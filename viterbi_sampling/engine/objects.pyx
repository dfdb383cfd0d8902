"""What a batch is given back as where it is no array: Python objects, made of rows as they are done."""

from cpython.object cimport PyObject
from cpython.list cimport PyList_GET_ITEM
from libc.stdint cimport int64_t

from viterbi_sampling.engine.arrays cimport add_lists
from viterbi_sampling.engine.results cimport Made

cdef extern from "Python.h":
    void PyObject_GC_Track(PyObject* container)
    void PyObject_GC_UnTrack(PyObject* container)


cdef class Objects:
    """A list of Python objects, one a path."""

    def __cinit__(self):
        self.found = []
        PyObject_GC_UnTrack(<PyObject*>self.found)

    cdef int add(self, const Made* made, const int64_t* ends, Py_ssize_t count) except -1:
        raise NotImplementedError()

    cdef list all(self):
        PyObject_GC_Track(<PyObject*>self.found)
        return self.found


cdef class IdLists(Objects):
    """The ids of each path as a list of int.

    The garbage collector knows nothing of a list until all are made: it would look at all of them whenever it runs.
    """

    cdef int add(self, const Made* made, const int64_t* ends, Py_ssize_t count) except -1:
        cdef Py_ssize_t i, first = len(self.found)
        add_lists(self.found, made.tokens.ids.data, 0, ends, count)
        for i in range(first, len(self.found)):
            PyObject_GC_UnTrack(PyList_GET_ITEM(self.found, i))
        return 0

    cdef list all(self):
        cdef Py_ssize_t i
        for i in range(len(self.found)):
            PyObject_GC_Track(PyList_GET_ITEM(self.found, i))
        return Objects.all(self)
