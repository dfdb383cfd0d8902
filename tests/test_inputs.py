"""Special tokens, truncation and padding of a tokenizer.json: what `encode_batch` of tokenizers 0.23.3 gives."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import tokenizers
from conftest import SHARED
from test_huggingface import FILES, lines_of, small
from test_steps import pipeline, texts

from viterbi_sampling import ModelError, Tokenizer
from viterbi_sampling.pipelines.inputs import SECOND_TEXT, Inputs, inputs


def shuffled_settings(draw: random.Random) -> dict[str, Any]:
    """A truncation and a padding, or none."""
    truncation = {
        "direction": draw.choice(["Left", "Right"]),
        "max_length": draw.choice([2, 3, 4, 6, 9, 30]),
        "strategy": draw.choice(["LongestFirst", "LongestFirst", "OnlyFirst", "OnlySecond"]),
        "stride": draw.choice([0, 0, 1, 2, 5]),
    }
    padding = {
        "strategy": draw.choice(["BatchLongest", {"Fixed": 0}, {"Fixed": 7}]),
        "direction": draw.choice(["Left", "Right"]),
        "pad_to_multiple_of": draw.choice([None, 0, 1, 4]),
        "pad_id": 5,
        "pad_type_id": 8,
        "pad_token": "\u2581a",
    }
    return {"truncation": draw.choice([None, truncation]), "padding": draw.choice([None, padding])}


def windows_of(encodings: list[tokenizers.Encoding]) -> list[tokenizers.Encoding]:
    """Each encoding and what it leaves out, in the order of `return_overflowing_tokens` of transformers."""
    return [window for encoding in encodings for window in (encoding, *encoding.overflowing)]


def compare(made: Inputs, encodings: list[tokenizers.Encoding]) -> None:
    """Every column, row by row."""
    bounds = made.rows.offsets
    assert made.rows.spans is not None
    assert len(made.rows) == len(encodings)
    for row, encoding in enumerate(encodings):
        place = slice(bounds[row], bounds[row + 1])
        assert made.rows.ids[place].tolist() == encoding.ids
        assert made.type_ids[place].tolist() == encoding.type_ids
        assert made.attention_mask[place].tolist() == encoding.attention_mask
        assert made.special_tokens_mask[place].tolist() == encoding.special_tokens_mask
        assert made.rows.spans[place].tolist() == [list(span) for span in encoding.offsets]


@pytest.mark.parametrize("seed", range(200))
def test_random_files_give_what_tokenizers_gives(seed: int) -> None:
    draw = random.Random(seed)
    content = json.dumps({**json.loads(pipeline(draw)), **shuffled_settings(draw)})
    try:
        tokenizer = Tokenizer.from_bytes(content.encode("utf-8"))
    except ModelError:
        return
    peer = tokenizers.Tokenizer.from_str(content)
    for _ in range(3):
        firsts, seconds = texts(draw, 5), texts(draw, 5)
        for special in (True, False):
            for pairs in (None, seconds):
                given = firsts if pairs is None else list(zip(firsts, seconds, strict=True))
                try:
                    wanted = peer.encode_batch(given, add_special_tokens=special)
                except BaseException as error:  # a stride that is too long is a panic of the library
                    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                        raise
                    with pytest.raises(ValueError, match=r"truncation|max_length"):
                        inputs(tokenizer, firsts, pairs, add_special_tokens=special)
                    continue
                options = {"add_special_tokens": special, "with_offsets": True}
                try:
                    made = inputs(tokenizer, firsts, pairs, **options)
                except ValueError as error:
                    if "less than the number of special" not in str(error):
                        raise
                    continue
                compare(made, wanted)
                assert made.overflow_to_sample_mapping.tolist() == list(range(len(wanted)))
                made = inputs(tokenizer, firsts, pairs, overflowing=True, **options)
                compare(made, windows_of(wanted))
                rows = [row for row, encoding in enumerate(wanted) for _ in windows_of([encoding])]
                assert made.overflow_to_sample_mapping.tolist() == rows


@pytest.mark.shared
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_the_real_files_with_all_that_they_say(file: Any) -> None:
    tokenizer, peer = Tokenizer.from_file(file), tokenizers.Tokenizer.from_file(str(file))
    lines = lines_of(SHARED / "corpora" / "react_docs_ru.md.txt.xz")[:600]
    compare(inputs(tokenizer, lines, with_offsets=True), peer.encode_batch(lines))
    both = inputs(tokenizer, lines, lines[::-1], with_offsets=True)
    compare(both, peer.encode_batch(list(zip(lines, lines[::-1], strict=True))))


def test_samples_are_those_of_the_tokenizer() -> None:
    tokenizer = Tokenizer.from_bytes(small().encode("utf-8"))
    lines, others = ["abab", "ab", "ba"], ["ab", "abab", ""]
    made = inputs(tokenizer, lines, others, alpha=0.3, seed=4, index=10).rows.to_list()
    first = tokenizer.sample_batch(lines, alpha=0.3, seed=4, index=10).to_list()
    second = tokenizer.sample_batch(others, alpha=0.3, seed=4, index=10 + SECOND_TEXT).to_list()
    assert made == [a + b for a, b in zip(first, second, strict=True)]
    with pytest.raises(ValueError, match="pairs: 1 texts beside 2"):
        inputs(tokenizer, ["a", "b"], ["a"])
    assert inputs(tokenizer, np.array([], np.str_)).rows.to_list() == []
