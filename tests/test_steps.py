"""Pipelines put together at random: compared with tokenizers, and the compiled steps with those in plain Python."""

from __future__ import annotations

import base64
import json
import random
import sys
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_huggingface import added, check, small

from viterbi_sampling import ModelError, Tokenizer
from viterbi_sampling.formats.charsmap import charsmap_of
from viterbi_sampling.steps import characters, library
from viterbi_sampling.steps.preparation import Preparation

LETTERS = [
    *"abcAB \u2581<>x0 1",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\x01",
    "\x85",
    "\xa0",
    "\u3000",
    "\u200b",
    "\u200d",
    "e\u0301",
    "\xe9",
    "a\u0323\u0302",
    "\u0302",
    "\u1ead",
    "\ufb01",
    "\ufb01\u0302",
    "\xbd",
    "\u2122\u0301",
    "\u0130",
    "\u01c4",
    "\u1e9b\u0323",
    "\uac00",
    "\u1100\u1161\u11a8",
    "\u304b\u3099",
    "\u65e5",
    "\U0001f1e9\U0001f1ea",
    "\U0001f469\u200d\U0001f52c",
    "<m>",
    "<unk>",
    "\uff1cunk\uff1e",
    "AB",
    "\u0915\u094d\u0937",
    "\u0600",
    "``",
    "''",
    "-",
    ".",
    "\u201c",
    "\ufffd",
    "\U00011938",
    "\u0120",
]
RULES = {
    "\x01": "",
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\ufb01": "fi",
    "\xbd": "1\u20442",
    "e\u0301": "\xe9",
    "\u2122": "TM",
    "\u3000": " ",
    "a": "a",
    "\u01c4": "D\u017d",
    "\uff1c": "<",
    "\uff1e": ">",
    "\u200b": " ",
    "\u0302": "",
}
VOCABULARY = [
    ["<unk>", 0.0],
    ["a", -1.0],
    ["b", -2.25],
    ["ab", -2.5],
    ["\u2581", -3.0],
    ["\u2581a", -3.5],
    ["e", -2.0],
    ["c", -2.0],
    ["\u2581ab\u2581a", -1.0],
    ["fi", -2.0],
    ["i", -4.0],
    [" ", -3.0],
    ["\u65e5", -5.0],
    ["<", -4.0],
    ["AB", -3.0],
    ["1", -2.0],
    ["a\u2581", -0.5],
    ["\xe9", -3.0],
    ["--", -1.5],
    ["-", -0.75],
    ["\u0301", -2.0],
    ["b", -1.75],
]
WITH_SPACES = [[" a", -1.5], ["\u3000b ", -1.0], ["\u0120a", -2.0], ["  ", -3.5], ["\tx", -2.0]]
"""Pieces that begin or end with spaces, which some post-processors look for."""


def normalizers() -> list[dict[str, Any]]:
    encoded = base64.b64encode(charsmap_of(RULES)).decode("ascii")
    patterns = [
        {"String": "``"},
        {"String": "a"},
        {"Regex": " {2,}"},
        {"Regex": r"[\u200B\u00A0-\u00AF]"},
        {"Regex": r"\p{Zs}"},
        {"Regex": r"\s+"},
        {"Regex": r"(?<!\n)^"},
        {"Regex": " "},
        {"Regex": "[ab]{2}"},
        {"Regex": r"\A "},
        {"Regex": r" \z"},
        {"Regex": r"ab\z"},
        {"Regex": r"\A +| +\z"},
        {"Regex": r"\s{2,}|[\n\r\t]"},
        {"Regex": r"a+\z"},
        {"Regex": r"\s+| "},
        {"Regex": r"\Aa|b\z"},
        {"Regex": r"\w+(?= )"},
        {"Regex": r"(?i)B|[^\w\s]"},
        {"Regex": r"(?<=a)."},
    ]
    contents = ["\u2581", " ", "", '"', "xy"]
    return [
        {"type": "Precompiled", "precompiled_charsmap": encoded},
        *({"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents")),
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Strip", "strip_left": True, "strip_right": False},
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Prepend", "prepend": "ab"},
        *({"type": "Replace", "pattern": p, "content": c} for p in patterns for c in contents),
    ]


