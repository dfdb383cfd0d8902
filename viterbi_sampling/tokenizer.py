"""Tokenizer: what users meet."""

from __future__ import annotations

import math
import operator
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling import formats
from viterbi_sampling.batch import Batch, Encoding
from viterbi_sampling.engine.cuts import Cuts
from viterbi_sampling.engine.decoder import Decoder
from viterbi_sampling.engine.encoder import ALGORITHMS, Encoder, piece_trie, spell_spaces
from viterbi_sampling.engine.normalizer import Normalizer
from viterbi_sampling.errors import ModelError
from viterbi_sampling.model import SPACE, Model, NormalizerRules, Pieces, PieceType
from viterbi_sampling.texts import rows_of

if TYPE_CHECKING:
    from viterbi_sampling.engine.encoder import WeightTable

Text = str | bytes
Texts = Iterable[Text]
Seed = int | np.random.Generator | None

SAMPLERS = tuple(name for name in ALGORITHMS if name != "viterbi")
DEFAULT_MODEL = "default.model"
WEIGHT_TABLES = 8
"""Tables of edge weights that a tokenizer keeps, one for each alpha it was used with last."""


class Tokenizer:
    """A Unigram tokenizer: sentencepiece's ids, and random segmentations with an exact law.

    Immutable and thread-safe; pickling keeps the model's bytes. Texts are str or UTF-8 bytes (bytes
    that are not valid UTF-8 become U+FFFD, one each).

    >>> tokenizer = Tokenizer.default()
    >>> ids = tokenizer.encode("Hello, world!")
    >>> tokenizer.decode(ids)
    'Hello, world!'
    """

    def __init__(self, model: Model) -> None:
        """A tokenizer for a model in memory; see from_file for model files. ModelError where it cannot be used."""
        self._model = model
        self._encoder = _encoder(model)
        self._decoder, self._denormalize = _decoder(model)
        self._weights: OrderedDict[float, WeightTable] = OrderedDict()
        self._lock = threading.Lock()
        self._ids: dict[str, int] | None = None
        unknown = model.ids_of_type(PieceType.UNKNOWN)
        self._unknown_id = int(unknown[0]) if len(unknown) else None
        special = {model.pieces[int(i)]: int(i) for i in model.ids_of_type(PieceType.CONTROL)}
        self._bos_id = special.get(model.bos_piece)
        self._eos_id = special.get(model.eos_piece)
        self._pad_id = special.get(model.pad_piece)

    # -- loading and saving ------------------------------------------------------------------------

    @classmethod
    def default(cls) -> Tokenizer:
        """The small multilingual model that comes with the package; decode(encode(text)) == text for every text.

        >>> len(Tokenizer.default()) > 1000
        True
        """
        return cls.from_bytes(resources.files("viterbi_sampling.data").joinpath(DEFAULT_MODEL).read_bytes())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """The tokenizer in a model file: a sentencepiece ``.model`` of the Unigram type.

        The format is told from the content. ModelError names the file and what is wrong with it;
        OSError where it cannot be read.
        """
        data = Path(path).read_bytes()
        try:
            return cls.from_bytes(data)
        except ModelError as error:
            raise ModelError(f"{os.fspath(path)}: {error}") from None

    @classmethod
    def from_bytes(cls, data: bytes, *, format: str | None = None) -> Tokenizer:
        """The tokenizer in the content of a model file; `format` is told from it unless given ("sentencepiece")."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        return cls(formats.read(bytes(data), format))

    @classmethod
    def from_pieces(cls, pieces: Mapping[str, float], *, unk_score: float | None = None) -> Tokenizer:
        """A bare lattice over `pieces` (piece to log-probability): no normalization, ids in the given order.

        With `unk_score`, one more piece ``<unk>`` comes last, and an unknown character costs that
        much. Without it, a text that no path covers is a ValueError when it is encoded. Scores are
        kept and added in double precision. ModelError for pieces that cannot be used.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> tokenizer.tokenize("abb")
        ['ab', 'b']
        """
        names = list(pieces)
        scores = [float(score) for score in pieces.values()]
        types = [int(PieceType.NORMAL)] * len(names)
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"pieces must be str, not {type(name).__name__}: {name!r}")
        if unk_score is not None:
            if not math.isfinite(unk_score):
                raise ValueError(f"unk_score must be a finite number, got {unk_score!r}")
            names.append("<unk>")
            scores.append(0.0)
            types.append(int(PieceType.UNKNOWN))
        model = Model(
            pieces=Pieces.from_strings(names, scores, types),
            normalizer=NormalizerRules("identity", b"", False, False, False),
            unknown_score=None if unk_score is None else float(unk_score),
            single_precision=False,
        )
        model.check()
        return cls(model)

    def save(self, path: str | os.PathLike[str], *, format: str | None = None) -> None:
        """Write the model to a file, by default in the format it came in ("sentencepiece" for from_pieces).

        ModelError where the format cannot hold the model; nothing is written then.
        """
        data = formats.write(self._model, format)
        Path(path).write_bytes(data)

    def __reduce__(self) -> tuple[Callable[..., Tokenizer], tuple[Any, ...]]:
        if self._model.source:
            return Tokenizer.from_bytes, (self._model.source,)
        pieces = self._model.pieces
        count = len(pieces) - (self._unknown_id is not None)
        return _from_pieces, (
            [pieces[i] for i in range(count)],
            pieces.scores[:count].tolist(),
            self._model.unknown_score,
        )

    def __repr__(self) -> str:
        model = self._model
        return f"<Tokenizer: {len(self)} pieces, normalizer {model.normalizer.name or 'identity'!r}>"

    # -- vocabulary --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._model.pieces)

    @property
    def vocab_size(self) -> int:
        """The number of pieces."""
        return len(self)

    @property
    def unk_id(self) -> int | None:
        """The id of the unknown piece, None where the model has none."""
        return self._unknown_id

    @property
    def bos_id(self) -> int | None:
        """The id of the control piece that begins a sequence, None where the model has none."""
        return self._bos_id

    @property
    def eos_id(self) -> int | None:
        """The id of the control piece that ends a sequence, None where the model has none."""
        return self._eos_id

    @property
    def pad_id(self) -> int | None:
        """The id of the control piece for padding, None where the model has none."""
        return self._pad_id

    def piece_to_id(self, piece: str) -> int:
        """The id of `piece`. KeyError where the vocabulary has no such piece.

        Where a control and a normal piece are spelled alike, the control piece is meant, as in sentencepiece.
        """
        if not isinstance(piece, str):
            raise TypeError(f"piece must be str, not {type(piece).__name__}")
        if self._ids is None:
            pieces = self._model.pieces
            reserved = np.isin(pieces.types, (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.BYTE))
            ids = {pieces[i]: i for i in range(len(pieces))}
            ids.update((pieces[int(i)], int(i)) for i in np.flatnonzero(reserved))
            self._ids = ids
        try:
            return self._ids[piece]
        except KeyError:
            raise KeyError(f"the vocabulary has no piece {piece!r}") from None

    def id_to_piece(self, id: int) -> str:
        """The piece of an id. ValueError where it is not one of 0 to len - 1."""
        return self._model.pieces[self._checked_id(id)]

    def score(self, id: int) -> float:
        """The score (log-probability) that the model gives the piece of an id."""
        return float(self._model.pieces.scores[self._checked_id(id)])

    def _checked_id(self, id: int) -> int:
        index = operator.index(id)
        if not 0 <= index < len(self):
            raise ValueError(f"id must be 0 to {len(self) - 1}, got {index}")
        return index

    # -- deterministic -----------------------------------------------------------------------------

    def encode(self, text: Text, *, add_bos: bool = False, add_eos: bool = False) -> list[int]:
        """The ids of the best segmentation (Viterbi), those of sentencepiece 0.2.3 to the last tie.

        `add_bos`, `add_eos`: put the model's bos or eos id around them; ValueError where it has none.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5}).encode("abb")
        [2, 1]
        """
        ids, _, _ = self._encoder.run(_one(text), **self._ends(add_bos, add_eos))
        return ids.tolist()  # type: ignore[no-any-return]

    def tokenize(self, text: Text) -> list[str]:
        """The pieces of the best segmentation; joined, they are the normalized text.

        A run of unknown characters is one piece; with byte fallback the bytes are spelled ``<0xNN>``.
        """
        ids, _, pieces = self._encoder.segment(_one(text))
        return self._pieces(ids, pieces)

    def encode_with_offsets(self, text: Text) -> Encoding:
        """The best segmentation with its pieces and where in the text they come from.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5}).encode_with_offsets("abb")
        Encoding(ids=[2, 1], pieces=['ab', 'b'], offsets=[(0, 2), (2, 3)])
        """
        ids, spans, pieces = self._encoder.segment(_one(text))
        return Encoding(ids, self._pieces(ids, pieces), spans)

    def encode_batch(
        self,
        texts: Texts,
        *,
        add_bos: bool = False,
        add_eos: bool = False,
        with_offsets: bool = False,
        num_threads: int | None = None,
    ) -> Batch:
        """The best segmentation of each text, in flat arrays.

        `texts`: a list, any sequence, a numpy or pandas column, or an Arrow string array; a null is
        a TypeError. `with_offsets` fills `Batch.spans`. `num_threads`: None for all that the process
        may use; the result is the same at any count.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0}).encode_batch(["ab", "a"]).to_list()
        [[0, 1], [0]]
        """
        ids, offsets, spans = self._encoder.run(
            rows_of(_sequence(texts)),
            with_spans=with_offsets,
            num_threads=_threads(num_threads),
            **self._ends(add_bos, add_eos),
        )
        return Batch(ids, offsets, spans)

    def decode(self, ids: Sequence[int] | npt.NDArray[np.integer[Any]]) -> str:
        """The text of a sequence of ids. ValueError where an id is not one of the vocabulary."""
        array = self._checked_ids(ids)
        return self._texts(array, np.array([0, len(array)], np.int64))[0]

    def decode_batch(self, batch: Batch | Iterable[Sequence[int] | npt.NDArray[np.integer[Any]]]) -> list[str]:
        """The text of each row of a Batch, or of each sequence of ids."""
        if isinstance(batch, Batch):
            return self._texts(self._checked_ids(batch.ids), np.ascontiguousarray(batch.offsets, np.int64))
        rows = [self._checked_ids(row) for row in batch]
        bounds = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=bounds[1:])
        return self._texts(np.concatenate(rows) if rows else np.zeros(0, np.int32), bounds)

    def normalize(self, text: Text) -> str:
        """The text that is segmented: rewritten by the model's rules, spaces as U+2581."""
        _one(text)
        data = text.encode("utf-8") if isinstance(text, str) else text
        return self._encoder.normalize(data).decode("utf-8")

    # -- stochastic --------------------------------------------------------------------------------

    def sample(
        self,
        text: Text,
        *,
        alpha: float,
        algorithm: str = "perfect",
        nbest_size: int | None = None,
        seed: Seed = None,
        index: int = 0,
        draw: int = 0,
        add_bos: bool = False,
        add_eos: bool = False,
    ) -> list[int]:
        """The ids of one random segmentation, a pure function of (model, text, parameters, seed, index).

        alpha : inverse temperature, finite and at least 0: 0 is uniform over all segmentations, 1 the
            model's own law, large tends to the best path
        algorithm : "perfect" and "ffbs" follow p(segmentation) ∝ exp(alpha · score) exactly;
            "viterbi_sampling" is the original Viterbi Sampling, whose law is biased, kept for study
        seed : an int from 0 to 2^64 - 1, a numpy Generator (one key is drawn from it), or None for
            fresh entropy
        index : which of the seed's streams, from 0 to 2^64 - 1: a row number, epoch · N + i, a hash
        draw : which of several independent samples for the same index, as `n` of sample_batch draws them

        Source: Kudo 2018, "Subword Regularization" (the law); Su 2023 (Viterbi and perfect sampling).

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> [tokenizer.tokenize("abab"), *(tokenizer.sample("abab", alpha=0.5, seed=7, index=i) for i in range(3))]
        [['ab', 'ab'], [0, 1, 2], [0, 1, 2], [2, 2]]
        """
        parameters = self._sampling(alpha, algorithm, nbest_size, seed)
        ids, _, _ = self._encoder.run(
            _one(text),
            first_index=_word(index, "index"),
            first_draw=_word(draw, "draw"),
            **parameters,
            **self._ends(add_bos, add_eos),
        )
        return ids.tolist()  # type: ignore[no-any-return]

    def sample_with_offsets(
        self,
        text: Text,
        *,
        alpha: float,
        algorithm: str = "perfect",
        nbest_size: int | None = None,
        seed: Seed = None,
        index: int = 0,
        draw: int = 0,
    ) -> Encoding:
        """What `sample` gives for the same arguments, with its pieces and where in the text they come from."""
        parameters = self._sampling(alpha, algorithm, nbest_size, seed)
        ids, spans, pieces = self._encoder.segment(
            _one(text), index=_word(index, "index"), draw=_word(draw, "draw"), **parameters
        )
        return Encoding(ids, self._pieces(ids, pieces), spans)

    def sample_batch(
        self,
        texts: Texts,
        *,
        alpha: float,
        algorithm: str = "perfect",
        nbest_size: int | None = None,
        n: int = 1,
        seed: Seed = None,
        index: int | npt.ArrayLike = 0,
        num_threads: int | None = None,
        with_offsets: bool = False,
        add_bos: bool = False,
        add_eos: bool = False,
    ) -> Batch:
        """`n` random segmentations of each text, in flat arrays: row i·n + j is draw j of text i.

        `index`: an int, text i then has index + i (modulo 2^64); or an array with one index a text.
        Row i·n + j is ``sample(texts[i], seed=seed, index=its index, draw=j)`` whatever else the
        batch holds, and however many threads run. The other parameters are those of `sample` and
        `encode_batch`.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> batch = tokenizer.sample_batch(["abab", "ab"], alpha=0.5, n=2, seed=7)
        >>> batch[0].tolist() == tokenizer.sample("abab", alpha=0.5, seed=7, index=0)
        True
        """
        draws = operator.index(n)
        if draws < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        parameters = self._sampling(alpha, algorithm, nbest_size, seed)
        rows = rows_of(_sequence(texts))
        first, indices = _indices(index, rows.count)
        ids, offsets, spans = self._encoder.run(
            rows,
            first_index=first,
            indices=indices,
            draws=draws,
            with_spans=with_offsets,
            num_threads=_threads(num_threads),
            **parameters,
            **self._ends(add_bos, add_eos),
        )
        return Batch(ids, offsets, spans)

    # -- arguments ---------------------------------------------------------------------------------

    def _sampling(self, alpha: float, algorithm: str, nbest_size: int | None, seed: Seed) -> dict[str, Any]:
        if algorithm not in SAMPLERS:
            raise ValueError(f"algorithm must be one of {', '.join(SAMPLERS)}, got {algorithm!r}")
        if nbest_size is not None:
            raise ValueError(f"nbest_size goes with algorithm='nbest' only, got {nbest_size!r} with {algorithm!r}")
        try:
            value = float(alpha)
        except (TypeError, ValueError):
            raise TypeError(f"alpha must be a number, not {type(alpha).__name__}") from None
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"alpha must be finite and at least 0, got {alpha!r}")
        return {"algorithm": algorithm, "alpha": value, "weights": self._weight_table(value), "seed": _key(seed)}

    def _weight_table(self, alpha: float) -> WeightTable:
        with self._lock:
            if alpha in self._weights:
                self._weights.move_to_end(alpha)
                return self._weights[alpha]
        table = self._encoder.weights(alpha)
        with self._lock:
            self._weights[alpha] = table
            while len(self._weights) > WEIGHT_TABLES:
                self._weights.popitem(last=False)
        return table

    def _ends(self, add_bos: bool, add_eos: bool) -> dict[str, Any]:
        if add_bos and self._bos_id is None:
            raise ValueError(f"add_bos: the model has no control piece {self._model.bos_piece!r}")
        if add_eos and self._eos_id is None:
            raise ValueError(f"add_eos: the model has no control piece {self._model.eos_piece!r}")
        return {"prefix_id": self._bos_id if add_bos else -1, "suffix_id": self._eos_id if add_eos else -1}

    def _pieces(self, ids: list[int], unknown: list[bytes | None]) -> list[str]:
        pieces = self._model.pieces
        return [
            pieces[id] if surface is None else surface.decode("utf-8") for id, surface in zip(ids, unknown, strict=True)
        ]

    def _checked_ids(self, ids: Sequence[int] | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        if isinstance(ids, str | bytes):
            raise TypeError(f"ids must be a sequence of int, not {type(ids).__name__}")
        try:
            array = np.asarray(ids)
        except (ValueError, OverflowError) as error:
            raise TypeError(f"ids must be a flat sequence of int: {error}") from None
        whole = np.issubdtype(array.dtype, np.integer) or all(type(id) is int for id in array.flat)
        if array.ndim != 1 or not whole:
            raise TypeError(f"ids must be a flat sequence of int, got {array.dtype} of {array.ndim} dimensions")
        outside = (array < 0) | (array >= len(self))
        if outside.any():
            at = int(np.flatnonzero(outside)[0])
            raise ValueError(f"ids[{at}] = {array[at]} is not an id of this model: ids are 0 to {len(self) - 1}")
        return np.ascontiguousarray(array, np.int32)

    def _texts(self, ids: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]) -> list[str]:
        texts = self._decoder.decode(ids, bounds)
        if self._denormalize is not None:
            texts = [self._denormalize.normalize(text.encode("utf-8")).decode("utf-8") for text in texts]
        return texts


