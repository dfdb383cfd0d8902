"""sentencepiece's ``.model`` file: the ModelProto message of sentencepiece_model.proto, Unigram type.

Fields, defaults and the rules of what is refused are those of sentencepiece 0.2.3.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from viterbi_sampling.errors import ModelError, ModelTypeError, shown
from viterbi_sampling.formats import protobuf
from viterbi_sampling.formats.wire import bytes_field, float_field, integer_field
from viterbi_sampling.model import UNKNOWN_PENALTY, Model, NormalizerRules, Pieces, PieceType

# ModelProto
PIECES, TRAINER_SPEC, NORMALIZER_SPEC, DENORMALIZER_SPEC = 1, 2, 3, 5
# TrainerSpec
MODEL_TYPE, WHITESPACE_AS_SUFFIX, BYTE_FALLBACK, VOCAB_SIZE = 3, 24, 35, 4
UNK_ID, BOS_ID, EOS_ID, PAD_ID, UNK_SURFACE, UNK_PIECE, BOS_PIECE, EOS_PIECE, PAD_PIECE = (
    40,
    41,
    42,
    43,
    44,
    45,
    46,
    47,
    48,
)
# NormalizerSpec
NAME, CHARSMAP, ADD_DUMMY_PREFIX, REMOVE_EXTRA_WHITESPACES, ESCAPE_WHITESPACES = 1, 2, 3, 4, 5

MODEL_TYPES = {1: "Unigram", 2: "BPE", 3: "word", 4: "character"}
NULL_PIECE = b"\0"


class Message:
    """The fields of a small message, the last value of each, as protocol buffers define it."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.values: dict[int, int | bytes] = dict(protobuf.fields(data, name))

    def integer(self, number: int, default: int) -> int:
        value = self.values.get(number, default)
        return value if isinstance(value, int) else default

    def flag(self, number: int, default: bool) -> bool:
        return bool(self.integer(number, int(default)))

    def raw(self, number: int) -> bytes:
        value = self.values.get(number, b"")
        return value if isinstance(value, bytes) else b""

    def string(self, number: int, default: str) -> str:
        if not isinstance(self.values.get(number), bytes):
            return default
        try:
            return self.raw(number).decode("utf-8")
        except UnicodeDecodeError:
            raise ModelError(f"field {number} of {self.name} is not valid UTF-8") from None


def read(data: bytes) -> Model:
    """The Unigram model in the bytes of a ``.model`` file; ModelError says what else it is, or where it breaks."""
    text, offsets, scores, types, others = protobuf.read_pieces(data, PIECES)
    # Repeated occurrences of a message are merged, which is what parsing their concatenation does.
    occurrences: dict[int, list[bytes]] = {}
    for number, part in others:
        occurrences.setdefault(number, []).append(part)
    parts = {number: b"".join(found) for number, found in occurrences.items()}
    if TRAINER_SPEC not in parts and NORMALIZER_SPEC not in parts:
        raise ModelError(
            f"not a sentencepiece model, or a truncated one: after {len(scores)} pieces there is "
            "no trainer_spec and no normalizer_spec"
        )
    trainer = Message(parts.get(TRAINER_SPEC, b""), "trainer_spec")
    kind = trainer.integer(MODEL_TYPE, 1)
    if kind in MODEL_TYPES and kind != 1:
        raise ModelTypeError(
            f"this is a sentencepiece {MODEL_TYPES[kind]} model; only Unigram models can be loaded "
            "(sentencepiece itself runs the other types)"
        )
    byte_fallback = trainer.flag(BYTE_FALLBACK, False)
    if byte_fallback and NULL_PIECE in text:
        types = _unused_null_pieces(text, offsets, types)
    normalizer = _rules(Message(parts.get(NORMALIZER_SPEC, b""), "normalizer_spec"))
    denormalizer = _rules(Message(parts.get(DENORMALIZER_SPEC, b""), "denormalizer_spec"))
    normal = scores[types == PieceType.NORMAL]
    # With no normal piece the minimum over them is the largest float32, which the penalty does not change.
    lowest = np.float32(normal.min()) if len(normal) else np.finfo(np.float32).max
    model = Model(
        pieces=Pieces(text, offsets, scores.astype(np.float64), types),
        normalizer=replace(normalizer, whitespace_as_suffix=trainer.flag(WHITESPACE_AS_SUFFIX, False)),
        denormalizer=denormalizer if denormalizer.charsmap else None,
        byte_fallback=byte_fallback,
        unk_piece=trainer.string(UNK_PIECE, "") or "<unk>",
        bos_piece=trainer.string(BOS_PIECE, "") or "<s>",
        eos_piece=trainer.string(EOS_PIECE, "") or "</s>",
        pad_piece=trainer.string(PAD_PIECE, "") or "<pad>",
        unk_surface=trainer.string(UNK_SURFACE, " \u2047 "),
        unknown_score=float(np.float32(lowest - np.float32(UNKNOWN_PENALTY))),
        source_format="sentencepiece",
        source=data,
    )
    model.check()
    if not byte_fallback and not len(model.ids_of_type(PieceType.UNKNOWN)):
        raise ModelError("no piece has the type UNKNOWN, and byte_fallback is off: one of the two is needed")
    return model


