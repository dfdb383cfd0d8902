"""A Unigram model as the processor runs it: texts to ids, to pieces, and to messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.compat.sentencepiece.batches import offset_mappings, serialize
from viterbi_sampling.compat.sentencepiece.protos import SentencePiece, SentencePieceText, character_positions
from viterbi_sampling.compat.sentencepiece.randomness import ROWS
from viterbi_sampling.engine.alternatives import nbest
from viterbi_sampling.engine.arrays import lists, pairs
from viterbi_sampling.engine.decoder import Decoder
from viterbi_sampling.engine.driver import ALGORITHMS, id_lists, run
from viterbi_sampling.engine.pieces import PieceStrings
from viterbi_sampling.model import Model, PieceType
from viterbi_sampling.segmentations import different_paths
from viterbi_sampling.texts import align, encode, rows_of, sample
from viterbi_sampling.tokenizer import Tokenizer

Law = dict[str, Any]
"""How a segmentation is chosen, as arguments of the engine's `run`; empty for the best one."""

BEST: Law = {}

Row = tuple[int, int]
"""(seed, index of the first row): which random stream a sample is drawn from."""


class Tokens(NamedTuple):
    """One segmentation: ids, pieces in UTF-8, and the (begin, end) of each token in the bytes of the text."""

    ids: list[int]
    pieces: list[bytes]
    spans: list[tuple[int, int]]


