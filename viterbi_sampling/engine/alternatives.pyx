"""The n best paths for Python: the best one, and what each other one has in the place of some of its tokens.

Of a long text the best paths differ in a few parts only, so all of them together take little more memory than one. The
ids of one are put together when they are asked for.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.arrays cimport list_from
from viterbi_sampling.engine.buffer cimport MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Ints, reserve, reserve_ints
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.enumeration cimport NONE, add_tokens_of
from viterbi_sampling.engine.kbest cimport (
    BestPaths, after_part, best_paths_free, find_changes, find_paths, has_unknown, loss_of, start_paths,
)
from viterbi_sampling.engine.normalizer cimport normalize
from viterbi_sampling.engine.rows cimport Rows, raise_for_status
from viterbi_sampling.engine.tokens cimport Tokens, add_tokens
from viterbi_sampling.engine.workspace cimport Workspace

cdef enum:
    AT_ONCE = 4096              # paths between two looks at signals

cdef struct Stretch:            # another path over a part than the best
    int32_t first               # in the place of best[first:until] it has
    int32_t until
    size_t begin                # others[begin:end]
    size_t end

cdef struct Ranked:             # a path
    double score
    size_t until                # where its changes end, and those of the next path begin


cdef class Alternatives:
    """The best paths of a text in order, `len` of them. Immutable."""

    cdef Encoder encoder
    cdef bytes text             # that the paths go over, as the engine spells it; None where all tokens are ids
    cdef Ints best              # the tokens of the best path
    cdef Ints others            # those of other paths over a part, one after the other
    cdef Stretch* stretches
    cdef size_t stretch_count
    cdef size_t stretch_capacity
    cdef Ints changes           # the numbers of the stretches of each path
    cdef Ranked* ranked
    cdef Py_ssize_t count

    def __dealloc__(self):
        free(self.best.data)
        free(self.others.data)
        free(self.stretches)
        free(self.changes.data)
        free(self.ranked)

    def __len__(self):
        return self.count

    def score(self, Py_ssize_t rank):
        """The sum of the scores of the pieces of a path."""
        return self.ranked[self.checked(rank)].score

    def tokens(self, Py_ssize_t rank):
        """The tokens of a path as the engine has them, a list of int."""
        cdef Ints path
        memset(&path, 0, sizeof(Ints))
        try:
            if not self.compose(self.checked(rank), &path):
                raise MemoryError()
            return list_from(path.data, path.size)
        finally:
            free(path.data)

    def ids(self, Py_ssize_t rank):
        """The ids of a path, a list of int."""
        cdef Ints path
        cdef Tokens out
        if self.text is None:
            return self.tokens(rank)
        memset(&path, 0, sizeof(Ints))
        memset(&out, 0, sizeof(Tokens))
        try:
            if not self.compose(self.checked(rank), &path) or not add_tokens(
                    &out, &self.encoder.spelling, self.encoder.vocabulary.lengths, <const uint8_t*><const char*>self.text,
                    0, path.data, <int32_t>path.size, True):
                raise MemoryError()
            return list_from(out.ids.data, out.ids.size)
        finally:
            free(path.data)
            free(out.ids.data)

    def memory(self):
        """Bytes in use, but for the text."""
        return ((self.best.capacity + self.others.capacity + self.changes.capacity) * sizeof(int32_t)
                + self.stretch_capacity * sizeof(Stretch) + self.count * sizeof(Ranked))

    cdef Py_ssize_t checked(self, Py_ssize_t rank) except -1:
        if not 0 <= rank < self.count:
            raise IndexError(f"path {rank} of {self.count}")
        return rank

    cdef bint compose(self, Py_ssize_t rank, Ints* path) noexcept nogil:
        """Put the tokens of a path together. False without memory."""
        cdef const Stretch* stretch
        cdef int32_t first = 0
        cdef size_t change
        for change in range(self.ranked[rank - 1].until if rank else 0, self.ranked[rank].until):
            stretch = &self.stretches[self.changes.data[change]]
            if (not extend(path, self.best.data + first, stretch.first - first)
                    or not extend(path, self.others.data + stretch.begin, stretch.end - stretch.begin)):
                return False
            first = stretch.until
        return extend(path, self.best.data + first, self.best.size - first)

    cdef int take(self, BestPaths* paths) noexcept nogil:
        """Take what is needed of the paths found, and the tokens of the best path themselves. A Status."""
        cdef int32_t* numbers = <int32_t*>malloc((paths.opened.path_count + 1) * sizeof(int32_t))
        cdef size_t rank, i
        cdef int32_t part, path
        cdef int status = OK
        self.ranked = <Ranked*>malloc(paths.found.size * sizeof(Ranked))
        if numbers == NULL or self.ranked == NULL:
            free(numbers)
            return NO_MEMORY
        memset(numbers, 0xFF, paths.opened.path_count * sizeof(int32_t))     # NONE
        for rank in range(paths.found.size):
            if not find_changes(paths, rank) or not reserve_ints(&self.changes, self.changes.size + paths.changes.size):
                status = NO_MEMORY
                break
            for i in range(0, paths.changes.size, 2):
                part = paths.changes.data[i]
                path = paths.changes.data[i + 1]
                if numbers[path] == NONE:
                    numbers[path] = <int32_t>self.stretch_count
                    status = self.add_stretch(paths, part, path)
                    if status != OK:
                        break
                self.changes.data[self.changes.size] = numbers[path]
                self.changes.size += 1
            if status != OK:
                break
            self.ranked[rank].score = paths.score - loss_of(paths, rank)
            self.ranked[rank].until = self.changes.size
            self.count += 1
        free(numbers)
        self.best = paths.parts.tokens
        memset(&paths.parts.tokens, 0, sizeof(Ints))
        return status

    cdef int add_stretch(self, const BestPaths* paths, int32_t part, int32_t path) noexcept nogil:
        cdef Stretch* stretch
        if not reserve(&self.stretches, &self.stretch_capacity, self.stretch_count + 1, sizeof(Stretch)):
            return NO_MEMORY
        stretch = &self.stretches[self.stretch_count]
        self.stretch_count += 1
        stretch.first = paths.parts.parts[part].first_token
        stretch.until = after_part(&paths.parts, part)
        stretch.begin = self.others.size
        if not add_tokens_of(&paths.opened, path, &self.others):
            return NO_MEMORY
        stretch.end = self.others.size
        return OK


cdef bint extend(Ints* tokens, const int32_t* others, size_t count) noexcept nogil:
    """Add tokens. False without memory."""
    if count == 0:
        return True
    if not reserve_ints(tokens, tokens.size + count):
        return False
    memcpy(tokens.data + tokens.size, others, count * sizeof(int32_t))
    tokens.size += count
    return True


def nbest(Encoder encoder not None, Rows rows not None, size_t count):
    """The `count` best paths over the first row, or all if there are fewer: Alternatives."""
    cdef BestPaths paths
    cdef Alternatives found = Alternatives()
    cdef tuple key = ("nbest", 1.0)
    cdef Workspace space = encoder.borrow(key)
    cdef int cancelled = 0, status
    cdef size_t until = 0
    rows.complete()
    memset(&paths, 0, sizeof(BestPaths))
    space.scratch.cancelled = &cancelled
    try:
        with nogil:
            status = TOO_LONG
            if rows.sizes[0] <= MAX_TEXT:
                status = normalize(&encoder.normalizer.rules, rows.data[0], rows.sizes[0], &space.normalized, NULL)
            if status == OK:
                status = start_paths(&encoder.vocabulary, &encoder.cuts.table, space.normalized.data,
                                     <int32_t>space.normalized.size, count, &space.table, &space.scratch, &paths)
        raise_for_status(status, 0)
        while until < count and until <= paths.found.size:
            until = min(count, until + AT_ONCE)
            with nogil:
                status = find_paths(&encoder.vocabulary, space.normalized.data, until, &space.scratch, &paths)
            raise_for_status(status, 0)
            PyErr_CheckSignals()
        with nogil:
            status = found.take(&paths)
        raise_for_status(status, 0)
        found.encoder = encoder
        if has_unknown(&paths):
            found.text = space.normalized.data[:space.normalized.size]
        return found
    finally:
        best_paths_free(&paths)
        encoder.give_back(key, space)
