"""Ray and Spark, real ones on this machine: the same rows whatever the partitions, and after a lost worker."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from dataclasses import fields, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
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


# -- Ray ---------------------------------------------------------------------------------------------


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


# -- commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_commands(
    engine: str, request: pytest.FixtureRequest, jobs: list[Tokenize], table: pa.Table, folder: str, tmp_path: Path
) -> None:
    request.getfixturevalue(engine)
    main = importlib.import_module(f"viterbi_sampling.pipelines.{engine}").main
    target = str(tmp_path / "ids")
    words = f"{folder} {target} --keep doc --alpha 0.2 --seed 3 --epoch 2 -n 2 --index doc"
    result = CliRunner().invoke(main, words.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    job = replace(jobs[1], keep_columns=["doc"], with_length=False, output="ids")
    assert in_order(pa.parquet.read_table(target)) == in_order(job(table))
    result = CliRunner().invoke(main, [folder, target, "--alpha", "0.2"])
    assert result.exit_code == 2
    assert "need an index" in result.output


# -- keys --------------------------------------------------------------------------------------------


def test_samples_need_a_key_of_their_own(jobs: list[Tokenize]) -> None:
    with pytest.raises(ValueError, match="need an index: the name of a column of row ids, or 'hash'"):
        checked(replace(jobs[1], index=None))
    with pytest.raises(TypeError, match=r"job must be an arrow\.Tokenize, not str"):
        checked("job")  # type: ignore[arg-type]
    for job in jobs:
        assert checked(job) is job
