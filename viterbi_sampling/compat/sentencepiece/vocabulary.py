"""The pieces of a processor's model: look-ups, and which of them may be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from viterbi_sampling.compat.sentencepiece.arguments import integer
from viterbi_sampling.compat.sentencepiece.edits import FLAGS, with_flags, with_types
from viterbi_sampling.compat.sentencepiece.state import FileError, State
from viterbi_sampling.compat.sentencepiece.unigram import Unigram
from viterbi_sampling.model import PieceType

UNKNOWN, CONTROL, UNUSED, BYTE = map(int, (PieceType.UNKNOWN, PieceType.CONTROL, PieceType.UNUSED, PieceType.BYTE))
CONSTRAINED = (PieceType.NORMAL, PieceType.UNUSED)
TRUE, FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")


class Vocabulary(State):
    """Pieces, ids, scores and types; changes to the vocabulary and to the normalizer."""

    def GetPieceSize(self) -> int:
        """The number of pieces, 0 where no model is loaded."""
        if self._library is not None:
            return self._library.GetPieceSize()  # type: ignore[no-any-return]
        return len(self._model.strings) if self._model is not None else 0

    def __len__(self) -> int:
        return self.GetPieceSize()

    def PieceToId(self, piece: Any) -> Any:
        """The id of a piece (str or UTF-8 bytes), the unknown one's where there is none; of several, a list."""
        if self._library is not None:
            return self._library.PieceToId(piece)
        if type(piece) is str and self._model is not None and piece in self._model.piece_ids:
            return self._model.piece_ids[piece]
        if isinstance(piece, str | bytes | bytearray):
            return self._id_of(piece)
        if not hasattr(piece, "__getitem__") or not hasattr(piece, "__len__") or isinstance(piece, dict):
            raise TypeError(f"piece must be str, bytes or a sequence of them, not {type(piece).__name__}")
        return [self._id_of(piece[i]) for i in range(len(piece))]

    def __getitem__(self, piece: Any) -> Any:
        return self.PieceToId(piece)

    def _id_of(self, piece: Any) -> int:
        if isinstance(piece, bytes | bytearray):
            piece = piece.decode("utf-8", "surrogateescape")  # what is not valid UTF-8 is no piece
        elif not isinstance(piece, str):
            raise TypeError(f"pieces must be str or bytes, not {type(piece).__name__}")
        elif not piece.isascii():
            try:
                piece.encode("utf-8")
            except UnicodeEncodeError as error:
                raise TypeError(f"piece holds a lone surrogate, which has no UTF-8: {error}") from None
        return self._model.id_of(piece) if self._model is not None else 0

    def IdToPiece(self, id: Any) -> Any:
        """The piece of an id, or of each of several; IndexError where there is none."""
        if type(id) is int and 0 <= id < 2**31 and self._model is not None:
            return self._model.strings[id]
        return self._of_ids("IdToPiece", id, lambda unigram, i: unigram.strings[i])

    def GetScore(self, id: Any) -> Any:
        """The score (log-probability) of an id, or of each of several; IndexError where there is none."""
        if type(id) is int and self._model is not None and 0 <= id < len(self._model.scores):
            return self._model.scores[id]
        return self._of_ids("GetScore", id, lambda unigram, i: unigram.scores[i])

    def IsUnknown(self, id: Any) -> Any:
        """Whether an id, or each of several, is the unknown piece's; IndexError where there is none."""
        return self._of_type("IsUnknown", UNKNOWN, id)

    def IsControl(self, id: Any) -> Any:
        """Whether an id, or each of several, is a control piece's; IndexError where there is none."""
        return self._of_type("IsControl", CONTROL, id)

    def IsUnused(self, id: Any) -> Any:
        """Whether an id, or each of several, is an unused piece's; IndexError where there is none."""
        return self._of_type("IsUnused", UNUSED, id)

    def IsByte(self, id: Any) -> Any:
        """Whether an id, or each of several, is a byte piece's; IndexError where there is none."""
        return self._of_type("IsByte", BYTE, id)

    def _of_type(self, name: str, kind: int, id: Any) -> Any:
        if type(id) is int and self._model is not None and 0 <= id < len(self._model.types):
            return self._model.types[id] == kind
        return self._of_ids(name, id, lambda unigram, i: unigram.types[i] == kind)

    def _of_ids(self, name: str, id: Any, look_up: Callable[[Unigram, int], Any]) -> Any:
        if self._library is not None:
            return getattr(self._library, name)(id)
        single = hasattr(type(id), "__index__") and getattr(id, "ndim", 0) == 0
        if isinstance(id, str | bytes | float) or not (single or hasattr(id, "__iter__")):
            raise TypeError(f"id must be an int or a sequence of them, not {type(id).__name__}")
        size = self.GetPieceSize()
        ids = [integer(i, "id") for i in ([id] if single else id)]
        for i in ids:
            if not 0 <= i < size:
                raise IndexError(f"id must be 0 to {size - 1}, got {i}")
        values = [look_up(self._unigram(), i) for i in ids]
        return values[0] if single else values

    def unk_id(self) -> int:
        """The id of the unknown piece, -1 where the model has none."""
        return self._special("unk_id")

    def bos_id(self) -> int:
        """The id of the control piece that begins a sequence, -1 where the model has none."""
        return self._special("bos_id")

    def eos_id(self) -> int:
        """The id of the control piece that ends a sequence, -1 where the model has none."""
        return self._special("eos_id")

    def pad_id(self) -> int:
        """The id of the control piece for padding, -1 where the model has none."""
        return self._special("pad_id")

    def _special(self, name: str) -> int:
        if self._library is not None:
            return getattr(self._library, name)()  # type: ignore[no-any-return]
        id = None if self._model is None else getattr(self._model.tokenizer, name)
        return -1 if id is None else id

    # -- changes -----------------------------------------------------------------------------------

    def SetVocabulary(self, valid_vocab: Iterable[str | bytes]) -> bool:
        """Allow these pieces, single characters, and those that are not normal pieces; all others count as unused.

        Byte pieces stay allowed, too (sentencepiece 0.2.0 forbade them). The model is a new one from then on, which
        `serialized_model_proto` gives. True.
        """
        if self._library is not None:
            return self._removed("SetVocabulary")(valid_vocab)  # type: ignore[no-any-return]
        unigram = self._unigram()
        if isinstance(valid_vocab, str | bytes):
            raise TypeError(f"valid_vocab must be a sequence of pieces, not one {type(valid_vocab).__name__}")
        valid = {piece.decode("utf-8", "replace") if isinstance(piece, bytes) else piece for piece in valid_vocab}
        pieces = unigram.model.pieces
        types = pieces.types.copy()
        for i in np.flatnonzero(np.isin(types, CONSTRAINED)):
            piece = unigram.strings[int(i)]
            types[i] = PieceType.NORMAL if len(piece) == 1 or piece in valid else PieceType.UNUSED
        self._set_types(types)
        return True

    def ResetVocabulary(self) -> bool:
        """Allow all pieces. True."""
        if self._library is not None:
            return self._removed("ResetVocabulary")()  # type: ignore[no-any-return]
        types = self._unigram().model.pieces.types.copy()
        types[types == PieceType.UNUSED] = PieceType.NORMAL
        self._set_types(types)
        return True

    def LoadVocabulary(self, filename: str | bytes, threshold: int) -> bool:
        """SetVocabulary with the pieces of a file, one a line, a tab and its frequency: those of `threshold` on."""
        if self._library is not None:
            return self._removed("LoadVocabulary")(filename, threshold)  # type: ignore[no-any-return]
        self._unigram()
        least = integer(threshold, "threshold")
        try:
            with open(filename, encoding="utf-8", errors="replace", newline="\n") as file:
                lines = file.read().split("\n")
        except OSError as error:
            raise FileError(f"{filename!r}: {error}") from None
        valid = []
        for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
            piece, *frequency = line.rstrip("\r").split("\t")
            try:
                count = int(frequency[0]) if frequency else 1
            except ValueError:
                raise RuntimeError(f"line {number} of {filename!r}: {frequency[0]!r} is no frequency") from None
            if not piece:
                raise RuntimeError(f"line {number} of {filename!r} has no piece")
            if count >= least:
                valid.append(piece)
        return self.SetVocabulary(valid)

    def _set_types(self, types: Any) -> None:
        model = self._unigram().model
        source = with_types(model.source, types)
        self._change(replace(model, pieces=replace(model.pieces, types=types), source=source))

    def OverrideNormalizerSpec(self, **kwargs: Any) -> bool:
        """Set add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces of the model's normalizer. True.

        RuntimeError for another name, ValueError for a value that is no truth value.
        """
        if self._library is not None:
            return self._removed("OverrideNormalizerSpec")(**kwargs)  # type: ignore[no-any-return]
        model = self._unigram().model
        flags: dict[str, bool] = {}
        for name, value in kwargs.items():
            if name not in FLAGS:
                raise RuntimeError(f"of the normalizer, {', '.join(FLAGS)} can be set, not {name}")
            if str(value).lower() not in (*TRUE, *FALSE):
                raise ValueError(f"{name} must be a truth value, got {value!r}")
            flags[name] = str(value).lower() in TRUE
        normalizer = replace(model.normalizer, **flags)  # type: ignore[arg-type]
        if normalizer != model.normalizer:
            self._change(replace(model, normalizer=normalizer, source=with_flags(model.source, flags)))
        return True

    piece_size = vocab_size = get_piece_size = GetPieceSize
    piece_to_id = PieceToId
    id_to_piece = IdToPiece
    get_score = GetScore
    is_unknown = IsUnknown
    is_control = IsControl
    is_unused = IsUnused
    is_byte = IsByte
    set_vocabulary = SetVocabulary
    reset_vocabulary = ResetVocabulary
    load_vocabulary = LoadVocabulary
    override_normalizer_spec = OverrideNormalizerSpec
