"""What several tests share: where the shared data stands, the bundled model, small models trained here."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sentencepiece
from hypothesis import HealthCheck, settings

from viterbi_sampling import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("VITERBI_SAMPLING_SHARED", ROOT.parent / "shared" / "data"))
SAMPLES = ROOT / "data" / "samples"

settings.register_profile(
    "project", deadline=None, derandomize=True, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile("project")

# What is started in the background ignores Ctrl-C, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs the shared data where it does not stand, and what takes long unless it is asked for."""
    missing = not SHARED.is_dir() and not os.environ.get("VITERBI_SAMPLING_SHARED")
    asked = config.getoption("-m") or ""
    for item in items:
        if missing and item.get_closest_marker("shared"):
            item.add_marker(pytest.mark.skip(reason=f"no shared data at {SHARED}"))
        for name, time in (("whole", "an hour"), ("long", "minutes")):
            if name not in asked and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"takes {time}; select with -m {name}"))


def optional(name: str) -> ModuleType:
    """The library of that name; where it is missing, what needs it is skipped, unless the run is there to test it."""
    if os.environ.get("VITERBI_SAMPLING_PIPELINES"):
        return importlib.import_module(name)
    return pytest.importorskip(name)


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """Ray on this machine, its workers able to import the modules of the tests."""
    ray = optional("ray")
    optional("ray.data")
    # Two workers, and cores left for reading: without them Ray would wait for ever.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests"))
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray
        ray.shutdown()


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Spark on this machine with two cores and four attempts a task, its workers able to import the tests' modules."""
    sql = optional("pyspark.sql")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests"))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.log.level": "OFF",
            "spark.default.parallelism": "2",
        }
        builder = sql.SparkSession.builder.master("local[2,4]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="session")
def bundled() -> Tokenizer:
    return Tokenizer.default()


@pytest.fixture(scope="session")
def sample_lines() -> list[str]:
    """The lines of the sample texts, and what no text file holds."""
    lines = [line for path in sorted(SAMPLES.glob("*.txt")) for line in path.read_text(encoding="utf-8").split("\n")]
    return [*lines, "", " ", "   ", "\u2581", " \u2581 x", "x\u2581 ", "\0", "a\0b", "\ufffd", "\U0010ffff", "a\u0300"]


def train(**options: object) -> bytes:
    """A small sentencepiece model of the sample texts."""
    lines = [line for path in sorted(SAMPLES.glob("*.txt")) for line in path.read_text(encoding="utf-8").split("\n")]
    out = io.BytesIO()
    settings_: dict[str, object] = {
        "model_type": "unigram",
        "vocab_size": 800,
        "hard_vocab_limit": False,
        "character_coverage": 0.98,
        "num_threads": 1,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in lines if line.strip()] * 4),
        model_writer=out,
        **(settings_ | {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}),
    )
    return out.getvalue()
