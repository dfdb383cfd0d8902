"""Files of every format, broken at random: one clear error or a model that works, in little time and memory."""

from __future__ import annotations

import copy
import io
import json
import lzma
import random
import time
import zipfile
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

import pytest
from conftest import train
from test_bytepiece_models import MODEL as BYTEPIECE
from test_huggingface import FILES
from test_steps import pipeline

from viterbi_sampling import ModelError, Tokenizer

LONGEST_MESSAGE = 500
MOST_SECONDS = 3.0
"""Of processor time for one file, some hundred times what it takes."""

STRANGE: list[Any] = [
    None, True, -1, 0, 2**31, 2**40, 1e300, -1e300, 10**400, 0.5, "", "x", "\u2581", "\ud83d", "\0", [], {}, [[]],
    [None], {"type": "Sequence"}, "A" * 10_000, [["a", -1]] * 50, float("nan"), float("inf"),
]  # fmt: skip


def try_file(data: bytes) -> bool:
    """Whether the file is a model, which then is used; anything but ModelError, or slowness, fails the test."""
    begin = time.process_time()
    try:
        tokenizer = Tokenizer.from_bytes(data)
    except ModelError as error:
        tokenizer, message = None, str(error)
    assert time.process_time() - begin < MOST_SECONDS
    if tokenizer is None:
        assert 0 < len(message) <= LONGEST_MESSAGE
        return False
    for text in ("Hello ab <m> \u65e5\u672c \t\n x", b"a\xffb c"):
        try:
            ids = tokenizer.encode(text)
        except ValueError as error:
            if "segmentation" not in str(error):  # there is none without an unknown piece
                raise
            continue
        assert tokenizer.encode_with_offsets(text).ids == ids
        assert isinstance(tokenizer.decode(ids), str)
    return True


def flipped(data: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, cut out or put in."""
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5, 50])):
        at = draw.choice([draw.randrange(len(changed)), draw.randrange(min(len(changed), 300))])
        kind = draw.random()
        if kind < 0.5:
            changed[at] ^= 1 << draw.randrange(8)
        elif kind < 0.7:
            changed[at] = draw.randrange(256)
        elif kind < 0.85 and len(changed) > 2000:
            del changed[at : at + draw.choice([1, 2, 7, 1000])]
        else:
            changed[at:at] = draw.randbytes(draw.choice([1, 3, 20]))
    return bytes(changed)


def places(document: Any) -> list[tuple[Any, Any]]:
    """(container, key) of the values, of long arrays the first ones only."""
    found, pending = [], [document]
    while pending:
        container = pending.pop()
        keys = container.keys() if isinstance(container, dict) else range(len(container))
        for key in islice(keys, 40):
            found.append((container, key))
            if isinstance(container[key], dict | list):
                pending.append(container[key])
    return found


def rearranged(data: bytes, draw: random.Random) -> bytes:
    """JSON with some values replaced, exchanged, left out, doubled or renamed."""
    document = json.loads(data)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        all_places = places(document)
        if not all_places:
            break
        container, key = draw.choice(all_places[: draw.choice([10, 100, len(all_places)])])
        kind = draw.random()
        if kind < 0.5:
            container[key] = copy.deepcopy(draw.choice(STRANGE))
        elif kind < 0.7:
            del container[key]
        elif kind < 0.85:
            other, name = draw.choice(all_places)
            container[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(container[key])
        elif isinstance(container, dict):
            container[key + "x"] = container.pop(key)
        else:
            container.append(copy.deepcopy(container[key]))
    return json.dumps(document).encode("utf-8")


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.model", data)
    return out.getvalue()


@cache
def sentencepiece_model() -> bytes:
    return train(byte_fallback=True, user_defined_symbols=("<m>", "ab cd"))


SOURCES: dict[str, Callable[[random.Random], bytes]] = {
    "sentencepiece": lambda draw: sentencepiece_model(),
    "huggingface": lambda draw: pipeline(draw).encode("utf-8"),
    "bytepiece": lambda draw: BYTEPIECE,
    "zip": lambda draw: zipped(BYTEPIECE),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_bytes_changed_or_missing(kind: str) -> None:
    draw = random.Random(kind)
    loaded = 0
    for _ in range(300):
        data = SOURCES[kind](draw)
        loaded += try_file(flipped(data, draw))
        cut = data[: draw.randrange(len(data))]
        if kind != "sentencepiece":  # a message that is cut between its fields is one
            assert not try_file(cut)
        else:
            try_file(cut)
    assert 0 < loaded < 300


@pytest.mark.parametrize("kind", ["huggingface", "bytepiece"])
def test_values_of_another_kind(kind: str) -> None:
    draw = random.Random(kind)
    loaded = sum(try_file(rearranged(SOURCES[kind](draw), draw)) for _ in range(800))
    assert 0 < loaded < 800


@pytest.mark.shared
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_the_real_files(file: Any) -> None:
    """The files with all of their steps; most of the vocabulary is left out, for time."""
    document = json.loads(file.read_text(encoding="utf-8"))
    pieces = document["model"]["vocab"]
    kept = pieces[:400]
    names = {name for name, _ in kept}
    kept += [entry for entry in pieces if entry[0].startswith("<0x") and entry[0] not in names]
    document["model"]["vocab"] = kept
    added = document["added_tokens"]
    document["added_tokens"] = [t for t in added if t["id"] < 400 and kept[t["id"]][0] == t["content"]]
    data = json.dumps(document).encode("utf-8")
    draw = random.Random(file.name)
    assert try_file(data)
    assert 0 < sum(try_file(rearranged(data, draw)) for _ in range(150)) < 150
    assert sum(try_file(flipped(data, draw)) for _ in range(50)) < 50


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"model":' + b"[" * 1_000_000, "nested too deeply"),
        (b'{"model":' + b'{"a":' * 1_000_000, "nested too deeply"),
        (b'{"model":{"vocab":[["a",' + b"9" * 100_000 + b"]]}}", "the JSON cannot be read"),
        (b'{"model":{"vocab":[["a",' + b"9" * 400 + b"]]}}", r"model.vocab has at 0 the score 9{57}\.\.\., beyond"),
        (b'{"model":{"vocab":[["a",1e400]]}}', "the number 1e400 is too large"),
        (b'{"model":{"vocab":[["a",NaN]]}}', "the JSON holds NaN"),
        (b'{"model":{"vocab":[["a",-Infinity]]}}', "the JSON holds -Infinity"),
        (b'{"model":{"vocab":[["a",0]],"unk_id":0,"unk_id":0}}', "the key 'unk_id' twice"),
        (b'{"model":{"vocab":[["\\ud83d",0]]}}', "half of a surrogate pair"),
        (b"\xff\xfe{\x00}\x00", "truncated"),
        (lzma.compress(b"{}"), "broken or truncated"),
    ],
)
def test_what_json_can_hold_but_a_model_cannot(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Tokenizer.from_bytes(data)
