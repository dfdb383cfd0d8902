"""The texts of a call for the engine: str through its UTF-8 view, bytes in place, nothing copied."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.unicode cimport PyUnicode_GET_LENGTH
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

from viterbi_sampling.engine.arrays cimport list_from, pairs_from
from viterbi_sampling.engine.buffer cimport MAX_TEXT, TOO_LONG, Bytes, Ints
from viterbi_sampling.engine.choices cimport VITERBI, Algorithm
from viterbi_sampling.engine.driver cimport Job, decide_text, ids_of_one
from viterbi_sampling.engine.encoder cimport Encoder
from viterbi_sampling.engine.normalizer cimport normalize
from viterbi_sampling.engine.pieces cimport PieceStrings
from viterbi_sampling.engine.rows cimport Rows, raise_for_status
from viterbi_sampling.engine.words cimport prefetch
from viterbi_sampling.engine.workspace cimport Workspace

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 widest)
    void* PyUnicode_DATA(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    Py_ssize_t PySequence_Fast_GET_SIZE(PyObject* texts)
    PyObject* PySequence_Fast_GET_ITEM(PyObject* texts, Py_ssize_t i)

cdef enum:
    ROWS_AHEAD = 12
    ROWS_AT_ONCE = 1 << 10
    VISIBLE_SPACE = 0x2581


cdef class GatheredRows(Rows):
    """Rows of a list or a tuple of texts, gathered little by little, so that the first are at work before the last are looked at.

    Each text is held from when it is gathered: a list may lose it meanwhile.
    """

    cdef PyObject** held
    cdef Py_ssize_t holds

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.holds):
            prefetch(self.held[min(i + ROWS_AHEAD, self.holds - 1)])
            Py_DECREF(<object>self.held[i])
        free(self.held)

    cdef int hold(self, texts) except -1:
        self.owner = texts
        self.held = <PyObject**>malloc((self.count + 1) * sizeof(PyObject*))
        if self.held == NULL:
            raise MemoryError()
        return 0

    cdef int more(self) except -1:
        cdef PyObject* texts = <PyObject*>self.owner
        cdef Py_ssize_t i, size
        cdef Py_ssize_t last = min(self.holds + ROWS_AT_ONCE, self.count)
        for i in range(self.holds, last):
            if PySequence_Fast_GET_SIZE(texts) != self.count:
                raise RuntimeError(f"texts have changed while they were read: there were {self.count}, and now there are "
                                   f"{PySequence_Fast_GET_SIZE(texts)}")
            # The texts lie about in memory: their sizes are asked for some rows before.
            prefetch(PySequence_Fast_GET_ITEM(texts, min(i + ROWS_AHEAD, self.count - 1)))
            text = <object>PySequence_Fast_GET_ITEM(texts, i)
            if isinstance(text, str):
                self.data[i] = <const uint8_t*>PyUnicode_AsUTF8AndSize(text, &size)
                self.in_characters[i] = PyUnicode_GET_LENGTH(text) != size
            elif isinstance(text, bytes):
                self.data[i] = <const uint8_t*>PyBytes_AS_STRING(text)
                size = PyBytes_GET_SIZE(text)
            else:
                advice = "; drop or fill the nulls" if is_null(text) else ""
                raise TypeError(f"row {i} of texts must be str or UTF-8 bytes, not {type(text).__name__}{advice}")
            Py_INCREF(text)
            self.held[i] = <PyObject*>text
            self.holds = i + 1
            self.sizes[i] = size
            self.total += size
        self.ready.store(last)
        return 0


def rows_of(texts not None):
    """Rows of a list or a tuple of str and UTF-8 bytes; they may be mixed.

    They are gathered when they are needed, or with `Rows.complete`. TypeError names the row and its type. A str that
    holds a lone surrogate, which has no UTF-8, is a UnicodeEncodeError. RuntimeError where a list gets longer or shorter
    before all are gathered.
    """
    cdef GatheredRows rows = GatheredRows()
    if type(texts) is not list and type(texts) is not tuple:
        raise TypeError(f"texts must be a list or a tuple, not {type(texts).__name__}")
    rows.allocate(len(texts))
    rows.hold(texts)
    rows.ready.store(0)
    return rows


cdef bint is_null(text):
    """Whether it is what columns of objects hold for a null: None, NaN, or pandas' NA."""
    return text is None or (isinstance(text, float) and text != text) or type(text).__name__ == "NAType"


