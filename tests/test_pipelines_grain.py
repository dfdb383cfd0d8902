"""JAX grain: samples by place in the data, the same in any number of workers, fresh each epoch."""

from __future__ import annotations

import pytest
from conftest import optional

from viterbi_sampling import Tokenizer

grain = optional("grain")
pytestmark = pytest.mark.pipelines


def test_rows_of_three_epochs(bundled: Tokenizer, sample_lines: list[str]) -> None:
    from viterbi_sampling.pipelines.grain import MapToIds

    texts = sample_lines[:40]
    rows = [{"row": i, "text": text} for i, text in enumerate(texts)]
    transform = MapToIds(bundled, alpha=0.2, seed=9, column="text")
    data = grain.MapDataset.source(rows).map_with_index(transform).shuffle(seed=3).repeat(3)
    for epoch in range(3):
        found = {data[i]["row"]: data[i]["ids"].tolist() for i in range(epoch * len(texts), (epoch + 1) * len(texts))}
        for row, text in enumerate(texts):
            assert found[row] == bundled.sample(text, alpha=0.2, seed=9, index=epoch * len(texts) + row)
    best = grain.MapDataset.source(texts).map_with_index(MapToIds(bundled, add_eos=True))
    assert [ids.tolist() for ids in best] == [bundled.encode(text, add_eos=True) for text in texts]


def test_worker_processes_give_the_same_rows(bundled: Tokenizer, sample_lines: list[str]) -> None:
    from viterbi_sampling.pipelines.grain import MapToIds

    texts = sample_lines[:30]
    data = grain.MapDataset.source(texts).map_with_index(MapToIds(bundled, alpha=0.2, seed=9)).to_iter_dataset()
    alone = [ids.tolist() for ids in data]
    assert alone == [bundled.sample(text, alpha=0.2, seed=9, index=i) for i, text in enumerate(texts)]
    workers = data.mp_prefetch(grain.MultiprocessingOptions(num_workers=2))
    assert [ids.tolist() for ids in workers] == alone
