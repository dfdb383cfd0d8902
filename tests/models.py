"""Small sentencepiece models of every kind, trained here or edited into what no trainer makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from conftest import train
from sentencepiece import sentencepiece_model_pb2 as pb

Edit = Callable[[pb.ModelProto], None]


def edited(data: bytes, edit: Edit) -> bytes:
    model = pb.ModelProto()
    model.ParseFromString(data)
    edit(model)
    return bytes(model.SerializeToString())


def _set_type(piece_type: int, step: int) -> Edit:
    def edit(model: pb.ModelProto) -> None:
        for piece in model.pieces[100::step]:
            if piece.type == 1:
                piece.type = piece_type

    return edit


def _no_unknown(model: pb.ModelProto) -> None:
    del model.pieces[0]


def _odd_order(model: pb.ModelProto) -> None:
    pieces = [pb.ModelProto.SentencePiece() for _ in model.pieces]
    for piece, source in zip(pieces, list(model.pieces)[::-1], strict=True):
        piece.CopyFrom(source)
    del model.pieces[:]
    model.pieces.extend(pieces)


def _odd_names(model: pb.ModelProto) -> None:
    model.trainer_spec.unk_surface = "<?>"
    model.trainer_spec.bos_piece = "[B]"
    model.trainer_spec.eos_piece = ""
    model.pieces[1].piece = "[B]"


def _null_piece(model: pb.ModelProto) -> None:
    model.pieces.add(piece="\0", score=-1.0)


def _control_and_normal_alike(model: pb.ModelProto) -> None:
    model.pieces.add(piece="</s>", score=-2.0)


def _denormalized(model: pb.ModelProto) -> None:
    model.denormalizer_spec.CopyFrom(pb.ModelProto.FromString(_trained(normalization_rule_name="nfkc")).normalizer_spec)
    model.denormalizer_spec.add_dummy_prefix = False
    model.denormalizer_spec.escape_whitespaces = False


def _space_literal(model: pb.ModelProto) -> None:
    model.pieces.add(piece="the river", score=-1.0)
    model.pieces.add(piece=" x", score=-1.0)


def _flags(**flags: bool) -> Edit:
    def edit(model: pb.ModelProto) -> None:
        for name, value in flags.items():
            setattr(model.normalizer_spec, name, value)

    return edit


def _no_escape(model: pb.ModelProto) -> None:
    model.normalizer_spec.escape_whitespaces = False
    for piece in model.pieces:
        piece.piece = piece.piece.replace("\u2581", " ")


def _no_normal(model: pb.ModelProto) -> None:
    kept = [p for p in model.pieces if p.type != 1]
    del model.pieces[:]
    model.pieces.extend(kept)
    model.pieces.add(piece="river", score=-1.0, type=4)


def _equal_scores(model: pb.ModelProto) -> None:
    for piece in model.pieces:
        if piece.type == 1:
            piece.score = -float(len(piece.piece))


def _huge_scores(model: pb.ModelProto) -> None:
    for i, piece in enumerate(model.pieces):
        if piece.type == 1:
            piece.score = -3000.0 * (i % 37) - 0.1 * len(piece.piece)


@cache
def _trained(**options: object) -> bytes:
    return train(**options)


SYMBOLS = ("river", "er", "<x>", "ab cd", "川", "  ", "\u2581the")

KINDS: dict[str, Callable[[], bytes]] = {
    "nmt_nfkc": lambda: _trained(),
    "nfkc": lambda: _trained(normalization_rule_name="nfkc"),
    "nfkc_cf": lambda: _trained(normalization_rule_name="nfkc_cf"),
    "nmt_nfkc_cf": lambda: _trained(normalization_rule_name="nmt_nfkc_cf"),
    "identity": lambda: _trained(normalization_rule_name="identity"),
    "no dummy prefix": lambda: _trained(add_dummy_prefix=False),
    "extra whitespace kept": lambda: _trained(remove_extra_whitespaces=False),
    "whitespace as suffix": lambda: _trained(treat_whitespace_as_suffix=True),
    "suffix, extra whitespace kept": lambda: _trained(treat_whitespace_as_suffix=True, remove_extra_whitespaces=False),
    "pieces cross spaces": lambda: _trained(split_by_whitespace=False),
    "whitespace pieces": lambda: _trained(allow_whitespace_only_pieces=True, remove_extra_whitespaces=False),
    "byte fallback": lambda: _trained(byte_fallback=True),
    "user-defined": lambda: _trained(user_defined_symbols=SYMBOLS),
    "user-defined, bytes, control": lambda: _trained(
        user_defined_symbols=SYMBOLS, control_symbols=("<c>", "the"), byte_fallback=True
    ),
    "no bos, eos": lambda: _trained(bos_id=-1, eos_id=-1),
    "odd ids": lambda: _trained(unk_id=5, bos_id=3, eos_id=0, pad_id=9),
    "not escaped": lambda: edited(_trained(), _no_escape),
    "not escaped, pieces with U+2581": lambda: edited(_trained(), _flags(escape_whitespaces=False)),
    "unused": lambda: edited(_trained(), _set_type(5, 3)),
    "unused and user-defined": lambda: edited(edited(_trained(), _set_type(5, 3)), _set_type(4, 5)),
    "no unknown piece": lambda: edited(_trained(byte_fallback=True), _no_unknown),
    "ids reversed": lambda: edited(_trained(byte_fallback=True, user_defined_symbols=SYMBOLS), _odd_order),
    "odd names": lambda: edited(_trained(), _odd_names),
    "null piece": lambda: edited(_trained(byte_fallback=True), _null_piece),
    "control and normal alike": lambda: edited(_trained(), _control_and_normal_alike),
    "denormalizer": lambda: edited(_trained(normalization_rule_name="identity"), _denormalized),
    "pieces with a space": lambda: edited(_trained(), _space_literal),
    "no normal piece": lambda: edited(_trained(), _no_normal),
    "all scores tie": lambda: edited(_trained(), _equal_scores),
    "huge scores": lambda: edited(_trained(), _huge_scores),
}
