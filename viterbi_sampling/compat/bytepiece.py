"""The API of bytepiece 0.6.3 on this engine: ``from viterbi_sampling.compat.bytepiece import Tokenizer``.

Ids, pieces and texts are those of bytepiece. Random segmentations follow the same law, from a generator
of the instance instead of the C library's: `set_seed` makes them repeat, in any process.
"""

from __future__ import annotations

import builtins
import json
import os
import re
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, overload

import numpy as np

from viterbi_sampling.arguments import key_of_seed
from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats import wire
from viterbi_sampling.tokenizer import Tokenizer as Engine

__all__ = ["Tokenizer", "Trainer", "convert_to_bytepiece", "normalize"]
__version__ = "0.6.3"

RESERVED = ("<pad>", "<bos>", "<eos>")
INSTALL = (
    "AHOCORASICK_BYTES=1 pip install --no-binary :all: pyahocorasick && "
    "pip install Cython setuptools numpy && pip install --no-build-isolation bytepiece"
)


def normalize(text: str, maxlen: int = 0, isolate_digits: bool = False) -> list[bytes]:
    """The lines that no piece crosses: NFC, then each line with all the newlines that follow it.

    With `maxlen` above 0, lines have at most so many characters and 100 newlines; with `isolate_digits` each digit is
    a line of its own. Both are for training; a tokenizer uses neither.

    >>> normalize("one\\n\\ntwo 2", isolate_digits=True)
    [b'one\\n\\n', b'two ', b'2']
    """
    character = r"[^\n\d]" if isolate_digits else "."
    bounds = (f"{{,{maxlen}}}", "{1,100}", f"{{1,{maxlen}}}") if maxlen > 0 else ("*", "+", "+")
    pattern = f"{character}{bounds[0]}\n{bounds[1]}|{character}{bounds[2]}"
    if isolate_digits:
        pattern = rf"\d|{pattern}"
    return [line.encode("utf-8") for line in re.findall(pattern, unicodedata.normalize("NFC", text))]


