"""From a model to the engine's tables: how piece types, scores and rules of a file become what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.cuts import Cuts
from viterbi_sampling.engine.decoder import Decoder
from viterbi_sampling.engine.encoder import Encoder, piece_trie, spell_spaces
from viterbi_sampling.engine.normalizer import Normalizer
from viterbi_sampling.errors import ModelError, shown
from viterbi_sampling.model import SPACE, Model, PieceType

if TYPE_CHECKING:
    from viterbi_sampling.steps.decoders import PipelineDecoder


def encoder_of(model: Model) -> Encoder:
    """The engine's tables for a model."""
    if model.pipeline is not None:
        # What a tokenizer.json needs is imported when there is one.
        from viterbi_sampling.engine.verbatim import Verbatim
        from viterbi_sampling.steps.compiled import compiled
        from viterbi_sampling.steps.tables import pipeline_encoder

        return pipeline_encoder(model, model.pipeline, compiled(model.pipeline) or Verbatim())
    pieces = model.pieces
    rules = model.normalizer
    text = np.frombuffer(pieces.text, np.uint8)
    count = len(pieces)
    # The last entry of the tables is that of an unknown character.
    unknown_score = 0.0 if model.unknown_score is None else model.unknown_score
    scores = np.empty(count + 1, np.float64)
    scores[:count] = pieces.scores
    scores[count] = unknown_score
    # A user-defined piece is always taken: its score is positive and grows with its length. sentencepiece counts
    # the length in bytes when it decodes, in characters when it samples.
    defined = model.ids_of_type(PieceType.USER_DEFINED)
    with np.errstate(over="ignore"):  # a score that single precision cannot hold is infinite there
        viterbi_scores = scores.astype(np.float32)
    for id in defined:
        viterbi_scores[id] = np.float32(0.1 * (len(pieces.bytes_of(int(id))) - 1))
        scores[id] = float(np.float32(0.1 * (len(pieces[int(id)]) - 1)))
    named = _are_of(pieces.types, PieceType.NORMAL, PieceType.USER_DEFINED, PieceType.UNUSED)
    matched = _are_of(pieces.types, PieceType.NORMAL, PieceType.USER_DEFINED)
    if rules.escape_whitespaces:
        trie_text, trie_offsets, holding_space = spell_spaces(text, pieces.offsets)
        matched[holding_space] = False
    else:
        trie_text, trie_offsets = text, pieces.offsets
    if model.restart == "after_newline":
        matched[_crossing_newlines(pieces.text, pieces.offsets)] = False
    _refuse_twins(model, named, bool((named & ~matched).any()))
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
        rules.nfc,
    )
    lengths = np.zeros(count + 1, np.int32)
    np.subtract(trie_offsets[1:], trie_offsets[:-1], out=lengths[:count], casting="same_kind")
    unknown = model.ids_of_type(PieceType.UNKNOWN)
    return Encoder(
        normalizer,
        trie,
        Cuts(trie_text, trie_offsets, ids),
        scores,
        viterbi_scores,
        lengths,
        model.single_precision,
        model.unknown_score,
        int(unknown[0]) if len(unknown) else -1,
        model.byte_fallback,
        model.byte_pieces() if model.byte_fallback else np.full(256, -1, np.int32),
        rules.escape_whitespaces,
        model.restart,
        bytewise=model.bytewise,
    )


def _are_of(types: npt.NDArray[np.uint8], *wanted: PieceType) -> npt.NDArray[np.bool_]:
    """Which pieces are of one of the types."""
    table = np.zeros(256, np.bool_)
    table[list(wanted)] = True
    return table[types]


def _crossing_newlines(text: bytes, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The pieces that hold a newline before another character. They match nothing: a line ends with its newlines."""
    newline = np.frombuffer(text, np.uint8) == 0x0A
    crossing = np.flatnonzero(newline[:-1] & ~newline[1:])
    inside = np.searchsorted(offsets, crossing, side="right")
    return inside[crossing + 1 < offsets[inside]] - 1


def _refuse_twins(model: Model, named: npt.NDArray[np.bool_], others: bool) -> None:
    """Equal pieces among the reserved ones, and where the trie has not all of the `others`, among these."""
    pieces = model.pieces
    for group in (~named, named & others):
        seen: dict[bytes, int] = {}
        for id in np.flatnonzero(group):
            piece = pieces.bytes_of(int(id))
            if piece in seen and piece != b"\0":
                raise ModelError(f"pieces {seen[piece]} and {id} are both {shown(pieces[int(id)])}")
            seen[piece] = int(id)


def decoder_of(model: Model) -> tuple[Decoder | PipelineDecoder, Normalizer | None]:
    """The engine's tables to decode, and the normalizer that its texts go through, if any."""
    if model.pipeline is not None:
        from viterbi_sampling.steps.decoders import PipelineDecoder

        return PipelineDecoder(model, model.pipeline), None
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
    if model.bytewise:
        surface, offsets = text, pieces.offsets
    strip_first = rules.add_dummy_prefix or rules.remove_extra_whitespaces
    decoder = Decoder(
        surface,
        offsets,
        kinds,
        byte_values,
        model.unk_surface.encode("utf-8"),
        strip_first,
        rules.remove_extra_whitespaces,
        "ignore" if model.bytewise else "strict",
    )
    if model.denormalizer is None:
        return decoder, None
    back = model.denormalizer
    return decoder, Normalizer(
        back.charsmap, None, back.add_dummy_prefix, back.remove_extra_whitespaces, back.escape_whitespaces, False
    )
