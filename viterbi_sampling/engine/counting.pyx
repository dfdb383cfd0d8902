"""The number of paths: exact, in arbitrary precision."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, uint64_t

import numpy as np


def count_paths(const int32_t[::1] starts, const int32_t[::1] ends, const int32_t[:, ::1] parts):
    """The number of paths through each part, as a list of int: exact, in 64 bits where they suffice.

    A part of n characters has a count of up to n bits or more, so its time grows with n squared beyond 64 bits.
    """
    cdef Py_ssize_t part, k, first = 0
    cdef int32_t begin = 0, at
    cdef uint64_t[::1] counts
    cdef bint fits
    found = []
    for part in range(parts.shape[0]):
        array = np.zeros(parts[part, 0] - begin + 1, np.uint64)
        counts = array
        counts[0] = 1
        fits = True
        for k in range(first, parts[part, 1]):
            counts[ends[k] - begin] += counts[starts[k] - begin]
            if counts[ends[k] - begin] >> 62:
                fits = False
                break
        if fits:
            found.append(int(counts[parts[part, 0] - begin]))
        else:
            # Only the counts between the start of an edge and the furthest end are kept: each may have millions of bits.
            large = {begin: 1}
            at = begin
            for k in range(first, parts[part, 1]):
                if not k & 0xFFF:
                    PyErr_CheckSignals()
                while at < starts[k]:
                    large.pop(at, None)
                    at += 1
                large[ends[k]] = large.get(ends[k], 0) + large[starts[k]]
            found.append(large[parts[part, 0]])
        begin = parts[part, 0]
        first = parts[part, 1]
    return found
