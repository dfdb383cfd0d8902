"""The batch driver: rows of texts in, flat arrays of ids (and of spans) out.

A worker owns all that is written while it runs: scratch, the normalized text, the ids. The encoder
is only read. With several threads each takes a run of consecutive rows, of about the same number of
bytes; their ids are joined at the end. A thread lives inside one call.
"""

import threading
import time
from collections import OrderedDict

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import numpy as np

from viterbi_sampling.engine.buffer cimport (
    CANCELLED, MAX_TEXT, NO_MEMORY, NO_PATH, OK, TOO_LONG, Ints, Sum,
)
from viterbi_sampling.engine.cuts cimport Cuts
from viterbi_sampling.engine.normalizer cimport Normalizer, normalize
from viterbi_sampling.engine.rows cimport Rows
from viterbi_sampling.engine.choices cimport FFBS, PERFECT, VITERBI, VITERBI_SAMPLING
from viterbi_sampling.engine.sampling cimport sample
from viterbi_sampling.engine.scratch cimport scratch_free
from viterbi_sampling.engine.stream cimport stream_start
from viterbi_sampling.engine.tokens cimport Tokens, add_token, add_tokens
from viterbi_sampling.engine.trie cimport NO_PIECE, Trie
from viterbi_sampling.engine.viterbi cimport viterbi_double, viterbi_single

from viterbi_sampling.engine.weights import edge_weights
from viterbi_sampling.engine.words import Words

ALGORITHMS = {"viterbi": VITERBI, "perfect": PERFECT, "ffbs": FFBS, "viterbi_sampling": VITERBI_SAMPLING}

cdef enum:
    BYTES_A_THREAD = 1 << 17        # less work than this is not worth a thread
    # The tables of words: at most 8 MB of slots and 32 MB of records each.
    MOST_SLOTS = 1 << 17
    MOST_BYTES = 1 << 25
    TABLES_A_KEY = 64
    KEYS = 4
    BYTES_UNWATCHED = 1 << 25       # more work than this runs beside the main thread, which watches for Ctrl-C


cdef int take_ints(Ints* ints, array) except -1:
    """Copy into a numpy array that has the size, and free."""
    cdef int32_t[::1] view
    if ints.size:
        view = array
        memcpy(&view[0], ints.data, ints.size * sizeof(int32_t))
    free(ints.data)
    ints.data = NULL
    ints.size = ints.capacity = 0
    return 0


def piece_trie(const uint8_t[::1] text, const int64_t[::1] offsets, const int32_t[::1] ids, const float[::1] scores):
    """The trie of the pieces `ids`; `scores` has one entry a piece of the whole vocabulary."""
    cdef Trie trie = Trie()
    if ids.shape[0]:
        trie.build(&text[0], &offsets[0], &ids[0], &scores[0], ids.shape[0])
    else:
        trie.build(NULL, NULL, NULL, NULL, 0)
    return trie


def spell_spaces(const uint8_t[::1] text, const int64_t[::1] offsets):
    """(text, offsets) with U+2581 spelled as a space, as the engine reads it, and the pieces that held a space.

    Those pieces can match nothing: once spaces are escaped, no text holds one.
    """
    cdef Py_ssize_t i, k, size = offsets.shape[0] - 1
    cdef int64_t at, written = 0, end
    cdef bint held
    result = np.empty(text.shape[0], np.uint8)
    bounds = np.empty(size + 1, np.int64)
    holding = []
    cdef uint8_t[::1] target = result
    cdef int64_t[::1] bound = bounds
    bound[0] = 0
    for i in range(size):
        at = offsets[i]
        end = offsets[i + 1]
        held = False
        while at < end:
            if text[at] == 0xE2 and at + 2 < end and text[at + 1] == 0x96 and text[at + 2] == 0x81:
                target[written] = 0x20
                at += 3
            else:
                held = held or text[at] == 0x20
                target[written] = text[at]
                at += 1
            written += 1
        if held:
            holding.append(i)
        bound[i + 1] = written
    return result, bounds, holding


