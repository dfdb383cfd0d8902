"""Spark: a job of `arrow.Tokenize` on every partition of a data frame, through ``mapInArrow``.

As a command, on this machine or, with ``--master``, on a cluster::

    python -m viterbi_sampling.pipelines.spark SOURCE TARGET -m spiece.model --alpha 0.2 --index doc
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import click

from viterbi_sampling.pipelines.arrow import Tokenize, pyarrow
from viterbi_sampling.pipelines.partitions import checked, command


def tokenize(frame: Any, job: Tokenize) -> Any:
    """`frame` (a pyspark.sql.DataFrame) with the columns that `job` adds.

    The rows are the same whatever the partitions, the executors, and the retries of a lost task. Samples need a job
    with an ``index``, a column or "hash" (ValueError without it): rows have no numbers here. The job is broadcast:
    each worker process receives and loads the model once. A task has one thread, as Spark counts cores, unless the
    job says otherwise.
    """
    try:
        from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    except ImportError:
        raise ImportError(
            "viterbi_sampling.pipelines.spark needs Spark: pip install 'viterbi-sampling[spark]'"
        ) from None
    checked(job)
    if job.num_threads is None:
        job = replace(job, num_threads=1)
    schema = from_arrow_schema(plain(job.schema(to_arrow_schema(frame.schema))))
    return frame.mapInArrow(over_batches(frame.sparkSession.sparkContext.broadcast(job)), schema)


def over_batches(broadcast: Any) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """The function for ``mapInArrow``: record batches in, record batches out; `broadcast.value` is the job."""

    def run(batches: Iterable[Any]) -> Iterator[Any]:
        job, pa = broadcast.value, pyarrow()
        for batch in batches:
            rows = job(batch)
            schema = plain(rows.schema)
            columns = [column.cast(kind) for column, kind in zip(rows.columns, schema.types, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return run


def plain(schema: Any) -> Any:
    """`schema` with the spans of tokens as lists: Spark has no lists of a fixed size."""
    pa = pyarrow()
    spans = pa.list_(pa.int32(), 2)
    return pa.schema(
        [
            field.with_type(pa.list_(pa.list_(pa.int32())))
            if pa.types.is_list(field.type) and field.type.value_type == spans
            else field
            for field in schema
        ]
    )


def run(source: str, target: str, job: Tokenize, master: str | None) -> None:
    """Tokenize the Parquet files of SOURCE into those of TARGET, with Spark."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder if master is None else SparkSession.builder.master(master)
    tokenize(builder.getOrCreate().read.parquet(source), job).write.parquet(target)


main = command(run)
main.params += [click.Option(["--master"], help="That of a cluster; by default this machine.")]

if __name__ == "__main__":
    main()
