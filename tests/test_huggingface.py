"""tokenizer.json: the ids, tokens, offsets and text of tokenizers 0.23.3, on real files and on what files may say."""

from __future__ import annotations

import json
import lzma
import math
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from conftest import SHARED

from viterbi_sampling import ModelError, Tokenizer

FILES = sorted((SHARED / "models" / "tokenizers").glob("*.json"))
CORPORA = sorted((SHARED / "corpora").glob("*"))


def peer_of(content: str) -> tokenizers.Tokenizer:
    peer = tokenizers.Tokenizer.from_str(content)
    peer.no_truncation()
    peer.no_padding()
    return peer


def lines_of(corpus: Path) -> list[str]:
    data = lzma.decompress(corpus.read_bytes()) if corpus.suffix == ".xz" else corpus.read_bytes()
    return data.decode("utf-8").split("\n")


def check(content: str, texts: Iterable[str]) -> None:
    """Everything that can be asked of one text, compared with the library."""
    peer, tokenizer = peer_of(content), Tokenizer.from_bytes(content.encode("utf-8"))
    texts = list(texts)
    wanted = peer.encode_batch(texts, add_special_tokens=False)
    for text, encoding in zip(texts, wanted, strict=True):
        found = tokenizer.encode_with_offsets(text)
        assert found.ids == encoding.ids, ascii(text)
        assert found.pieces == encoding.tokens, ascii(text)
        assert found.offsets == encoding.offsets, ascii(text)
        assert tokenizer.encode(text) == encoding.ids
        assert tokenizer.decode(encoding.ids) == peer.decode(encoding.ids), ascii(text)
    batch = tokenizer.encode_batch(texts, with_offsets=True)
    assert batch.to_list() == [encoding.ids for encoding in wanted]
    assert batch.spans is not None
    assert batch.spans.tolist() == [list(span) for encoding in wanted for span in encoding.offsets]


@pytest.mark.shared
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_the_real_files_give_what_tokenizers_gives(file: Path) -> None:
    draw = random.Random(file.name)
    texts = []
    for corpus in CORPORA:
        lines = lines_of(corpus)
        texts += draw.sample(lines, min(len(lines), 30))
    check(file.read_text(encoding="utf-8"), texts)


SMALL: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -2.5], ["\u2581", -3.0], ["\u2581a", -3.5]],
    },
}


def small(**parts: Any) -> str:
    """A small tokenizer.json with some of its parts replaced; `model` is merged."""
    content = {**SMALL, **parts}
    if "model" in parts:
        content["model"] = {**SMALL["model"], **parts["model"]}
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON, or truncated"),
        ("[1]", "the JSON is an array, not an object"),
        ('{"model":' + "[" * 100_000, "nested too deeply"),
        ('{"model": 1, "model": 2}', "the key 'model' twice"),
        ("{}", "model is missing"),
        (small(foo=1), "foo is not a field that is known"),
        (small(model={"type": "BPE"}), r"model.type is 'BPE'; only Unigram"),
        (small(model={"type": "WordLevel", "vocab": {"a": 1}}), r"model.type is 'WordLevel'; only Unigram"),
        (small(model={"vocab": {"a": 1}}), r"model.vocab is an object"),
        (small(model={"vocab": [["a", 1.0, 2]]}), r"model.vocab has at 0 \['a', 1.0, 2\]"),
        (small(model={"vocab": []}), r"model.unk_id is 0, but the vocabulary has 0 pieces"),
        (small(model={"unk_id": 6}), r"model.unk_id is 6, but the vocabulary has 6 pieces"),
        (small(model={"unk_id": -1}), r"model.unk_id is -1, not from 0"),
        (small(model={"byte_fallback": 1}), r"model.byte_fallback is not true or false, but an integer"),
        (small(normalizer={"type": "Nope"}), r"normalizer.type is 'Nope'; the normalizers that are supported are"),
        (small(normalizer={}), r"normalizer.type is missing"),
        (
            small(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Strip"}]}),
            r"normalizer.normalizers\[1\].strip_left is missing",
        ),
        (
            small(normalizer={"type": "Precompiled", "precompiled_charsmap": "%"}),
            r"normalizer.precompiled_charsmap is not base64",
        ),
        (small(pre_tokenizer={"type": "ByteLevel"}), r"pre_tokenizer.type is 'ByteLevel'"),
        (small(decoder={"type": "Nope"}), r"decoder.type is 'Nope'"),
        (small(post_processor={"type": "Nope"}), r"post_processor.type is 'Nope'"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error_that_names_the_field(content: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_bytes(content.encode("utf-8"))


def added(id: int, content: str, **flags: bool) -> dict[str, Any]:
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": id, "content": content, **usual, **flags}


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (
            [added(9, "<x>")],
            r"added_tokens\[0\].id is 9, but '<x>' is not in the vocabulary, and the next id after it is 6",
        ),
        ([added(2, "a")], r"added_tokens\[0\].id is 2, but in the vocabulary 'a' has the id 1"),
        ([added(6, "<x>"), added(7, "<x>")], r"added_tokens\[1\].content is '<x>', as that of added_tokens\[0\]"),
        ([added(6, "")], r"added_tokens\[0\].content is empty"),
    ],
)
def test_added_tokens_that_cannot_be_used(tokens: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_bytes(small(added_tokens=tokens).encode("utf-8"))


METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        METASPACE,
        {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]},
        {"type": "Whitespace"},
        None,
    ],
    ids=["metaspace", "words", "library", "none"],
)
def test_the_law_of_samples_is_exact_over_pre_tokens_and_added_tokens(pre_tokenizer: dict[str, Any] | None) -> None:
    content = small(pre_tokenizer=pre_tokenizer, added_tokens=[added(0, "<unk>"), added(6, "<m>", lstrip=True)])
    tokenizer = Tokenizer.from_bytes(content.encode("utf-8"))
    text = "ab a<m> abxya ab"
    law = {tuple(found.ids): found.log_prob for found in tokenizer.nbest(text, 10_000)}
    assert len(law) == tokenizer.count_segmentations(text) > 4
    assert math.fsum(map(math.exp, law.values())) == pytest.approx(1, abs=1e-12)
    assert all(tokenizer.log_prob(text, ids) == pytest.approx(value, abs=1e-9) for ids, value in law.items())
    # The scores of the tokens tell the law: those of unknown characters and added tokens are the same in all of them.
    scores = {ids: sum(tokenizer.score(id) for id in ids if id not in (0, 6)) for ids in law}
    log_sum = math.log(math.fsum(map(math.exp, scores.values())))
    assert all(law[ids] == pytest.approx(scores[ids] - log_sum, abs=1e-9) for ids in law)
    draws = 20_000
    batch = tokenizer.sample_batch([text] * draws, alpha=1.0, seed=1, with_log_probs=True)
    assert batch.log_probs is not None
    rows = [tuple(row) for row in batch.to_list()]
    assert all(abs(value - law[row]) < 1e-9 for row, value in zip(rows, batch.log_probs.tolist(), strict=True))
    counts = Counter(rows)
    # Pearson's statistic; five standard deviations above its mean. A path that comes 20 % too often is seen in most.
    statistic = sum((counts[ids] - draws * math.exp(p)) ** 2 / (draws * math.exp(p)) for ids, p in law.items())
    assert statistic < len(law) + 5 * math.sqrt(2 * len(law)) + 10
    sampled = tokenizer.sample_with_offsets(text, alpha=0.5, seed=3)
    assert sampled.ids == tokenizer.sample(text, alpha=0.5, seed=3)
    assert [text[begin:end] for begin, end in sampled.offsets if text[begin:end] == "<m>"] == ["<m>"]
    assert tokenizer.lattice(text)._repr_svg_().startswith("<svg")