def pre_tokenizers() -> list[dict[str, Any] | None]:
    metaspaces = [
        {"type": "Metaspace", "replacement": r, "prepend_scheme": scheme, "split": split}
        for r in ("\u2581", "\u2581", "_")
        for scheme in ("always", "first", "never")
        for split in (True, False)
    ]
    words: dict[str, Any] = {"type": "WhitespaceSplit"}
    rare: list[dict[str, Any]] = [
        {"type": "Whitespace"},
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "Split", "pattern": {"String": "a"}, "behavior": "MergedWithNext", "invert": False},
        {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "Digits", "individual_digits": False},
        {"type": "FixedLength", "length": 3},
        *(
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}
            for pattern in (r"\s+", "[ab]+|-")
            for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
            for invert in (True, False)
        ),
        {"type": "UnicodeScripts"},
        {"type": "CharDelimiterSplit", "delimiter": "-"},
        {"type": "BertPreTokenizer"},
    ]
    sequences = [{"type": "Sequence", "pretokenizers": [words, m]} for m in metaspaces]
    mixed = [{"type": "Sequence", "pretokenizers": [r, m]} for r in rare for m in metaspaces[:2]]
    return [None, words, *metaspaces, *sequences, *rare, *mixed]


def tokens(draw: random.Random) -> list[dict[str, Any]]:
    found = []
    flags = ("lstrip", "rstrip", "normalized", "single_word")
    for id, content in ((0, "<unk>"), (22, "<m>"), (23, "AB<"), (24, "\xe9x"), (14, "AB")):
        if draw.random() < 0.5 or (id == 14 and draw.random() < 0.7):
            continue
        chosen = {flag: draw.random() < 0.25 for flag in flags}
        found.append(added(id, content, special=draw.random() < 0.6, **chosen))
    following = 22
    for token in found:
        if token["id"] >= 22:
            token["id"], following = following, following + 1
    return found


DECODERS: list[dict[str, Any] | None] = [
    None,
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never", "split": True},
    {
        "type": "Sequence",
        "decoders": [
            {"type": "ByteFallback"},
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
    {"type": "WordPiece", "prefix": "##", "cleanup": True},
    {"type": "BPEDecoder", "suffix": "a"},
    {"type": "CTC", "pad_token": "a", "word_delimiter_token": "\u2581", "cleanup": True},
    {"type": "Fuse"},
    {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"Regex": "[ab]+"}, "content": "x"},
            {"type": "Strip", "content": "x", "start": 1, "stop": 0},
        ],
    },
    {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"Regex": r"(?<=a)b|\u2581$"}, "content": "-"},
            {"type": "Fuse"},
            {"type": "WordPiece", "prefix": "-", "cleanup": True},
        ],
    },
]


def post_processors() -> list[dict[str, Any] | None]:
    ends: dict[str, Any] = {"cls": ["a", 1], "sep": ["b", 2]}
    trims = [{"trim_offsets": trim, "add_prefix_space": prefix} for trim in (True, False) for prefix in (True, False)]
    levels = [{"type": "ByteLevel", "use_regex": True, **trim} for trim in trims]
    robertas = [{"type": "RobertaProcessing", **ends, **trim} for trim in trims]
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "x", "type_id": 3}}, {"Sequence": {"id": "A", "type_id": 1}}],
        "pair": [
            {"Sequence": {"id": "B", "type_id": 1}},
            {"SpecialToken": {"id": "x", "type_id": 3}},
            {"Sequence": {"id": "A", "type_id": 2}},
            {"SpecialToken": {"id": "y", "type_id": 0}},
        ],
        "special_tokens": {
            "x": {"id": "x", "ids": [3, 4], "tokens": ["ab", "\u2581"]},
            "y": {"id": "y", "ids": [5], "tokens": ["\u2581a"]},
        },
    }
    sequences = [[levels[0], template], [levels[1], robertas[1]], [template, levels[1]], [robertas[0], levels[2]]]
    return [
        None,
        {"type": "BertProcessing", **ends},
        template,
        *levels,
        *robertas,
        *({"type": "Sequence", "processors": steps} for steps in sequences),
    ]


def pipeline(draw: random.Random) -> str:
    steps = draw.sample(normalizers(), draw.choice([0, 1, 1, 2, 3]))
    vocabulary = list(VOCABULARY)
    with_bytes = draw.random() < 0.4
    if with_bytes:
        vocabulary[22:] = [[f"<0x{value:02X}>", -6.0] for value in range(256)]
    if draw.random() < 0.3:
        vocabulary[16:21] = WITH_SPACES
    special = [token for token in tokens(draw) if token["id"] < 22 or not with_bytes]
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": special,
            "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
            "pre_tokenizer": draw.choice(pre_tokenizers()),
            "decoder": draw.choice(DECODERS),
            "post_processor": draw.choice(post_processors()),
            "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": with_bytes},
        }
    )