class Tokenizer:
    """A BytePiece tokenizer.

    pieces : the path of a model, JSON or the zip that it ships in; or a dict {base64(piece): [id, readable piece,
        count]}. ModelError says what is wrong with it.
    seed : of random segmentations, an int from 0 to 2^64 - 1, or None for fresh entropy

    Threads may share it; the samples that each of them gets then depend on which comes first.

    >>> entries = {b64encode(bytes([i])).decode(): [i + 3, "", 1] for i in range(256)}
    >>> tokenizer = Tokenizer(entries | {"YWI=": [259, "ab", 50]}, seed=1)
    >>> tokenizer.tokenize("abba")
    [b'ab', b'b', b'a']
    """

    def __init__(self, pieces: str | os.PathLike[str] | Mapping[str, Any], seed: int | None = None) -> None:
        if isinstance(pieces, str | os.PathLike):
            self._engine = Engine.from_file(pieces)
        elif isinstance(pieces, Mapping):
            self._engine = Engine.from_bytes(json.dumps(dict(pieces)).encode(), format="bytepiece")
        else:
            raise TypeError(f"pieces must be a path or a dict, not {type(pieces).__name__}")
        model = self._engine._model
        if not model.bytewise:
            raise ModelError(f"not a BytePiece model, but one of the format {model.source_format!r}")
        self.vocab_size = len(self._engine)
        self._pieces: list[str | bytes] = [model.pieces.bytes_of(id) for id in range(self.vocab_size)]
        self._pieces[: len(RESERVED)] = RESERVED
        self._ids: dict[str | bytes, int] = {piece: id for id, piece in enumerate(self._pieces)}
        self._lock = threading.Lock()
        self._seed = key_of_seed(None)
        self._samples = 0
        self.set_seed(seed)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_pieces", "_ids")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        pieces = self._engine._model.pieces
        self._pieces = [*RESERVED, *(pieces.bytes_of(id) for id in range(len(RESERVED), self.vocab_size))]
        self._ids = {piece: id for id, piece in enumerate(self._pieces)}

    def set_seed(self, seed: int | None) -> None:
        """Begin the random segmentations of this tokenizer anew, as the seed says; None changes nothing."""
        if seed is not None:
            with self._lock:
                self._seed, self._samples = key_of_seed(seed), 0

    def _segment(self, text: str, alpha: float) -> list[int]:
        if alpha < 0:
            return self._engine.encode(text)
        with self._lock:
            seed, index = self._seed, self._samples
            self._samples += 1
        return self._engine.sample(text, alpha=alpha, seed=seed, index=index)

    @overload
    def tokenize(self, text: str, alpha: float = -1, iter: Literal[False] = False) -> list[bytes]: ...
    @overload
    def tokenize(self, text: str, alpha: float = -1, *, iter: Literal[True]) -> Iterator[bytes]: ...
    @overload
    def tokenize(self, text: str, alpha: float, iter: Literal[True]) -> Iterator[bytes]: ...
    def tokenize(self, text: str, alpha: float = -1, iter: bool = False) -> list[bytes] | Iterator[bytes]:
        """The pieces of the best segmentation, or with `alpha` of at least 0 of a random one.

        `alpha` is the inverse temperature: p(segmentation) ∝ exp(alpha · score). `iter`: an iterator, not a list.
        """
        pieces = self._pieces
        found: list[bytes] = [pieces[id] for id in self._segment(text, alpha)]  # type: ignore[misc]
        return builtins.iter(found) if iter else found

    @overload
    def encode(
        self, text: str, add_bos: bool = False, add_eos: bool = False, alpha: float = -1, iter: Literal[False] = False
    ) -> list[int]: ...
    @overload
    def encode(
        self, text: str, add_bos: bool = False, add_eos: bool = False, alpha: float = -1, *, iter: Literal[True]
    ) -> Iterator[int]: ...
    @overload
    def encode(self, text: str, add_bos: bool, add_eos: bool, alpha: float, iter: Literal[True]) -> Iterator[int]: ...
    def encode(
        self, text: str, add_bos: bool = False, add_eos: bool = False, alpha: float = -1, iter: bool = False
    ) -> list[int] | Iterator[int]:
        """The ids of `tokenize`, with the id of ``<bos>`` before and of ``<eos>`` after them as asked for."""

        def ids() -> Iterator[int]:
            if add_bos:
                yield 1
            yield from self._segment(text, alpha)
            if add_eos:
                yield 2

        if iter:
            return ids()
        found = self._segment(text, alpha)
        if add_bos:
            found.insert(0, 1)
        if add_eos:
            found.append(2)
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids: those up to 2 are left out, and so are bytes that are no character."""
        pieces = [self.id_to_piece(id) for id in ids if id > 2]
        return b"".join(pieces).decode(errors="ignore")  # type: ignore[arg-type]

    def piece_to_id(self, p: bytes | str) -> int:
        """The id of a piece, bytes, or of one of the str ``<pad>``, ``<bos>``, ``<eos>``. KeyError for any other."""
        return self._ids[p]

    def id_to_piece(self, i: int) -> bytes | str:
        """The piece of an id, see piece_to_id. KeyError where the vocabulary has no such id."""
        if not 0 <= i < self.vocab_size:
            raise KeyError(i)
        return self._pieces[i]

    def pieces_to_ids(self, pieces: Iterable[bytes | str]) -> list[int]:
        """The id of each piece."""
        return [self._ids[piece] for piece in pieces]

    def ids_to_pieces(self, ids: Iterable[int]) -> list[bytes | str]:
        """The piece of each id."""
        return [self.id_to_piece(id) for id in ids]

    def convert_to_sentencepiece(self, path: str | os.PathLike[str]) -> None:
        """Write a sentencepiece model with the pieces and scores, as bytepiece writes it.

        It is not equivalent: single bytes are byte pieces, which sentencepiece takes for unknown characters only, and
        sums are float32 over the whole text. ModelError where a piece of several bytes is not UTF-8, which such a
        model cannot hold; nothing is written then.
        """
        pieces = [_message("<unk>", 0.0, 2), _message("<s>", 0.0, 3), _message("</s>", 0.0, 3)]
        others = []
        for id in range(len(RESERVED), self.vocab_size):
            piece, score = self._engine._model.pieces.bytes_of(id), self._engine.score(id)
            if len(piece) == 1 and not (0x20 <= piece[0] < 0x7F and piece != b"\\"):
                pieces.append(_message(f"<0x{piece[0]:02X}>", score, 6))
                continue
            if len(piece) == 1:
                others.append(_message(f"<0x{piece[0]:02X}>", -100.0, 6))
            try:
                pieces.append(_message(piece.decode("utf-8").replace(" ", "\u2581"), score))
            except UnicodeDecodeError:
                raise ModelError(
                    f"piece {id} ({piece!r}) is not UTF-8; the pieces of a sentencepiece model are"
                ) from None
        model = b"".join(wire.bytes_field(1, piece) for piece in [*pieces, *others])
        trainer = wire.integer_field(3, 1) + wire.integer_field(4, len(pieces) + len(others))
        trainer += wire.integer_field(21, 0) + wire.integer_field(35, 1)
        normalizer = wire.bytes_field(1, b"identity") + wire.bytes_field(2, b"")
        normalizer += wire.integer_field(3, 0) + wire.integer_field(4, 0)
        model += wire.bytes_field(2, trainer) + wire.bytes_field(3, normalizer)
        with open(path, "wb") as file:
            file.write(model)


def _message(piece: str, score: float, type: int | None = None) -> bytes:
    message = wire.bytes_field(1, piece.encode("utf-8")) + wire.float_field(2, score)
    return message if type is None else message + wire.integer_field(3, type)


def convert_to_bytepiece(pieces: Mapping[str | bytes, float], path: str | os.PathLike[str]) -> None:
    """Write a BytePiece model of `pieces`, {piece: count}, such as those of another tokenizer.

    Missing bytes are added with a count of 1. A piece that is not the best segmentation of itself is left out, and its
    count goes to the pieces that are, until all are. ValueError where a count cannot be one.
    """
    counts = {piece if isinstance(piece, bytes) else piece.encode("utf-8"): count for piece, count in pieces.items()}
    for piece, count in counts.items():
        if not piece:
            raise ValueError("pieces must not be empty")
        if not (0 <= count < 2**63 and (count or len(piece) > 1)):
            raise ValueError(f"the count of piece {piece!r} must be a number above 0 and below 2**63, got {count!r}")
    for value in range(256):
        counts.setdefault(bytes([value]), 1)
    kept = {piece: count for piece, count in counts.items() if len(piece) == 1 or count >= 1}
    for piece, count in _split(kept, {piece: count for piece, count in counts.items() if piece not in kept}).items():
        kept[piece] += count
    size = None
    while size != len(kept):
        size = len(kept)
        kept = _split(kept, kept)
    entries = {
        b64encode(piece).decode(): [id, piece.decode(errors="ignore"), kept[piece]]
        for id, piece in enumerate(sorted(kept, key=lambda piece: (len(piece), piece)), len(RESERVED))
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=4, ensure_ascii=False)


def _split(pieces: Mapping[bytes, float], counted: Mapping[bytes, float]) -> dict[bytes, float]:
    """The counts of the pieces of the best segmentations of `counted`, which may hold newlines, and any bytes."""
    total = np.log(sum(pieces.values()))
    scores = {piece: float(np.log(count) - total) for piece, count in pieces.items()}
    longest = max(map(len, pieces))
    counts: dict[bytes, float] = {}
    for text, count in counted.items():
        best = [0.0] + [-np.inf] * len(text)
        starts = [0] * (len(text) + 1)
        for end in range(1, len(text) + 1):
            # The longest piece first, and only a greater sum replaces: bytepiece's ties.
            for start in range(max(0, end - longest), end):
                score = scores.get(text[start:end])
                if score is not None and best[start] + score > best[end]:
                    best[end], starts[end] = best[start] + score, start
        end = len(text)
        found = []
        while end:
            found.append(text[starts[end] : end])
            end = starts[end]
        for piece in reversed(found):
            counts[piece] = counts.get(piece, 0) + count
    return counts


class Trainer:
    """bytepiece's own trainer: the call gives one of the bytepiece library, with its methods and parameters.

    ImportError says how to install the library where it is missing.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            import bytepiece
        except ImportError as error:
            raise ImportError(f"training needs the bytepiece library ({error}): {INSTALL}") from error
        return bytepiece.Trainer(*args, **kwargs)
