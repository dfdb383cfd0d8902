"""The threads of a batch: workers take runs of rows without the interpreter lock, until there are none.

Python objects need the lock, so one thread makes them: the calling one, while the others go on. It does rows itself while
few are waiting for it, so that all threads are busy as long as making the objects takes less than their share of the time.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from viterbi_sampling.engine.buffer cimport CANCELLED, OK
from viterbi_sampling.engine.flag cimport is_raised
from viterbi_sampling.engine.objects cimport Objects
from viterbi_sampling.engine.results cimport Made, Results, Run, made_empty, made_free
from viterbi_sampling.engine.rows cimport raise_for_status
from viterbi_sampling.engine.threads cimport Threads, threads_of

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef class Worker:
    """What one thread needs to do rows."""

    def __dealloc__(self):
        made_free(&self.made)

    def first_failed(self):
        """The row that could not be done, or one that there is not. What a worker has made may fail after all its rows."""
        return self.results.rows.count + 1 if self.status == OK else self.failed_row

    def raise_for_status(self):
        """Raise what went wrong, if anything did."""
        raise_for_status(self.status, self.failed_row)

    cdef int run(self, bint collects) noexcept nogil:
        cdef Run run
        cdef Py_ssize_t row
        cdef int status
        while self.results.take(&run, collects):
            self.results.expect(&run, &self.made)
            status = OK
            row = run.first
            while status == OK and row < run.last:
                status = CANCELLED if is_raised(self.results.cancelled) else self.run_row(row)
                row += status == OK
            if status == OK:
                status = self.results.deliver(&run, &self.made, &self.own)
            if status != OK:
                self.failed_row = row
                self.results.stop()
                return status
        self.results.leave(&self.own)
        return OK

    cdef int run_row(self, Py_ssize_t row) noexcept nogil:
        return OK


cdef void work(void* worker) noexcept nogil:
    """Do rows until there are none."""
    (<Worker>worker).status = (<Worker>worker).run(False)


cdef int do_rows(list workers, Results results, int* flag, bint watched, Objects objects) except -1:
    cdef Worker worker = workers[0]
    cdef Threads threads = threads_of(flag)
    cdef bint apart
    results.workers = <int>len(workers)
    results.collects = objects is not None
    results.alone = len(workers) == 1 and not results.collects
    try:
        for other in workers[1:]:
            threads.start(work, other)
        results.rows.complete()
        apart = watched and threads.start(work, worker)
        if results.collects:
            make_objects(objects, results, None if apart else worker)
        elif not apart:
            with nogil:
                work(<void*>worker)
        threads.end()
        results.finish()
    except BaseException:
        threads.stop()
        raise
    return 0


cdef int raise_first(list workers) except -1:
    (<Worker>min(workers, key=Worker.first_failed)).raise_for_status()
    return 0


cdef int make_objects(Objects objects, Results results, Worker worker) except -1:
    """Make the objects of all rows, or of those before one that fails, and do rows meanwhile with the worker, if any."""
    cdef Made made
    cdef int64_t* ends
    cdef Py_ssize_t count
    memset(&made, 0, sizeof(Made))
    made.tokens.with_spans = results.made.tokens.with_spans
    try:
        while results.goes_on():
            with nogil:
                if worker is not None:
                    worker.status = worker.run(True)
                count = results.collect(&made, &ends, worker is None)
            PyErr_CheckSignals()
            objects.add(&made, ends, count)
            made_empty(&made)
    finally:
        made_free(&made)
    return 0
