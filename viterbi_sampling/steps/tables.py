"""From a tokenizer.json model to the engine's tables."""

from __future__ import annotations

import numpy as np

from viterbi_sampling.engine.cuts import Cuts
from viterbi_sampling.engine.encoder import Encoder, piece_trie, spell_spaces
from viterbi_sampling.engine.normalizer import Normalizer
from viterbi_sampling.model import SPACE, Model, PieceType
from viterbi_sampling.steps.description import Pipeline
from viterbi_sampling.steps.preparation import MARK, mark

NO_TOKEN, LITERAL_UNKNOWN = -1, -2
"""What a token beyond the pieces stands for, see tokens.pxd."""


def pipeline_encoder(model: Model, pipeline: Pipeline, normalizer: Normalizer) -> Encoder:
    """The engine's tables for a model with a pipeline.

    All pieces match text, special ones, too; of equal ones the last. The unknown piece joins runs of
    unknown characters. Behind the pieces there are tokens for marks: the one between two pre-tokens,
    then those of the added tokens.
    """
    pieces = model.pieces
    count = len(pieces)
    unknown = model.ids_of_type(PieceType.UNKNOWN)
    unknown_id = int(unknown[0]) if len(unknown) else -1
    last = {pieces[id]: id for id in range(pipeline.vocabulary_size)}
    literal = [unknown_id] if unknown_id >= 0 and last[pieces[unknown_id]] == unknown_id else []
    text = np.frombuffer(pieces.text, np.uint8)
    # An unknown character, then the unknown piece spelled out, then the marks.
    extra = [b"", *(pieces.text[pieces.offsets[id] : pieces.offsets[id + 1]] for id in literal)]
    extra += [mark(MARK + number) for number in range(1 + len(pipeline.added))]
    aliases = [LITERAL_UNKNOWN for _ in literal] + [NO_TOKEN] + [token.id for token in pipeline.added]
    text = np.concatenate([text, np.frombuffer(b"".join(extra), np.uint8)])
    offsets = np.append(pieces.offsets, pieces.offsets[-1] + np.cumsum([len(spelled) for spelled in extra]))
    scores = np.concatenate([pieces.scores, np.zeros(1 + len(aliases))])
    scores[count] = 0.0 if model.unknown_score is None else model.unknown_score
    matched = np.zeros(count, np.bool_)
    for name, id in last.items():
        # A piece that goes on beyond the beginning of a pre-token never matches.
        matched[id] = id != unknown_id and not (pipeline.cuts_at_spaces and SPACE in name[1:])
    if pipeline.escapes_spaces:
        text, offsets, holding_space = spell_spaces(text, offsets)
        matched[[id for id in holding_space if id < count]] = False
    if literal:
        scores[count + 1] = pieces.scores[unknown_id]
    first_mark = count + 1 + len(literal)
    ids = np.concatenate(
        [np.flatnonzero(matched), np.arange(count + 1, first_mark), np.arange(first_mark, len(scores))]
    )
    ids = ids[np.diff(offsets)[ids] > 0].astype(np.int32)
    single_scores = scores.astype(np.float32)
    return Encoder(
        normalizer,
        piece_trie(text, offsets, ids, single_scores),
        Cuts(text, offsets, ids),
        scores,
        single_scores,
        np.diff(offsets).astype(np.int32),
        False,
        model.unknown_score,
        unknown_id,
        model.byte_fallback,
        model.byte_pieces() if model.byte_fallback else np.full(256, -1, np.int32),
        pipeline.escapes_spaces,
        model.restart,
        np.array(aliases, np.int32),
    )
