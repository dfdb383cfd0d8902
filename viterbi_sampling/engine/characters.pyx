"""Texts made without the interpreter lock, in the form that a str has: what is left to be done with it is to copy them."""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from viterbi_sampling.engine.buffer cimport Bytes, reserve_bytes
from viterbi_sampling.engine.results cimport Made
from viterbi_sampling.engine.utf8 cimport decode

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 widest)
    void* PyUnicode_DATA(object text)

cdef enum:
    ALIGNMENT = 8

cdef struct Head:               # of a text, before its characters
    int64_t size                # bytes
    uint32_t widest             # no character is beyond, and one is beyond what takes fewer bytes a character; 0: not valid UTF-8
    uint32_t width              # bytes a character

ctypedef fused Character:
    uint8_t
    uint16_t
    uint32_t


cdef inline int64_t write(Character* out, const uint8_t* text, size_t size) noexcept nogil:
    """The number of characters, -1 where the text is not valid UTF-8. No character may be too wide."""
    cdef size_t at = 0
    cdef int64_t count = 0
    cdef uint32_t code
    cdef int used
    while at < size:
        used = decode(text + at, size - at, &code)
        if used == 0:
            return -1
        out[count] = <Character>code
        count += 1
        at += used
    return count


cdef bint add_text(Bytes* out, const uint8_t* text, size_t size) noexcept nogil:
    cdef Head head
    cdef uint8_t top = 0
    cdef uint8_t* data
    cdef int64_t count = <int64_t>size
    cdef size_t i
    for i in range(size):
        top = max(top, text[i])
    # In valid UTF-8 the greatest byte begins the last character in the order of Unicode, or one of the same length.
    head.widest = 0x7F if top < 0x80 else 0xFF if top < 0xC4 else 0xFFFF if top < 0xF0 else 0x10FFFF
    head.width = 1 if top < 0xC4 else 2 if top < 0xF0 else 4
    if not reserve_bytes(out, out.size + sizeof(Head) + size * head.width + ALIGNMENT):
        return False
    data = out.data + out.size + sizeof(Head)
    if top >= 0xF0:
        count = write(<uint32_t*>data, text, size)
    elif top >= 0xC4:
        count = write(<uint16_t*>data, text, size)
    elif top >= 0x80:
        count = write(data, text, size)
    head.size = count * head.width
    if count < 0:
        head.widest = 0
        head.size = <int64_t>size
    if (top < 0x80 or count < 0) and size:
        memcpy(data, text, size)
    memcpy(data - sizeof(Head), &head, sizeof(Head))
    out.size += sizeof(Head) + aligned(head.size)
    return True


cdef inline size_t aligned(int64_t size) noexcept nogil:
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1)


cdef class Texts(Objects):
    """The text of each row as a str; `errors` as in bytes.decode."""

    def __init__(self, bytes errors not None):
        self.errors = errors

    cdef int add(self, const Made* made, const int64_t* ends, Py_ssize_t count) except -1:
        cdef const uint8_t* at = made.text.data
        cdef const char* errors = self.errors
        cdef Head head
        cdef Py_ssize_t i
        for i in range(count):
            memcpy(&head, at, sizeof(Head))
            at += sizeof(Head)
            if head.size == 0:
                text = ""
            elif head.widest == 0:
                text = PyUnicode_DecodeUTF8(<const char*>at, head.size, errors)
            else:
                text = PyUnicode_New(head.size // head.width, head.widest)
                memcpy(PyUnicode_DATA(text), at, head.size)
            self.found.append(text)
            at += aligned(head.size)
        return 0
