"""Ray Data: a job of `arrow.Tokenize` on every block of a data set, in long-lived workers that load the model once.

As a command, on this machine or, with ``--address``, on a cluster::

    python -m viterbi_sampling.pipelines.ray SOURCE TARGET -m spiece.model --workers 8 --alpha 0.2 --index doc
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.partitions import checked, command


class Worker:
    """The callable class for ``Dataset.map_batches`` with ``batch_format="pyarrow"``: made once a worker.

    >>> from viterbi_sampling import Tokenizer
    >>> import pyarrow as pa
    >>> worker = Worker(Tokenize(Tokenizer.from_pieces({"a": -1.0, "b": -1.0}), keep_columns=False))
    >>> worker(pa.table({"text": ["ab"]})).to_pydict()
    {'ids': [[0, 1]]}
    """

    def __init__(self, job: Any) -> None:
        """`job`: an `arrow.Tokenize`, or the reference of one in Ray's object store."""
        if not isinstance(job, Tokenize):
            import ray

            job = ray.get(job)
        self._job: Tokenize = job

    def __call__(self, table: Any) -> Any:
        """What the job makes of one batch, a pyarrow Table."""
        return self._job(table)


def tokenize(dataset: Any, job: Tokenize, **options: Any) -> Any:
    """`dataset` (a ray.data.Dataset) with the columns that `job` adds.

    The rows are the same whatever the blocks, the workers, and the retries after a lost one. Samples need a job with
    an ``index``, a column or "hash" (ValueError without it): rows have no numbers here. `options` are those of
    ``map_batches``: concurrency (the number of workers), num_cpus, batch_size. A worker has as many threads as
    `num_cpus` says, one by default; the model lies in Ray's object store, once a machine.
    """
    try:
        import ray
    except ImportError:
        raise ImportError("viterbi_sampling.pipelines.ray needs Ray: pip install 'viterbi-sampling[ray]'") from None
    checked(job)
    if job.num_threads is None:
        job = replace(job, num_threads=max(1, int(options.get("num_cpus") or 1)))
    options = {"batch_size": 4096, "concurrency": 1} | options
    return dataset.map_batches(Worker, fn_constructor_args=(ray.put(job),), batch_format="pyarrow", **options)


def run(source: str, target: str, job: Tokenize, address: str | None, workers: int) -> None:
    """Tokenize the Parquet files of SOURCE into those of TARGET, with Ray Data."""
    import ray

    if not ray.is_initialized():
        ray.init(address=address)
    tokenize(ray.data.read_parquet(source), job, concurrency=workers).write_parquet(target)


main = command(run)
main.params += [
    click.Option(["--address"], help="That of a cluster; by default Ray is started on this machine."),
    click.Option(["--workers"], type=click.IntRange(1), default=1, show_default=True, help="One core each."),
]

if __name__ == "__main__":
    main()
