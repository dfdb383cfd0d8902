"""Threads that live inside one call, which never hold the interpreter lock, with the calling thread watching for Ctrl-C.

They begin at once, while the calling thread still has that lock: a thread of Python's would wait for it first.
"""

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef class Threads:
    """Calls in threads of their own, ended when the block does. An exception in it, such as Ctrl-C, stops the task."""

    def __init__(self, task):
        """`task` has a method `cancel`, by which all calls end soon."""
        self.task = task
        self.owners = []

    def __enter__(self):
        return self

    cdef bint start(self, void (*call)(void*) noexcept nogil, object owner) except -1:
        self.owners.append(owner)
        return self.threads.start(call, <void*>owner)

    def __exit__(self, kind, error, trace):
        cdef bint ended = kind is not None
        try:
            while not ended:
                with nogil:
                    ended = self.threads.wait()
                PyErr_CheckSignals()
        except BaseException:
            self.task.cancel()
            raise
        finally:
            if kind is not None:
                self.task.cancel()
            with nogil:
                self.threads.join()
