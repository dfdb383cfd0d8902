"""Model: the frozen vocabulary and rules that every file format loads into."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.faults import first_fault
from viterbi_sampling.errors import ModelError, shown

if TYPE_CHECKING:
    from viterbi_sampling.steps.description import Pipeline

SPACE = "\u2581"
"""The visible space, U+2581, that stands for a space inside pieces."""

UNKNOWN_PENALTY = 10.0
"""An unknown character costs this much more than the worst normal piece (sentencepiece's kUnkPenalty)."""

MAX_PIECE_BYTES = 8000
"""Pieces are shorter than this, as in sentencepiece: it bounds the work at each position of a text."""


class PieceType(IntEnum):
    """What a piece is; the numbers are those of sentencepiece's model file."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, eq=False)
class Pieces:
    """The vocabulary as flat arrays: piece i is ``text[offsets[i]:offsets[i + 1]]`` in UTF-8, or any bytes.

    Flat, because a vocabulary of 250,000 Python strings takes longer to make than all the rest of a load.
    """

    text: bytes
    offsets: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    types: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: int) -> str:
        return spelled(self.bytes_of(index))

    def bytes_of(self, index: int) -> bytes:
        """Piece `index` as bytes, which in a bytewise model need not be UTF-8."""
        return self.text[self.offsets[index] : self.offsets[index + 1]]

    @classmethod
    def from_strings(cls, pieces: list[str], scores: list[float], types: list[int]) -> Pieces:
        """Pieces from Python strings; `scores` and `types` have one entry a piece."""
        encoded = [piece.encode("utf-8") for piece in pieces]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(piece) for piece in encoded], out=offsets[1:])
        return cls(b"".join(encoded), offsets, np.array(scores, np.float64), np.array(types, np.uint8))


@dataclass(frozen=True)
class NormalizerRules:
    """How a text is rewritten before it is cut: sentencepiece's NormalizerSpec.

    `charsmap` is the precompiled character map (a Darts double array and the replacement strings),
    empty for the identity. `nfc` is BytePiece's normalizer: NFC, and none of the others.
    """

    name: str = "identity"
    charsmap: bytes = field(default=b"", repr=False)
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    whitespace_as_suffix: bool = False
    nfc: bool = False


@dataclass(frozen=True, eq=False)
class Model:
    """A Unigram model, whatever file it came from.

    `single_precision`: path scores are float32 sums, as in sentencepiece; otherwise float64. `restart`
    says where the sums of the best path begin anew, which no piece may span: "never", "at_space"
    (before each space), "after_newline" (after each run of newlines), or "at_marks" (between pre-tokens).
    `pipeline` is what a tokenizer.json says beyond the vocabulary; `normalizer` says nothing then.
    `bytewise`: pieces are bytes and may begin and end inside a character, so that every byte is a position
    of the lattice.
    `unknown_score` is the score of the edge over one unknown character, or None where a text with
    an unknown character has no segmentation. `source` is the file's content, kept so that saving to
    the same format and pickling lose nothing.
    """

    pieces: Pieces = field(repr=False)
    normalizer: NormalizerRules
    denormalizer: NormalizerRules | None = None
    byte_fallback: bool = False
    unk_piece: str = "<unk>"
    bos_piece: str = "<s>"
    eos_piece: str = "</s>"
    pad_piece: str = "<pad>"
    unk_surface: str = " \u2047 "
    unknown_score: float | None = None
    single_precision: bool = True
    restart: str = "never"
    pipeline: Pipeline | None = None
    bytewise: bool = False
    source_format: str = ""
    source: bytes = field(default=b"", repr=False)

    def ids_of_type(self, piece_type: PieceType) -> npt.NDArray[np.int64]:
        """The ids of all pieces of one type, rising."""
        return np.flatnonzero(self.pieces.types == piece_type)

    def check(self) -> None:
        """Raise ModelError unless the vocabulary is one that sentencepiece would accept.

        What is checked here the engine relies on; equal pieces are found when its trie is built.
        """
        pieces = self.pieces
        if len(pieces) == 0:
            raise ModelError("the model has no pieces")
        fault = first_fault(pieces.text, pieces.offsets, pieces.scores, MAX_PIECE_BYTES, self.bytewise)
        if fault is not None:
            index, what = fault
            raise ModelError(f"piece {index} {what} (score {pieces.scores[index]})")
        if not self.bytewise and b"\0" in pieces.text:
            self._check_nulls()
        unknown = self.ids_of_type(PieceType.UNKNOWN)
        if len(unknown) > 1:
            raise ModelError(f"pieces {unknown[0]} and {unknown[1]} both have the type UNKNOWN; one may")
        self._check_bytes()

    def _check_nulls(self) -> None:
        for index in range(len(self.pieces)):
            piece = self.pieces[index]
            if "\0" in piece and not (piece == "\0" and self.pieces.types[index] == PieceType.UNUSED):
                raise ModelError(f"piece {index} ({shown(piece)}) holds a null character")

    def _check_bytes(self) -> None:
        byte_ids = self.ids_of_type(PieceType.BYTE)
        if not self.byte_fallback:
            if len(byte_ids):
                piece = self.pieces[int(byte_ids[0])]
                raise ModelError(f"piece {byte_ids[0]} ({piece}) has the type BYTE, but byte_fallback is off")
            return
        found = self.byte_pieces()
        missing = np.flatnonzero(found < 0)
        if len(missing):
            raise ModelError(f"byte_fallback is on, but the piece {byte_piece(int(missing[0]))} is missing")

    def byte_pieces(self) -> npt.NDArray[np.int32]:
        """The id of the BYTE piece of each of the 256 byte values, -1 where there is none."""
        ids = np.full(256, -1, np.int32)
        for index in self.ids_of_type(PieceType.BYTE):
            piece = self.pieces[int(index)]
            try:
                value = int(piece[1:-1], 16)
                if piece != byte_piece(value):
                    raise ValueError
            except ValueError:
                raise ModelError(
                    f"piece {index} ({shown(piece)}) has the type BYTE, but is not one of <0x00> to <0xFF>"
                ) from None
            if ids[value] >= 0:
                raise ModelError(f"pieces {ids[value]} and {index} are both {piece}")
            ids[value] = index
        return ids


def spelled(piece: bytes) -> str:
    """A piece as text: its characters, and ``<0xNN>`` for each byte that belongs to none.

    >>> spelled(b"a\\xe4\\xb8")
    'a<0xE4><0xB8>'
    """
    parts: list[str] = []
    while True:
        try:
            return "".join([*parts, piece.decode("utf-8")])
        except UnicodeDecodeError as error:
            parts += [piece[: error.start].decode("utf-8"), *map(byte_piece, piece[error.start : error.end])]
            piece = piece[error.end :]


def byte_piece(value: int) -> str:
    """The spelling of the piece for one byte.

    >>> byte_piece(10)
    '<0x0A>'
    """
    return f"<0x{value:02X}>"
