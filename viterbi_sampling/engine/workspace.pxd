# What a thread writes to while it runs, kept from call to call.

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport Stream
from viterbi_sampling.engine.tokens cimport Tokens
from viterbi_sampling.engine.words cimport Table

cdef class Workspace:
    cdef Table table
    cdef Scratch scratch
    cdef Bytes normalized
    cdef Tokens tokens          # of a single call
    cdef Stream stream
    cdef int trim(self) except -1
