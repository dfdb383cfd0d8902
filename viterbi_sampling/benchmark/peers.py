"""The libraries to compare with: how each loads a model and does each work.

One function a library. It imports the library, loads the model from memory and gives the works that the
library offers; it raises Unable where the library takes no part. All do the same: no special tokens
around a text, no padding, no truncation.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from viterbi_sampling import formats
from viterbi_sampling.benchmark import DISTRIBUTIONS
from viterbi_sampling.benchmark.machine import version_of
from viterbi_sampling.errors import ModelError
from viterbi_sampling.tokenizer import Tokenizer

Given = Any
"""Lines, for decoding their ids, and nothing for loading: see works.py."""


class Unable(Exception):
    """Why a library takes no part."""


class Act(NamedTuple):
    """How a library does a work: `call` is timed, `rows` turns its result into one entry a line, to be compared."""

    call: Callable[[Given], Any]
    rows: Callable[[Any], list[Any]] = list


@dataclass(frozen=True)
class ModelFile:
    """The model that all are given: the content of a file, and of one in the tokenizer.json format if there is one."""

    data: bytes
    tokenizer: Tokenizer
    json_data: bytes | None = None

    @property
    def format(self) -> str:
        return self.tokenizer._model.source_format or "sentencepiece"

    def in_format(self, format: str) -> bytes:
        """The content of a file of one format; Unable where the model cannot be written so."""
        if format == self.format and self.data:
            return self.data
        if format == "huggingface" and self.json_data is not None:
            return self.json_data
        try:
            return formats.write(self.tokenizer._model, format, exact=False)
        except (ModelError, ValueError) as error:
            other = "; a tokenizer.json of the same model can be given" if format == "huggingface" else ""
            raise Unable(
                f"reads no {self.format} model, and as {format} it cannot be written: {error}{other}"
            ) from None

    def tokenizer_json(self) -> str:
        """The tokenizer.json without what it does around a text."""
        document = json.loads(self.in_format("huggingface"))
        return json.dumps(document | {"post_processor": None, "truncation": None, "padding": None})


@dataclass(frozen=True)
class Settings:
    """What all are asked for."""

    threads: int = 1
    alpha: float = 0.1


Acts = Mapping[str, Act]
Library = Callable[[ModelFile, Settings], Acts]


def each(call: Callable[[Any], Any]) -> Callable[[Iterable[Any]], list[Any]]:
    """A batch as one call a row."""
    return lambda given: [call(row) for row in given]


def cut(ids: np.ndarray[Any, Any], bounds: np.ndarray[Any, Any]) -> list[list[Any]]:
    """The rows of a flat array; `bounds` is one longer than they are."""
    flat = ids.tolist()
    return [flat[start:end] for start, end in pairwise(bounds.tolist())]


def unpacked(data: bytes) -> bytes:
    """The one file in a zip, or the data itself."""
    if data[:4] != b"PK\x03\x04":
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(archive.namelist()[0])


def ours(model: ModelFile, settings: Settings) -> Acts:
    tokenizer, threads = model.tokenizer, settings.threads
    return {
        "arrays": Act(lambda lines: tokenizer.encode_batch(lines, num_threads=threads), lambda batch: batch.to_list()),
        "lists": Act(lambda lines: tokenizer.encode_lists(lines, num_threads=threads)),
        "line": Act(each(tokenizer.encode)),
        "offsets": Act(
            lambda lines: tokenizer.encode_batch(lines, with_offsets=True, num_threads=threads),
            lambda batch: [[(start, end) for start, end in row] for row in cut(batch.spans, batch.offsets)],
        ),
        "sample": Act(
            lambda lines: tokenizer.sample_batch(lines, alpha=settings.alpha, seed=1, num_threads=threads),
            lambda batch: batch.to_list(),
        ),
        "decode": Act(tokenizer.decode_batch),
        "load": Act(lambda _: Tokenizer.from_bytes(model.data)),
    }


def sentencepiece(model: ModelFile, settings: Settings) -> Acts:
    import sentencepiece

    data = model.in_format("sentencepiece")
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    options: dict[str, Any] = {"num_threads": settings.threads}
    sampling = {"enable_sampling": True, "nbest_size": -1, "alpha": settings.alpha, "return_type": "numpy", **options}
    return {
        "arrays": Act(
            lambda lines: processor.encode(lines, return_type="numpy", **options),
            lambda rows: [row.tolist() for row in rows],
        ),
        "lists": Act(lambda lines: processor.encode(lines, **options)),
        "line": Act(each(processor.encode)),
        "offsets": Act(
            lambda lines: processor.encode(lines, return_type="offset_mapping", **options),
            lambda rows: [list(map(tuple, row["offsets"])) for row in rows],
        ),
        "sample": Act(lambda lines: processor.encode(lines, **sampling), lambda rows: [row.tolist() for row in rows]),
        "decode": Act(lambda ids: processor.decode(ids, **options)),
        "load": Act(lambda _: sentencepiece.SentencePieceProcessor(model_proto=data)),
    }


def tokenizers(model: ModelFile, settings: Settings) -> Acts:
    import tokenizers

    text = model.tokenizer_json()
    tokenizer = tokenizers.Tokenizer.from_str(text)
    acts = {
        "lists": Act(lambda lines: [row.ids for row in tokenizer.encode_batch_fast(lines, add_special_tokens=False)]),
        "line": Act(each(lambda line: tokenizer.encode(line, add_special_tokens=False).ids)),
        "offsets": Act(lambda lines: [row.offsets for row in tokenizer.encode_batch(lines, add_special_tokens=False)]),
        "decode": Act(lambda ids: tokenizer.decode_batch(ids)),
        "load": Act(lambda _: tokenizers.Tokenizer.from_str(text)),
    }
    if settings.alpha:  # 0 switches its sampling off
        sampler = tokenizers.Tokenizer.from_str(text)
        sampler.model.alpha = settings.alpha
        acts["sample"] = Act(
            lambda lines: [row.ids for row in sampler.encode_batch_fast(lines, add_special_tokens=False)]
        )
    return acts


def tokie(model: ModelFile, settings: Settings) -> Acts:
    import tokie

    text = model.tokenizer_json()

    def load(_: Given = None) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.json"
            path.write_text(text, encoding="utf-8")
            return tokie.Tokenizer.from_json(str(path))

    tokenizer = load()
    return {
        "arrays": Act(
            lambda lines: tokenizer.encode_batch_flat(lines, add_special_tokens=False),
            lambda flat: cut(flat[0], np.cumsum([0, *flat[1].tolist()])),
        ),
        "lists": Act(lambda lines: [row.ids for row in tokenizer.encode_batch(lines, add_special_tokens=False)]),
        "line": Act(each(lambda line: tokenizer.encode(line, add_special_tokens=False).ids)),
        "decode": Act(tokenizer.decode_batch),
        "load": Act(load),
    }


def kitoken(model: ModelFile, settings: Settings) -> Acts:
    import kitoken

    if model.format == "sentencepiece":
        data, load = model.data, kitoken.Kitoken.from_sentencepiece
    else:
        data, load = model.tokenizer_json().encode("utf-8"), kitoken.Kitoken.from_tokenizers
    tokenizer = load(data)
    return {
        "lists": Act(tokenizer.encode_all),
        "line": Act(each(tokenizer.encode)),
        "decode": Act(tokenizer.decode_all, lambda rows: [row.decode("utf-8", "replace") for row in rows]),
        "load": Act(lambda _: load(data)),
    }


def splintr(model: ModelFile, settings: Settings) -> Acts:
    import splintr

    data = model.tokenizer_json().encode("utf-8")
    tokenizer = splintr.from_json_bytes(data)
    return {
        "arrays": Act(
            tokenizer.encode_batch_flat,
            lambda flat: cut(np.frombuffer(flat[0], "<u4"), np.frombuffer(flat[1], "<u8")),
        ),
        "lists": Act(tokenizer.encode_batch),
        "line": Act(each(tokenizer.encode)),
        "decode": Act(tokenizer.decode_batch),
        "load": Act(lambda _: splintr.from_json_bytes(data)),
    }


def bytepiece(model: ModelFile, settings: Settings) -> Acts:
    import ahocorasick
    import bytepiece

    if ahocorasick.unicode:
        raise Unable(
            "needs a pyahocorasick that is built for bytes: "
            "AHOCORASICK_BYTES=1 pip install --no-binary :all: pyahocorasick"
        )
    if model.format != "bytepiece":
        raise Unable("reads its own format only")
    pieces = json.loads(unpacked(model.data))
    tokenizer = bytepiece.Tokenizer(pieces)
    return {
        "lists": Act(each(tokenizer.encode)),
        "line": Act(each(tokenizer.encode)),
        "sample": Act(each(lambda line: tokenizer.encode(line, alpha=settings.alpha))),
        "decode": Act(each(tokenizer.decode)),
        "load": Act(lambda _: bytepiece.Tokenizer(pieces)),
    }


OURS = "viterbi_sampling"
PEERS: dict[str, Library] = {
    "sentencepiece": sentencepiece,
    "tokenizers": tokenizers,
    "tokie": tokie,
    "kitoken": kitoken,
    "splintr": splintr,
    "bytepiece": bytepiece,
}
"""How the libraries of DISTRIBUTIONS do their works."""


def attempt(call: Callable[[], Any]) -> Any:
    """What the call returns; Unable where it fails in whatever way, a panic of compiled code included."""
    try:
        return call()
    except (Unable, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        raise Unable(f"{type(error).__name__}: {lines[0][:200]}") from None


def acts_of(name: str, model: ModelFile, settings: Settings) -> Acts:
    """The works of a library for a model. Unable, with the reason, where it is missing or cannot load the model."""
    if name == OURS:
        return ours(model, settings)
    if version_of(DISTRIBUTIONS[name]) is None:
        raise Unable(f"is not installed: pip install {DISTRIBUTIONS[name]}")
    return attempt(lambda: PEERS[name](model, settings))  # type: ignore[no-any-return]