def _unused_null_pieces(text: bytes, offsets: np.ndarray, types: np.ndarray) -> np.ndarray:
    """With byte fallback a piece that is one null character counts as unused (sentencepiece issue 1308)."""
    starts = offsets[:-1][np.diff(offsets) == 1]
    rows = np.flatnonzero(np.diff(offsets) == 1)
    nulls = rows[np.frombuffer(text, np.uint8)[starts] == 0]
    types = types.copy()
    types[nulls] = PieceType.UNUSED
    return types


def _rules(spec: Message) -> NormalizerRules:
    return NormalizerRules(
        name=spec.string(NAME, ""),
        charsmap=spec.raw(CHARSMAP),
        add_dummy_prefix=spec.flag(ADD_DUMMY_PREFIX, True),
        remove_extra_whitespaces=spec.flag(REMOVE_EXTRA_WHITESPACES, True),
        escape_whitespaces=spec.flag(ESCAPE_WHITESPACES, True),
    )


def write(model: Model) -> bytes:
    """The bytes of a ``.model`` file for `model`; ModelError where the format cannot hold it."""
    if model.source_format == "sentencepiece":
        return model.source
    normal = model.pieces.scores[model.pieces.types == PieceType.NORMAL]
    single = model.pieces.scores.astype(np.float32)
    if (single != model.pieces.scores).any():
        index = int(np.flatnonzero(single != model.pieces.scores)[0])
        raise ModelError(
            f"a sentencepiece model stores float32 scores, which cannot hold {model.pieces.scores[index]!r} "
            f"of piece {index} ({shown(model.pieces[index])}); round the scores to float32 first"
        )
    unknown = model.ids_of_type(PieceType.UNKNOWN)
    if not len(unknown) or model.unknown_score is None:
        raise ModelError("a sentencepiece model needs an unknown piece; give unk_score")
    held = float(np.float32(normal.min()) - np.float32(UNKNOWN_PENALTY)) if len(normal) else None
    if model.unknown_score != held:
        raise ModelError(
            f"in a sentencepiece model an unknown character scores {UNKNOWN_PENALTY:g} less than the worst piece "
            f"({held}), not {model.unknown_score}"
        )
    message = bytearray()
    for index in range(len(model.pieces)):
        piece = bytes_field(1, model.pieces[index].encode("utf-8"))
        piece += float_field(2, float(single[index]))
        piece += integer_field(3, int(model.pieces.types[index]))
        message += bytes_field(PIECES, piece)
    trainer = integer_field(MODEL_TYPE, 1) + integer_field(VOCAB_SIZE, len(model.pieces))
    trainer += integer_field(WHITESPACE_AS_SUFFIX, model.normalizer.whitespace_as_suffix)
    trainer += integer_field(BYTE_FALLBACK, model.byte_fallback)
    trainer += integer_field(UNK_ID, int(unknown[0]))
    for number in (BOS_ID, EOS_ID, PAD_ID):
        trainer += integer_field(number, -1)
    trainer += bytes_field(UNK_SURFACE, model.unk_surface.encode("utf-8"))
    trainer += bytes_field(UNK_PIECE, model.unk_piece.encode("utf-8"))
    trainer += bytes_field(BOS_PIECE, model.bos_piece.encode("utf-8"))
    trainer += bytes_field(EOS_PIECE, model.eos_piece.encode("utf-8"))
    trainer += bytes_field(PAD_PIECE, model.pad_piece.encode("utf-8"))
    message += bytes_field(TRAINER_SPEC, trainer)
    message += bytes_field(NORMALIZER_SPEC, _normalizer_spec(model.normalizer))
    if model.denormalizer is not None:
        message += bytes_field(DENORMALIZER_SPEC, _normalizer_spec(model.denormalizer))
    return bytes(message)


def _normalizer_spec(rules: NormalizerRules) -> bytes:
    spec = bytes_field(NAME, rules.name.encode("utf-8"))
    if rules.charsmap:
        spec += bytes_field(CHARSMAP, rules.charsmap)
    spec += integer_field(ADD_DUMMY_PREFIX, rules.add_dummy_prefix)
    spec += integer_field(REMOVE_EXTRA_WHITESPACES, rules.remove_extra_whitespaces)
    return spec + integer_field(ESCAPE_WHITESPACES, rules.escape_whitespaces)
