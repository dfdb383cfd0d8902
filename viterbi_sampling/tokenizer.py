"""Tokenizer: what users meet."""

from __future__ import annotations

import math
import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling import formats
from viterbi_sampling.arguments import (
    Seed,
    Text,
    Texts,
    checked_law,
    indices_of,
    inverse_temperature,
    key_of_seed,
    one_row,
    rows_of,
    rows_to_gather,
    thread_count,
    word,
)
from viterbi_sampling.batch import Batch, Encoding, Segmentation
from viterbi_sampling.engine.counting import count_paths
from viterbi_sampling.engine.driver import ALGORITHMS, id_lists, run, segment
from viterbi_sampling.engine.edges import replace
from viterbi_sampling.engine.id_rows import IdRows, rows_of_array, rows_of_lists
from viterbi_sampling.engine.quantities import Analysis, analyse
from viterbi_sampling.engine.rows import Rows
from viterbi_sampling.errors import ModelError
from viterbi_sampling.lattice import Lattice, Marginals
from viterbi_sampling.model import Model, NormalizerRules, Pieces, PieceType
from viterbi_sampling.segmentations import best_segmentations, different_segmentations, log_probability
from viterbi_sampling.tables import decoder_of, encoder_of
from viterbi_sampling.texts import encode as encode_text
from viterbi_sampling.texts import sample as sample_text

