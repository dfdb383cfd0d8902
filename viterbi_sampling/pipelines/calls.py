"""What a transformers tokenizer is called with: one text or many, pairs, words, ids; and the tokens of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from viterbi_sampling.arguments import rows_of
from viterbi_sampling.batch import Batch
from viterbi_sampling.engine.hashing import hashes
from viterbi_sampling.pipelines.added_tokens import AddedTokens
from viterbi_sampling.pipelines.keys import Keys, keys_of_parts
from viterbi_sampling.pipelines.sequences import merged, positions

Row: TypeAlias = "str | Sequence[str] | Sequence[int]"
Segment = Callable[[list[str], Keys | None], Batch]
FORMS = "a str, a list of words with is_split_into_words, or a list of ids"


def rows_of_call(text: Any, text_pair: Any, words: bool) -> tuple[list[Row], list[Row] | None, bool]:
    """The first texts, the second texts (None without pairs), and whether the call was for many.

    Each text is a str, a list of words, or a list of ids. ValueError where only some rows are pairs.
    """
    if not _is_many(text, words):
        return [text], None if text_pair is None else [text_pair], False
    if text_pair is not None:
        if not isinstance(text_pair, list | tuple) or len(text_pair) != len(text):
            raise ValueError("text_pair must be a batch as long as that of text")
        return list(text), list(text_pair), True
    pairs = [_is_pair(row, words) for row in text]
    if not any(pairs):
        return [row[0] if _is_alone(row, words) else row for row in text], None, True
    if not all(pairs):
        raise ValueError(f"row {pairs.index(False)} of text is no pair, and others are")
    return [row[0] for row in text], [row[1] for row in text], True


def tokens_of_rows(rows: Sequence[Row], added: AddedTokens, segment: Segment, keys: Keys | None, part: int) -> Batch:
    """The tokens of each row. Where rows are sampled, `keys` has one key a row; `part` numbers a row's first part."""
    if all(isinstance(row, str) for row in rows):
        return added.rows(rows, keys, part, segment)  # type: ignore[arg-type]
    if all(isinstance(row, list | tuple) for row in rows):
        counts = np.array([len(row) for row in rows], np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        entries = [entry for row in rows for entry in row]
        if all(isinstance(entry, str) for entry in entries):
            if keys is not None:
                words = positions(offsets).astype(np.uint64) + np.uint64(part)
                keys = keys_of_parts(np.repeat(keys, counts), words)
            return merged(added.rows(entries, keys, 0, segment), counts)  # type: ignore[arg-type]
        if all(isinstance(entry, int | np.integer) for entry in entries):
            return Batch(np.array(entries, np.int32), offsets, np.zeros((len(entries), 2), np.int32))
    kinds = ", ".join(sorted({type(row).__name__ for row in rows}))
    raise TypeError(f"each text must be {FORMS}, and all alike; got {kinds}")


def keys_of_rows(rows: Sequence[Row]) -> Keys:
    """One key a row, the hash of its text or of its words, as `Tokenize` with index="hash" has it."""
    return hashes(rows_of(row if isinstance(row, str) else "\0".join(map(str, row)) for row in rows))


def _is_many(text: Any, words: bool) -> bool:
    if not isinstance(text, list | tuple):
        return False
    if not text:
        return not words
    return isinstance(text[0], list | tuple) or (isinstance(text[0], str) and not words)


def _is_pair(row: Any, words: bool) -> bool:
    # As in transformers: of words, only a tuple is a pair, and a list is one text.
    forms = isinstance(row, tuple) if words else isinstance(row, list | tuple)
    return forms and len(row) == 2 and all(isinstance(part, str | list | tuple) for part in row)


def _is_alone(row: Any, words: bool) -> bool:
    return not words and isinstance(row, list | tuple) and len(row) == 1 and isinstance(row[0], str | list | tuple)
