"""What is done to a segmentation after it was made: reversed, begun and ended, unknown pieces replaced."""

from __future__ import annotations

from typing import TypeVar

from viterbi_sampling.compat.sentencepiece.protos import SentencePiece
from viterbi_sampling.compat.sentencepiece.unigram import Unigram

T = TypeVar("T")

ExtraOptions = tuple[str, ...]
"""Some of "reverse", "bos", "eos" and "unk", in the order in which they are applied."""


def parse_extra_options(options: str | bytes, unigram: Unigram) -> ExtraOptions:
    """The options in a text such as "reverse:bos:eos"; RuntimeError for one that there is not, or that has no piece.

    Empty ones count for nothing, as in sentencepiece: programs in use say ":eos".
    """
    if isinstance(options, bytes):
        options = options.decode("utf-8", "replace")
    if not isinstance(options, str):
        raise TypeError(f"extra_option must be a str, not {type(options).__name__}")
    parsed = []
    for option in filter(None, options.split(":")):
        name = "unk" if option == "unk_piece" else option
        if name not in ("reverse", "bos", "eos", "unk"):
            raise RuntimeError(f"extra_option must be some of reverse, bos, eos and unk, joined by ':'; got {option!r}")
        model = unigram.model
        piece = {"bos": model.bos_piece, "eos": model.eos_piece}.get(name)
        if piece is not None and unigram.id_of(piece) == unigram.unknown_id:
            raise RuntimeError(f"extra_option {option!r}: the model has no piece {piece!r}")
        parsed.append(name)
    return tuple(parsed)


def apply_extra_options(options: ExtraOptions, pieces: list[SentencePiece], unigram: Unigram) -> list[SentencePiece]:
    """The tokens after the options."""
    model = unigram.model
    for option in options:
        if option == "reverse":
            pieces = pieces[::-1]
        elif option == "bos":
            pieces = [_control(model.bos_piece, unigram), *pieces]
        elif option == "eos":
            pieces = [*pieces, _control(model.eos_piece, unigram)]
        else:
            unknown = model.unk_piece.encode("utf-8")
            for piece in pieces:
                if piece.id == unigram.unknown_id:
                    piece.piece_as_bytes = unknown
    return pieces


def _control(piece: str, unigram: Unigram) -> SentencePiece:
    return SentencePiece(piece.encode("utf-8"), unigram.id_of(piece), None, 0, 0)


class Finish:
    """What the arguments add_bos, add_eos, reverse and emit_unk_piece ask for; ValueError where the model cannot do it.

    Reversed first, then begun and ended.
    """

    __slots__ = ("_unigram", "emits", "prefix_id", "reverse", "suffix_id")

    def __init__(
        self, unigram: Unigram, add_bos: bool, add_eos: bool, reverse: bool, emit_unk_piece: bool = False
    ) -> None:
        self._unigram = unigram
        self.prefix_id, self.suffix_id = unigram.tokenizer._ends(add_bos, add_eos)
        self.reverse = reverse
        self.emits = emit_unk_piece
        if emit_unk_piece and unigram.unknown_id < 0:
            raise ValueError("emit_unk_piece: the model has no unknown piece")

    @property
    def in_engine(self) -> bool:
        """Whether the engine itself can do all of it."""
        return not (self.reverse or self.emits)

    def ids(self, ids: list[int]) -> list[int]:
        """The ids of a segmentation as they were asked for."""
        return self._around(ids, self.prefix_id, self.suffix_id)

    def pieces(self, pieces: list[bytes]) -> list[bytes]:
        """The pieces of a segmentation as they were asked for."""
        spell = self._unigram.spelled
        if self.emits:
            unknown = self._unigram.unknown_id
            name = spell(unknown)
            find = self._unigram.id_of
            pieces = [name if find(piece.decode("utf-8", "replace")) == unknown else piece for piece in pieces]
        begin = spell(self.prefix_id) if self.prefix_id >= 0 else b""
        end = spell(self.suffix_id) if self.suffix_id >= 0 else b""
        return self._around(pieces, begin, end)

    def _around(self, items: list[T], begin: T, end: T) -> list[T]:
        result = items[::-1] if self.reverse else list(items)
        if self.prefix_id >= 0:
            result.insert(0, begin)
        if self.suffix_id >= 0:
            result.append(end)
        return result
