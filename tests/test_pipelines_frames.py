"""Columns of Polars and pandas: taken as they are, and given back as lists, however the engine cuts them up."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import pandas as pd
import polars as pl
import pytest

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize

pytestmark = pytest.mark.pipelines
LISTS: dict[str, Any] = {"return_dtype": pl.List(pl.Int32), "is_elementwise": True}


@pytest.fixture(scope="module")
def texts(sample_lines: list[str]) -> list[str]:
    return list(islice(cycle(sample_lines), 3000))


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_polars_expressions_are_pure(bundled: Tokenizer, texts: list[str], engine: Any) -> None:
    """The engine may call them for any rows in any order: filtered, sorted and sliced frames have the same rows."""
    job = Tokenize(bundled, alpha=0.2, seed=1, index="doc")
    sizes: list[int] = []

    def sampled(rows: pl.Series) -> pl.Series:
        sizes.append(len(rows))
        return pl.Series(pl.from_arrow(job(rows.struct.unnest()))["ids"])  # type: ignore[index]

    def best(column: pl.Series) -> pl.Series:
        return pl.Series(bundled.encode_batch(column).to_arrow())

    frame = pl.DataFrame({"doc": range(3000), "text": texts})
    expressions = {
        "best": pl.col("text").map_batches(best, **LISTS),
        "sample": pl.struct("doc", "text").map_batches(sampled, **LISTS),
    }
    lazy = frame.lazy().with_columns(**expressions).filter(pl.col("doc") % 7 == 3)
    found = lazy.sort("doc", descending=True).collect(engine=engine)
    assert found["doc"].to_list() == [doc for doc in reversed(range(3000)) if doc % 7 == 3]
    for doc, ids, sample in found.select("doc", "best", "sample").iter_rows():
        assert ids == bundled.encode(texts[doc])
        assert sample == bundled.sample(texts[doc], alpha=0.2, seed=1, index=doc)
    assert sizes


def test_batches_of_columns(bundled: Tokenizer, texts: list[str]) -> None:
    keys = range(100, 100 + len(texts))
    wanted = bundled.sample_batch(texts, alpha=0.2, seed=1, index=list(keys)).to_list()
    polars = pl.DataFrame({"doc": keys, "text": texts})
    assert bundled.sample_batch(polars["text"], alpha=0.2, seed=1, index=polars["doc"]).to_list() == wanted
    for dtype in ("object", "string[pyarrow]", "string[python]"):
        frame = pd.DataFrame({"doc": keys, "text": pd.Series(texts, dtype=dtype)})
        batch = bundled.sample_batch(frame["text"], alpha=0.2, seed=1, index=frame["doc"])
        assert batch.to_list() == wanted
        job = Tokenize(bundled, alpha=0.2, seed=1, index="doc")
        assert [list(ids) for ids in job(frame).to_pandas()["ids"]] == wanted
    whole = pl.from_arrow(replace(job, keep_columns=False)(polars))
    assert whole.to_series().to_list() == wanted  # type: ignore[union-attr]
