# A model ready to run.

from libc.stdint cimport int32_t

from viterbi_sampling.engine.cuts cimport Cuts
from viterbi_sampling.engine.endings cimport Endings
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.matches cimport Steps
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.tokens cimport Spelling
from viterbi_sampling.engine.trie cimport Trie
from viterbi_sampling.engine.workspace cimport Workspace

cdef class Encoder:
    cdef Vocabulary vocabulary
    cdef Spelling spelling
    cdef bint single_precision
    cdef Normalizer normalizer
    cdef Trie trie
    cdef Steps steps            # of a bytewise model
    cdef Endings endings
    cdef Cuts cuts
    cdef readonly object scores # these own what `vocabulary` points to
    cdef object single_scores
    cdef double greatest[256]
    cdef readonly object lengths
    cdef const int32_t[::1] aliases
    cdef readonly int32_t pieces    # the number of the vocabulary's pieces
    cdef readonly size_t cache_bytes    # of words a workspace
    cdef int32_t bytes_a_thread     # of text: less is not worth a thread
    cdef size_t most_slots
    cdef readonly dict shelf    # workspaces that nobody has now: {(what they are for, alpha): [Workspace, ...]}
    cdef tuple last_key         # the key that was used last, and its list in `shelf`:
    cdef list last_shelved      # calls for one text after the other have the same key
    cdef size_t record_bytes(self)
    cdef Workspace borrow(self, tuple key)
    cdef int give_back(self, tuple key, Workspace workspace) except -1