cdef enum:
    LONG_TEXT = 1 << 17         # what takes so long that it should be open to an interrupt


cdef const uint8_t* utf8_of(text, Py_ssize_t* size) except NULL:
    """The UTF-8 of a text, which lives as long as the text."""
    if isinstance(text, str):
        return <const uint8_t*>PyUnicode_AsUTF8AndSize(text, size)
    if isinstance(text, bytes):
        size[0] = PyBytes_GET_SIZE(text)
        return <const uint8_t*>PyBytes_AS_STRING(text)
    raise TypeError(f"text must be str or UTF-8 bytes, not {type(text).__name__}")


cdef tuple VITERBI_KEY = ("viterbi", 0.0)


def encode(Encoder encoder not None, text, int32_t prefix_id=-1, int32_t suffix_id=-1):
    """The ids of the best segmentation of one text; None for a long text, which driver.run is for."""
    cdef Job job
    cdef Py_ssize_t size
    cdef const uint8_t* data = utf8_of(text, &size)
    if size > LONG_TEXT:
        return None
    memset(&job, 0, sizeof(Job))
    job.algorithm = VITERBI
    job.prefix_id = prefix_id
    job.suffix_id = suffix_id
    return ids_of_one(encoder, &job, VITERBI_KEY, data, size)


def encode_array(Encoder encoder not None, text, int32_t prefix_id=-1, int32_t suffix_id=-1):
    """What `encode` gives, as an int32 array that cannot be written to."""
    cdef Job job
    cdef Py_ssize_t size
    cdef Workspace space
    cdef const uint8_t* data = utf8_of(text, &size)
    if size > LONG_TEXT:
        return None
    memset(&job, 0, sizeof(Job))
    job.algorithm = VITERBI
    job.prefix_id = prefix_id
    job.suffix_id = suffix_id
    space = decide_text(encoder, &job, VITERBI_KEY, data, size, NULL)
    ids = (<const char*>space.tokens.ids.data)[:space.tokens.ids.size * sizeof(int32_t)]
    encoder.give_back(VITERBI_KEY, space)
    return np.frombuffer(ids, np.int32)


def sample(Encoder encoder not None, text, str algorithm, int number, double alpha, weights, uint64_t seed, uint64_t index,
           uint64_t draw, int32_t prefix_id=-1, int32_t suffix_id=-1):
    """The ids of a random segmentation of one text, as `encode`. `number` is that of the algorithm."""
    cdef Job job
    cdef Py_ssize_t size
    cdef const uint8_t* data = utf8_of(text, &size)
    cdef const double[::1] values = weights[0]
    cdef const int32_t[::1] exponents = weights[1]
    if size > LONG_TEXT:
        return None
    memset(&job, 0, sizeof(Job))
    job.algorithm = <Algorithm>number
    job.weights.alpha = alpha
    job.weights.values = &values[0]
    job.weights.exponents = &exponents[0] if exponents is not None else NULL
    job.seed = seed
    job.first_index = index
    job.first_draw = draw
    job.prefix_id = prefix_id
    job.suffix_id = suffix_id
    return ids_of_one(encoder, &job, (algorithm, alpha), data, size)


