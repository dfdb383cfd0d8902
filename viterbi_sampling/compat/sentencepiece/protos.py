"""Segmentations as sentencepiece's messages: SentencePieceText and NBestSentencePieceText, as plain classes.

They have the fields of sentencepiece.proto and its wire format, and need no protobuf library. Texts are
kept as the bytes they are; as str, what is not valid UTF-8 becomes U+FFFD.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar, overload

from viterbi_sampling.formats import protobuf
from viterbi_sampling.formats.sentencepiece import Message
from viterbi_sampling.formats.wire import bytes_field, float_field, integer_field

Item = TypeVar("Item")

# SentencePieceText: text = 1, pieces = 2, score = 3; NBestSentencePieceText: nbests = 1.
TEXT, PIECES, SCORE, NBESTS = 1, 2, 3, 1
# SentencePieceText.SentencePiece
PIECE, ID, SURFACE, BEGIN, END = 1, 2, 3, 4, 5


def _string(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _repeated(data: bytes, number: int, name: str) -> list[bytes]:
    """The messages of a repeated field."""
    return [value for found, value in protobuf.fields(data, name) if found == number and isinstance(value, bytes)]


class Repeated(Sequence[Item], Generic[Item]):
    """A repeated field: a sequence whose slices are lists."""

    __slots__ = ("_items", "_name")

    def __init__(self, items: Iterable[Item], name: str) -> None:
        self._items = list(items)
        self._name = name

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """Item `index`, or the list of a slice. IndexError where there is none."""
        try:
            return self._items[index]
        except IndexError:
            raise IndexError(f"{self._name} has {len(self._items)} items, got index {index}") from None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Repeated):
            return self._items == other._items
        return self._items == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "\n".join(f"{self._name} {{\n{item}}}" for item in self._items)

    __repr__ = __str__


class SentencePiece:
    """One token: its piece, its id, and the part of the text that it stands for.

    surface is None, and reads as an empty string, where the token has no text of its own: the first
    bytes of a character that is spelled in bytes.
    """

    __slots__ = ("_surface", "begin", "end", "id", "piece_as_bytes")

    def __init__(self, piece: bytes, id: int, surface: bytes | None, begin: int, end: int) -> None:
        self.piece_as_bytes = piece
        self.id = id
        self._surface = surface
        self.begin = begin
        self.end = end

    @property
    def piece(self) -> str:
        """The piece."""
        return _string(self.piece_as_bytes)

    @property
    def surface(self) -> str:
        """The part of the text."""
        return _string(self.surface_as_bytes)

    @property
    def surface_as_bytes(self) -> bytes:
        """The part of the text in UTF-8."""
        return self._surface or b""

    def SerializeAsString(self) -> bytes:
        """The message in protocol-buffers wire format."""
        surface = b"" if self._surface is None else bytes_field(SURFACE, self._surface)
        head = bytes_field(PIECE, self.piece_as_bytes) + integer_field(ID, self.id) + surface
        return head + integer_field(BEGIN, self.begin) + integer_field(END, self.end)

    SerializeToString = SerializeAsString

    @classmethod
    def FromString(cls, data: bytes) -> SentencePiece:
        """The message that `data` holds; ModelError (a ValueError) where it holds none."""
        fields = Message(data, "SentencePiece")
        surface = fields.raw(SURFACE) if SURFACE in fields.values else None
        return cls(fields.raw(PIECE), fields.integer(ID, 0), surface, fields.integer(BEGIN, 0), fields.integer(END, 0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SentencePiece) and self.SerializeAsString() == other.SerializeAsString()

    def __hash__(self) -> int:
        return hash(self.SerializeAsString())

    def __str__(self) -> str:
        return (
            f'piece: "{self.piece}"\nid: {self.id}\nsurface: "{self.surface}"\nbegin: {self.begin}\nend: {self.end}\n'
        )

    __repr__ = __str__


Pieces = Iterable[SentencePiece] | Callable[[], Iterable[SentencePiece]]
"""The tokens of a message, or what makes them."""


class SentencePieceText:
    """A text and its tokens. begin and end of the pieces are positions in the text, in bytes.

    score: of an n-best list or of samples, None where there is none (it reads as 0.0 through `score`).

    >>> message = SentencePieceText(b"ab", [SentencePiece(b"ab", 7, b"ab", 0, 2)])
    >>> [(piece.piece, piece.id, piece.surface) for piece in message.pieces]
    [('ab', 7, 'ab')]
    >>> SentencePieceText.FromString(message.SerializeAsString()) == message
    True
    """

    __slots__ = ("_make", "_pieces", "_score", "text_as_bytes")

    def __init__(self, text: bytes, pieces: Pieces, score: float | None = None) -> None:
        self.text_as_bytes = text
        self._make = pieces if callable(pieces) else None
        self._pieces = Repeated([] if callable(pieces) else pieces, "pieces")
        self._score = score

    @property
    def pieces(self) -> Repeated[SentencePiece]:
        """The tokens."""
        make = self._make
        if make is not None:  # most programs look at a few messages only, so they are filled when they are looked at
            self._pieces = Repeated(make(), "pieces")
            self._make = None
        return self._pieces

    @property
    def text(self) -> str:
        """The text."""
        return _string(self.text_as_bytes)

    @property
    def score(self) -> float:
        """The score of the segmentation, 0.0 where none was asked for."""
        return 0.0 if self._score is None else self._score

    def SerializeAsString(self) -> bytes:
        """The message in protocol-buffers wire format."""
        parts = [bytes_field(TEXT, self.text_as_bytes)]
        parts += [bytes_field(PIECES, piece.SerializeAsString()) for piece in self.pieces]
        if self._score is not None:
            parts.append(float_field(SCORE, self._score))
        return b"".join(parts)

    SerializeToString = SerializeAsString

    @classmethod
    def FromString(cls, data: bytes) -> SentencePieceText:
        """The message that `data` holds; ModelError (a ValueError) where it holds none."""
        fields = Message(data, "SentencePieceText")
        bits = fields.integer(SCORE, 0) & 0xFFFFFFFF
        score = struct.unpack("<f", struct.pack("<I", bits))[0] if SCORE in fields.values else None
        pieces = [SentencePiece.FromString(part) for part in _repeated(data, PIECES, "SentencePieceText")]
        return cls(fields.raw(TEXT), pieces, score)

    def __reduce__(self) -> tuple[Callable[[bytes], SentencePieceText], tuple[bytes]]:
        return type(self).FromString, (self.SerializeAsString(),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SentencePieceText) and self.SerializeAsString() == other.SerializeAsString()

    def __hash__(self) -> int:
        return hash(self.SerializeAsString())

    def __str__(self) -> str:
        return f'text: "{self.text}"\nscore: {self.score}\n{self.pieces}'

    __repr__ = __str__


class ImmutableSentencePieceText(SentencePieceText):
    """The message of `return_type="immutable_proto"`: begin and end of its pieces count characters.

    As text, of which pieces are slices: ``message.text[piece.begin:piece.end] == piece.surface``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, message: SentencePieceText) -> ImmutableSentencePieceText:
        """`message` with positions in characters."""
        characters = character_positions(message.text_as_bytes)
        pieces = [
            SentencePiece(p.piece_as_bytes, p.id, p._surface, characters(p.begin), characters(p.end))
            for p in message.pieces
        ]
        return cls(message.text_as_bytes, pieces, message._score)


