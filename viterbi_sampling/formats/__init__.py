"""The model files: one module a format, each with `read(bytes) -> Model` and `write(Model) -> bytes`.

The format of a file is told from its content, never from its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats import bytepiece, huggingface, huggingface_writer, sentencepiece
from viterbi_sampling.formats.without_pipeline import without_pipeline
from viterbi_sampling.model import Model

_READERS: dict[str, Callable[[bytes], Model]] = {
    "sentencepiece": sentencepiece.read,
    "bytepiece": bytepiece.read,
    "huggingface": huggingface.read,
}
_WRITERS: dict[str, Callable[[Model], bytes]] = {
    "sentencepiece": sentencepiece.write,
    "bytepiece": bytepiece.write,
    "huggingface": huggingface_writer.write,
}

# A BytePiece model: an object whose first key is base64, and its value a list.
_BYTEPIECE = re.compile(rb'\{\s*"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"\s*:\s*\[')


def guess(data: bytes) -> str:
    """The name of the format that `data` looks like; ModelError where it looks like none."""
    if not data:
        raise ModelError("the model is empty (0 bytes)")
    if data[:4] == b"PK\x03\x04":
        return "bytepiece"
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if _BYTEPIECE.match(head):
        return "bytepiece"
    if head[:1] in (b"{", b"["):
        return "huggingface"
    return "sentencepiece"


def read(data: bytes, format: str | None = None) -> Model:
    """The model in `data`, of the given format or of the one it looks like."""
    name = guess(data) if format is None else format
    if name not in _READERS:
        raise ValueError(
            f"format must be one of {', '.join(_READERS)}, or None to tell it from the content; got {name!r}"
        )
    if not data:
        raise ModelError("the model is empty (0 bytes)")
    return _READERS[name](data)


def write(model: Model, format: str | None = None) -> bytes:
    """The content of a file of the given format, by default that of the file `model` came from."""
    name = (model.source_format or "sentencepiece") if format is None else format
    if name not in _WRITERS:
        raise ValueError(f"format must be one of {', '.join(_WRITERS)}, or None; got {name!r}")
    if model.bytewise and name != "bytepiece":
        raise ModelError(
            f"a model of the format {name!r} cannot hold BytePiece's: pieces may begin and end inside a character, "
            "and no character is unknown (compat.bytepiece has BytePiece's own conversion, which is not equivalent)"
        )
    if model.pipeline is not None and name == "sentencepiece":
        model = without_pipeline(model, model.pipeline)
    return _WRITERS[name](model)
