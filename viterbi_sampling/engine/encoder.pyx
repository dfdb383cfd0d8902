"""Encoder: a model ready to run, and the workspaces for it that are kept from call to call."""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from viterbi_sampling.engine.arrays cimport list_from
from viterbi_sampling.engine.choices cimport MOST_PATHS
from viterbi_sampling.engine.cuts cimport Cuts
from viterbi_sampling.engine.endings cimport Endings
from viterbi_sampling.engine.lattice cimport AFTER_NEWLINE, AT_MARKS, AT_SPACE, NEVER
from viterbi_sampling.engine.matches cimport Steps
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.tokens cimport Tokens, add_tokens
from viterbi_sampling.engine.trie cimport NO_PIECE, Trie
from viterbi_sampling.engine.words cimport Slot
from viterbi_sampling.engine.workspace cimport Workspace

from viterbi_sampling.engine.verbatim import Verbatim
from viterbi_sampling.engine.weights import edge_weights

cdef double FURTHEST = 1000.0       # of greater scores all paths over a word are looked at: see viterbi.pyx

cdef enum:
    # The tables of words: at most 8 MB of slots and 32 MB of records each.
    CACHE_BYTES = 40 << 20      # of words a workspace: 8 MB of slots and 32 MB of records
    LEAST_BYTES = 1 << 20
    BYTES_A_THREAD = 1 << 17
    SPACES_A_KEY = 64
    KEYS = 4


