"""Hugging Face datasets: stable fingerprints, fresh samples every epoch."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from conftest import optional

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize

datasets = optional("datasets")
pytestmark = pytest.mark.pipelines


@pytest.fixture(scope="module")
def texts(sample_lines: list[str]) -> list[str]:
    return list(islice(cycle(sample_lines), 100))


@pytest.fixture
def rows(texts: list[str], tmp_path: Path) -> Any:
    """A data set in a file of Parquet, as its cache would have it."""
    path = tmp_path / "rows.parquet"
    datasets.Dataset.from_dict({"text": texts, "doc": range(500, 600)}).to_parquet(path)
    return datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))


def sampled(bundled: Tokenizer, texts: list[str], keys: range, epoch: int) -> list[list[int]]:
    return [
        bundled.sample(text, alpha=0.2, seed=4, index=key, draw=epoch) for text, key in zip(texts, keys, strict=True)
    ]


def test_map_with_keys_of_every_kind(bundled: Tokenizer, texts: list[str], rows: Any) -> None:
    from viterbi_sampling.pipelines.datasets import tokenized

    best = tokenized(rows, Tokenize(bundled), batch_size=7)
    assert best.column_names == ["text", "doc", "ids"]
    assert best["ids"][:] == [bundled.encode(text) for text in texts]
    for epoch in range(2):
        job = Tokenize(bundled, alpha=0.2, seed=4, epoch=epoch)
        by_number = sampled(bundled, texts, range(100), epoch)
        assert tokenized(rows, job, batch_size=7)["ids"][:] == by_number
        assert tokenized(rows, job, batch_size=9, num_proc=2)["ids"][:] == by_number
        by_doc = sampled(bundled, texts, range(500, 600), epoch)
        assert tokenized(rows, replace(job, index="doc"), batch_size=9)["ids"][:] == by_doc
    stream = tokenized(rows.to_iterable_dataset(), job)
    assert [row["ids"] for row in stream] == by_number


def test_fingerprints_are_stable(bundled: Tokenizer, rows: Any) -> None:
    """In this process, after use, and in others; another epoch has another one. What is cached is found again."""
    from viterbi_sampling.pipelines.datasets import ByRowNumber, tokenized

    job = Tokenize(bundled, alpha=0.2, seed=4)
    hash_of = datasets.fingerprint.Hasher.hash
    first, pickled = hash_of(ByRowNumber(job)), pickle.dumps(job)
    once = tokenized(rows, job)
    bundled.sample_batch(["x"], alpha=0.3, seed=1)
    again = tokenized(rows, Tokenize(Tokenizer.default(), alpha=0.2, seed=4))
    assert once._fingerprint == again._fingerprint
    assert once.cache_files == again.cache_files != []
    assert tokenized(rows, replace(job, epoch=1))._fingerprint != once._fingerprint
    assert pickle.dumps(job) == pickled
    script = """
from datasets.fingerprint import Hasher
from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.datasets import ByRowNumber
print(Hasher.hash(ByRowNumber(Tokenize(Tokenizer.default(), alpha=0.2, seed=4))))
"""
    for hash_seed in "12":
        environment = {"PYTHONHASHSEED": hash_seed, "PATH": ""}
        out = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        assert out.stdout.strip() == first


def test_transforms_make_fresh_samples_every_epoch(bundled: Tokenizer, texts: list[str], rows: Any) -> None:
    from viterbi_sampling.pipelines.datasets import transformed

    job = Tokenize(bundled, alpha=0.2, seed=4, index="doc", with_length=True)
    for epoch in range(2):
        view = transformed(rows, replace(job, epoch=epoch))
        wanted = sampled(bundled, texts, range(500, 600), epoch)
        assert view[:]["ids"] == wanted
        assert view[40]["ids"] == wanted[40]
        assert view[40]["length"] == len(wanted[40])
        assert view[[5, 3]]["ids"] == [wanted[5], wanted[3]]
        shuffled = view.shuffle(seed=1)
        assert {row["doc"]: row["ids"] for row in shuffled} == dict(zip(range(500, 600), wanted, strict=True))
    by_text = transformed(rows, replace(job, index="hash", keep_columns=["doc"]))
    assert set(by_text[0]) == {"doc", "ids", "length"}


def test_errors(bundled: Tokenizer, rows: Any) -> None:
    from viterbi_sampling.pipelines.datasets import transformed

    with pytest.raises(ValueError, match="need an index"):
        transformed(rows, Tokenize(bundled, alpha=0.2))
    with pytest.raises(ValueError, match="n must be 1"):
        transformed(rows, Tokenize(bundled, alpha=0.2, index="doc", n=2))
    with pytest.raises(ValueError, match="the batch has no column 'body'"):
        transformed(rows, Tokenize(bundled, column="body"))[0]
