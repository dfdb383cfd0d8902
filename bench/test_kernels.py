"""The parts of the engine one by one, as pytest-benchmark shows them: `pytest bench`.

Each part on each model and text: those of the shared folder where it stands, otherwise the bundled ones. The unit is
the time for the whole text; MB/s of UTF-8 stand among the extra information (`--benchmark-json`). Compare two states
of the code with `--benchmark-autosave` and `--benchmark-compare`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import corpora
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from viterbi_sampling import Tokenizer

SIZE = 1_000_000
ALPHAS = (0.1, 0.5)
ALGORITHMS = ("perfect", "ffbs")


@dataclass(frozen=True)
class Case:
    """A model and a text: as lines, in UTF-8, and the content of the model's file."""

    data: bytes
    lines: list[str]
    text: bytes


def read(model: str, corpus: str) -> Case:
    if not corpora.SHARED.is_dir():
        tokenizer = Tokenizer.default()
        lines = [
            line for path in sorted(corpora.SAMPLES.glob("*.txt")) for line in path.read_text("utf-8").splitlines()
        ]
        lines *= SIZE // sum(len(line.encode("utf-8")) + 1 for line in lines)
        return Case(tokenizer._model.source, lines, "\n".join(lines).encode("utf-8"))
    lines = corpora.lines_of(corpus, SIZE)
    return Case(corpora.model_path(model).read_bytes(), lines, "\n".join(lines).encode("utf-8"))


CASES = {
    "t5-english": (corpora.T5, corpora.ENGLISH),
    "xlmr-chinese": (corpora.XLMR, corpora.NOVELS),
    "llmjp-japanese": (corpora.LLMJP, corpora.CAT),
}


@pytest.fixture(scope="module", params=CASES if corpora.SHARED.is_dir() else ["bundled"])
def case(request: pytest.FixtureRequest) -> Case:
    return read(*CASES.get(request.param, ("", "")))


@pytest.fixture
def tokenizer(case: Case) -> Tokenizer:
    """A new one, which keeps no word yet."""
    return Tokenizer.from_bytes(case.data)


def measure(benchmark: BenchmarkFixture, case: Case, call: Callable[[], object]) -> Any:
    """Time `call`, which goes through the text once."""
    benchmark.group = benchmark.name.partition("[")[0]
    result = benchmark(call)
    benchmark.extra_info["MB/s"] = len(case.text) / 1e6 / benchmark.stats["min"]
    return result


def test_normalize(benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer) -> None:
    """The model's rules, on one text."""
    assert measure(benchmark, case, lambda: tokenizer._encoder.normalize(case.text))


def test_viterbi_from_the_cache(benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer) -> None:
    """Normalize, cut, look up and write: all words are known."""
    tokenizer.encode_batch(case.lines, num_threads=1)
    assert measure(benchmark, case, lambda: tokenizer.encode_batch(case.lines, num_threads=1))


def test_viterbi_without_cache(benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer) -> None:
    """Normalize and the plain pass."""
    tokenizer._encoder.keep_words(False)
    result = measure(benchmark, case, lambda: tokenizer.encode_batch(case.lines, num_threads=1))
    assert result == Tokenizer.from_bytes(case.data).encode_batch(case.lines)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_sample(
    benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer, cache: bool, algorithm: str, alpha: float
) -> None:
    """Random segmentations from kept words, and each from its lattice."""
    tokenizer._encoder.keep_words(cache)
    options: dict[str, Any] = {"alpha": alpha, "algorithm": algorithm, "seed": 1}
    tokenizer.sample_batch(case.lines, num_threads=1, **options)
    result = measure(benchmark, case, lambda: tokenizer.sample_batch(case.lines, num_threads=1, **options))
    assert result == Tokenizer.from_bytes(case.data).sample_batch(case.lines, **options)


def test_offsets(benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer) -> None:
    """What spans add to test_viterbi_from_the_cache."""
    tokenizer.encode_batch(case.lines, num_threads=1)
    assert measure(benchmark, case, lambda: tokenizer.encode_batch(case.lines, with_offsets=True, num_threads=1))


def test_to_lists(benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer) -> None:
    """A Batch as Python lists."""
    batch = tokenizer.encode_batch(case.lines)
    assert measure(benchmark, case, batch.to_list)


def test_decode(benchmark: BenchmarkFixture, case: Case, tokenizer: Tokenizer) -> None:
    """A Batch back to texts."""
    batch = tokenizer.encode_batch(case.lines)
    assert measure(benchmark, case, lambda: tokenizer.decode_batch(batch))


def test_load(benchmark: BenchmarkFixture, case: Case) -> None:
    """The model from the bytes of its file; MB/s mean nothing here."""
    assert measure(benchmark, case, lambda: Tokenizer.from_bytes(case.data))
