"""The model files: one module a format, each with `read(bytes) -> Model` and `write(Model) -> bytes`.

The format of a file is told from its content, never from its name.
"""

from __future__ import annotations

import re
from importlib import import_module
from types import ModuleType

from viterbi_sampling.errors import ModelError
from viterbi_sampling.model import Model

FORMATS = ("sentencepiece", "bytepiece", "huggingface")
_READERS = {"huggingface": "huggingface.reader"}
_WRITERS = {"huggingface": "huggingface.writer"}
"""The modules that read and write a format, where there is more than one."""

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


def _module(name: str) -> ModuleType:
    """The module of a format, imported when the first file of it is met."""
    return import_module(f"viterbi_sampling.formats.{name}")


def read(data: bytes, format: str | None = None) -> Model:
    """The model in `data`, of the given format or of the one it looks like."""
    name = guess(data) if format is None else format
    if name not in FORMATS:
        raise ValueError(
            f"format must be one of {', '.join(FORMATS)}, or None to tell it from the content; got {name!r}"
        )
    if not data:
        raise ModelError("the model is empty (0 bytes)")
    model: Model = _module(_READERS.get(name, name)).read(data)
    return model


def write(model: Model, format: str | None = None, exact: bool = True) -> bytes:
    """The content of a file of the given format, by default that of the file `model` came from.

    With `exact`, a file that would give other ids to ordinary texts is a ModelError, too.
    """
    name = (model.source_format or "sentencepiece") if format is None else format
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, or None; got {name!r}")
    if model.bytewise and name != "bytepiece":
        raise ModelError(
            f"a model of the format {name!r} cannot hold BytePiece's: pieces may begin and end inside a character, "
            "and no character is unknown (compat.bytepiece has BytePiece's own conversion, which is not equivalent)"
        )
    if model.pipeline is not None and name == "sentencepiece":
        from viterbi_sampling.formats.without_pipeline import without_pipeline

        model = without_pipeline(model, model.pipeline, exact)
    content: bytes = _module(_WRITERS.get(name, name)).write(model)
    return content