def character_positions(text: bytes) -> Callable[[int], int]:
    """The function from a position in bytes to one in characters, as sentencepiece counts them.

    A character is as long as its first byte says, which for bytes that are not valid UTF-8 need not be so. The
    function raises ValueError for a position beyond the text.
    """
    positions: list[int] = []
    at = character = 0
    while at < len(text):
        size = 1 if text[at] < 0xC0 else 2 if text[at] < 0xE0 else 3 if text[at] < 0xF0 else 4
        size = min(size, len(text) - at)
        positions += [character] * size
        at += size
        character += 1
    positions.append(character)

    def characters(position: int) -> int:
        try:
            return positions[position]
        except IndexError:
            raise ValueError(f"position {position} lies beyond a text of {len(text)} bytes") from None

    return characters


Hypothesis = TypeVar("Hypothesis", bound=SentencePieceText)


class NBestSentencePieceText(Generic[Hypothesis]):
    """Several segmentations of one text, each with its score."""

    __slots__ = ("nbests",)

    def __init__(self, nbests: Iterable[Hypothesis]) -> None:
        self.nbests = Repeated(nbests, "nbests")

    def SerializeAsString(self) -> bytes:
        """The message in protocol-buffers wire format."""
        return b"".join(bytes_field(NBESTS, message.SerializeAsString()) for message in self.nbests)

    SerializeToString = SerializeAsString

    @classmethod
    def FromString(cls, data: bytes) -> NBestSentencePieceText[SentencePieceText]:
        """The message that `data` holds; ModelError (a ValueError) where it holds none."""
        parts = _repeated(data, NBESTS, "NBestSentencePieceText")
        return NBestSentencePieceText(SentencePieceText.FromString(part) for part in parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NBestSentencePieceText) and self.SerializeAsString() == other.SerializeAsString()

    def __hash__(self) -> int:
        return hash(self.SerializeAsString())

    def __str__(self) -> str:
        return str(self.nbests)

    __repr__ = __str__


class ImmutableNBestSentencePieceText(NBestSentencePieceText[ImmutableSentencePieceText]):
    """The n-best message of `return_type="immutable_proto"`."""

    __slots__ = ()


ImmutableSentencePieceText_ImmutableSentencePiece = SentencePiece
"""The name that sentencepiece 0.2.0 had for the class of the pieces."""
