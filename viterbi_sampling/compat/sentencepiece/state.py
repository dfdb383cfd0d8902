"""What a processor holds: its model, and the values that its calls have where they are given none."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from viterbi_sampling.compat.sentencepiece.arguments import ReturnType, return_type_of
from viterbi_sampling.compat.sentencepiece.library import library
from viterbi_sampling.compat.sentencepiece.options import ExtraOptions
from viterbi_sampling.compat.sentencepiece.unigram import Unigram
from viterbi_sampling.errors import ModelError, ModelTypeError
from viterbi_sampling.formats import sentencepiece as model_file
from viterbi_sampling.model import Model

Self = TypeVar("Self", bound="State")

SETTINGS = (
    "_return_type",
    "_add_bos",
    "_add_eos",
    "_reverse",
    "_emit_unk_piece",
    "_enable_sampling",
    "_nbest_size",
    "_alpha",
    "_num_threads",
)
OPTIONS = ("_encode_options", "_decode_options")


class FileError(OSError, RuntimeError):
    """A model file that cannot be read: a RuntimeError as in sentencepiece 0.2.3, an OSError as before."""


class State:
    """Loading, the defaults of a processor, and pickling."""

    def __init__(
        self,
        model_file: str | bytes | None = None,
        model_proto: Any = None,
        out_type: ReturnType = None,
        add_bos: bool = False,
        add_eos: bool = False,
        reverse: bool = False,
        emit_unk_piece: bool = False,
        enable_sampling: bool = False,
        nbest_size: int = -1,
        alpha: float = 0.1,
        num_threads: int = -1,
        return_type: ReturnType = None,
    ) -> None:
        """A processor for a model file, or for the bytes of one; without either, `Load` it later.

        All other arguments are what calls take where they are given None. `out_type` is the old name of `return_type`.
        """
        self._return_type = return_type_of(return_type, out_type, int)
        self._add_bos = add_bos
        self._add_eos = add_eos
        self._reverse = reverse
        self._emit_unk_piece = emit_unk_piece
        self._enable_sampling = enable_sampling
        self._nbest_size = nbest_size
        self._alpha = alpha
        self._num_threads = num_threads
        self._encode_options: ExtraOptions = ()
        self._decode_options: ExtraOptions = ()
        self._model: Unigram | None = None
        self._library: Any = None  # the library's processor, for models of another type
        self._plans: dict[tuple[Any, ...], Callable[[Any], Any]] = {}
        if model_file or model_proto:
            self.Load(model_file=model_file, model_proto=model_proto)

    Init = init = __init__

    @classmethod
    def from_file(cls: type[Self], model_file: str | bytes, **kwargs: Any) -> Self:
        """A processor for a model file; the keywords are those of the constructor."""
        return cls._made(kwargs, "from_file", lambda processor: processor.LoadFromFile(model_file))

    @classmethod
    def from_proto(cls: type[Self], model_proto: Any, **kwargs: Any) -> Self:
        """A processor for the bytes of a model file, or a ModelProto; the keywords are those of the constructor."""
        return cls._made(kwargs, "from_proto", lambda processor: processor.LoadFromSerializedProto(model_proto))

    @classmethod
    def _made(cls: type[Self], kwargs: dict[str, Any], name: str, load: Callable[[Self], bool]) -> Self:
        if "model_file" in kwargs or "model_proto" in kwargs:
            raise ValueError(f"{name} takes the model as its first argument, not as model_file or model_proto")
        processor = cls(**kwargs)
        load(processor)
        return processor

    def Load(self, model_file: str | bytes | None = None, model_proto: Any = None) -> bool:
        """Take the model from a file, or from bytes. True; ValueError unless one of them is given."""
        if model_file and model_proto:
            raise ValueError("give model_file or model_proto, not both")
        if model_proto:
            return self.LoadFromSerializedProto(model_proto)
        if model_file:
            return self.LoadFromFile(model_file)
        raise ValueError("give model_file or model_proto")

    def LoadFromFile(self, filename: str | bytes) -> bool:
        """Take the model from a file. True; RuntimeError (FileError, ModelError) where it cannot be read."""
        if not isinstance(filename, str | bytes):
            raise TypeError(f"filename must be a str, not {type(filename).__name__}")
        try:
            with open(filename, "rb") as file:
                data = file.read()
        except (OSError, ValueError) as error:
            raise FileError(f"{os.fsdecode(filename)!r}: {error}") from None
        return self.LoadFromSerializedProto(data)

    def LoadFromSerializedProto(self, serialized: Any) -> bool:
        """Take the model from the bytes of a file, or from a ModelProto. True; RuntimeError for what is no model.

        A model of another type than Unigram is handed to the sentencepiece library.
        """
        if hasattr(serialized, "SerializeToString"):
            serialized = serialized.SerializeToString()
        if not isinstance(serialized, bytes):
            raise TypeError(f"serialized must be bytes or a ModelProto, not {type(serialized).__name__}")
        try:
            model = model_file.read(serialized)
        except ModelTypeError as error:
            processor = library(f"a model of this type ({error})").SentencePieceProcessor()
            processor.LoadFromSerializedProto(serialized)
            self._set_model(None, processor)
            return True
        except ModelError as error:
            raise RuntimeError(str(error)) from None
        self._set_model(Unigram(model), None)
        return True

    def _change(self, model: Model) -> None:
        self._set_model(Unigram(model), None)

    def _set_model(self, model: Unigram | None, processor: Any) -> None:
        self._model = model
        self._library = processor
        self._plans = {}

    def _unigram(self) -> Unigram:
        if self._model is None:
            raise RuntimeError("no model is loaded: call Load first")
        return self._model

    def _removed(self, name: str) -> Callable[..., Any]:
        """A method of the library's processor that only older versions of it have."""
        method = getattr(self._library, name, None)
        if method is None:
            raise RuntimeError(
                f"{name}: the model is not a Unigram model, and the sentencepiece library that runs it has no {name}"
            )
        return method  # type: ignore[no-any-return]

    def serialized_model_proto(self) -> bytes:
        """The model as the bytes of a model file, b"" where none is loaded."""
        if self._library is not None:
            return self._library.serialized_model_proto()  # type: ignore[no-any-return]
        return self._model.model.source if self._model is not None else b""

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_model", "_library", "_plans"):
            del state[name]
        state["model_proto"] = self.serialized_model_proto()
        return state

    def __setstate__(self, state: Any) -> None:
        """`state`: a dict of settings and "model_proto", or, as older versions wrote it, the bytes of the model."""
        values = dict(state) if isinstance(state, dict) else {"model_proto": state}
        State.__init__(self)
        self.LoadFromSerializedProto(values.pop("model_proto"))
        self.__dict__.update(values)

    load = Load
    load_from_file = LoadFromFile
    load_from_serialized_proto = LoadFromSerializedProto
