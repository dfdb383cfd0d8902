"""The batch driver: rows of texts in, flat arrays of ids (and of spans) out.

A worker owns all that is written while it runs: workspace, ids. The encoder is only read. Each thread takes runs of
consecutive rows, as they come; what it makes of them is put in their order (see results). The first rows are at work
before the last are gathered. A thread lives inside one call.
"""

from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from viterbi_sampling.engine.arrays cimport list_from
from viterbi_sampling.engine.buffer cimport (
    MAX_TEXT, NO_MEMORY, OK, TOO_LONG, Bytes, Ints, Sum, extend, reserve_bytes, reserve_ints,
)
from viterbi_sampling.engine.choices cimport FFBS, NBEST, PERFECT, VITERBI, VITERBI_SAMPLING
from viterbi_sampling.engine.cuts cimport CutTable
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.job cimport index_of
from viterbi_sampling.engine.kbest cimport best_paths, best_paths_free, draw_path, weigh_paths
from viterbi_sampling.engine.lattice cimport Vocabulary
from viterbi_sampling.engine.normalizer cimport Rules, normalize
from viterbi_sampling.engine.divisions cimport Divided, Divisions, divide_rows
from viterbi_sampling.engine.objects cimport IdLists, Objects
from viterbi_sampling.engine.placing cimport Given, place_spans
from viterbi_sampling.engine.results cimport Made, Results
from viterbi_sampling.engine.rows cimport NULL_TEXT, Rows, raise_for_status
from viterbi_sampling.engine.sampling cimport sample
from viterbi_sampling.engine.scratch cimport Scratch
from viterbi_sampling.engine.stream cimport STREAM_WORDS, Stream, stream_next, stream_start
from viterbi_sampling.engine.tokens cimport Spelling, Tokens, add_token
from viterbi_sampling.engine.utf8 cimport MARK
from viterbi_sampling.engine.viterbi cimport viterbi
from viterbi_sampling.engine.words cimport Table
from viterbi_sampling.engine.workers cimport Worker, do_rows, raise_first
from viterbi_sampling.engine.workspace cimport Workspace

ALGORITHMS = {"viterbi": VITERBI, "perfect": PERFECT, "ffbs": FFBS, "viterbi_sampling": VITERBI_SAMPLING, "nbest": NBEST}

cdef enum:
    BYTES_WITH_LOCK = 1 << 12       # less work than this is done before the interpreter lock would be given away
    BYTES_UNWATCHED = 1 << 25       # more work than this runs beside the main thread, which watches for Ctrl-C


cdef Task task_of(str algorithm, double alpha, weights, Py_ssize_t nbest_size, uint64_t seed, uint64_t first_index,
                  const uint64_t[::1] indices, uint64_t first_draw, Py_ssize_t draws, int32_t prefix_id, int32_t suffix_id):
    cdef Task task = Task()
    cdef Job* job = &task.job
    cdef const double[::1] values = weights[0]
    cdef const int32_t[::1] exponents = weights[1]
    job.algorithm = ALGORITHMS[algorithm]
    job.weights.alpha = alpha
    job.weights.values = &values[0] if values is not None else NULL
    job.weights.exponents = &exponents[0] if exponents is not None else NULL
    job.nbest_size = nbest_size
    job.seed = seed
    job.first_index = first_index
    job.indices = &indices[0] if indices is not None and indices.shape[0] else NULL
    job.first_draw = first_draw
    job.draws = draws
    job.prefix_id = prefix_id
    job.suffix_id = suffix_id
    task.owners = (weights, indices)
    return task


cdef tuple key_of(str algorithm, double alpha):
    """What a workspace is kept for."""
    # The best paths are those of the scores, whatever alpha does with them.
    return algorithm, 1.0 if algorithm == "nbest" else alpha