cdef class Encoder:
    """A model ready to run. Immutable; any number of threads may use it at once."""

    def __init__(self, Normalizer normalizer not None, Trie trie not None, Cuts cuts not None,
                 const double[::1] scores not None, const float[::1] single_scores not None,
                 const int32_t[::1] lengths not None, bint single_precision, unknown_score, int32_t unknown_id, bint byte_fallback, const int32_t[::1] byte_ids,
                 bint escape_whitespaces):
        """`scores`, `single_scores` and `lengths` have one entry a piece and one more for an unknown character.

        `scores` are for sampling, `single_scores` for decoding in single precision, `lengths` in bytes as the trie
        spells the pieces. `unknown_score` is None where unknown characters have no edge.
        """
        cdef int i
        self.normalizer = normalizer
        self.trie = trie
        self.scores = np.ascontiguousarray(scores)
        self.single_precision = single_precision
        self.cuts = cuts
        self.single_scores = np.ascontiguousarray(single_scores)
        self.lengths = np.ascontiguousarray(lengths)
        self.shelf = OrderedDict()
        cdef const double[::1] view = self.scores
        cdef const float[::1] single_view = self.single_scores
        cdef const int32_t[::1] length_view = self.lengths
        self.vocabulary.single_scores = &single_view[0]
        self.vocabulary.lengths = &length_view[0]
        self.vocabulary.nodes = trie.nodes
        self.vocabulary.scores = &view[0]
        self.vocabulary.unknown = NO_PIECE if unknown_score is None else <int32_t>(scores.shape[0] - 1)
        self.vocabulary.unknown_score = 0 if unknown_score is None else unknown_score
        self.spelling.unknown = self.vocabulary.unknown
        self.spelling.unknown_id = unknown_id
        self.spelling.byte_fallback = byte_fallback
        self.spelling.escape_whitespaces = escape_whitespaces
        for i in range(256):
            self.spelling.byte_ids[i] = byte_ids[i]

    def normalize(self, const uint8_t[::1] text):
        """The normalized text as bytes, spaces as the model spells them."""
        return self.normalizer.normalize(text)

    def visible(self, bytes text):
        """A normalized text as others spell it: U+2581 for the spaces of a model that escapes them."""
        return text.replace(b" ", b"\xe2\x96\x81") if self.spelling.escape_whitespaces else text

    def spell(self, const uint8_t[::1] text, const int32_t[::1] tokens):
        """The ids of a path over `text`, in the spelling of the engine: unknown characters merged, or in bytes."""
        cdef Tokens out
        cdef Py_ssize_t k
        cdef bint fits
        memset(&out, 0, sizeof(Tokens))
        try:
            fits = tokens.shape[0] == 0 or add_tokens(&out, &self.spelling, self.vocabulary.lengths, &text[0], 0,
                                                      &tokens[0], <int32_t>tokens.shape[0], True)
            if not fits:
                raise MemoryError()
            return [out.ids.data[k] for k in range(<Py_ssize_t>out.ids.size)]
        finally:
            free(out.ids.data)

    def weights(self, double alpha):
        """exp(alpha * score) of each token: (weights, exponents), see edge_weights."""
        return edge_weights(self.scores, alpha)

    def borrow(self, key):
        """A table of words for (algorithm, alpha): one that is on the shelf, or a new one."""
        shelved = self.shelf.get(key)
        if shelved:
            try:
                return shelved.pop()
            except IndexError:      # another thread was faster
                pass
        return Words(MOST_SLOTS, MOST_BYTES)

    def give_back(self, key, words):
        """Put a table on the shelf, which holds those of the keys that were used last."""
        shelved = self.shelf.setdefault(key, [])
        if len(shelved) < TABLES_A_KEY:
            shelved.append(words)
        try:
            self.shelf.move_to_end(key)
            while len(self.shelf) > KEYS:
                self.shelf.popitem(last=False)
        except KeyError:            # another thread took the key away
            pass

    def run(self, Rows rows not None, str algorithm="viterbi", double alpha=0.0, weights=(None, None), uint64_t seed=0,
            uint64_t first_index=0, const uint64_t[::1] indices=None, uint64_t first_draw=0, Py_ssize_t draws=1,
            bint with_spans=False, double[::1] log_probs=None, int32_t prefix_id=-1, int32_t suffix_id=-1, int num_threads=1):
        """Segment each row `draws` times: (ids, offsets, spans or None), row i·draws + j being draw j of text i.

        `spans` are positions in the given text, in characters or in bytes as the row says. `log_probs`, of the size
        of the result, receives the log-probability of each path.
        """
        cdef Task task = Task()
        cdef Job* job = &task.job
        cdef const double[::1] values = weights[0]
        cdef const int32_t[::1] exponents = weights[1]
        cdef Py_ssize_t i
        cdef Worker worker
        cdef int64_t[::1] bounds
        cdef int64_t share, done
        job.algorithm = ALGORITHMS[algorithm]
        job.weights.alpha = alpha
        job.weights.values = &values[0] if values is not None else NULL
        job.weights.exponents = &exponents[0] if exponents is not None else NULL
        job.seed = seed
        job.first_index = first_index
        job.indices = &indices[0] if indices is not None and rows.count else NULL
        job.first_draw = first_draw
        job.draws = draws
        job.prefix_id = prefix_id
        job.suffix_id = suffix_id
        job.cancelled = 0
        offsets = np.zeros(rows.count * draws + 1, np.int64)
        bounds = offsets
        task.owners = (weights, indices, offsets, log_probs)
        num_threads = <int>max(1, min(<int64_t>num_threads, rows.total * draws // BYTES_A_THREAD, rows.count))
        workers = []
        share = rows.total // num_threads + 1
        i = 0
        for k in range(num_threads):
            worker = Worker(self, rows)
            worker.task = task
            worker.job = job
            worker.words = self.borrow((algorithm, alpha))
            worker.sizes = &bounds[1]
            worker.log_probs = &log_probs[0] if log_probs is not None and log_probs.shape[0] else NULL
            worker.tokens.with_spans = with_spans
            worker.first = i
            done = 0
            while i < rows.count and (done < share or k == num_threads - 1):
                done += rows.sizes[i]
                i += 1
            worker.last = i
            workers.append(worker)
        if num_threads == 1 and rows.total * draws < BYTES_UNWATCHED:
            workers[0].work()
        else:
            run_beside(workers, task)
        for worker in workers:
            self.give_back((algorithm, alpha), worker.words)
        for worker in workers:
            worker.raise_for_status()
        np.cumsum(offsets, out=offsets)
        ids, spans = join(workers, with_spans)
        return ids, offsets, spans

    def segment(self, Rows rows not None, algorithm="viterbi", double alpha=0.0, weights=(None, None), uint64_t seed=0,
                uint64_t index=0, uint64_t draw=0, const int32_t[::1] tokens=None):
        """One segmentation of the first row with all that is known of it: (ids, spans, pieces).

        Unless `tokens` gives the path, it is decided as the other arguments say.
        `spans` are positions in the given text; `pieces` the bytes of each token in the normalized
        text, None for tokens whose piece their id tells.
        """
        cdef Task task = Task()
        cdef Job* job = &task.job
        cdef const double[::1] values = weights[0]
        cdef const int32_t[::1] exponents = weights[1]
        cdef Worker worker = Worker(self, rows)
        cdef int64_t size = 0
        cdef Py_ssize_t k
        cdef const int32_t* span
        job.algorithm = ALGORITHMS[algorithm]
        job.weights.alpha = alpha
        job.weights.values = &values[0] if values is not None else NULL
        job.weights.exponents = &exponents[0] if exponents is not None else NULL
        job.seed = seed
        job.first_index = index
        job.first_draw = draw
        job.draws = 1
        job.prefix_id = job.suffix_id = -1
        worker.task = task
        worker.job = job
        worker.sizes = &size
        worker.first = 0
        worker.last = 1
        worker.tokens.with_spans = True
        worker.keep_normalized = True
        if tokens is None:
            worker.words = self.borrow((algorithm, alpha))
            worker.work()
            self.give_back((algorithm, alpha), worker.words)
        else:
            worker.follow(tokens)
        worker.raise_for_status()
        ids = [worker.tokens.ids.data[k] for k in range(<Py_ssize_t>worker.tokens.ids.size)]
        pieces = []
        for k in range(<Py_ssize_t>worker.tokens.ids.size):
            piece = None
            if ids[k] == self.spelling.unknown_id and not self.spelling.byte_fallback:
                span = &worker.tokens.spans.data[2 * k]
                piece = self.visible(worker.normalized.data[span[0]:span[1]])
            pieces.append(piece)
        worker.place_spans(0, 0)
        spans = [(worker.tokens.spans.data[2 * k], worker.tokens.spans.data[2 * k + 1]) for k in range(len(ids))]
        return ids, spans, pieces


cdef class Task:
    """The job of one call. Its workers hold it, so that its memory outlives each of them whatever happens."""

    def __cinit__(self):
        memset(&self.job, 0, sizeof(Job))

    def cancel(self):
        """Stop the workers at their next look."""
        self.job.cancelled = 1


def run_beside(workers, task):
    """Run each worker in a thread of its own; an exception here, such as Ctrl-C, stops them first."""
    threads = [threading.Thread(target=worker.work) for worker in workers]
    started = []
    try:
        for thread, worker in zip(threads, workers):
            thread.start()
            started.append(worker)
        for thread in threads:
            thread.join()
    except BaseException:
        task.cancel()
        # An interrupted join can take a running thread for a dead one, so the workers are asked.
        while not all(worker.has_finished() for worker in started):
            try:
                time.sleep(0.001)
            except KeyboardInterrupt:
                continue
        raise


def join(workers, bint with_spans):
    """(ids, spans or None) of all workers, in their order."""
    cdef Worker worker
    cdef int64_t total = 0, at = 0, size
    for worker in workers:
        total += worker.tokens.ids.size
    ids = np.empty(total, np.int32)
    spans = np.empty(2 * total, np.int32) if with_spans else None
    for worker in workers:
        size = worker.tokens.ids.size
        take_ints(&worker.tokens.ids, ids[at:at + size])
        if with_spans:
            take_ints(&worker.tokens.spans, spans[2 * at:2 * (at + size)])
        at += size
    return ids, spans.reshape(-1, 2) if with_spans else None


cdef class Worker:
    """What one thread needs to run over its rows."""

    def __cinit__(self, Encoder encoder not None, Rows rows not None):
        self.encoder = encoder
        self.rows = rows

    def __dealloc__(self):
        scratch_free(&self.scratch)
        free(self.tokens.ids.data)
        free(self.tokens.spans.data)
        free(self.normalized.data)
        free(self.origins.data)

    def work(self):
        """Do the rows, without the interpreter lock."""
        with nogil:
            self.status = self.run()
        self.finished = True

    def has_finished(self):
        """Whether the rows are done, or given up."""
        return self.finished

    def follow(self, const int32_t[::1] tokens not None):
        """Take the path with these tokens for the first row."""
        self.status = normalize(&self.encoder.normalizer.rules, self.rows.data[0], self.rows.sizes[0], &self.normalized,
                                &self.origins)
        if self.status == OK and tokens.shape[0] and not add_tokens(
                &self.tokens, &self.encoder.spelling, self.encoder.vocabulary.lengths, self.normalized.data, 0,
                &tokens[0], <int32_t>tokens.shape[0], True):
            self.status = NO_MEMORY

    def raise_for_status(self):
        """Raise what went wrong, if anything did."""
        if self.status == NO_MEMORY:
            raise MemoryError()
        if self.status == TOO_LONG:
            raise ValueError(f"row {self.failed_row} of texts is too long: a text must be shorter than {MAX_TEXT} bytes, "
                             "before and after normalization")
        if self.status == NO_PATH:
            raise ValueError(f"row {self.failed_row} of texts has no segmentation into the pieces of this model "
                             "(give unk_score to allow unknown characters)")

    cdef int run(self) noexcept nogil:
        cdef Py_ssize_t row
        cdef int status
        self.scratch.cancelled = &self.job.cancelled
        for row in range(self.first, self.last):
            status = CANCELLED if self.job.cancelled else self.run_text(row)
            if status != OK:
                self.failed_row = row
                return status
        return OK

    cdef int run_text(self, Py_ssize_t row) noexcept nogil:
        cdef Job* job = self.job
        cdef Tokens* tokens = &self.tokens
        cdef bint with_origins = tokens.with_spans
        cdef size_t before
        cdef Py_ssize_t draw
        cdef uint64_t index
        cdef Sum log_prob
        cdef const uint8_t* text
        cdef int32_t size
        cdef int status
        if self.rows.sizes[row] > MAX_TEXT:
            return TOO_LONG
        status = normalize(&self.encoder.normalizer.rules, self.rows.data[row], self.rows.sizes[row], &self.normalized,
                           &self.origins if with_origins else NULL)
        if status != OK:
            return status
        text = self.normalized.data
        size = <int32_t>self.normalized.size
        for draw in range(job.draws):
            before = tokens.ids.size
            tokens.after_unknown = False
            if job.prefix_id >= 0 and not add_token(tokens, job.prefix_id, 0, 0):
                return NO_MEMORY
            if size == 0:
                status = OK
                if self.log_probs != NULL:
                    self.log_probs[row * job.draws + draw] = 0
            elif job.algorithm == VITERBI:
                if self.encoder.single_precision:
                    status = viterbi_single(&self.encoder.vocabulary, &self.encoder.cuts.table, &self.encoder.spelling,
                                            text, size, &self.words.table, &self.scratch, tokens)
                else:
                    status = viterbi_double(&self.encoder.vocabulary, &self.encoder.spelling, text, size, &self.scratch, tokens)
            else:
                index = job.indices[row] if job.indices != NULL else job.first_index + <uint64_t>row
                log_prob.value = log_prob.rest = 0
                stream_start(&self.stream, job.seed, index, job.first_draw + <uint64_t>draw)
                status = sample(job.algorithm, &self.encoder.vocabulary, &self.encoder.cuts.table, &job.weights,
                                &self.encoder.spelling, text, size, &self.stream, &self.words.table, &self.scratch,
                                tokens, &log_prob if self.log_probs != NULL else NULL)
                if self.log_probs != NULL:
                    self.log_probs[row * job.draws + draw] = min(0.0, log_prob.value + log_prob.rest)
            if status != OK:
                return status
            if job.suffix_id >= 0 and not add_token(tokens, job.suffix_id, size, size):
                return NO_MEMORY
            self.sizes[row * job.draws + draw] = <int64_t>(tokens.ids.size - before)
            if with_origins and not self.keep_normalized:
                self.place(row, before)
        return OK

    cdef void place(self, Py_ssize_t row, size_t first) noexcept nogil:
        """Turn the spans from token `first` on from positions in the normalized text into ones in the given text."""
        cdef int32_t* span = self.tokens.spans.data + 2 * first
        cdef int32_t* end = self.tokens.spans.data + self.tokens.spans.size
        cdef const uint8_t* text = self.rows.data[row]
        cdef int32_t position = 0, characters = 0
        while span < end:
            span[0] = self.origins.data[span[0]] if self.origins.size else 0
            if self.rows.in_characters[row]:
                # Positions rise, but for the second of a token and the first of the next, which may be equal.
                while position < span[0]:
                    characters += (text[position] & 0xC0) != 0x80
                    position += 1
                span[0] = characters
            span += 1

    def place_spans(self, Py_ssize_t row, size_t first):
        """See place."""
        self.place(row, first)