class Unigram:
    """A model ready to run. Immutable and thread-safe."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.tokenizer = Tokenizer(model)
        self.encoder = self.tokenizer._encoder
        decoder = self.tokenizer._decoding[0]
        assert isinstance(decoder, Decoder)  # those of other formats are none
        self.decoder = decoder
        self.unknown_id = -1 if self.tokenizer.unk_id is None else self.tokenizer.unk_id
        pieces = model.pieces
        self.strings = PieceStrings(pieces.text, pieces.offsets, -1 if model.byte_fallback else self.unknown_id)
        self.scores = pieces.scores.data  # indexed, they give Python numbers at once
        self.types = pieces.types.data
        self.byte_values = {int(id): value for value, id in enumerate(model.byte_pieces()) if id >= 0}
        self.values_of_bytes = np.full(len(pieces), -1, np.int16)
        for id, value in self.byte_values.items():
            self.values_of_bytes[id] = value

    # -- vocabulary --------------------------------------------------------------------------------

    @cached_property
    def piece_ids(self) -> dict[str, int]:
        """The id of each piece; where a control and a normal piece are spelled alike, the control piece's."""
        ids = {self.strings[i]: i for i in range(len(self.strings))}
        reserved = np.isin(self.model.pieces.types, (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.BYTE))
        ids.update((self.strings[int(i)], int(i)) for i in np.flatnonzero(reserved))
        return ids

    def id_of(self, piece: str) -> int:
        """The id of a piece, the unknown one where there is none."""
        return self.piece_ids.get(piece, self.unknown_id)

    def spelled(self, id: int) -> bytes:
        """The piece of an id in UTF-8."""
        return self.strings[id].encode("utf-8")

    # -- laws --------------------------------------------------------------------------------------

    def law(self, nbest_size: int, alpha: float) -> Law:
        """Sampling as sentencepiece's `nbest_size` tells: below 0 from all segmentations, above 1 from so many."""
        if nbest_size in (0, 1):
            return BEST
        weights = self.tokenizer._weight_table(alpha)
        if nbest_size < 0:
            return {"algorithm": "perfect", "alpha": alpha, "weights": weights}
        return {"algorithm": "nbest", "alpha": alpha, "weights": weights, "nbest_size": nbest_size}

    # -- one text ----------------------------------------------------------------------------------

    def ids(
        self, text: str | bytes, law: Law, prefix_id: int = -1, suffix_id: int = -1, row: Row | None = None
    ) -> list[int]:
        """The ids of a text; `row` is that of a sample, a new one where none is given."""
        ids: list[int] | None = None
        if not law:
            ids = encode(self.encoder, text, prefix_id, suffix_id)
        else:
            row = ROWS.take(1) if row is None else row
            if law["algorithm"] == "perfect":
                number, ends = ALGORITHMS["perfect"], (prefix_id, suffix_id)
                ids = sample(self.encoder, text, "perfect", number, law["alpha"], law["weights"], *row, 0, *ends)
        if ids is None:
            array, _, _ = self._run([text], law, 1, row, prefix_id=prefix_id, suffix_id=suffix_id)
            ids = array.tolist()
        return ids

    def pieces(
        self, text: str | bytes, law: Law, prefix_id: int, suffix_id: int, as_bytes: bool
    ) -> list[str] | list[bytes]:
        """The pieces of a text."""
        row = ROWS.take(1) if law else None
        pieces = self.strings.pieces(self.ids(text, law, prefix_id, suffix_id, row), as_bytes)
        if pieces is not None:
            return pieces
        # The piece of an unknown token lies in the text: the same once more, with what it covers.
        return self.piece_rows([text], law, 1, prefix_id, suffix_id, as_bytes, row)[0]

    # -- rows of texts -----------------------------------------------------------------------------

    def _run(
        self,
        texts: Sequence[str | bytes],
        law: Law,
        threads: int,
        row: Row | None = None,
        call: Callable[..., Any] = run,
        **options: Any,
    ) -> Any:
        """What `call`, one of the batch driver, gives for the texts."""
        given = rows_of(tuple(texts))
        if row is None:
            row = ROWS.take(given.count) if law else (0, 0)
        seed, first = row
        try:
            return call(self.encoder, given, **law, seed=seed, first_index=first, num_threads=threads, **options)
        except UnicodeEncodeError as error:  # the rows are gathered while the first are at work
            raise TypeError(f"input holds a str with a lone surrogate, which has no UTF-8: {error}") from None

    def arrays(
        self, texts: Sequence[str | bytes], law: Law, threads: int, prefix_id: int, suffix_id: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """(ids, offsets) of the texts, as in a Batch."""
        ids, offsets, _ = self._run(texts, law, threads, prefix_id=prefix_id, suffix_id=suffix_id)
        return ids, offsets

    def id_rows(
        self, texts: Sequence[str | bytes], law: Law, threads: int, prefix_id: int, suffix_id: int
    ) -> list[list[int]]:
        """The ids of each text."""
        rows: list[list[int]] = self._run(texts, law, threads, call=id_lists, prefix_id=prefix_id, suffix_id=suffix_id)
        return rows

    def piece_rows(
        self,
        texts: Sequence[str | bytes],
        law: Law,
        threads: int,
        prefix_id: int,
        suffix_id: int,
        as_bytes: bool,
        row: Row | None = None,
    ) -> list[list[str]] | list[list[bytes]]:
        """The pieces of each text."""
        unknown: list[bytes] = []
        ids, offsets, _ = self._run(texts, law, threads, row, unknown=unknown, prefix_id=prefix_id, suffix_id=suffix_id)
        return self.strings.rows(ids, offsets, unknown, as_bytes)

    def mappings(self, texts: Sequence[str | bytes], law: Law, threads: int, as_bytes: bool) -> list[dict[str, Any]]:
        """ids, pieces and offsets of each text: in bytes or in characters, as asked for, whatever the text is."""
        if as_bytes:
            texts = [text.encode("utf-8") if isinstance(text, str) else text for text in texts]
        else:
            texts = [text if isinstance(text, str) else _decoded(text) for text in texts]
        unknown: list[bytes] = []
        ids, offsets, spans = self._run(texts, law, threads, with_spans=True, unknown=unknown)
        rows = offset_mappings(self.strings, ids, offsets, spans, unknown, as_bytes)
        if not as_bytes:
            for row, text in zip(rows, texts, strict=True):
                if isinstance(text, bytes):  # not valid UTF-8
                    characters = character_positions(text)
                    row["offsets"] = [(characters(begin), characters(end)) for begin, end in row["offsets"]]
        return rows

    def serialized(self, texts: Sequence[bytes], law: Law, threads: int) -> list[bytes]:
        """The message of each text in wire format."""
        unknown: list[bytes] = []
        ids, offsets, spans = self._run(texts, law, threads, with_spans=True, unknown=unknown)
        return serialize(self.strings, list(texts), ids, offsets, spans, unknown, self.values_of_bytes)

    def tokens(self, texts: Sequence[bytes], law: Law, threads: int, draws: int = 1, **options: Any) -> list[Tokens]:
        """All that is known of the segmentations, row i·draws + j being draw j of text i."""
        unknown: list[bytes] = []
        ids, offsets, spans = self._run(texts, law, threads, with_spans=True, unknown=unknown, draws=draws, **options)
        pieces: Any = self.strings.rows(ids, offsets, unknown, True)
        return [Tokens(*row) for row in zip(lists(ids, offsets), pieces, pairs(spans, offsets), strict=True)]

    # -- several segmentations of one text ---------------------------------------------------------

    def best(self, text: bytes, count: int) -> list[tuple[Tokens, float]]:
        """The `count` best segmentations with their scores; the score of a single one is given as 0.0."""
        if count <= 1:
            return [(self.tokens([text], BEST, 1)[0], 0.0)]
        paths = nbest(self.encoder, rows_of((text,)).complete(), count)
        spelled = self._spelled(text, [paths.tokens(rank) for rank in range(len(paths))])
        return [(tokens, paths.score(rank)) for rank, tokens in enumerate(spelled)]

    def best_ids(self, text: bytes, count: int) -> list[list[int]]:
        """The ids of the `count` best segmentations."""
        if count <= 1:
            return [self.ids(text, BEST)]
        paths = nbest(self.encoder, rows_of((text,)).complete(), count)
        return [paths.ids(rank) for rank in range(len(paths))]

    def samples(self, text: bytes, count: int, alpha: float) -> list[tuple[Tokens, float]]:
        """`count` independent samples from all segmentations, each with its log-probability."""
        log_probs = np.empty(count, np.float64)
        rows = self.tokens([text], self.law(-1, alpha), 1, count, log_probs=log_probs)
        return list(zip(rows, log_probs.tolist(), strict=True))

    def different(self, text: bytes, count: int, alpha: float, include_best: bool) -> list[tuple[Tokens, float]]:
        """`count` different samples, fewer where there are fewer, each with its log inclusion probability."""
        seed, index = ROWS.take(1)
        weights = self.tokenizer._weight_table(alpha)
        paths, _ = different_paths(
            self.encoder, rows_of((text,)).complete(), weights, count, alpha, seed, index, include_best
        )
        spelled = self._spelled(text, [path.tokens.tolist() for path in paths])
        return [(tokens, path.log_inclusion) for tokens, path in zip(spelled, paths, strict=True)]

    def _spelled(self, text: bytes, paths: list[list[int]]) -> list[Tokens]:
        """Paths of the engine's lattice as tokens: unknown characters merged, or in bytes."""
        normalized, origins = align(self.encoder, text)
        unknown = len(self.strings)
        byte_ids = self.model.byte_pieces().tolist() if self.model.byte_fallback else None
        places = origins.tolist()
        return [self._spell(path, normalized, places, unknown, byte_ids) for path in paths]

    def _spell(
        self, path: list[int], normalized: bytes, origins: list[int], unknown: int, byte_ids: list[int] | None
    ) -> Tokens:
        ids: list[int] = []
        pieces: list[bytes] = []
        spans: list[tuple[int, int]] = []
        at = 0
        merges = False
        for token in path:
            size = character_size(normalized[at]) if token == unknown else len(self.strings[token].encode("utf-8"))
            piece = normalized[at : at + size]
            begin, end = origins[at], origins[at + size]
            if token != unknown:
                ids.append(token)
                pieces.append(piece)
                spans.append((begin, end))
            elif byte_ids is not None:
                for k, byte in enumerate(piece):
                    ids.append(byte_ids[byte])
                    pieces.append(b"<0x%02X>" % byte)
                    spans.append((begin, end if k == size - 1 else begin))
            elif merges:
                pieces[-1] += piece
                spans[-1] = (spans[-1][0], end)
            else:
                ids.append(self.unknown_id)
                pieces.append(piece)
                spans.append((begin, end))
            merges = token == unknown
            at += size
        return Tokens(ids, pieces, spans)

    def message(self, text: bytes, tokens: Tokens, score: float | None = None) -> SentencePieceText:
        """The segmentation as a message. Of the bytes that spell one character, the last one has its surface."""
        return SentencePieceText(text, partial(self._message_pieces, text, tokens), score)

    def _message_pieces(self, text: bytes, tokens: Tokens) -> list[SentencePiece]:
        pieces = []
        following = 0  # bytes of the character that are still to come
        for id, piece, (begin, end) in zip(*tokens, strict=True):
            surface: bytes | None = text[begin:end]
            value = self.byte_values.get(id)
            if value is not None:
                following = following - 1 if following else character_size(value) - 1
                if following:
                    surface = None
            pieces.append(SentencePiece(piece, id, surface, begin, end))
        return pieces


def character_size(first: int) -> int:
    """The bytes of a character of valid UTF-8, from its first byte."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def _decoded(text: bytes) -> str | bytes:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text