def annotate(Encoder encoder not None, PieceStrings strings not None, text, bint as_bytes=False):
    """(ids, pieces, spans) of the best segmentation of one text; None for a long text, as `encode`.

    The pieces are bytes or str as asked for; the spans are in characters of a str, in bytes of bytes.
    """
    cdef Job job
    cdef Py_ssize_t size
    cdef const uint8_t* data = utf8_of(text, &size)
    cdef Ints origins
    cdef Workspace space
    cdef bint in_characters = isinstance(text, str) and PyUnicode_GET_LENGTH(text) != size
    cdef list unknown = []
    cdef int32_t* span
    cdef int32_t position = 0, characters = 0
    cdef size_t k
    if size > LONG_TEXT or encoder.normalizer.rules.prepare != NULL:
        return None
    memset(&job, 0, sizeof(Job))
    memset(&origins, 0, sizeof(Ints))
    job.algorithm = VITERBI
    job.prefix_id = job.suffix_id = -1
    try:
        space = decide_text(encoder, &job, VITERBI_KEY, data, size, &origins)
        span = space.tokens.spans.data
        for k in range(space.tokens.ids.size):
            if space.tokens.ids.data[k] == strings.unknown_id:
                unknown.append(encoder.visible(space.normalized.data[span[2 * k]:span[2 * k + 1]]))
        for k in range(space.tokens.spans.size):
            span[k] = origins.data[span[k]]
            if in_characters:
                while position < span[k]:       # positions never fall
                    characters += (data[position] & 0xC0) != 0x80
                    position += 1
                span[k] = characters
        ids = list_from(space.tokens.ids.data, space.tokens.ids.size)
        pieces = strings.of(space.tokens.ids.data, space.tokens.ids.size, as_bytes, unknown, 0)
        spans = pairs_from(span, space.tokens.ids.size)
    finally:
        free(origins.data)
    encoder.give_back(VITERBI_KEY, space)
    return ids, pieces, spans


def normalized(Encoder encoder not None, text):
    """The normalized text of a sentencepiece model's text, as others spell it and of the same type; None for a long one."""
    cdef Py_ssize_t size
    cdef const uint8_t* data = utf8_of(text, &size)
    cdef Bytes out
    cdef size_t i
    cdef uint8_t top = 0
    cdef bint has_space = False
    cdef uint16_t* characters
    if size > LONG_TEXT or encoder.normalizer.rules.prepare != NULL:
        return None
    memset(&out, 0, sizeof(Bytes))
    try:
        raise_for_status(normalize(&encoder.normalizer.rules, data, size, &out, NULL), 0)
        if isinstance(text, bytes):
            return encoder.visible(out.data[:out.size])
        for i in range(out.size):
            top |= out.data[i]
            has_space |= out.data[i] == 0x20
        if top >= 0x80 or not (has_space and encoder.normalizer.rules.escape_whitespaces):
            return encoder.visible(out.data[:out.size]).decode("utf-8")
        # All is ASCII, but for the spaces; a str must be as wide as its widest character, and no wider.
        result = PyUnicode_New(out.size, VISIBLE_SPACE)
        characters = <uint16_t*>PyUnicode_DATA(result)
        for i in range(out.size):
            characters[i] = out.data[i]
            if characters[i] == 0x20:
                characters[i] = VISIBLE_SPACE
        return result
    finally:
        free(out.data)


def align(Encoder encoder not None, text):
    """(normalized text as bytes, where in the UTF-8 of `text` each of its bytes and its end come from: an int32
    array, empty where nothing is left of the text)."""
    cdef Py_ssize_t size
    cdef const uint8_t* data = utf8_of(text, &size)
    cdef Bytes out
    cdef Ints origins
    cdef int status
    cdef size_t i, k, written = 0
    cdef bint visible = encoder.normalizer.rules.escape_whitespaces
    cdef int32_t[::1] places
    memset(&out, 0, sizeof(Bytes))
    memset(&origins, 0, sizeof(Ints))
    try:
        status = TOO_LONG if size > MAX_TEXT else normalize(&encoder.normalizer.rules, data, size, &out, &origins)
        raise_for_status(status, 0)
        normalized = encoder.visible(out.data[:out.size])
        origin = np.zeros(len(normalized) + 1 if origins.size else 0, np.int32)
        places = origin
        for i in range(origins.size):
            for k in range(3 if visible and i < out.size and out.data[i] == 0x20 else 1):
                places[written] = origins.data[i]
                written += 1
    finally:
        free(out.data)
        free(origins.data)
    return normalized, origin
