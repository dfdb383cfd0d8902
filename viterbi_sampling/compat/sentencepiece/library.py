"""The sentencepiece library itself: for what it alone can do, imported when that is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from viterbi_sampling.compat.sentencepiece.arguments import integer

_SETTINGS: dict[str, Any] = {}
"""Process-wide settings for the library, by the name of the function that sets them."""


_MODULES: dict[str, ModuleType] = {}
"""The library's modules, where another module stands under their names."""


def library(what: str, module: str = "sentencepiece") -> ModuleType:
    """The sentencepiece module, or one of its parts. ImportError says that `what` needs it, and how to install it.

    It is found, too, where this package was put in its place: ``sys.modules["sentencepiece"] = spm``.
    """
    try:
        with _names_of_the_library():
            sentencepiece = importlib.import_module("sentencepiece")
            found = importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f"{what} needs the sentencepiece library: pip install 'viterbi-sampling[sentencepiece]'"
        ) from None
    for name in list(_SETTINGS):
        getattr(sentencepiece, name)(_SETTINGS.pop(name))
    return found


@contextmanager
def _names_of_the_library() -> Iterator[None]:
    """While it lasts, sys.modules has the library under its names, or nothing."""
    standing = sys.modules.get("sentencepiece")
    if standing is None or standing.__name__ == "sentencepiece":
        yield
        return
    shadows = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "sentencepiece"}
    sys.modules.update(_MODULES)
    try:
        yield
    finally:
        for name in list(sys.modules):
            if name.split(".")[0] == "sentencepiece":
                _MODULES[name] = sys.modules.pop(name)
        sys.modules.update(shadows)


def set_later(name: str, value: Any) -> None:
    """Call the library's function `name` with `value` before the library is next used."""
    _SETTINGS[name] = value


def SetMinLogLevel(v: int, /) -> None:
    """How much the sentencepiece library logs; what runs here logs nothing."""
    set_later("SetMinLogLevel", integer(v, "v"))


def SetNBestTimeout(timeout_ms: int, /) -> None:
    """After how many milliseconds the sentencepiece library gives up an n-best search.

    Here n-best lists have no time-out: they are exact whatever the text.
    """
    set_later("SetNBestTimeout", integer(timeout_ms, "timeout_ms"))


def SetDataDir(data_dir: str, /) -> None:
    """Where the sentencepiece library finds its normalization rules, which training needs."""
    if not isinstance(data_dir, str | bytes):
        raise TypeError(f"data_dir must be a str, not {type(data_dir).__name__}")
    set_later("SetDataDir", data_dir)


def ConvertToFlatbuffer(
    model_file: Any = None,
    model_proto: Any = None,
    serialized_model_proto: bytes | None = None,
    output_file: Any = None,
    skip_char_bigrams: bool = False,
    treat_null_byte_as_unused: bool = False,
    allow_unsupported_model_type: bool = False,
) -> bytes | None:
    """A model as a flat buffer for sentencepiece's Lite runtime, made by the sentencepiece library."""
    return library("convert_to_flatbuffer").ConvertToFlatbuffer(  # type: ignore[no-any-return]
        model_file,
        model_proto,
        serialized_model_proto,
        output_file,
        skip_char_bigrams,
        treat_null_byte_as_unused,
        allow_unsupported_model_type,
    )


class SentencePieceTrainer:
    """Training, done by the sentencepiece library."""

    @staticmethod
    def Train(arg: str | None = None, logstream: Any = None, **kwargs: Any) -> None:
        """Train a model; see the sentencepiece library for the arguments."""
        trainer = library("SentencePieceTrainer").SentencePieceTrainer
        trainer.Train(arg=arg, logstream=logstream, **kwargs)

    train = Train


class SentencePieceNormalizer:
    """A normalizer without a vocabulary, run by the sentencepiece library."""

    def __init__(
        self,
        model_file: Any = None,
        model_proto: Any = None,
        normalizer_spec: Any = None,
        rule_tsv: Any = None,
        rule_name: Any = None,
        norm_map: Any = None,
        add_dummy_prefix: bool | None = None,
        escape_whitespaces: bool | None = None,
        remove_extra_whitespaces: bool | None = None,
    ) -> None:
        """The normalizer of a model, of rules by name or in a file, or of pairs; see the sentencepiece library."""
        self._normalizer = library("SentencePieceNormalizer").SentencePieceNormalizer(
            model_file,
            model_proto,
            normalizer_spec,
            rule_tsv,
            rule_name,
            norm_map,
            add_dummy_prefix,
            escape_whitespaces,
            remove_extra_whitespaces,
        )

    def Normalize(self, input: Any, with_offsets: bool | None = None) -> Any:
        """The rewritten text, or texts; with offsets a pair of it and the positions it comes from."""
        return self._normalizer.Normalize(input, with_offsets)

    def Decompile(self) -> Any:
        """The rules as pairs of texts."""
        return self._normalizer.Decompile()

    def serialized_model_proto(self) -> bytes:
        """A model that has this normalizer and no vocabulary."""
        return self._normalizer.serialized_model_proto()  # type: ignore[no-any-return]

    def serialized_normalizer_spec(self) -> bytes:
        """The rules as a NormalizerSpec message."""
        return self._normalizer.serialized_normalizer_spec()  # type: ignore[no-any-return]

    def __getstate__(self) -> bytes:
        return self.serialized_model_proto()

    def __setstate__(self, state: bytes) -> None:
        normalizer = library("SentencePieceNormalizer").SentencePieceNormalizer
        self._normalizer = normalizer.__new__(normalizer)
        self._normalizer.__setstate__(state)

    normalize = Normalize
    decompile = Decompile


set_min_log_level = SetMinLogLevel
set_nbest_timeout = SetNBestTimeout
set_data_dir = SetDataDir
convert_to_flatbuffer = ConvertToFlatbuffer
