"""Decoding: ids and pieces back to texts, and to messages that say which token stands for what."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.compat.sentencepiece.arguments import ReturnType, integer, return_type_of, threads_of
from viterbi_sampling.compat.sentencepiece.options import apply_extra_options
from viterbi_sampling.compat.sentencepiece.protos import SentencePiece
from viterbi_sampling.compat.sentencepiece.results import mapping_of, of_message, of_serialized
from viterbi_sampling.compat.sentencepiece.state import State
from viterbi_sampling.compat.sentencepiece.surfaces import decoded_message
from viterbi_sampling.engine.id_rows import rows_of_lists

Piece = str | bytes


class Decoding(State):
    """Decode and its names."""

    def Decode(
        self,
        input: Any,
        return_type: ReturnType = None,
        out_type: ReturnType = None,
        num_threads: int | None = None,
        thread_pool: Any = None,
        return_bytes: bool | None = None,
    ) -> Any:
        """The text of an id, a piece, a sequence of either, or the texts of several sequences.

        return_type : str (the default, whatever the processor's own value), bytes, "proto", "serialized_proto",
            "immutable_proto" or "offset_mapping"; `out_type` is its old name
        return_bytes : for offset mappings of ids: texts and pieces in UTF-8, offsets in bytes

        IndexError for an id that the model has not, TypeError for what is neither id nor piece.

        >>> from importlib.resources import files
        >>> from viterbi_sampling.compat.sentencepiece import SentencePieceProcessor
        >>> processor = SentencePieceProcessor(model_file=str(files("viterbi_sampling.data") / "default.model"))
        >>> processor.decode(processor.encode(["the river", "was high"]))
        ['the river', 'was high']
        """
        usual = return_type is out_type is num_threads is thread_pool is return_bytes is None
        if usual and type(input) is list and input and type(input[0]) is int:
            text = self._decode_plain(input)
            if text is not None:
                return text
        kind = return_type_of(return_type, out_type, str)
        if return_bytes is not None and kind != "offset_mapping":
            raise ValueError("return_bytes goes with return_type='offset_mapping' only")
        if num_threads is None:
            num_threads = self._num_threads
        if not isinstance(num_threads, int):
            raise TypeError(f"num_threads must be int, not {type(num_threads).__name__}")
        if kind in (int, "numpy"):
            raise ValueError(f"return_type must be a type of texts, got {kind!r}")
        if self._library is not None:
            return self._decode_in_library(input, kind, num_threads, thread_pool, return_bytes)
        if input is None or (isinstance(input, str | bytes) and len(input) == 0):
            input = []
        if not is_sequence(input):
            input = [input]
        as_bytes = return_bytes is not None and bool(return_bytes)
        batch = input.ndim > 1 if hasattr(input, "ndim") else len(input) > 0 and is_sequence(input[0])
        if not batch:
            return self._decode_rows([input], kind, as_bytes, 1)[0]
        return self._decode_rows(list(input), kind, as_bytes, threads_of(num_threads, thread_pool))

    def _decode_plain(self, ids: list[int]) -> str | None:
        """The text of a list of ids, the short way: None where anything but that is asked for."""
        unigram = self._model
        if unigram is None or self._decode_options or not isinstance(self._num_threads, int):
            return None
        return unigram.decoder.decode_list(ids) if unigram.tokenizer._decoding[1] is None else None

    def _decode_rows(self, rows: list[Any], kind: ReturnType, as_bytes: bool, threads: int) -> list[Any]:
        """The results of rows of ids, or of rows of pieces: what the first one that is not empty holds."""
        first = next((row for row in rows if is_sequence(row) and len(row)), None)
        if first is not None and not hasattr(first, "dtype") and isinstance(first[0], str | bytes):
            return self._decode_pieces([pieces_of(row) for row in rows], kind, as_bytes, isinstance(first[0], bytes))
        ids = [ids_of(row) for row in rows]
        if self._model is None and any(ids):
            raise IndexError("no model is loaded, so there are no ids")
        unigram = self._unigram()
        size = len(unigram.strings)
        if kind not in (str, bytes) or self._decode_options:
            spelled = [[unigram.spelled(checked_id(id, size)) for id in row] for row in ids]
            return self._decode_pieces(spelled, kind, as_bytes, False)

        def checked(row: list[Any], _number: int) -> npt.NDArray[np.int32]:
            return np.array([checked_id(id, size) for id in row], np.int32)

        texts = unigram.tokenizer._texts(rows_of_lists(ids, size, checked), threads)
        return [text.encode("utf-8") for text in texts] if kind is bytes else texts

    def _decode_pieces(self, rows: list[list[bytes]], kind: ReturnType, as_bytes: bool, in_bytes: bool) -> list[Any]:
        """The results of rows of pieces; those that were given as bytes decode to bytes."""
        unigram = self._unigram()
        results: list[Any] = []
        for row in rows:
            pieces = [
                SentencePiece(piece, unigram.id_of(piece.decode("utf-8", "surrogateescape")) & 0xFFFFFFFF, None, 0, 0)
                for piece in row
            ]
            message = decoded_message(apply_extra_options(self._decode_options, pieces, unigram), unigram)
            if kind is bytes or (kind is str and in_bytes):
                results.append(message.text_as_bytes)
            elif kind is str:
                results.append(message.text_as_bytes.decode("utf-8"))
            elif kind == "offset_mapping":
                results.append(mapping_of(message, as_bytes or in_bytes, with_text=True))
            else:
                results.append(of_message(message, kind))
        return results

    def _decode_in_library(
        self, input: Any, kind: ReturnType, num_threads: int, thread_pool: Any, return_bytes: bool | None
    ) -> Any:
        wire = "serialized_proto" if kind in ("proto", "immutable_proto") else kind
        threads = num_threads if thread_pool is None else threads_of(num_threads, thread_pool)
        options = {} if return_bytes is None else {"return_bytes": return_bytes}
        return of_serialized(self._library.Decode(input, return_type=wire, num_threads=threads, **options), kind)

    # -- names -------------------------------------------------------------------------------------

    def DecodeIds(self, input: Any, return_type: ReturnType = None, **kwargs: Any) -> Any:
        """Decode ids."""
        return self.Decode(input=input, return_type=return_type, **kwargs)

    def DecodePieces(self, input: Any, return_type: ReturnType = None, **kwargs: Any) -> Any:
        """Decode pieces."""
        return self.Decode(input=input, return_type=return_type, **kwargs)

    def DecodeIdsAsProto(self, input: Any, **kwargs: Any) -> Any:
        """Decode ids to SentencePieceText messages."""
        return self.Decode(input=input, return_type="proto", **kwargs)

    def DecodePiecesAsProto(self, input: Any, **kwargs: Any) -> Any:
        """Decode pieces to SentencePieceText messages."""
        return self.Decode(input=input, return_type="proto", **kwargs)

    def DecodeIdsAsSerializedProto(self, input: Any, out_type: ReturnType = "serialized_proto", **kwargs: Any) -> Any:
        """Decode ids to serialized SentencePieceText messages."""
        return self.Decode(input=input, out_type=out_type, **kwargs)

    def DecodePiecesAsSerializedProto(
        self, input: Any, out_type: ReturnType = "serialized_proto", **kwargs: Any
    ) -> Any:
        """Decode pieces to serialized SentencePieceText messages."""
        return self.Decode(input=input, out_type=out_type, **kwargs)

    def DecodeIdsAsImmutableProto(self, input: Any, out_type: ReturnType = "immutable_proto", **kwargs: Any) -> Any:
        """Decode ids to ImmutableSentencePieceText messages."""
        return self.Decode(input=input, out_type=out_type, **kwargs)

    def DecodePiecesAsImmutableProto(self, input: Any, out_type: ReturnType = "immutable_proto", **kwargs: Any) -> Any:
        """Decode pieces to ImmutableSentencePieceText messages."""
        return self.Decode(input=input, out_type=out_type, **kwargs)

    decode = detokenize = Detokenize = Decode
    decode_ids = DecodeIds
    decode_pieces = DecodePieces
    decode_ids_as_proto = DecodeIdsAsProto
    decode_pieces_as_proto = DecodePiecesAsProto
    decode_ids_as_serialized_proto = DecodeIdsAsSerializedProto
    decode_pieces_as_serialized_proto = DecodePiecesAsSerializedProto
    decode_ids_as_immutable_proto = DecodeIdsAsImmutableProto
    decode_pieces_as_immutable_proto = DecodePiecesAsImmutableProto


def is_sequence(value: Any) -> bool:
    """Whether a value holds several: it has a length, and is no text."""
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)


def pieces_of(row: Any) -> list[bytes]:
    """A row of pieces in UTF-8; TypeError where one is neither str nor bytes."""
    pieces = []
    for piece in row:
        if isinstance(piece, str):
            try:
                piece = piece.encode("utf-8")
            except UnicodeEncodeError as error:
                raise TypeError(f"a piece holds a lone surrogate, which has no UTF-8: {error}") from None
        elif not isinstance(piece, bytes | bytearray):
            raise TypeError(f"pieces must be str or bytes, not {type(piece).__name__}")
        pieces.append(bytes(piece))
    return pieces


def ids_of(row: Any) -> list[int]:
    """A row of ids as a list; TypeError where it is none."""
    if hasattr(row, "dtype"):
        return array_ids(np.asarray(row))
    if type(row) is list:
        return row
    if isinstance(row, str | bytes) or not hasattr(row, "__iter__"):
        raise TypeError(f"input must be ids, pieces, or sequences of them, not {type(row).__name__}")
    return list(row)


def checked_id(id: Any, size: int) -> int:
    """An id; TypeError where it is no int, IndexError where it is not one of the vocabulary."""
    checked = integer(id, "ids")
    if not 0 <= checked < size:
        raise IndexError(f"ids must be 0 to {size - 1}, got {checked}")
    return checked


def array_ids(array: npt.NDArray[Any]) -> list[int]:
    """The ids in an array; TypeError where it is not of integers, or not flat."""
    if array.dtype.kind not in "iu":
        raise TypeError(f"an array of ids must be of integers, got {array.dtype}")
    if array.ndim != 1:
        raise TypeError(f"an array of ids must have one dimension, got {array.ndim}")
    if array.size and array.itemsize > 2 and not (array.min() >= -1 and array.max() < 2**31):
        raise IndexError(f"ids must be from 0 to 2**31 - 1, got {array.min()} to {array.max()}")
    return array.tolist()  # type: ignore[no-any-return]