def _from_pieces(pieces: list[str], scores: list[float], unk_score: float | None) -> Tokenizer:
    return Tokenizer.from_pieces(dict(zip(pieces, scores, strict=True)), unk_score=unk_score)


def _one(text: Text) -> Any:
    if not isinstance(text, str | bytes):
        raise TypeError(f"text must be str or UTF-8 bytes, not {type(text).__name__}")
    return rows_of((text,))


def _sequence(texts: Texts) -> Iterable[Any]:
    if isinstance(texts, str | bytes):
        raise TypeError(f"texts must be a sequence of texts, not one {type(texts).__name__}; encode takes one text")
    if hasattr(texts, "to_pylist"):  # an Arrow array or chunked array
        return texts.to_pylist()  # type: ignore[no-any-return]
    if hasattr(texts, "tolist"):  # a numpy or pandas column
        return texts.tolist()  # type: ignore[no-any-return]
    try:
        return tuple(texts)
    except TypeError:
        raise TypeError(f"texts must be a sequence of str or bytes, not {type(texts).__name__}") from None


def _threads(num_threads: int | None) -> int:
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = operator.index(num_threads)
    if count < 1:
        raise ValueError(f"num_threads must be at least 1, or None for all, got {num_threads}")
    return min(count, 1024)


def _key(seed: Seed) -> int:
    if seed is None:
        return secrets.randbits(64)
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(0, 2**64, dtype=np.uint64))
    return _word(seed, "seed")