def run(Encoder encoder not None, Rows rows not None, str algorithm="viterbi", double alpha=0.0, weights=(None, None),
        Py_ssize_t nbest_size=0, uint64_t seed=0, uint64_t first_index=0, indices=None, uint64_t first_draw=0,
        Py_ssize_t draws=1, bint with_spans=False, double[::1] log_probs=None, int32_t prefix_id=-1,
        int32_t suffix_id=-1, int num_threads=1, list unknown=None, Objects objects=None):
    """Segment each row `draws` times: (ids, offsets, spans or None), row i·draws + j being draw j of text i.

    `spans` are positions in the given text, in characters or in bytes as the row says. `log_probs`, of the size
    of the result, receives the log-probability of each path; a null has no ids, and NaN. To `unknown` is added what
    the normalized text has at each token with the unknown id, in the order of the tokens, as bytes. With `objects`
    the result is what becomes of them, and nothing is returned.
    """
    cdef Task task = task_of(algorithm, alpha, weights, nbest_size, seed, first_index, indices, first_draw, draws,
                             prefix_id, suffix_id)
    cdef Results results = Results(rows, draws, with_spans)
    cdef Segmenter worker
    cdef tuple key = key_of(algorithm, alpha)
    results.cancelled = &task.job.cancelled
    task.owners += (results, log_probs)
    while rows.ready.load() < rows.count and rows.total * draws < <int64_t>num_threads * encoder.bytes_a_thread:
        rows.more()
    cdef int shares = <int>max(1, min(<int64_t>num_threads, rows.total * draws // encoder.bytes_a_thread))
    cdef Divisions divisions = Divisions()
    if shares > 1 and unknown is None:
        divisions = divide_rows(encoder, rows, &task.job, task, key, shares, with_spans,
                                &log_probs[0] if log_probs is not None and log_probs.shape[0] else NULL,
                                rows.total * draws < BYTES_UNWATCHED)
    workers = []
    for k in range(<int>max(1, min(<int64_t>shares, rows.count))):
        worker = Segmenter(encoder, rows, task)
        worker.space = encoder.borrow(key)
        worker.space.scratch.cancelled = &task.job.cancelled
        worker.results = results
        worker.divisions = divisions
        worker.ends = results.ends
        worker.log_probs = &log_probs[0] if log_probs is not None and log_probs.shape[0] else NULL
        worker.made.tokens.with_spans = with_spans
        worker.with_unknown = unknown is not None
        workers.append(worker)
    do_rows(workers, results, &task.job.cancelled, rows.total * draws >= BYTES_UNWATCHED, objects)
    # The first one is lent first the next time: its table is in the caches of the calling thread's core.
    for worker in reversed(workers):
        encoder.give_back(key, worker.space)
    raise_first(workers)
    if objects is not None:
        return None
    if results.alone:
        worker = workers[0]
        results.made, worker.made = worker.made, results.made
    if unknown is not None:
        give_unknown(encoder, &results.made, unknown)
    return results.arrays()


def id_lists(Encoder encoder not None, Rows rows not None, **options):
    """The ids of each path as a list of int, for these options of `run`. They are made while other threads go on."""
    cdef IdLists lists = IdLists()
    run(encoder, rows, objects=lists, **options)
    return lists.all()


def segment(Encoder encoder not None, Rows rows not None, str algorithm="viterbi", double alpha=0.0, weights=(None, None),
            Py_ssize_t nbest_size=0, uint64_t seed=0, uint64_t index=0, uint64_t draw=0, const uint64_t[::1] words=None):
    """One segmentation of the first row with all that is known of it: (ids, spans, pieces).

    `words`, fewer than 512, come before those of the stream: the first uniform is words[0] >> 11 in units of 2^-53.

    `spans` are positions in the given text; `pieces` the bytes of each token in the normalized
    text (of an added token its mark), None for tokens whose piece their id tells.
    """
    rows.complete()
    cdef Task task = task_of(algorithm, alpha, weights, nbest_size, seed, index, None, draw, 1, -1, -1)
    cdef Segmenter worker = Segmenter(encoder, rows, task)
    cdef int64_t end = 0
    cdef Py_ssize_t k
    cdef const int32_t* span
    cdef tuple key = key_of(algorithm, alpha)
    worker.space = encoder.borrow(key)
    worker.ends = &end
    worker.made.tokens.with_spans = True
    worker.keep_normalized = True
    if words is not None and words.shape[0]:
        if words.shape[0] >= STREAM_WORDS:
            raise ValueError(f"words must be fewer than {STREAM_WORDS}, got {words.shape[0]}")
        worker.words = &words[0]
        worker.word_count = <int>words.shape[0]
    worker.work_first()
    worker.raise_for_status()
    ids = list_from(worker.made.tokens.ids.data, worker.made.tokens.ids.size)
    pieces = []
    for k in range(<Py_ssize_t>worker.made.tokens.ids.size):
        piece = None
        span = &worker.made.tokens.spans.data[2 * k]
        if ids[k] == encoder.spelling.unknown_id and not encoder.spelling.byte_fallback:
            piece = encoder.visible(worker.space.normalized.data[span[0]:span[1]])
        elif span[0] < span[1] and worker.space.normalized.data[span[0]] >= MARK:
            piece = worker.space.normalized.data[span[0]:span[1]]
        pieces.append(piece)
    encoder.give_back(key, worker.space)
    worker.place(0, 0)
    spans = [(worker.made.tokens.spans.data[2 * k], worker.made.tokens.spans.data[2 * k + 1]) for k in range(len(ids))]
    return ids, spans, pieces


cdef class Task:
    """The job of one call. Its workers hold it, so that its memory outlives each of them whatever happens."""

    def __cinit__(self):
        memset(&self.job, 0, sizeof(Job))


cdef int give_unknown(Encoder encoder, const Made* made, list found) except -1:
    """Add to `found` what the normalized text has at the unknown tokens."""
    cdef int32_t begin = 0, end
    cdef size_t k
    for k in range(made.text_ends.size):
        end = made.text_ends.data[k]
        found.append(encoder.visible(made.text.data[begin:end]))
        begin = end
    return 0


cdef int decide(const Job* job, const Vocabulary* vocabulary, const CutTable* cuts, const Spelling* spelling,
                bint single_precision, const Bytes* text, Stream* stream, Table* known, Scratch* scratch, Tokens* out,
                Sum* log_prob) noexcept nogil:
    """Add the tokens of one path over a normalized text by any algorithm but NBEST."""
    cdef int32_t size = <int32_t>text.size
    if size == 0:
        return OK
    if job.algorithm != VITERBI:
        return sample(job.algorithm, vocabulary, cuts, &job.weights, spelling, text.data, size, stream, known, scratch, out,
                      log_prob)
    return viterbi(vocabulary, cuts, spelling, single_precision, text.data, size, known, scratch, out)


cdef int decide_one(const Job* job, const Rules* rules, const Vocabulary* vocabulary, const CutTable* cuts,
                    const Spelling* spelling, bint single_precision, const uint8_t* data, size_t size, Bytes* normalized,
                    Ints* origins, Stream* stream, Table* known, Scratch* scratch, Tokens* out) noexcept nogil:
    """The tokens of one path over one text, in `out`; their spans, if asked for, are in the normalized text."""
    cdef int status = normalize(rules, data, size, normalized, origins)
    out.ids.size = out.spans.size = 0
    out.after_unknown = False
    if status == OK and job.prefix_id >= 0 and not add_token(out, job.prefix_id, 0, 0):
        status = NO_MEMORY
    if status == OK:
        stream_start(stream, job.seed, job.first_index, job.first_draw)
        status = decide(job, vocabulary, cuts, spelling, single_precision, normalized, stream, known, scratch, out, NULL)
    cdef int32_t end = <int32_t>normalized.size
    if status == OK and job.suffix_id >= 0 and not add_token(out, job.suffix_id, end, end):
        status = NO_MEMORY
    return status


cdef Workspace decide_text(Encoder encoder, Job* job, tuple key, const uint8_t* data, size_t size, Ints* origins):
    cdef Workspace space = encoder.borrow(key)
    cdef int status
    job.cancelled = 0
    space.scratch.cancelled = &job.cancelled
    space.tokens.with_spans = origins != NULL
    if size < BYTES_WITH_LOCK:
        status = decide_one(job, &encoder.normalizer.rules, &encoder.vocabulary, &encoder.cuts.table, &encoder.spelling,
                            encoder.single_precision, data, size, &space.normalized, origins, &space.stream,
                            &space.table, &space.scratch, &space.tokens)
    else:
        with nogil:
            status = decide_one(job, &encoder.normalizer.rules, &encoder.vocabulary, &encoder.cuts.table,
                                &encoder.spelling, encoder.single_precision, data, size, &space.normalized, origins,
                                &space.stream, &space.table, &space.scratch, &space.tokens)
    raise_for_status(status, 0)
    return space


cdef list ids_of_one(Encoder encoder, Job* job, tuple key, const uint8_t* data, size_t size):
    cdef Workspace space = decide_text(encoder, job, key, data, size, NULL)
    ids = list_from(space.tokens.ids.data, space.tokens.ids.size)
    encoder.give_back(key, space)
    return ids


cdef class Segmenter(Worker):
    """What one thread needs to segment texts."""

    def __cinit__(self, Encoder encoder not None, Rows rows not None, Task task not None):
        self.encoder = encoder
        self.divisions = Divisions()
        self.rows = rows
        self.task = task
        self.job = &task.job

    def __dealloc__(self):
        free(self.origins.data)
        free(self.spanned.ids.data)
        free(self.spanned.spans.data)
        best_paths_free(&self.paths)

    def work_first(self):
        """Do the first row alone, without the interpreter lock."""
        with nogil:
            self.space.scratch.cancelled = &self.job.cancelled
            self.status = self.run_row(0)

    cdef int run_row(self, Py_ssize_t row) noexcept nogil:
        cdef bint with_origins = self.made.tokens.with_spans
        cdef const Divided* divided = self.divisions.find(row)
        cdef size_t before
        cdef int32_t size
        cdef Py_ssize_t draw
        cdef int status
        if self.rows.sizes[row] == NULL_TEXT:
            for draw in range(row * self.job.draws, (row + 1) * self.job.draws):
                self.ends[draw] = <int64_t>self.made.tokens.ids.size
                if self.log_probs != NULL:
                    self.log_probs[draw] = NAN
            return OK
        if self.rows.sizes[row] > MAX_TEXT:
            return TOO_LONG
        if divided != NULL:
            return self.take_divided(divided)
        status = normalize(&self.encoder.normalizer.rules, self.rows.data[row], self.rows.sizes[row], &self.space.normalized,
                           &self.origins if with_origins else NULL)
        if status != OK:
            return status
        size = <int32_t>self.space.normalized.size
        if self.job.algorithm == NBEST:
            status = best_paths(&self.encoder.vocabulary, &self.encoder.cuts.table, self.space.normalized.data, size,
                                self.job.nbest_size, &self.space.table, &self.space.scratch, &self.paths)
            if status == OK:
                status = weigh_paths(&self.paths, self.job.weights.alpha)
            if status != OK:
                return status
        for draw in range(self.job.draws):
            before = self.made.tokens.ids.size
            self.made.tokens.after_unknown = False
            if self.job.prefix_id >= 0 and not add_token(&self.made.tokens, self.job.prefix_id, 0, 0):
                return NO_MEMORY
            status = self.run_draw(row, draw)
            if status == OK and self.with_unknown:
                status = self.keep_unknown(row, draw, before)
            if status != OK:
                return status
            if self.job.suffix_id >= 0 and not add_token(&self.made.tokens, self.job.suffix_id, size, size):
                return NO_MEMORY
            self.ends[row * self.job.draws + draw] = <int64_t>self.made.tokens.ids.size
            if with_origins and not self.keep_normalized:
                self.place(row, before)
        return OK

    cdef int take_divided(self, const Divided* divided) noexcept nogil:
        """Add the tokens of a row that is done."""
        cdef Tokens* tokens = &self.made.tokens
        cdef Tokens empty
        cdef Py_ssize_t draw
        if divided.status != OK:
            return divided.status
        for draw in range(self.job.draws):
            self.ends[divided.row * self.job.draws + draw] = <int64_t>tokens.ids.size + divided.ends[draw]
        if tokens.ids.size == 0:
            empty = tokens[0]
            tokens[0] = divided.tokens[0]
            divided.tokens[0] = empty
        elif not (extend(&tokens.ids, &divided.tokens.ids, 0, divided.tokens.ids.size)
                  and extend(&tokens.spans, &divided.tokens.spans, 0, divided.tokens.spans.size)):
            return NO_MEMORY
        return OK

    cdef int run_draw(self, Py_ssize_t row, Py_ssize_t draw) noexcept nogil:
        """Add the tokens of one path over the normalized text."""
        cdef Job* job = self.job
        cdef uint64_t index = index_of(job, row)
        cdef Sum log_prob
        cdef Sum* wanted = &log_prob if self.log_probs != NULL else NULL
        cdef int status
        log_prob.value = log_prob.rest = 0
        if job.algorithm != VITERBI:
            stream_start(&self.stream, job.seed, index, job.first_draw + <uint64_t>draw)
            if self.word_count:
                memcpy(self.stream.words, self.words, self.word_count * sizeof(uint64_t))
                self.stream.filled = self.word_count
        if job.algorithm == NBEST and self.space.normalized.size:
            status = draw_path(&self.paths, job.weights.alpha, stream_next(&self.stream), &self.encoder.spelling,
                               self.encoder.vocabulary.lengths, self.space.normalized.data, &self.made.tokens, wanted)
        else:
            status = decide(job, &self.encoder.vocabulary, &self.encoder.cuts.table, &self.encoder.spelling,
                            self.encoder.single_precision, &self.space.normalized, &self.stream, &self.space.table,
                            &self.space.scratch, &self.made.tokens, wanted)
        if wanted != NULL:
            self.log_probs[row * job.draws + draw] = min(0.0, log_prob.value + log_prob.rest)
        return status

    cdef int keep_unknown(self, Py_ssize_t row, Py_ssize_t draw, size_t first) noexcept nogil:
        """Keep what the normalized text has at the unknown tokens from token `first` on."""
        cdef int32_t unknown_id = self.encoder.spelling.unknown_id
        cdef const int32_t* span
        cdef Tokens kept, tokens = self.made.tokens
        cdef size_t k = first, size
        cdef int status
        while k < tokens.ids.size and tokens.ids.data[k] != unknown_id:
            k += 1
        if k == tokens.ids.size:
            return OK
        if not tokens.with_spans:
            # The spans cost too much to be kept for every row: this one is decided again, and is the same again.
            kept = self.made.tokens
            self.made.tokens = self.spanned
            self.made.tokens.ids.size = self.made.tokens.spans.size = 0
            self.made.tokens.after_unknown = False
            self.made.tokens.with_spans = True
            status = self.run_draw(row, draw)
            tokens = self.spanned = self.made.tokens
            self.made.tokens = kept
            if status != OK:
                return status
            k = 0
        while k < tokens.ids.size:
            if tokens.ids.data[k] == unknown_id:
                span = tokens.spans.data + 2 * k
                size = span[1] - span[0]
                if self.made.text.size + size > MAX_TEXT:
                    return TOO_LONG
                if (not reserve_bytes(&self.made.text, self.made.text.size + size)
                        or not reserve_ints(&self.made.text_ends, self.made.text_ends.size + 1)):
                    return NO_MEMORY
                memcpy(self.made.text.data + self.made.text.size, self.space.normalized.data + span[0], size)
                self.made.text.size += size
                self.made.text_ends.data[self.made.text_ends.size] = <int32_t>self.made.text.size
                self.made.text_ends.size += 1
            k += 1
        return OK

    cdef void place(self, Py_ssize_t row, size_t first) noexcept nogil:
        """Turn the spans from token `first` on from positions in the normalized text into ones in the given text."""
        cdef Given given
        given.text = self.rows.data[row]
        given.size = <int32_t>self.rows.sizes[row]
        given.in_characters = self.rows.in_characters[row]
        place_spans(&given, &self.origins, self.encoder.normalizer.rules.prepare != NULL,
                    self.made.tokens.spans.data + 2 * first, self.made.tokens.spans.data + self.made.tokens.spans.size)
