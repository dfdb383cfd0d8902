"""Workspaces: the cache of words and the scratch that a thread takes for the time it runs, and gives back."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memset

from viterbi_sampling.engine.buffer cimport Bytes
from viterbi_sampling.engine.scratch cimport Scratch, scratch_free, scratch_memory
from viterbi_sampling.engine.tokens cimport Tokens
from viterbi_sampling.engine.words cimport Slot, table_free, table_start

cdef enum:
    KEPT_BYTES = 1 << 22        # of scratch; what a long text has taken beyond is given back


cdef class Workspace:
    """A table of words, at most `most_slots` of them and `most_bytes` of what is known of them, and scratch.

    It belongs to one thread at a time. The words are of one model, one algorithm and one alpha.
    """

    def __cinit__(self, size_t most_slots, size_t most_bytes):
        if not table_start(&self.table, most_slots, most_bytes):
            raise MemoryError()

    def __dealloc__(self):
        table_free(&self.table)
        scratch_free(&self.scratch)
        free(self.normalized.data)
        free(self.tokens.ids.data)
        free(self.tokens.spans.data)

    cdef int trim(self) except -1:
        self.scratch.cancelled = NULL
        if scratch_memory(&self.scratch) > KEPT_BYTES:
            scratch_free(&self.scratch)
            memset(&self.scratch, 0, sizeof(Scratch))
        if self.normalized.capacity > KEPT_BYTES:
            free(self.normalized.data)
            memset(&self.normalized, 0, sizeof(Bytes))
        if self.tokens.ids.capacity * sizeof(int32_t) > KEPT_BYTES:
            free(self.tokens.ids.data)
            free(self.tokens.spans.data)
            memset(&self.tokens, 0, sizeof(Tokens))
        return 0

    def memory(self):
        """Bytes in use."""
        return (self.table.count * sizeof(Slot) + self.table.arena.capacity + scratch_memory(&self.scratch)
                + self.normalized.capacity
                + (self.tokens.ids.capacity + self.tokens.spans.capacity) * sizeof(int32_t))
