"""Changes to the bytes of a sentencepiece model file that leave all else in it as it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from viterbi_sampling.formats import protobuf
from viterbi_sampling.formats.sentencepiece import (
    ADD_DUMMY_PREFIX,
    ESCAPE_WHITESPACES,
    NORMALIZER_SPEC,
    PIECES,
    REMOVE_EXTRA_WHITESPACES,
)
from viterbi_sampling.formats.wire import bytes_field, integer_field

PIECE_TYPE = 3
FLAGS = {
    "add_dummy_prefix": ADD_DUMMY_PREFIX,
    "remove_extra_whitespaces": REMOVE_EXTRA_WHITESPACES,
    "escape_whitespaces": ESCAPE_WHITESPACES,
}


def with_types(data: bytes, types: npt.NDArray[np.uint8]) -> bytes:
    """The model file with these piece types, one a piece.

    A field that is repeated counts with its last value, so a type is set by adding it to the piece.
    """
    _, _, _, before, _ = protobuf.read_pieces(data, PIECES)
    changed = before != types
    message = bytearray()
    index = 0
    for number, value in protobuf.fields(data, "the model"):
        if number == PIECES and isinstance(value, bytes):
            if changed[index]:
                value += integer_field(PIECE_TYPE, int(types[index]))
            index += 1
        message += bytes_field(number, value) if isinstance(value, bytes) else integer_field(number, value)
    return bytes(message)


def with_flags(data: bytes, flags: Mapping[str, bool]) -> bytes:
    """The model file with these flags of its normalizer: repeated messages are merged, the last value counts."""
    spec = b"".join(integer_field(FLAGS[name], int(value)) for name, value in flags.items())
    return data + bytes_field(NORMALIZER_SPEC, spec)
