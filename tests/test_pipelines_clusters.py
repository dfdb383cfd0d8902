"""Ray and Spark, real ones on this machine: the same rows whatever the partitions, and after a lost worker."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import optional
from watched import Watched

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.partitions import checked

pytestmark = pytest.mark.pipelines
ROWS, PARTS = 600, 6


@pytest.fixture(scope="module")
def table(sample_lines: list[str]) -> pa.Table:
    lines = list(islice(cycle(sample_lines), ROWS))
    return pa.table({"doc": range(ROWS), "text": [None if i % 97 == 5 else line for i, line in enumerate(lines)]})


@pytest.fixture(scope="module")
def folder(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The rows in several files of Parquet."""
    path = tmp_path_factory.mktemp("rows")
    for part in range(PARTS):
        pa.parquet.write_table(table.slice(part * ROWS // PARTS, ROWS // PARTS), path / f"{part}.parquet")
    return str(path)


@pytest.fixture(scope="module")
def jobs(bundled: Tokenizer) -> list[Tokenize]:
    """The best segmentation, and samples by the row's id and by its text."""
    return [
        Tokenize(bundled, with_offsets=True),
        Tokenize(bundled, alpha=0.2, seed=3, index="doc", epoch=2, with_length=True, n=2, output="tokens"),
        Tokenize(bundled, alpha=0.2, seed=3, index="hash", with_log_probs=True),
    ]


def watched(job: Tokenize, log: Path, fatal: int = -1) -> Watched:
    return Watched(**{field.name: getattr(job, field.name) for field in fields(Tokenize)}, log=str(log), fatal=fatal)


def in_order(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows by id; those of one id in the order in which they come."""
    return sorted(rows.to_pylist(), key=lambda row: row["doc"])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def workers_find_the_tests() -> Iterator[None]:
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), path]))
    yield
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


# -- Ray ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ray(workers_find_the_tests: None) -> Iterator[Any]:
    ray = optional("ray")
    optional("ray.data")
    # two workers, and cores left for reading: without them Ray would wait for ever
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    yield ray
    ray.shutdown()


def rows_of_ray(ray: Any, dataset: Any) -> pa.Table:
    return pa.concat_tables(table for table in ray.get(dataset.to_arrow_refs()) if table.num_rows)


def test_ray_gives_the_same_rows_after_a_lost_worker(
    ray: Any, jobs: list[Tokenize], table: pa.Table, folder: str, tmp_path: Path
) -> None:
    """Two workers, small batches; one dies in the middle, its batches are run again. Each loads the model once."""
    from viterbi_sampling.pipelines.ray import tokenize

    job = watched(jobs[1], tmp_path, fatal=333)
    dataset = tokenize(ray.data.read_parquet(folder).repartition(PARTS), job, concurrency=2, batch_size=50)
    assert in_order(rows_of_ray(ray, dataset)) == in_order(jobs[1](table))
    assert (tmp_path / "died").exists()
    received = Counter(job.processes())
    del received[os.getpid()]
    assert 2 <= len(received) <= 3 + 1, received
    assert set(received.values()) == {1}, received


def test_ray_with_other_blocks_and_jobs(ray: Any, jobs: list[Tokenize], table: pa.Table) -> None:
    from viterbi_sampling.pipelines.ray import tokenize

    for job, blocks in ((jobs[0], 1), (jobs[2], 5)):
        dataset = tokenize(ray.data.from_arrow(table).repartition(blocks), job)
        assert in_order(rows_of_ray(ray, dataset)) == in_order(job(table))


# -- Spark -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spark(workers_find_the_tests: None) -> Iterator[Any]:
    sql = optional("pyspark.sql")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        sql.SparkSession.builder.master("local[2,4]")  # two cores, four attempts a task
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.log.level", "OFF")
        .getOrCreate()
    )
    yield session
    session.stop()
    del os.environ["PYSPARK_PYTHON"]


def test_spark_gives_the_same_rows_in_any_partitions(
    spark: Any, jobs: list[Tokenize], table: pa.Table, folder: str
) -> None:
    from viterbi_sampling.pipelines.spark import tokenize

    for job, partitions in zip([*jobs, jobs[1]], (1, 3, 8, 1), strict=True):
        rows = tokenize(spark.read.parquet(folder).repartition(partitions), job).toArrow()
        assert in_order(rows) == in_order(job(table))


def test_spark_gives_the_same_rows_after_a_lost_worker(
    spark: Any, jobs: list[Tokenize], table: pa.Table, folder: str, tmp_path: Path
) -> None:
    """A worker process dies once and its task is run again; each process loads the model once for all its tasks."""
    from viterbi_sampling.pipelines.spark import tokenize

    job = watched(jobs[1], tmp_path, fatal=333)
    rows = tokenize(spark.read.parquet(folder).repartition(12), job).toArrow()
    assert in_order(rows) == in_order(jobs[1](table))
    assert (tmp_path / "died").exists()
    received = Counter(job.processes())
    received.pop(os.getpid(), None)
    assert len(received) < 12, received
    assert set(received.values()) == {1}, received


# -- keys --------------------------------------------------------------------------------------------


def test_samples_need_a_key_of_their_own(jobs: list[Tokenize]) -> None:
    with pytest.raises(ValueError, match="need an index: the name of a column of row ids, or 'hash'"):
        checked(replace(jobs[1], index=None))
    with pytest.raises(TypeError, match=r"job must be an arrow\.Tokenize, not str"):
        checked("job")  # type: ignore[arg-type]
    for job in jobs:
        assert checked(job) is job