def texts(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices(LETTERS, k=draw.choice([1, 2, 4, 8, 20]))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(150))
def test_random_pipelines_give_what_tokenizers_gives(seed: int) -> None:
    draw = random.Random(seed)
    content = pipeline(draw)
    try:
        Tokenizer.from_bytes(content.encode("utf-8"))
    except ModelError as error:
        if "puts text where nothing is" not in str(error):
            raise
        return
    check(content, texts(draw, 40))


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.lists(st.text(st.sampled_from("".join(LETTERS)), max_size=30) | st.text(), max_size=8))
def test_generated_texts_give_what_tokenizers_gives(seed: int, generated: list[str]) -> None:
    content = pipeline(random.Random(seed))
    try:
        Tokenizer.from_bytes(content.encode("utf-8"))
    except ModelError as error:
        assume("puts text where nothing is" not in str(error))
        raise
    check(content, generated)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "the pre-tokenizer Whitespace needs the tokenizers library"),
        (
            {"normalizer": {"type": "Replace", "pattern": {"Regex": "(?<=x)y"}, "content": ""}},
            r"the regular expression '\(\?<=x\)y' needs the tokenizers library: pip install tokenizers",
        ),
        (
            {"decoder": {"type": "WordPiece", "prefix": "#", "cleanup": True}},
            "the decoder WordPiece needs the token",
        ),
        (
            {"decoder": {"type": "Replace", "pattern": {"Regex": "(?<=z)y"}, "content": ""}},
            r"the regular expression '\(\?<=z\)y' needs the tokenizers library",
        ),
        ({"added_tokens": [added(6, "<x>", single_word=True)]}, "an added token with single_word needs the tokenizers"),
    ],
)
def test_a_rare_step_without_the_library_is_an_error(
    parts: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    library._step_of_library.cache_clear()
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_bytes(small(**parts).encode("utf-8"))


@pytest.mark.parametrize("seed", range(150))
def test_compiled_steps_do_what_plain_python_does(seed: int) -> None:
    draw = random.Random(1000 + seed)
    content = pipeline(draw)
    try:
        tokenizer = Tokenizer.from_bytes(content.encode("utf-8"))
    except ModelError:
        return
    if tokenizer._encoder.is_verbatim():
        return
    description = tokenizer._model.pipeline
    assert description is not None
    preparation = Preparation(description)
    for text in texts(draw, 60):
        assert tokenizer._encoder.normalize(text.encode("utf-8")) == bytes(preparation.prepare(text).text), text


RUNS = ["\u65e5" * 70, "\u304b\u4e00" * 35, "ab" * 40, "\u0436" * 70, "\U0001f600" * 40]
WORDS = {
    "type": "Sequence",
    "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581"}],
}


@pytest.mark.parametrize("number", range(-1, 8))
def test_all_that_can_stand_in_long_runs(number: int) -> None:
    """What a step leaves as it is, it passes over in blocks."""
    draw = random.Random(number)
    steps = normalizers()[number] if number >= 0 else None
    found = [run[:at] + odd + run[at:] for run in RUNS for odd in LETTERS for at in draw.choices(range(len(run)), k=8)]
    check(small(normalizer=steps, pre_tokenizer=WORDS), found)


def test_invalid_bytes_in_long_runs() -> None:
    """Each becomes U+FFFD."""
    encoder = Tokenizer.from_bytes(small(pre_tokenizer=WORDS).encode())._encoder
    run = ("\u6b66\u304b" * 40).encode()
    for byte in (0x20, 0x80, 0xC2, 0xE0, 0xED, 0xF0, 0xFF):
        for at in range(len(run)):
            data = run[:at] + bytes([byte]) + run[at + 1 :]
            escaped = data.decode("utf-8", "surrogateescape")
            text = "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in escaped)
            assert encoder.normalize(data) == encoder.normalize(text.encode("utf-8")), (byte, at)


CODES = [code for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]


@pytest.mark.parametrize("kind", ["NFKD", "NFKC", "StripAccents", "Lowercase", "Nmt"])
def test_every_character_is_what_the_library_says(kind: str) -> None:
    whole = json.dumps(
        {
            "version": "1.0",
            "normalizer": {"type": kind},
            "pre_tokenizer": None,
            "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]]},
        }
    )
    tokenizer = Tokenizer.from_bytes(whole.encode())
    peer = getattr(tokenizers.normalizers, kind)()
    for first in range(0, len(CODES), 4096):
        text = "x".join(map(chr, CODES[first : first + 4096]))
        assert tokenizer.normalize(text) == peer.normalize_str(text)


def test_what_joins_a_cluster_is_what_the_library_says() -> None:
    peer = tokenizers.normalizers.Precompiled(charsmap_of({"a": "b"}))
    classes = characters.grapheme_classes()
    joining = np.isin(
        classes, (characters.EXTEND, characters.LINKER, characters.NON_JOINER, characters.JOINER, characters.SPACING)
    )
    for first in range(0, len(CODES), 4096):
        part = [code for code in CODES[first : first + 4096] if chr(code) != "a"]
        wanted = "\n".join("b" if joining[code] else f"b{chr(code)}" for code in part)
        assert peer.normalize_str("\n".join(f"a{chr(code)}" for code in part)) == wanted
