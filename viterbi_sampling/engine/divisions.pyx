"""The rows of a batch that are so long beside the others that one thread would be left alone with them.

Each of them is divided among all threads, one after the other, before the other rows are handed out.
"""

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from viterbi_sampling.engine.borders cimport Grounds, set_grounds
from viterbi_sampling.engine.buffer cimport MAX_TEXT, OK
from viterbi_sampling.engine.choices cimport FFBS, NBEST, PERFECT, VITERBI, VITERBI_SAMPLING
from viterbi_sampling.engine.divided cimport Division
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.job cimport Job, index_of
from viterbi_sampling.engine.lattice cimport NEVER
from viterbi_sampling.engine.rows cimport Rows

cdef enum:
    FEW_ROWS = 1 << 12              # so many are gathered before it is asked which are long; of more the first are at work then


cdef class Divisions:
    """The rows of a batch that are divided, and done before the others."""

    def __cinit__(self):
        self.divisions = []

    def __dealloc__(self):
        free(self.rows)

    cdef const Divided* find(self, Py_ssize_t row) noexcept nogil:
        """The row if it is divided, or NULL."""
        cdef int k
        for k in range(self.count):
            if self.rows[k].row == row:
                return &self.rows[k]
        return NULL


cdef Divisions divide_rows(Encoder encoder, Rows rows, Job* job, task, tuple key, int count, bint with_spans,
                           double* log_probs, bint first_here):
    cdef Divisions divisions = Divisions()
    cdef Division division
    cdef Divided* divided
    cdef Grounds grounds
    cdef Py_ssize_t row
    cdef list spaces
    cdef bint with_borders
    # The best paths are found once for all draws.
    if job.algorithm == NBEST:
        return divisions
    if rows.count <= FEW_ROWS:
        rows.complete()
    long_rows = []
    for row in range(rows.count if rows.ready.load() == rows.count else 0):
        # A draw of a shorter text takes less time than it takes to hand it out: with 50 bytes two threads are slower than one.
        if (2 * encoder.bytes_a_thread <= rows.sizes[row] * job.draws
                and encoder.bytes_a_thread // 256 <= rows.sizes[row] <= MAX_TEXT
                and rows.sizes[row] * 4 * count >= rows.total):
            long_rows.append(row)
    if not long_rows:
        return divisions
    memset(&grounds, 0, sizeof(grounds))
    with_borders = job.algorithm != FFBS and set_grounds(&grounds, encoder, job.algorithm == VITERBI,
                                                         encoder.normalizer.rules.prepare != NULL)
    # Where an automaton samples, or nothing is kept, counting takes about as long: two threads would gain nothing.
    if count == 2 and (job.algorithm == VITERBI_SAMPLING
                       or (encoder.vocabulary.automaton != NULL and job.algorithm == PERFECT)):
        with_borders = False
    if not with_borders and job.draws == 1:
        return divisions
    divisions.rows = <Divided*>calloc(len(long_rows), sizeof(Divided))
    if divisions.rows == NULL:
        raise MemoryError()
    spaces = []
    for _ in range(count):      # no comprehension: without memory, Cython gives up such an object twice
        spaces.append(encoder.borrow(key))
    for row in long_rows:
        division = Division()
        division.encoder = encoder
        division.job = job
        division.owners = (rows, task)
        division.index = index_of(job, row)
        division.grounds = grounds
        division.given.text = division.text = rows.data[row]
        division.given.size = division.size = <int32_t>rows.sizes[row]
        division.given.in_characters = rows.in_characters[row]
        division.whole = encoder.normalizer.rules.prepare != NULL
        division.with_borders = with_borders
        division.chained = job.algorithm == VITERBI and encoder.vocabulary.restart == NEVER
        division.tokens.with_spans = with_spans
        division.log_probs = log_probs + row * job.draws if log_probs != NULL else NULL
        division.run(spaces, &job.cancelled, first_here)
        divided = &divisions.rows[divisions.count]
        divided.row = row
        divided.status = division.status
        divided.tokens = &division.tokens
        divided.ends = division.ends
        divisions.divisions.append(division)
        divisions.count += 1
        if division.status != OK:
            break
    for space in reversed(spaces):      # as in `run` of the driver
        encoder.give_back(key, space)
    return divisions