def _word(value: Any, name: str) -> int:
    try:
        word = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
    if not 0 <= word < 2**64:
        raise ValueError(f"{name} must be from 0 to 2**64 - 1, got {word}")
    return word


def _indices(index: int | npt.ArrayLike, rows: int) -> tuple[int, npt.NDArray[np.uint64] | None]:
    """(index of the first row, None), or (0, one index a row)."""
    if np.ndim(index) == 0:
        return _word(index, "index"), None
    array = np.asarray(index)
    if array.shape != (rows,):
        raise ValueError(f"index must be an int or have one entry a text: {rows} texts, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        array = np.array([_word(entry, f"index[{i}]") for i, entry in enumerate(array.tolist())], np.uint64)
    if array.size and array.dtype.kind == "i" and array.min() < 0:
        at = int(np.argmin(array))
        raise ValueError(f"index[{at}] must be from 0 to 2**64 - 1, got {array[at]}")
    return 0, np.ascontiguousarray(array, np.uint64)


def _encoder(model: Model) -> Encoder:
    """The engine's tables for a model."""
    pieces = model.pieces
    rules = model.normalizer
    text = np.frombuffer(pieces.text, np.uint8)
    types = pieces.types
    scores = pieces.scores.copy()
    lengths = np.diff(pieces.offsets)
    # A user-defined piece is always taken: its score is positive and grows with its length. sentencepiece counts
    # the length in bytes when it decodes, in characters when it samples.
    defined = model.ids_of_type(PieceType.USER_DEFINED)
    viterbi_scores = scores.astype(np.float32)
    viterbi_scores[defined] = (0.1 * (lengths[defined] - 1)).astype(np.float32)
    for id in defined:
        scores[id] = float(np.float32(0.1 * (len(pieces[int(id)]) - 1)))
    matched = np.isin(types, (PieceType.NORMAL, PieceType.USER_DEFINED))
    named = np.isin(types, (PieceType.NORMAL, PieceType.USER_DEFINED, PieceType.UNUSED))
    _refuse_twins(model, named)
    if rules.escape_whitespaces:
        trie_text, trie_offsets, holding_space = spell_spaces(text, pieces.offsets)
        matched[holding_space] = False
    else:
        trie_text, trie_offsets = text, pieces.offsets
    if not matched.any():
        raise ModelError("no piece of the model can match a text: none is NORMAL or USER_DEFINED")
    ids = np.flatnonzero(matched).astype(np.int32)
    trie = piece_trie(trie_text, trie_offsets, ids, viterbi_scores)
    symbols = None
    if len(defined):
        symbols = piece_trie(text, pieces.offsets, defined.astype(np.int32), viterbi_scores)
    normalizer = Normalizer(
        rules.charsmap,
        symbols,
        rules.add_dummy_prefix,
        rules.remove_extra_whitespaces,
        rules.escape_whitespaces,
        rules.whitespace_as_suffix,
    )
    unknown = model.ids_of_type(PieceType.UNKNOWN)
    unknown_score = 0.0 if model.unknown_score is None else model.unknown_score
    return Encoder(
        normalizer,
        trie,
        Cuts(trie_text, trie_offsets, ids),
        np.append(scores, unknown_score),
        np.append(viterbi_scores, np.float32(unknown_score)),
        np.append(np.diff(trie_offsets), 0).astype(np.int32),
        model.single_precision,
        model.unknown_score,
        int(unknown[0]) if len(unknown) else -1,
        model.byte_fallback,
        model.byte_pieces() if model.byte_fallback else np.full(256, -1, np.int32),
        rules.escape_whitespaces,
    )


def _refuse_twins(model: Model, named: npt.NDArray[np.bool_]) -> None:
    """Equal pieces that the trie would not show: reserved ones, and unused ones."""
    pieces = model.pieces
    for group in (~named, named & (pieces.types == PieceType.UNUSED)):
        seen: dict[str, int] = {}
        for id in np.flatnonzero(group):
            piece = pieces[int(id)]
            if piece in seen:
                raise ModelError(f"pieces {seen[piece]} and {id} are both {piece!r}")
            seen[piece] = int(id)


def _decoder(model: Model) -> tuple[Decoder, Normalizer | None]:
    """The engine's tables to decode, and the normalizer that its texts go through, if any."""
    pieces = model.pieces
    rules = model.normalizer
    text = np.frombuffer(pieces.text, np.uint8)
    kinds = np.zeros(len(pieces), np.uint8)
    for kind, piece_type in ((1, PieceType.CONTROL), (2, PieceType.UNKNOWN), (3, PieceType.BYTE)):
        kinds[pieces.types == piece_type] = kind
    byte_values = np.zeros(len(pieces), np.uint8)
    if model.byte_fallback:
        byte_values[model.byte_pieces()] = np.arange(256)
    mark = SPACE.encode("utf-8")
    starts = pieces.offsets[:-1]
    padded = np.append(text, np.zeros(len(mark), np.uint8))
    spaced = np.diff(pieces.offsets) >= len(mark)
    for i, byte in enumerate(mark):
        spaced &= padded[starts + i] == byte
    kinds[spaced] |= 8
    surface, offsets, _ = spell_spaces(text, pieces.offsets)
    strip_first = rules.add_dummy_prefix or rules.remove_extra_whitespaces
    decoder = Decoder(
        surface,
        offsets,
        kinds,
        byte_values,
        model.unk_surface.encode("utf-8"),
        strip_first,
        rules.remove_extra_whitespaces,
    )
    if model.denormalizer is None:
        return decoder, None
    back = model.denormalizer
    return decoder, Normalizer(
        back.charsmap, None, back.add_dummy_prefix, back.remove_extra_whitespaces, back.escape_whitespaces, False
    )
