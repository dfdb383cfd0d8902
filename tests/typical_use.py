"""Typical use, for the type checker: test_typing.py runs mypy over this file, and runs it too."""

from pathlib import Path

import numpy as np

from viterbi_sampling import Batch, Encoding, ModelError, Tokenizer


def use(path: Path) -> list[str]:
    tokenizer: Tokenizer = Tokenizer.default()
    try:
        tokenizer = Tokenizer.from_file(path)
    except (ModelError, OSError) as error:
        print(error)
    ids: list[int] = tokenizer.encode("text", add_eos=tokenizer.eos_id is not None)
    pieces: list[str] = tokenizer.tokenize(b"text")
    encoding: Encoding = tokenizer.encode_with_offsets("text")
    start, end = encoding.offsets[0]
    batch: Batch = tokenizer.encode_batch(["a", b"b"], with_offsets=True, num_threads=2)
    padded = batch.to_padded(tokenizer.pad_id or 0, length=128)
    assert padded.dtype == np.int32
    rows: list[list[int]] = batch.to_list()
    sampled: list[int] = tokenizer.sample("text", alpha=0.1, seed=1, index=2)
    many: Batch = tokenizer.sample_batch(["a"], alpha=0.1, n=4, seed=np.random.default_rng(1), index=np.arange(1))
    texts: list[str] = tokenizer.decode_batch(many)
    unknown: int | None = tokenizer.unk_id
    print(start, end, rows, unknown, sampled, pieces)
    return [*texts, tokenizer.decode(ids), tokenizer.decode(many[0])]


if __name__ == "__main__":
    print(use(Path("nowhere.model")))