if TYPE_CHECKING:
    from viterbi_sampling.engine.decoder import Decoder
    from viterbi_sampling.engine.encoder import WeightTable
    from viterbi_sampling.engine.normalizer import Normalizer
    from viterbi_sampling.steps.decoders import PipelineDecoder
    from viterbi_sampling.steps.preparation import Prepared
    from viterbi_sampling.steps.texts import PipelineTexts

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
        self._encoder = encoder_of(model)
        self._pipeline: PipelineTexts | None = None
        if model.pipeline is not None:
            from viterbi_sampling.steps.texts import PipelineTexts  # what only a tokenizer.json needs

            self._pipeline = PipelineTexts(model.pipeline, self._encoder.is_verbatim())
            _ = self._decoding  # its errors belong to loading
        self._weights: OrderedDict[float, WeightTable] = OrderedDict()
        self._last_weights: tuple[float, WeightTable] | None = None
        self._lock = threading.Lock()
        self._ids: dict[str | bytes, int] | None = None
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
        from importlib import resources  # slow to import

        return cls.from_bytes(resources.files("viterbi_sampling.data").joinpath(DEFAULT_MODEL).read_bytes())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """The tokenizer in a model file: a sentencepiece ``.model`` or a Hugging Face tokenizer.json of the Unigram
        type, or a BytePiece model, which is JSON or the zip that it ships in.

        The format is told from the content. ModelError names the file and what is wrong with it;
        OSError where it cannot be read.
        """
        with open(path, "rb") as file:
            data = file.read()
        try:
            return cls.from_bytes(data)
        except ModelError as error:
            raise ModelError(f"{os.fspath(path)}: {error}") from None

    @classmethod
    def from_bytes(cls, data: bytes, *, format: str | None = None) -> Tokenizer:
        """The tokenizer in the content of a model file.

        `format` is told from it unless given: "sentencepiece" or "bytepiece".
        """
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

    def save(self, path: str | os.PathLike[str], *, format: str | None = None, exact: bool = True) -> None:
        """Write the model to a file, by default in the format it came in ("sentencepiece" for from_pieces).

        A BytePiece model that came in a zip is written as the JSON in it. ModelError where the format
        cannot hold the model, or would give other ids to a class of ordinary texts, as those that end
        with a space (with ``exact=False`` such a file is written); nothing is written then.
        """
        data = formats.write(self._model, format, exact)
        with open(path, "wb") as file:
            file.write(data)

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

    @property
    def cache_bytes(self) -> int:
        """The most memory that the words kept by one thread take, 40 MB if not set; no result depends on it.

        0 keeps no words, which is several times slower on ordinary text; a cache has at least 1 MB
        (``1 << 20``). Each algorithm and alpha has words of its own: those of the four used last are
        kept, for each thread of a call. Setting it forgets them. It is not pickled with the tokenizer.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0})
        >>> tokenizer.cache_bytes = 8 << 20
        """
        return self._encoder.cache_bytes

    @cache_bytes.setter
    def cache_bytes(self, most: int) -> None:
        if most < 0:
            raise ValueError(f"cache_bytes must be 0 or at least {1 << 20}, got {most}")
        self._encoder.limit_cache(most)

    def piece_to_id(self, piece: str | bytes) -> int:
        """The id of `piece`. KeyError where the vocabulary has no such piece.

        Where a control and a normal piece are spelled alike, the control piece is meant, as in sentencepiece. The
        pieces of a BytePiece model can be given as bytes, too, which is never ambiguous.
        """
        if not isinstance(piece, str | bytes) or (isinstance(piece, bytes) and not self._model.bytewise):
            raise TypeError(f"piece must be str, not {type(piece).__name__}")
        if self._ids is None:
            self._ids = self._ids_of_pieces()
        try:
            return self._ids[piece]
        except KeyError:
            raise KeyError(f"the vocabulary has no piece {piece!r}") from None

    def _ids_of_pieces(self) -> dict[str | bytes, int]:
        pieces = self._model.pieces
        ids: dict[str | bytes, int] = {pieces[i]: i for i in range(len(pieces))}
        normal = np.flatnonzero(
            np.isin(pieces.types, (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.BYTE), invert=True)
        )
        if self._model.bytewise:
            spelled_out: dict[str | bytes, int] = {pieces.bytes_of(int(i)): int(i) for i in normal}
            ids.update(spelled_out)
            # A piece that is "<0xE4>" comes before the spelling of a byte.
            ids.update((pieces[i], i) for piece, i in spelled_out.items() if pieces[i].encode() == piece)
        reserved = np.setdiff1d(np.arange(len(pieces)), normal)
        ids.update((pieces[int(i)], int(i)) for i in reserved)
        return ids

    def id_to_piece(self, id: int) -> str:
        """The piece of an id; bytes that are no character are spelled ``<0xNN>``.

        ValueError where the id is not one of 0 to len - 1.
        """
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
        prefix_id, suffix_id = self._ends(add_bos, add_eos)
        ids = None if self._prepares() else encode_text(self._encoder, text, prefix_id, suffix_id)
        if ids is None:
            return self.encode_batch([text], add_bos=add_bos, add_eos=add_eos, num_threads=1).to_list()[0]
        return ids

    def tokenize(self, text: Text) -> list[str]:
        """The pieces of the best segmentation; joined, they are the normalized text.

        A run of unknown characters is one piece. The bytes of byte fallback, and those bytes of a BytePiece model's
        pieces that are no character there, are spelled ``<0xNN>``.
        """
        return self._segment(text).pieces

    def encode_with_offsets(self, text: Text) -> Encoding:
        """The best segmentation with its pieces and where in the text they come from.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5}).encode_with_offsets("abb")
        Encoding(ids=[2, 1], pieces=['ab', 'b'], offsets=[(0, 2), (2, 3)])
        """
        return self._segment(text)

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

        `texts`: a list, any sequence, a numpy, pandas or Polars column, or an Arrow string or binary
        array; a null is a TypeError that names its row (`viterbi_sampling.pipelines.arrow` keeps
        them). Lists, Arrow columns, those that pandas and Polars hold too, and numpy's S are read in
        place, and must stay as they are during the call; RuntimeError where a list gets longer or
        shorter. `with_offsets` fills `Batch.spans`. `num_threads`:
        None for all that the process may use; the result is the same at any count.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0}).encode_batch(["ab", "a"]).to_list()
        [[0, 1], [0]]
        """
        prefix_id, suffix_id = self._ends(add_bos, add_eos)
        rows, prepared = self._rows(texts)
        ids, offsets, spans = run(
            self._encoder,
            rows,
            with_spans=with_offsets,
            num_threads=thread_count(num_threads),
            prefix_id=prefix_id,
            suffix_id=suffix_id,
        )
        spans = self._placed(spans, offsets, prepared)
        if spans is not None and self._trims():
            self._trim(spans, offsets, rows_of(texts), add_bos, add_eos, lambda text, row: self._segment(text))
        return Batch(ids, offsets, spans)

    def encode_lists(
        self, texts: Texts, *, add_bos: bool = False, add_eos: bool = False, num_threads: int | None = None
    ) -> list[list[int]]:
        """The best segmentation of each text as a list of int: what `encode_batch(...).to_list()` gives, in less time.

        The lists are made while the other threads go on. `texts` and `num_threads` as in encode_batch.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0}).encode_lists(["ab", "a"])
        [[0, 1], [0]]
        """
        prefix_id, suffix_id = self._ends(add_bos, add_eos)
        rows, _ = self._rows(texts)
        threads = thread_count(num_threads)
        return id_lists(self._encoder, rows, num_threads=threads, prefix_id=prefix_id, suffix_id=suffix_id)

    def decode(self, ids: Sequence[int] | npt.NDArray[np.integer[Any]]) -> str:
        """The text of a sequence of ids. ValueError where an id is not one of the vocabulary."""
        decoder, denormalizer = self._decoding
        text = decoder.decode_list(ids) if type(ids) is list else None
        if text is None:
            text = decoder.decode_list(self._checked_ids(ids).tolist())
            assert text is not None
        return text if denormalizer is None else _denormalized(denormalizer, text)

    def decode_batch(
        self,
        batch: Batch | Iterable[Sequence[int] | npt.NDArray[np.integer[Any]]],
        *,
        num_threads: int | None = None,
    ) -> list[str]:
        """The text of each row of a Batch, or of each sequence of ids; `num_threads` as in encode_batch.

        A list of rows is read in place, and must stay as it is meanwhile: RuntimeError where it gets longer or shorter.
        """
        if isinstance(batch, Batch):
            ids = batch.ids if batch.ids.dtype == np.int32 and batch.ids.ndim == 1 else self._checked_ids(batch.ids)
            bounds = np.ascontiguousarray(batch.offsets, np.int64)
            rows = rows_of_array(np.ascontiguousarray(ids), bounds, len(self))
        else:
            if not isinstance(batch, Iterable) or isinstance(batch, str | bytes):
                raise TypeError(f"batch must be a Batch or sequences of ids, not {type(batch).__name__}")
            given: list[Any] | tuple[Any, ...] = batch if type(batch) is list else tuple(batch)
            rows = rows_of_lists(given, len(self), self._checked_row)
        return self._texts(rows, thread_count(num_threads))

    def normalize(self, text: Text) -> str:
        """The text that is segmented: rewritten by the model's rules, spaces as U+2581."""
        one_row(text)
        data = text.encode("utf-8") if isinstance(text, str) else text
        if self._pipeline is None:
            return self._encoder.normalize(data).decode("utf-8")
        normalized = bytes(self._pipeline.prepare(text).text) if self._prepares() else self._encoder.normalize(data)
        return self._encoder.visible(self._pipeline.readable(normalized)).decode("utf-8")

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
        algorithm : "perfect" and "ffbs" follow p(segmentation) ∝ exp(alpha · score) exactly; "nbest"
            the same law over the `nbest_size` best segmentations only; "viterbi_sampling" is the
            original Viterbi Sampling, whose law is biased, kept for study
        nbest_size : for "nbest" and for no other
        seed : an int from 0 to 2^64 - 1, a numpy Generator (one key is drawn from it), or None for
            fresh entropy
        index : which of the seed's streams, from 0 to 2^64 - 1: a row number, epoch · N + i, a hash
        draw : which of several independent samples for the same index, as `n` of sample_batch draws them

        Source: Kudo 2018, "Subword Regularization" (the law); Su 2023 (Viterbi and perfect sampling).

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> sorted({tuple(tokenizer.sample("abb", alpha=0.5, seed=7, index=i)) for i in range(100)})
        [(0, 1, 1), (2, 1)]
        """
        parameters = self._sampling(alpha, algorithm, nbest_size, seed)
        prefix_id, suffix_id = self._ends(add_bos, add_eos)
        ids = None
        if nbest_size is None and not self._prepares():
            ids = sample_text(
                self._encoder,
                text,
                algorithm,
                ALGORITHMS[algorithm],
                parameters["alpha"],
                parameters["weights"],
                parameters["seed"],
                word(index, "index"),
                word(draw, "draw"),
                prefix_id,
                suffix_id,
            )
        if ids is not None:
            return ids
        array, _, _ = run(
            self._encoder,
            self._row(text),
            first_index=word(index, "index"),
            first_draw=word(draw, "draw"),
            prefix_id=prefix_id,
            suffix_id=suffix_id,
            **parameters,
        )
        return array.tolist()  # type: ignore[no-any-return]

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
        return self._segment(text, index=word(index, "index"), draw=word(draw, "draw"), **parameters)

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
        draw: int = 0,
        num_threads: int | None = None,
        with_log_probs: bool = False,
        with_offsets: bool = False,
        add_bos: bool = False,
        add_eos: bool = False,
    ) -> Batch:
        """`n` random segmentations of each text, in flat arrays: row i·n + j is draw `draw` + j of text i.

        `index`: an int, text i then has index + i (modulo 2^64); or an array with one index a text.
        Row i·n + j is ``sample(texts[i], seed=seed, index=its index, draw=draw + j)`` whatever else
        the batch holds, and however many threads run: fresh samples of the same rows, as in another
        epoch, take another `draw`. `with_log_probs` fills `Batch.log_probs` with the
        log-probability of each segmentation under its own law; that of "viterbi_sampling" has no
        closed form, and asking for it is a ValueError. The other parameters are those of `sample`
        and `encode_batch`.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> batch = tokenizer.sample_batch(["abab", "ab"], alpha=0.5, n=2, seed=7)
        >>> batch[0].tolist() == tokenizer.sample("abab", alpha=0.5, seed=7, index=0)
        True
        """
        draws = operator.index(n)
        if draws < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        checked_law(alpha, algorithm, nbest_size, with_log_probs)
        parameters = self._sampling(alpha, algorithm, nbest_size, seed)
        prefix_id, suffix_id = self._ends(add_bos, add_eos)
        rows, prepared = self._rows(texts)
        first, indices = indices_of(index, rows.count)
        log_probs = np.empty(rows.count * draws, np.float64) if with_log_probs else None
        ids, offsets, spans = run(
            self._encoder,
            rows,
            first_index=first,
            indices=indices,
            first_draw=word(draw, "draw"),
            draws=draws,
            log_probs=log_probs,
            with_spans=with_offsets,
            num_threads=thread_count(num_threads),
            **parameters,
            prefix_id=prefix_id,
            suffix_id=suffix_id,
        )
        spans = self._placed(spans, offsets, prepared, draws)
        if spans is not None and self._trims():

            def again(text: Text, row: int) -> Encoding:
                key = first + row // draws if indices is None else int(indices[row // draws])
                return self._segment(text, index=key % 2**64, draw=(draw + row % draws) % 2**64, **parameters)

            self._trim(spans, offsets, rows_of(texts), add_bos, add_eos, again, draws)
        return Batch(ids, offsets, spans, log_probs)

    def sample_without_replacement(
        self,
        text: Text,
        k: int,
        *,
        alpha: float,
        seed: Seed = None,
        index: int = 0,
        include_best: bool = False,
    ) -> list[Segmentation]:
        """`k` different random segmentations, all there are where there are fewer.

        Each comes with its log-probability under p ∝ exp(alpha · score), and its `log_inclusion`: the
        log-probability to be among those drawn, given the perturbed value of the first one left out,
        as in importance-weighted estimators. `include_best` puts the best segmentation first, with
        certainty; the others are then drawn from the rest.

        Source: Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them".

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> sorted(s.ids for s in tokenizer.sample_without_replacement("ab", 5, alpha=1.0, seed=1))
        [[0, 1], [2]]
        """
        count = operator.index(k)
        if count < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        value = inverse_temperature(alpha)
        return different_segmentations(
            self._encoder,
            self._row(text),
            self._weight_table(value),
            count,
            value,
            key_of_seed(seed),
            word(index, "index"),
            include_best,
        )

    def nbest(self, text: Text, k: int) -> list[Segmentation]:
        """The `k` best segmentations, best first, all there are where there are fewer: exact for any k and length.

        `log_prob` is that of the segmentation under alpha = 1. Scores are summed in double precision;
        of equal ones, as in `encode`, the one whose last piece starts earliest comes first. Memory: the
        best one, and of each other one the parts between two cuts where it differs; with the edges of
        these parts while it runs. A list of ids is made when it is asked for.

        Source: Huang and Chiang 2005, "Better k-best parsing".

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> [segmentation.ids for segmentation in tokenizer.nbest("abb", 9)]
        [[2, 1], [0, 1, 1]]
        """
        count = operator.index(k)
        if count < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        return best_segmentations(self._encoder, self._row(text), count, self.log_partition(text))

    # -- exact quantities of p(segmentation | text) ∝ exp(alpha · score(segmentation)) ---------------

    def log_partition(self, text: Text, *, alpha: float = 1.0) -> float:
        """log Z, the logarithm of the sum of exp(alpha · score) over all segmentations.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> round(tokenizer.log_partition("ab"), 6) == round(math.log(math.exp(-2) + math.exp(-1.5)), 6)
        True
        """
        return self._analysis(text, alpha).log_partition

    def entropy(self, text: Text, *, alpha: float = 1.0) -> float:
        """The entropy of a random segmentation, in nats.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
        >>> round(tokenizer.entropy("ab", alpha=0.0) / math.log(2), 6)
        1.0
        """
        return self._analysis(text, alpha).entropy

    def marginals(self, text: Text, *, alpha: float = 1.0) -> Marginals:
        """For each edge of the lattice the probability that a random segmentation uses it.

        >>> Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -2.0}).marginals("ab").probability.tolist()
        [0.5, 0.5, 0.5]
        """
        law = self._analysis(text, alpha, with_edges=True)
        return Marginals(law.starts, law.ends, self._edge_ids(law), law.marginals)

    def lattice(self, text: Text) -> Lattice:
        """All segmentations of the text, as the edges of a graph over the positions of the normalized text.

        In a BytePiece model these are its bytes, and `Lattice.text` is bytes.
        """
        law = self._analysis(text, 1.0, with_edges=True)
        scores = self._encoder.scores[law.tokens]
        visible = self._encoder.visible(law.text)
        if self._pipeline is not None:
            visible = self._pipeline.with_placeholders(visible)
        return Lattice(
            visible if self._model.bytewise else visible.decode("utf-8"),
            law.starts,
            law.ends,
            self._edge_ids(law),
            scores,
            law.marginals,
        )

    def count_segmentations(self, text: Text) -> int:
        """The number of segmentations, exact.

        The number has as many bits as the text has characters, or more: in the longest stretch without a
        cut, time grows with the square of its length.

        >>> Tokenizer.from_pieces({"a": 0.0, "aa": 0.0}).count_segmentations("a" * 200)
        453973694165307953197296969697410619233826
        """
        law = analyse(self._encoder, self._row(text), with_edges=True)
        factors = count_paths(law.starts, law.ends, law.parts)
        while len(factors) > 1:  # pairwise, so that the long products are few
            factors = [math.prod(factors[i : i + 2]) for i in range(0, len(factors), 2)]
        return factors[0] if factors else 1

    def log_prob(self, text: Text, ids: Sequence[int], *, alpha: float = 1.0) -> float:
        """The log-probability that a random segmentation of `text` has these ids; -inf where none has them.

        Where runs of unknown characters are merged, several segmentations may have the same ids;
        theirs is the sum of the probabilities.

        >>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -2.0})
        >>> round(tokenizer.log_prob("ab", [2]) / math.log(0.5), 6)
        1.0
        """
        wanted = self._checked_ids(ids).tolist()
        byte_values = {int(id): value for value, id in enumerate(self._model.byte_pieces()) if id >= 0}
        value = inverse_temperature(alpha)
        return log_probability(
            self._encoder, self._row(text), self._weight_table(value), wanted, value, self._unknown_id, byte_values
        )

    def _analysis(self, text: Text, alpha: float, with_edges: bool = False) -> Analysis:
        value = inverse_temperature(alpha)
        return analyse(self._encoder, self._row(text), value, self._weight_table(value), with_edges)

    def _edge_ids(self, law: Analysis) -> npt.NDArray[np.int32]:
        """The ids of the edges' tokens: the unknown id, -1 where there is none, for an unknown character."""
        tokens = law.tokens
        unknown_id = -1 if self._unknown_id is None else self._unknown_id
        if self._pipeline is not None:  # behind the unknown one there are tokens for marks
            others = np.append(np.int32(unknown_id), self._encoder.alias_ids())
            others[others < -1] = unknown_id
            return np.where(tokens < len(self), tokens, others[np.maximum(tokens - len(self), 0)])
        if law.has_unknown:
            replace(tokens, len(self), unknown_id)  # in place: nobody else has them
        return tokens

    # -- arguments ---------------------------------------------------------------------------------

    def _sampling(self, alpha: float, algorithm: str, nbest_size: int | None, seed: Seed) -> dict[str, Any]:
        value = checked_law(alpha, algorithm, nbest_size)
        return {
            "algorithm": algorithm,
            "alpha": value,
            "weights": self._weight_table(value),
            "nbest_size": 0 if nbest_size is None else min(operator.index(nbest_size), 2**62),
            "seed": key_of_seed(seed),
        }

    def _weight_table(self, alpha: float) -> WeightTable:
        last = self._last_weights
        if last is not None and last[0] == alpha:
            return last[1]
        with self._lock:
            if alpha in self._weights:
                self._weights.move_to_end(alpha)
                self._last_weights = alpha, self._weights[alpha]
                return self._weights[alpha]
        table = self._encoder.weights(alpha)
        with self._lock:
            self._weights[alpha] = table
            self._last_weights = alpha, table
            while len(self._weights) > WEIGHT_TABLES:
                self._weights.popitem(last=False)
        return table

    def _ends(self, add_bos: bool, add_eos: bool) -> tuple[int, int]:
        """The ids to set around a segmentation, -1 for none."""
        if add_bos and self._bos_id is None:
            raise ValueError(f"add_bos: the model has no control piece {self._model.bos_piece!r}")
        if add_eos and self._eos_id is None:
            raise ValueError(f"add_eos: the model has no control piece {self._model.eos_piece!r}")
        return self._bos_id if add_bos else -1, self._eos_id if add_eos else -1  # type: ignore[return-value]

    def _prepares(self) -> bool:
        """Whether texts are prepared by plain Python before the engine gets them."""
        return self._pipeline is not None and self._pipeline.preparation is not None

    @cached_property
    def _decoding(self) -> tuple[Decoder | PipelineDecoder, Normalizer | None]:
        """What decodes, and the normalizer that its texts go through, if any; made when it is first needed."""
        return decoder_of(self._model)

    def _row(self, text: Text) -> Rows:
        """The row that the engine gets for a text."""
        row = one_row(text)
        if self._pipeline is None or self._pipeline.preparation is None:
            return row
        return one_row(bytes(self._pipeline.prepare(text).text))

    def _rows(self, texts: Texts) -> tuple[Rows, list[tuple[str | bytes, Prepared]] | None]:
        """The rows that the engine gets for texts, and these with what plain Python made of them, if it did."""
        rows = rows_to_gather(texts)
        if self._pipeline is None or self._pipeline.preparation is None:
            return rows, None
        given = [text or b"" for text in rows.complete().texts()]
        prepared = list(zip(given, map(self._pipeline.prepare, given), strict=True))
        return rows_of([bytes(made.text) for _, made in prepared]), prepared

    def _placed(
        self,
        spans: npt.NDArray[np.int32] | None,
        offsets: npt.NDArray[np.int64],
        prepared: list[tuple[str | bytes, Prepared]] | None,
        draws: int = 1,
    ) -> npt.NDArray[np.int32] | None:
        """Spans of what plain Python prepared as spans of the given texts."""
        if spans is None or prepared is None or self._pipeline is None:
            return spans
        found: list[tuple[int, int]] = []
        bounds = offsets.tolist()
        for row, (begin, end) in enumerate(pairwise(bounds)):
            text, made = prepared[row // draws]
            found += self._pipeline.place(made, text, spans[begin:end].tolist())
        return np.array(found, np.int32).reshape(-1, 2)

    def _trims(self) -> bool:
        """Whether post-processors change offsets."""
        return self._pipeline is not None and bool(self._pipeline.trims)

    @staticmethod
    def _trim(
        spans: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        texts: Rows,
        add_bos: bool,
        add_eos: bool,
        segment_of: Callable[[Text, int], Encoding],
        draws: int = 1,
    ) -> None:
        """Write the spans that post-processors leave, which the pieces tell: each row is made again with them."""
        given = [text or b"" for text in texts.texts()]
        for row, (begin, end) in enumerate(pairwise(offsets.tolist())):
            found = segment_of(given[row // draws], row).offsets
            spans[begin + add_bos : end - add_eos] = np.array(found, np.int32).reshape(-1, 2)

    def _segment(self, text: Text, **parameters: Any) -> Encoding:
        """One segmentation with all that is known of it."""
        encoding = self._untrimmed(text, **parameters)
        return encoding if self._pipeline is None else self._pipeline.trimmed(encoding, text)

    def _untrimmed(self, text: Text, **parameters: Any) -> Encoding:
        """The same with its offsets as they are before post-processors change them."""
        if self._pipeline is None or self._pipeline.preparation is None:
            ids, spans, pieces = segment(self._encoder, one_row(text), **parameters)
            surfaces = None
            if self._pipeline is not None:
                surfaces = [
                    None if piece is None or piece[0] < 0xF5 else self._pipeline.surface(piece, text, span)
                    for piece, span in zip(pieces, spans, strict=True)
                ]
        else:
            one_row(text)
            prepared = self._pipeline.prepare(text)
            ids, spans, pieces = segment(self._encoder, one_row(bytes(prepared.text)), **parameters)
            surfaces = [
                None if piece is None or piece[0] < 0xF5 else prepared.surfaces[begin]
                for piece, (begin, _) in zip(pieces, spans, strict=True)
            ]
            spans = self._pipeline.place(prepared, text, spans)
        return Encoding(ids, self._pieces(ids, pieces, surfaces), spans)

    def _pieces(
        self, ids: list[int], unknown: list[bytes | None], surfaces: list[str | None] | None = None
    ) -> list[str]:
        pieces = self._model.pieces
        found = [
            pieces[id] if spelled is None or spelled[0] >= 0xF5 else spelled.decode("utf-8")
            for id, spelled in zip(ids, unknown, strict=True)
        ]
        if surfaces is not None:  # those of added tokens
            found = [piece if surface is None else surface for piece, surface in zip(found, surfaces, strict=True)]
        return found

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

    def _checked_row(self, ids: Any, row: int) -> npt.NDArray[np.int32]:
        try:
            return self._checked_ids(ids)
        except (TypeError, ValueError) as error:
            raise type(error)(f"row {row} of batch: {error}") from None

    def _texts(self, rows: IdRows, threads: int) -> list[str]:
        decoder, denormalizer = self._decoding
        texts = decoder.decode(rows, threads)
        return texts if denormalizer is None else [_denormalized(denormalizer, text) for text in texts]


def _denormalized(denormalizer: Normalizer, text: str) -> str:
    return denormalizer.normalize(text.encode("utf-8")).decode("utf-8")


def _from_pieces(pieces: list[str], scores: list[float], unk_score: float | None) -> Tokenizer:
    return Tokenizer.from_pieces(dict(zip(pieces, scores, strict=True)), unk_score=unk_score)
