"""What does one core do for a pipeline: MB of text per second of processor time, from Parquet to Parquet.

    python bench/scaling.py spiece.model corpus.txt [--alpha 0.1] [--engine arrow --engine ray --engine spark]

Processor time of all processes that take part (the driver, the JVM, the workers), less what a hundredth of the corpus
takes: so that starting up does not count. A document is a run of lines of at least 2,000 characters.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.ray import tokenize as tokenize_with_ray
from viterbi_sampling.pipelines.spark import tokenize as tokenize_with_spark

ROW_GROUP = 2000
Run = Callable[[Path, Path, Tokenize], None]


def documents(path: Path) -> Iterator[str]:
    lines: list[str] = []
    size = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            lines.append(line)
            size += len(line)
            if size >= 2000:
                yield "".join(lines)
                lines, size = [], 0
    yield "".join(lines)


def with_arrow(source: Path, target: Path, job: Tokenize) -> None:
    file = pq.ParquetFile(source / "0.parquet")
    with pq.ParquetWriter(target / "0.parquet", job.schema(file.schema_arrow)) as writer:
        for batch in job.stream(file.iter_batches(ROW_GROUP, use_threads=False)):
            writer.write_batch(batch)


def with_ray(source: Path, target: Path, job: Tokenize) -> None:
    import ray

    if not ray.is_initialized():
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
    tokenize_with_ray(ray.data.read_parquet(str(source)), job, concurrency=1).write_parquet(str(target / "ray"))


def with_spark(source: Path, target: Path, job: Tokenize) -> None:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").getOrCreate()
    tokenize_with_spark(session.read.parquet(str(source)), job).write.parquet(str(target / "spark"))


ENGINES: dict[str, Run] = {"arrow": with_arrow, "ray": with_ray, "spark": with_spark}


class Meter:
    """The processor time of this process and of all that it started: looked at so often that none ends unseen."""

    def __init__(self) -> None:
        self._spent: dict[tuple[int, float], float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def seconds(self) -> float:
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                times, key = process.cpu_times(), (process.pid, process.create_time())
            except psutil.NoSuchProcess:
                continue
            self._spent[key] = max(self._spent.get(key, 0.0), times.user + times.system)
        return sum(self._spent.values())

    def _watch(self) -> None:
        while True:
            self.seconds()
            time.sleep(0.2)


def write(rows: list[str], folder: Path) -> float:
    folder.mkdir()
    table = pa.table({"doc": range(len(rows)), "text": rows})
    pq.write_table(table, folder / "0.parquet", row_group_size=ROW_GROUP)
    return sum(len(row.encode("utf-8")) for row in rows) / 1e6


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("corpus", type=click.Path(path_type=Path, exists=True))
@click.option("--alpha", type=float, help="Sample, with this inverse temperature.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(ENGINES)), default=list(ENGINES))
def main(model: Path, corpus: Path, alpha: float | None, engines: tuple[str, ...]) -> None:
    rows = list(documents(corpus))
    tokenizer = Tokenizer.from_file(model)
    sampling = {} if alpha is None else {"alpha": alpha, "index": "doc"}
    job = Tokenize(tokenizer, keep_columns=["doc"], num_threads=1, **sampling)  # type: ignore[arg-type]
    meter = Meter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sizes = write(rows[::100], folder / "small"), write(rows, folder / "whole")
        for name in engines:
            seconds = []
            for size in ("small", "small", "whole"):  # the first one starts the engine
                target = folder / f"{name} {len(seconds)}"
                target.mkdir()
                before = meter.seconds()
                ENGINES[name](folder / size, target, job)
                seconds.append(meter.seconds() - before)
            rate = (sizes[1] - sizes[0]) / (seconds[2] - seconds[1])
            written = sum(path.stat().st_size for path in target.rglob("*.parquet")) / 1e6
            print(
                f"{name}: {sizes[1]:.0f} MB of text, {rate:.1f} MB/s of a core; "
                f"{written / sizes[1]:.2f} bytes of Parquet a byte of text; start {seconds[0]:.0f} s"
            )
    print(f"largest process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
