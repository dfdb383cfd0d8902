"""The models and texts that are measured with, each read once."""

from __future__ import annotations

import functools
import lzma
import os
import random
import string
from pathlib import Path
from typing import Any

import sentencepiece

from viterbi_sampling import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data" / "samples"
SHARED = Path(os.environ.get("VITERBI_SAMPLING_SHARED", ROOT.parent / "shared" / "data"))
T5, XLMR, LLMJP = "t5_base_32k", "xlmr_250k_rebuilt", "llmjp_v3.1_98k"
ENGLISH, NOVELS, DOCS = "en_classics.md.txt.xz", "zh_four_novels.txt.xz", "zh_tidb_docs.md.txt.xz"
JAPANESE_DOCS, CAT = "react_docs_ja.md.txt.xz", "ja_wagahaiwa_nekodearu.txt.xz"
NEW_WORDS = "new words"
"""A text that is made here: see new_words."""


@functools.cache
def model_path(model: str) -> Path:
    return SHARED / "models" / "sentencepiece" / f"{model}.model"


@functools.cache
def ours(model: str) -> Tokenizer:
    return Tokenizer.from_file(model_path(model))


@functools.cache
def theirs(model: str) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(model_path(model)))


@functools.cache
def text_of(corpus: str, size: int) -> str:
    if corpus == NEW_WORDS:
        return new_words(size)
    path = SHARED / "corpora" / corpus
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
        return file.read(size).decode("utf-8", "ignore")


def new_words(size: int) -> str:
    """Lines of ten words of random letters, of which none is likely to come twice."""
    generator = random.Random(1)
    lines, done = [], 0
    while done < size:
        words = ("".join(generator.choices(string.ascii_lowercase, k=generator.randint(7, 13))) for _ in range(10))
        lines.append(" ".join(words))
        done += len(lines[-1]) + 1
    return "\n".join(lines)


@functools.cache
def lines_of(corpus: str, size: int) -> list[str]:
    return text_of(corpus, size).split("\n")


def megabytes(lines: list[str]) -> float:
    return sum(len(line.encode("utf-8")) for line in lines) / 1e6
