"""Spark: a job of `arrow.Tokenize` on every partition of a data frame, through ``mapInArrow``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.partitions import checked


def tokenize(frame: Any, job: Tokenize) -> Any:
    """`frame` (a pyspark.sql.DataFrame) with the columns that `job` adds.

    The rows are the same whatever the partitions, the executors, and the retries of a lost task. Samples need a job
    with an ``index``, a column or "hash" (ValueError without it): rows have no numbers here. The job is broadcast:
    each worker process receives and loads the model once. A task has one thread, as Spark counts cores, unless the
    job says otherwise.
    """
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    checked(job)
    if job.num_threads is None:
        job = replace(job, num_threads=1)
    schema = from_arrow_schema(job.schema(to_arrow_schema(frame.schema)))
    return frame.mapInArrow(over_batches(frame.sparkSession.sparkContext.broadcast(job)), schema)


def over_batches(broadcast: Any) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """The function for ``mapInArrow``: record batches in, record batches out; `broadcast.value` is the job."""

    def run(batches: Iterable[Any]) -> Iterator[Any]:
        job = broadcast.value
        return (job(batch) for batch in batches)

    return run