ROBERTA = {
    "type": "RobertaProcessing",
    "cls": ["a", 1],
    "sep": ["b", 2],
    "trim_offsets": True,
    "add_prefix_space": False,
}


def test_post_processors_trim_the_offsets_of_samples_and_batches() -> None:
    spaced = {"vocab": [*SMALL["model"]["vocab"], [" a", -3.0], ["b ", -2.0], [" ", -4.0]]}
    tokenizer = Tokenizer.from_bytes(small(model=spaced, post_processor=ROBERTA).encode("utf-8"))
    texts: list[str | bytes] = ["ab  a b a", "", b" a \xe3\x80\x80b "]
    options: dict[str, Any] = {"alpha": 0.3, "seed": 5}
    batch = tokenizer.sample_batch(texts, n=3, draw=1, with_offsets=True, **options)
    assert batch.spans is not None
    for row in range(9):
        found = tokenizer.sample_with_offsets(texts[row // 3], index=row // 3, draw=1 + row % 3, **options)
        begin, end = batch.offsets[row : row + 2]
        assert (batch[row].tolist(), batch.spans[begin:end].tolist()) == (found.ids, [*map(list, found.offsets)])
    assert tokenizer.encode_with_offsets(b" a \xe3\x80\x80b ").offsets == [(1, 2), (3, 3), (6, 6), (6, 7)]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"post_processor": {**ROBERTA, "sep": ["x", 6]}}, r"post_processor.sep\[1\] is 6, but ids are less than 6"),
        ({"post_processor": {**ROBERTA, "trim_offsets": 1}}, r"post_processor.trim_offsets is not true or false"),
        ({"post_processor": {"type": "Sequence", "processors": [ROBERTA, ROBERTA]}}, r"\[1\].type is the second"),
        (
            {"post_processor": {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}},
            r"post_processor.single has the texts \[\], not \['A'\]",
        ),
        ({"truncation": {"max_length": 3, "strategy": "No", "stride": 0}}, "truncation.strategy is 'No', not one of"),
        ({"truncation": {"max_length": 2**40, "strategy": "OnlyFirst", "stride": 0}}, "truncation.max_length is 1099"),
        ({"padding": {"strategy": {"Fixed": -1}}}, "padding.strategy.Fixed is -1, not from 0"),
        ({"padding": {"strategy": "BatchLongest", "direction": "Up"}}, "padding.direction is 'Up', not one of"),
        ({"padding": {"strategy": "BatchLongest", "direction": "Left", "pad_id": 9}}, "padding.pad_id is 9, but ids"),
    ],
)
def test_special_tokens_truncation_and_padding_that_cannot_be_used(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_bytes(small(**parts).encode("utf-8"))