RESTARTS = {"never": NEVER, "at_space": AT_SPACE, "after_newline": AFTER_NEWLINE, "at_marks": AT_MARKS}


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
                 const int32_t[::1] lengths not None, bint single_precision, unknown_score, int32_t unknown_id,
                 bint byte_fallback, const int32_t[::1] byte_ids, bint escape_whitespaces, str restart="never",
                 const int32_t[::1] aliases=None, bint bytewise=False):
        """`scores`, `single_scores` and `lengths` have one entry a piece and one more for an unknown character.

        With `aliases`, which are those of tokenizer.json models, they go on with one entry for each of them: the id
        that stands for such a token, NO_TOKEN or LITERAL_UNKNOWN. Runs of unknown characters are then spelled as one.

        `scores` are for sampling, `single_scores` for decoding in single precision, `lengths` in bytes as the trie
        spells the pieces. `unknown_score` is None where unknown characters have no edge.
        `restart` is one of RESTARTS: where the sums of the best path begin anew. No piece of the trie may span such
        a place: hold an inner space ("at_space"), or a newline before another character ("after_newline").
        `bytewise`: pieces may begin and end inside a character.
        """
        cdef int i
        if restart not in RESTARTS:
            raise ValueError(f"restart must be one of {', '.join(RESTARTS)}, got {restart!r}")
        self.vocabulary.restart = RESTARTS[restart]
        self.vocabulary.bytewise = bytewise
        if bytewise:
            self.steps = Steps()
            self.steps.make(trie, int(np.max(lengths)))
            self.vocabulary.steps = self.steps.steps
            self.vocabulary.root = self.steps.root
        self.normalizer = normalizer
        self.trie = trie
        self.scores = np.ascontiguousarray(scores)
        self.single_precision = single_precision
        self.cuts = cuts
        self.single_scores = np.ascontiguousarray(single_scores)
        self.lengths = np.ascontiguousarray(lengths)
        self.shelf = {}
        self.aliases = aliases
        cdef const double[::1] view = self.scores
        cdef const float[::1] single_view = self.single_scores
        cdef const int32_t[::1] length_view = self.lengths
        self.vocabulary.single_scores = &single_view[0]
        self.vocabulary.lengths = &length_view[0]
        self.vocabulary.nodes = trie.nodes
        self.vocabulary.entries = trie.entries
        self.vocabulary.scores = &view[0]
        self.pieces = <int32_t>(scores.shape[0] - 1)
        if aliases is not None:
            self.pieces -= <int32_t>aliases.shape[0]
            self.spelling.aliases = &aliases[0] if aliases.shape[0] else NULL
            self.spelling.whole_runs = True
            self.spelling.runs_end_at_spaces = self.vocabulary.restart == AT_SPACE
        self.vocabulary.pieces = self.spelling.pieces = self.pieces
        if bytewise:
            self.endings = Endings()
            self.endings.make(trie, self.steps, &length_view[0], int(np.max(lengths)), self.pieces)
            if self.endings.automaton.states != NULL:
                self.vocabulary.automaton = &self.endings.automaton
        self.vocabulary.unknown = NO_PIECE if unknown_score is None else self.pieces
        self.vocabulary.unknown_score = 0 if unknown_score is None else unknown_score
        # Of an unknown character the score in either precision.
        cdef double single = self.vocabulary.unknown_score, exact = view[self.pieces]
        cdef double unknown = -1e300 if unknown_score is None else max(single, exact)
        self.vocabulary.furthest = trie.furthest
        if unknown_score is not None:
            self.vocabulary.furthest = max(trie.furthest, max(fabs(single), fabs(exact)))
        for i in range(256):
            self.greatest[i] = max(trie.greatest[i], unknown) if self.vocabulary.furthest < FURTHEST else 1e300
        self.vocabulary.greatest = self.greatest
        self.vocabulary.rise = max(trie.rise, unknown)
        if unknown_score is not None and not bytewise:
            self.vocabulary.held = cuts.held
        self.vocabulary.at_once = MOST_PATHS
        self.limit_cache(CACHE_BYTES)
        self.share_work(BYTES_A_THREAD)
        self.spelling.unknown = self.vocabulary.unknown
        self.spelling.unknown_id = unknown_id
        self.spelling.byte_fallback = byte_fallback
        self.spelling.escape_whitespaces = escape_whitespaces
        for i in range(256):
            self.spelling.byte_ids[i] = byte_ids[i]

    def draw_at_once(self, int paths):
        """From now on sample parts of at most `paths` (0 to 64) paths with one uniform. For tests of the algorithms."""
        if not 0 <= paths <= MOST_PATHS:
            raise ValueError(f"paths must be 0 to {MOST_PATHS}, got {paths}")
        self.vocabulary.at_once = paths
        self.last_key = None
        self.shelf = {}

    def keep_words(self, bint wanted):
        """Whether words are kept from now on. The result is the same; for tests, and to measure what keeping them gains."""
        self.vocabulary.directly = not wanted

    def share_work(self, int32_t bytes_a_thread):
        """Give no thread less than so many bytes of text from now on (at least 8). The result is the same; for tests."""
        if bytes_a_thread < 8:
            raise ValueError(f"bytes_a_thread must be at least 8, got {bytes_a_thread}")
        self.bytes_a_thread = bytes_a_thread

    def limit_cache(self, size_t most):
        """Keep at most so many bytes of words a workspace from now on, or no words for 0. The result is the same."""
        if 0 < most < <size_t>LEAST_BYTES:
            raise ValueError(f"cache_bytes must be 0 or at least {LEAST_BYTES}, got {most}")
        self.cache_bytes = most
        self.most_slots = LEAST_BYTES // 8 // sizeof(Slot)
        while 2 * self.most_slots * sizeof(Slot) <= most // 5:
            self.most_slots *= 2
        self.keep_words(most > 0)
        self.last_key = None
        self.shelf = {}

    def normalize(self, const uint8_t[::1] text):
        """The normalized text as bytes, spaces as the model spells them."""
        return self.normalizer.normalize(text)

    def alias_ids(self):
        """The ids of tokens from pieces + 1 on, negative ones of tokens that have none; see tokens.pxd."""
        return np.zeros(0, np.int32) if self.aliases is None else np.asarray(self.aliases)

    def is_verbatim(self):
        """Whether the texts that the engine gets must be prepared already: it has not all steps of the pipeline."""
        return isinstance(self.normalizer, Verbatim)

    def visible(self, bytes text):
        """A normalized text as others spell it: U+2581 for the spaces of a model that escapes them."""
        return text.replace(b" ", b"\xe2\x96\x81") if self.spelling.escape_whitespaces else text

    def spell(self, const uint8_t[::1] text, const int32_t[::1] tokens):
        """The ids of a path over `text`, in the spelling of the engine: unknown characters merged, or in bytes."""
        cdef Tokens out
        cdef bint fits
        memset(&out, 0, sizeof(Tokens))
        try:
            fits = tokens.shape[0] == 0 or add_tokens(&out, &self.spelling, self.vocabulary.lengths, &text[0], 0,
                                                      &tokens[0], <int32_t>tokens.shape[0], True)
            if not fits:
                raise MemoryError()
            return list_from(out.ids.data, out.ids.size)
        finally:
            free(out.ids.data)

    def weights(self, double alpha):
        """exp(alpha * score) of each token: (weights, exponents), see edge_weights."""
        weights, exponents = edge_weights(self.scores, alpha)
        if self.vocabulary.automaton != NULL:
            # Nothing is unknown; the automaton's lists have an edge of no weight there.
            weights[self.pieces] = 0.0
        return weights, exponents

    cdef Workspace borrow(self, tuple key):
        """A workspace for (what it is for, alpha): one that is on the shelf, or a new one."""
        shelved = self.last_shelved if key is self.last_key else self.shelf.get(key)
        if shelved:
            try:
                return shelved.pop()
            except IndexError:      # another thread was faster
                pass
        return Workspace(self.most_slots, self.record_bytes())

    cdef size_t record_bytes(self):
        return max(self.cache_bytes, <size_t>LEAST_BYTES) - self.most_slots * sizeof(Slot)

    cdef int give_back(self, tuple key, Workspace workspace) except -1:
        """Put a workspace on the shelf, which holds those of the keys that were used last."""
        if workspace.table.most_slots != self.most_slots or workspace.table.most_bytes != self.record_bytes():
            return 0    # it was lent before the limit changed
        workspace.trim()
        if key is self.last_key and len(self.last_shelved) < SPACES_A_KEY:
            self.last_shelved.append(workspace)
            return 0
        shelved = self.shelf.pop(key, [])
        if len(shelved) < SPACES_A_KEY:
            shelved.append(workspace)
        self.shelf[key] = shelved
        while len(self.shelf) > KEYS:
            self.shelf.pop(next(iter(self.shelf)), None)
        self.last_shelved = shelved
        self.last_key = key
        return 0
