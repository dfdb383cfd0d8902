"""PyTorch loaders: the same rows in any number of workers, fresh ones each epoch, padded or packed."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from conftest import optional

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize

torch = optional("torch")
pytestmark = pytest.mark.pipelines


@pytest.fixture(scope="module")
def texts(sample_lines: list[str]) -> list[str]:
    return list(islice(cycle(sample_lines), 500))


@pytest.fixture(scope="module")
def job(bundled: Tokenizer) -> Tokenize:
    return Tokenize(bundled, alpha=0.2, seed=5)


def sampled(bundled: Tokenizer, texts: list[str], row: int, epoch: int) -> list[int]:
    return bundled.sample(texts[row], alpha=0.2, seed=5, index=row, draw=epoch)


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_rows_of_a_map_style_data_set(bundled: Tokenizer, texts: list[str], job: Tokenize, workers: int) -> None:
    """Every row of three epochs, shuffled, in workers that live on: the sample of its row number and epoch."""
    from viterbi_sampling.pipelines.torch import Padded, TokenizedRows

    table = pa.table({"text": texts, "row": range(len(texts))})
    rows = TokenizedRows(table, job)
    loader = torch.utils.data.DataLoader(
        rows,
        batch_size=33,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=Padded(bundled.pad_id),
        generator=torch.Generator().manual_seed(1),
    )
    for epoch in range(3):
        rows.set_epoch(epoch)
        seen = []
        for batch in loader:
            for row, ids, mask in zip(batch["row"].tolist(), batch["input_ids"], batch["attention_mask"], strict=True):
                assert ids[mask.bool()].tolist() == sampled(bundled, texts, row, epoch)
                seen.append(row)
        assert sorted(seen) == list(range(len(texts)))
        assert seen != sorted(seen)


def batches_of(stream: Any, workers: int) -> list[dict[str, list[Any]]]:
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=workers)
    return [{name: tensor.tolist() for name, tensor in batch.items()} for batch in loader]


@pytest.mark.parametrize("form", ["table", "parquet"])
def test_a_stream_is_the_same_in_any_number_of_workers(
    bundled: Tokenizer, texts: list[str], job: Tokenize, form: str, tmp_path: Path
) -> None:
    """Batch for batch; and two processes that train together have every other batch of it."""
    from viterbi_sampling.pipelines.torch import Packed, TokenizedStream

    source: Any = pa.table({"text": texts})
    if form == "parquet":
        for part in range(3):
            pa.parquet.write_table(source.slice(part * 200, 200), tmp_path / f"{part}.parquet", row_group_size=70)
        source = pa.dataset.dataset([str(tmp_path / f"{part}.parquet") for part in range(3)])
    stream = TokenizedStream(source, job, Packed(), batch_size=32)
    alone = batches_of(stream, 0)
    assert len(alone) == 16
    for workers in (1, 4):
        assert batches_of(stream, workers) == alone
    shares = [
        batches_of(TokenizedStream(source, job, Packed(), batch_size=32, rank=rank, world_size=2), workers)
        for rank, workers in ((0, 2), (1, 0))
    ]
    assert shares[0] == alone[::2]
    assert shares[1] == alone[1::2]
    stream.set_epoch(7)
    later = batches_of(stream, 2)
    assert later != alone
    for epoch, found in ((0, alone), (7, later)):
        rows = [
            batch["input_ids"][0][start:end]
            for batch in found
            for start, end in zip(batch["cu_seqlens"], batch["cu_seqlens"][1:], strict=False)
        ]
        assert rows == [sampled(bundled, texts, row, epoch) for row in range(len(texts))]


def test_jobs_of_other_kinds(bundled: Tokenizer, texts: list[str]) -> None:
    """The best segmentation, keys of a column and of the text, a model given by its path."""
    from viterbi_sampling.pipelines.torch import TokenizedRows

    best = TokenizedRows(texts, Tokenize(bundled))
    assert best[3] == {"text": texts[3], "ids": bundled.encode(texts[3])}
    assert best[-1] == best[len(texts) - 1]
    table = pa.table({"text": texts, "doc": [1000 + i for i in range(len(texts))]})
    by_doc = TokenizedRows(table, Tokenize(bundled, alpha=0.2, seed=5, index="doc", keep_columns=False))
    assert by_doc[7] == {"ids": bundled.sample(texts[7], alpha=0.2, seed=5, index=1007)}
    path = files("viterbi_sampling.data") / "default.model"
    by_text = TokenizedRows(texts, Tokenize(str(path), alpha=0.2, seed=5, index="hash"))
    same = TokenizedRows(texts[7:8], Tokenize(bundled, alpha=0.2, seed=5, index="hash"))
    assert by_text[7] == same[0]
    by_text.set_epoch(1)
    assert by_text[7]["ids"] != same[0]["ids"] or len(texts[7]) < 4


def test_padded() -> None:
    from viterbi_sampling.pipelines.torch import Padded

    rows = [[1, 2, 3, 4, 5], [], [6, 7]]
    for side in ("right", "left"):
        for length in (None, 3, 8):
            for multiple in (1, 4):
                batch = Padded(9, length=length, multiple=multiple, side=side)(rows)
                width = -(-(length or 5) // multiple) * multiple
                assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, width)
                for row, ids, mask in zip(rows, batch["input_ids"], batch["attention_mask"], strict=True):
                    kept = row[: length or 5]
                    fill, zeros = [9] * (width - len(kept)), [0] * (width - len(kept))
                    ones = [1] * len(kept)
                    assert ids.tolist() == (kept + fill if side == "right" else fill + kept)
                    assert mask.tolist() == (ones + zeros if side == "right" else zeros + ones)


def test_collate_keeps_columns_of_numbers(bundled: Tokenizer, job: Tokenize) -> None:
    from viterbi_sampling.pipelines.torch import Packed, Padded

    rows = [{"ids": [1, 2], "label": 0.5, "name": "a"}, {"ids": np.array([3]), "label": 1.5, "name": "b"}]
    for collate in (Padded(0), Packed()):
        batch = collate(rows)
        assert batch["label"].tolist() == [0.5, 1.5]
        assert "name" not in batch
    assert Packed()(rows)["cu_seqlens"].tolist() == [0, 2, 3]
    table = replace(job, index="n")(pa.table({"text": ["ab", "cd"], "n": [1, 2]}).slice(1))
    assert Padded(0)(table)["input_ids"].tolist() == [bundled.sample("cd", alpha=0.2, seed=5, index=2)]


def test_errors(bundled: Tokenizer, job: Tokenize) -> None:
    from viterbi_sampling.pipelines.torch import Packed, Padded, TokenizedRows, TokenizedStream

    with pytest.raises(ValueError, match="n must be 1"):
        TokenizedRows(["x"], replace(job, n=2))
    with pytest.raises(IndexError, match="row 1 of a data set of 1"):
        TokenizedRows(["x"], job)[1]
    with pytest.raises(TypeError, match="source must be a pyarrow Table"):
        TokenizedStream(["x"], job, Packed(), batch_size=1)
    with pytest.raises(ValueError, match="rank must be"):
        TokenizedStream(pa.table({"text": ["x"]}), job, Packed(), batch_size=1, rank=2, world_size=2)
    with pytest.raises(ValueError, match="pad_id is None"):
        Padded(None)
    with pytest.raises(ValueError, match="has 1 nulls"):
        Padded(0)(job(pa.table({"text": ["a", None]}), first_row=0))
