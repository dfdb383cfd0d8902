"""What each token of a sequence stands for in the decoded text.

The engine decodes ids to a text and to nothing else. This is the same in steps: pieces of the vocabulary
with U+2581 as a space, the space that the normalizer put in front taken away, bytes joined to characters;
a piece that is not of the vocabulary stands for itself. The rules are those of sentencepiece 0.2.3.
"""

from __future__ import annotations

from viterbi_sampling.compat.sentencepiece.protos import SentencePiece, SentencePieceText
from viterbi_sampling.compat.sentencepiece.unigram import Unigram
from viterbi_sampling.model import SPACE, PieceType

MARK = SPACE.encode("utf-8")
REPLACEMENT = "\ufffd".encode()


def decoded_message(pieces: list[SentencePiece], unigram: Unigram) -> SentencePieceText:
    """The message of a decoded sequence: its text, and the surface and span of each of the tokens, set in place."""
    rules = unigram.model.normalizer
    strips = rules.add_dummy_prefix or rules.remove_extra_whitespaces
    text = bytearray()
    pending: list[SentencePiece] = []  # byte pieces that are not joined yet
    at_start = True
    stripped = False
    for piece in pieces:
        if piece.id in unigram.byte_values:
            pending.append(piece)
            continue
        _join(pending, unigram, text)
        pending = []
        if stripped or text:
            at_start = False
        surface, stripped = _surface(piece, unigram, at_start and strips)
        if rules.remove_extra_whitespaces:
            stripped = False
        _place(piece, surface, text)
    _join(pending, unigram, text)
    whole = bytes(text)
    denormalizer = unigram.tokenizer._decoding[1]
    if denormalizer is not None:
        whole = denormalizer.normalize(whole)
    return SentencePieceText(whole, pieces)


def _surface(piece: SentencePiece, unigram: Unigram, strips: bool) -> tuple[bytes, bool]:
    """(what a piece stands for, whether a space in front of it was taken away)."""
    spelled = piece.piece_as_bytes
    if piece.id >= len(unigram.types):  # of a model without an unknown piece
        return spelled, False
    kind = unigram.types[piece.id]
    if kind == PieceType.CONTROL:
        return b"", False
    if kind == PieceType.UNKNOWN:
        is_itself = spelled == unigram.spelled(piece.id)
        return (unigram.model.unk_surface.encode("utf-8") if is_itself else spelled), False
    stripped = strips and spelled.startswith(MARK)
    return spelled[len(MARK) * stripped :].replace(MARK, b" "), stripped


def _place(piece: SentencePiece, surface: bytes, text: bytearray) -> None:
    piece._surface = surface
    piece.begin = len(text)
    text += surface
    piece.end = len(text)


def _join(pieces: list[SentencePiece], unigram: Unigram, text: bytearray) -> None:
    """Bytes as characters: the last byte of each stands for it. A byte that belongs to none becomes U+FFFD."""
    data = bytes(unigram.byte_values[piece.id] for piece in pieces)
    at = 0
    while at < len(data):
        size = next((n for n in range(1, 5) if _is_character(data[at : at + n])), 0)
        for k in range(size):
            _place(pieces[at + k], data[at : at + size] if k == size - 1 else b"", text)
        if not size:
            _place(pieces[at], REPLACEMENT, text)
        at += size or 1


def _is_character(data: bytes) -> bool:
    try:
        return len(data.decode("utf-8")) == 1
    except UnicodeDecodeError:
        return False
