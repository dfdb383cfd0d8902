"""Threads that live inside one call, which never hold the interpreter lock, with the calling thread watching for Ctrl-C.

They begin at once, while the calling thread still has that lock: a thread of Python's would wait for it first.
"""

from viterbi_sampling.engine.flag cimport raise_flag

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef Threads threads_of(int* flag):
    cdef Threads threads = Threads()
    threads.flag = flag
    threads.owners = []
    return threads


cdef class Threads:
    """Calls in threads of their own.

    No context manager: without memory, Cython does not leave its block as it should.
    """

    cdef bint start(self, void (*call)(void*) noexcept nogil, object owner) except -1:
        self.owners.append(owner)
        return self.threads.start(call, <void*>owner)

    cdef int end(self) except -1:
        cdef bint ended = not self.owners
        while not ended:
            with nogil:
                ended = self.threads.wait()
                if ended:
                    self.threads.join()
            if not ended:
                PyErr_CheckSignals()
        return 0

    cdef void stop(self) noexcept:
        raise_flag(self.flag)
        with nogil:
            self.threads.join()
