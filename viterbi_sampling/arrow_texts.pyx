"""The texts of an Arrow array for the engine: read in place, no Python object a row.

They come through the Arrow C data interface, which any Arrow library speaks
(https://arrow.apache.org/docs/format/CDataInterface.html). Offsets, views and indices are checked
here, once. The interface does not say how large the data of a plain string array is; that its last
offset lies inside is the producer's word (pyarrow's arrays are asked before, see arguments).
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strlen

from viterbi_sampling.engine.rows cimport NULL_TEXT, Rows

cdef struct ArrowSchema:
    const char* format
    const char* name
    const char* metadata
    int64_t flags
    int64_t n_children
    ArrowSchema** children
    ArrowSchema* dictionary
    void (*release)(ArrowSchema*) noexcept
    void* private_data

cdef struct ArrowArray:
    int64_t length
    int64_t null_count
    int64_t offset
    int64_t n_buffers
    int64_t n_children
    const void** buffers
    ArrowArray** children
    ArrowArray* dictionary
    void (*release)(ArrowArray*) noexcept
    void* private_data

cdef struct ArrowArrayStream:
    int (*get_schema)(ArrowArrayStream*, ArrowSchema*) noexcept nogil
    int (*get_next)(ArrowArrayStream*, ArrowArray*) noexcept nogil
    const char* (*get_last_error)(ArrowArrayStream*) noexcept
    void (*release)(ArrowArrayStream*) noexcept
    void* private_data

cdef enum:
    INLINE_VIEW = 12            # a view of so many bytes or fewer holds them itself

cdef struct View:
    int32_t size
    uint8_t[4] prefix           # the inline bytes begin here
    int32_t buffer
    int32_t offset

NAMES = {"c": "int8", "s": "int16", "i": "int32", "l": "int64", "f": "float32", "g": "float64", "b": "bool",
         "+l": "list", "+L": "large_list", "+r": "run-end encoded", "+s": "struct; of a table take one column"}


cdef class SchemaOfStream:
    cdef ArrowSchema schema

    def __cinit__(self):
        memset(&self.schema, 0, sizeof(ArrowSchema))

    def __dealloc__(self):
        if self.schema.release != NULL:
            self.schema.release(&self.schema)


cdef class Chunk:
    """An array that came out of a stream."""

    cdef ArrowArray array

    def __cinit__(self):
        memset(&self.array, 0, sizeof(ArrowArray))

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


def rows_of_array(tuple capsules not None, bint keep_nulls=False):
    """Rows of what `__arrow_c_array__` of a string or binary array gives; a dictionary is looked up.

    TypeError names the first null, unless `keep_nulls`, and the type of an array that holds no
    texts; ValueError offsets, views and indices that lead outside.
    """
    cdef ArrowSchema* schema = <ArrowSchema*>PyCapsule_GetPointer(capsules[0], "arrow_schema")
    cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(capsules[1], "arrow_array")
    cdef Rows rows = Rows()
    if schema.release == NULL or array.release == NULL:
        raise ValueError("texts: the Arrow array has been released")
    rows.owner = capsules
    rows.allocate(checked_length(array))
    fill(rows, 0, schema, array, keep_nulls)
    return rows


def rows_of_stream(capsule, bint keep_nulls=False):
    """Rows of all the chunks that `__arrow_c_stream__` gives, see rows_of_array."""
    cdef ArrowArrayStream* stream = <ArrowArrayStream*>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    cdef SchemaOfStream held = SchemaOfStream()
    cdef Rows rows = Rows()
    cdef Chunk chunk
    cdef Py_ssize_t count = 0
    if stream.release == NULL:
        raise ValueError("texts: the Arrow stream has been released")
    check_stream(stream, stream.get_schema(stream, &held.schema))
    chunks = []
    while True:
        chunk = Chunk()
        with nogil:                 # the producer may need the interpreter lock, in another thread
            status = stream.get_next(stream, &chunk.array)
        check_stream(stream, status)
        if chunk.array.release == NULL:
            break
        count += checked_length(&chunk.array)
        chunks.append(chunk)
    rows.owner = chunks
    rows.allocate(count)
    count = 0
    for chunk in chunks:
        fill(rows, count, &held.schema, &chunk.array, keep_nulls)
        count += chunk.array.length
    if not chunks:
        text_kind(&held.schema)
    return rows


cdef int check_stream(ArrowArrayStream* stream, int status) except -1:
    cdef const char* message
    if status != 0:
        message = stream.get_last_error(stream)
        said = f"error {status}" if message == NULL else (<bytes>message).decode("utf-8", "replace")
        raise ValueError(f"texts: the Arrow stream failed: {said}")
    return 0


cdef int64_t checked_length(const ArrowArray* array) except -1:
    if array.length < 0 or array.offset < 0 or array.offset > 0x7FFFFFFFFFFFFFFF - array.length - 1:
        raise ValueError(f"texts: an Arrow array of length {array.length} and offset {array.offset}")
    return array.length


cdef str text_kind(const ArrowSchema* schema):
    """The format of an array of texts or of its dictionary; TypeError for another."""
    if schema.dictionary != NULL:
        return text_kind(schema.dictionary)
    cdef str kind = schema.format[:strlen(schema.format)].decode("utf-8", "replace")
    if kind not in ("u", "U", "z", "Z", "vu", "vz", "n"):
        raise TypeError("texts must be an Arrow array of type string, large_string, string_view, or the same of binary, "
                        f"not of format {kind!r} ({NAMES.get(kind, 'see the Arrow C data interface')})")
    return kind


cdef int fill(Rows rows, Py_ssize_t at, const ArrowSchema* schema, const ArrowArray* array, bint keep_nulls) except -1:
    """Set the rows from `at` on to the texts of one array."""
    cdef str kind = text_kind(schema)
    cdef const uint8_t* validity = NULL
    cdef bint valid
    cdef bint in_characters = kind in ("u", "U", "vu")
    cdef Py_ssize_t i
    if array.length == 0:
        return 0
    if kind == "n":
        if not keep_nulls:
            raise_null(at)
        for i in range(at, at + array.length):
            rows.data[i] = NULL
            rows.sizes[i] = NULL_TEXT
        return 0
    if array.n_buffers < 2 or array.buffers == NULL or array.buffers[1] == NULL:
        raise ValueError(f"texts: an Arrow array of {array.length} rows without its buffers")
    if array.null_count != 0:
        validity = <const uint8_t*>array.buffers[0]
    if schema.dictionary != NULL:
        fill_from_dictionary(rows, at, schema, array)
    elif kind in ("vu", "vz"):
        fill_from_views(rows, at, array)
    elif array.n_buffers < 3:
        raise ValueError(f"texts: an Arrow array of {array.length} rows without its buffers")
    elif kind in ("u", "z"):
        fill_from_offsets(rows, at, array, <const int32_t*>array.buffers[1])
    else:
        fill_from_offsets(rows, at, array, <const int64_t*>array.buffers[1])
    for i in range(array.length):
        valid = validity == NULL or validity[(array.offset + i) >> 3] >> ((array.offset + i) & 7) & 1
        if not valid:
            rows.sizes[at + i] = NULL_TEXT
        if rows.sizes[at + i] == NULL_TEXT:     # or the dictionary says so
            if not keep_nulls:
                raise_null(at + i)
            continue
        rows.total += rows.sizes[at + i]
        rows.in_characters[at + i] = in_characters
    return 0


cdef int raise_null(Py_ssize_t row) except -1:
    raise TypeError(f"row {row} of texts is null: each must be a string; drop or fill the nulls, or let "
                    "viterbi_sampling.pipelines.arrow keep them")


ctypedef fused Offset:
    int32_t
    int64_t


cdef int fill_from_offsets(Rows rows, Py_ssize_t at, const ArrowArray* array, const Offset* offsets) except -1:
    cdef const uint8_t* data = <const uint8_t*>array.buffers[2]
    cdef Py_ssize_t i
    offsets += array.offset
    if offsets[0] < 0 or (data == NULL and offsets[array.length] != 0):
        raise ValueError(f"row {at} of texts: its Arrow offsets are outside the data")
    for i in range(array.length):
        if offsets[i + 1] < offsets[i]:
            raise ValueError(f"row {at + i} of texts: its Arrow offsets fall from {offsets[i]} to {offsets[i + 1]}")
        rows.data[at + i] = data + offsets[i]
        rows.sizes[at + i] = offsets[i + 1] - offsets[i]
    return 0


cdef int fill_from_views(Rows rows, Py_ssize_t at, const ArrowArray* array) except -1:
    # Buffers: validity, views, any number with the data, and last the sizes of those.
    cdef int64_t count = array.n_buffers - 3
    cdef const int64_t* sizes = <const int64_t*>array.buffers[array.n_buffers - 1]
    cdef const uint8_t* validity = <const uint8_t*>array.buffers[0] if array.null_count != 0 else NULL
    cdef const uint8_t* place = <const uint8_t*>array.buffers[1] + array.offset * <int64_t>sizeof(View)
    cdef View view
    cdef Py_ssize_t i
    if count < 0 or (count > 0 and sizes == NULL):
        raise ValueError("texts: an Arrow view array without the sizes of its buffers")
    for i in range(array.length):
        if validity != NULL and not validity[(array.offset + i) >> 3] >> ((array.offset + i) & 7) & 1:
            rows.data[at + i] = NULL            # the view of a null may be anything
            rows.sizes[at + i] = NULL_TEXT
        else:
            memcpy(&view, place, sizeof(View))
            if view.size < 0:
                raise ValueError(f"row {at + i} of texts: an Arrow view of {view.size} bytes")
            if view.size <= INLINE_VIEW:
                rows.data[at + i] = place + sizeof(int32_t)
            else:
                if not (0 <= view.buffer < count and 0 <= view.offset <= sizes[view.buffer] - view.size):
                    raise ValueError(f"row {at + i} of texts: its Arrow view leads outside the data")
                rows.data[at + i] = <const uint8_t*>array.buffers[2 + view.buffer] + view.offset
            rows.sizes[at + i] = view.size
        place += sizeof(View)
    return 0


cdef int fill_from_dictionary(Rows rows, Py_ssize_t at, const ArrowSchema* schema, const ArrowArray* array) except -1:
    cdef Rows values = Rows()
    cdef const uint8_t* validity = <const uint8_t*>array.buffers[0] if array.null_count != 0 else NULL
    cdef const void* indices = array.buffers[1]
    cdef char kind = schema.format[0]
    cdef Py_ssize_t i
    cdef int64_t place, index
    if array.dictionary == NULL or schema.format[1] != 0 or kind not in b"cCsSiIlL":
        raise ValueError("texts: an Arrow dictionary array without a dictionary or with indices that are no integers")
    values.allocate(checked_length(array.dictionary))
    fill(values, 0, schema.dictionary, array.dictionary, True)
    for i in range(array.length):
        place = array.offset + i
        if validity != NULL and not validity[place >> 3] >> (place & 7) & 1:
            rows.data[at + i] = NULL            # the index of a null may be anything
            rows.sizes[at + i] = NULL_TEXT
            continue
        if kind == c"c":
            index = (<const int8_t*>indices)[place]
        elif kind == c"C":
            index = (<const uint8_t*>indices)[place]
        elif kind == c"s":
            index = (<const int16_t*>indices)[place]
        elif kind == c"S":
            index = (<const uint16_t*>indices)[place]
        elif kind == c"i":
            index = (<const int32_t*>indices)[place]
        elif kind == c"I":
            index = (<const uint32_t*>indices)[place]
        else:                                   # of uint64, what is too large turns negative
            index = (<const int64_t*>indices)[place]
        if not 0 <= index < values.count:
            raise ValueError(f"row {at + i} of texts: index {index} of an Arrow dictionary of {values.count}")
        rows.data[at + i] = values.data[index]
        rows.sizes[at + i] = values.sizes[index]
    return 0
