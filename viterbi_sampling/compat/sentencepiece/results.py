"""What a call returns: messages and pieces as the return types that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.compat.sentencepiece.arguments import PROTO_TYPES, ReturnType
from viterbi_sampling.compat.sentencepiece.protos import (
    ImmutableSentencePieceText,
    SentencePieceText,
    character_positions,
)


def refuse_in_messages(return_type: ReturnType, *flags: bool) -> None:
    """RuntimeError where add_bos, add_eos, reverse or emit_unk_piece is set for messages and offset mappings."""
    if return_type in PROTO_TYPES and any(flags):
        raise RuntimeError(
            f"add_bos, add_eos, reverse and emit_unk_piece do not go with return_type={return_type!r}: "
            "its tokens are those of the text"
        )


def returns_bytes(texts: Sequence[str | bytes], return_bytes: bool | None) -> bool:
    """Whether offset mappings are in bytes; where nothing is said, as the first text."""
    if return_bytes is None:
        return bool(texts) and isinstance(texts[0], bytes)
    return return_bytes


def of_message(message: SentencePieceText, return_type: ReturnType) -> Any:
    """A message as "proto", "serialized_proto" or "immutable_proto"."""
    if return_type == "serialized_proto":
        return message.SerializeAsString()
    return ImmutableSentencePieceText.of(message) if return_type == "immutable_proto" else message


def of_serialized(result: Any, return_type: ReturnType) -> Any:
    """Serialized messages, one or a list, as the proto types; other results as they are."""
    if return_type not in ("proto", "immutable_proto"):
        return result
    if isinstance(result, list):
        return [of_serialized(one, return_type) for one in result]
    return of_message(SentencePieceText.FromString(result), return_type)


def mapping_of(message: SentencePieceText, as_bytes: bool, with_text: bool = False) -> dict[str, Any]:
    """A message as an offset mapping, in bytes or in characters.

    ValueError for characters where a span lies outside the text, as it may after a denormalizer has changed it.
    """
    text = message.text_as_bytes
    result: dict[str, Any] = {}
    if with_text:
        result["text"] = text if as_bytes else text.decode("utf-8")
    pieces = message.pieces
    result["ids"] = [piece.id for piece in pieces]
    if as_bytes:
        result["pieces"] = [piece.piece_as_bytes for piece in pieces]
        result["offsets"] = [(piece.begin, piece.end) for piece in pieces]
    else:
        characters = character_positions(text)
        result["pieces"] = [piece.piece_as_bytes.decode("utf-8") for piece in pieces]
        result["offsets"] = [(characters(piece.begin), characters(piece.end)) for piece in pieces]
    return result


def array_of(ids: list[int]) -> npt.NDArray[np.int32]:
    """Ids as an array that cannot be written to."""
    array = np.array(ids, np.int32)
    array.flags.writeable = False
    return array


def strings(pieces: list[bytes]) -> list[str]:
    """Pieces as str."""
    return [piece.decode("utf-8") for piece in pieces]
