# What a thread writes to while it runs, kept from call to call.

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.words cimport Table

cdef class Workspace:
    cdef Table table
    cdef Scratch scratch
    cdef Bytes normalized
    cdef int trim(self) except -1
