"""The pieces of a tokenizer.json: those of the model, and the tokens that are added to them."""

from __future__ import annotations

from viterbi_sampling.errors import shown
from viterbi_sampling.formats.json_document import Field
from viterbi_sampling.model import MAX_PIECE_BYTES
from viterbi_sampling.steps.description import AddedToken

OTHER_MODELS = ("BPE", "WordPiece", "WordLevel")
GREATEST_LOWEST_SCORE = 10.0
"""With a worst score above this, a run of unknown characters may beat a piece that spells it."""

GREATEST_SCORE = (2 - 2**-23) * 2.0**127
"""The greatest number of single precision, in which the engine keeps a copy of the scores."""

MOST_ADDED = (1 << 18) - 2
"""Added tokens are marks in the engine's text, of which there are so many."""


class Vocabulary:
    """The pieces and scores of the model itself."""

    def __init__(self, names: list[str], scores: list[float], unk_id: int | None, byte_fallback: bool) -> None:
        self.names = names
        self.scores = scores
        self.unk_id = unk_id
        self.byte_fallback = byte_fallback
        self.ids = {name: id for id, name in enumerate(names)}  # of equal pieces the last counts


def read_vocabulary(model: Field) -> Vocabulary:
    """The pieces in the field `model`."""
    kind = model.get("type")
    if kind is not None and kind.text() != "Unigram":
        known = "only Unigram models can be loaded"
        if kind.text() in OTHER_MODELS:
            raise kind.error(f"is {shown(kind.text())}; {known} (the tokenizers library runs the other types)")
        raise kind.error(f"is {shown(kind.text())}; {known}")
    vocabulary = model["vocab"]
    if isinstance(vocabulary.value, dict):
        raise vocabulary.error(
            "is an object, as in BPE, WordPiece and WordLevel models; only Unigram models can be loaded"
        )
    names: list[str] = []
    scores: list[float] = []
    for index, entry in enumerate(vocabulary.array()):
        try:
            name, score = entry
        except (TypeError, ValueError):
            name = score = None
        if type(entry) is not list or type(name) is not str or type(score) not in (int, float):
            raise vocabulary.error(f"has at {index} {shown(entry)}, not a piece and its score")
        if not abs(score) <= GREATEST_SCORE:
            raise vocabulary.error(f"has at {index} the score {shown(score)}, beyond single precision")
        names.append(name)
        scores.append(float(score))
    unk = model.get("unk_id")
    unk_id = None if unk is None else unk.integer(0)
    if unk is not None and unk_id is not None and unk_id >= len(names):
        raise unk.error(f"is {unk_id}, but the vocabulary has {len(names)} pieces")
    fallback = model.get("byte_fallback")
    byte_fallback = fallback is not None and fallback.flag()
    if not names:
        raise vocabulary.error("has no pieces")
    _check_pieces(vocabulary, names, scores)
    return Vocabulary(names, scores, unk_id, byte_fallback)


def _check_pieces(vocabulary: Field, names: list[str], scores: list[float]) -> None:
    for index, name in enumerate(names):
        if len(name) >= MAX_PIECE_BYTES // 4 and len(name.encode("utf-8")) >= MAX_PIECE_BYTES:
            raise vocabulary.error(f"has at {index} a piece of {MAX_PIECE_BYTES} bytes or more, which is not supported")
    lowest = min(scores)
    if lowest > GREATEST_LOWEST_SCORE:
        raise vocabulary.error(
            f"has {lowest} as its worst score; above {GREATEST_LOWEST_SCORE:g} runs of unknown characters may come "
            "before pieces, which is not supported"
        )


def read_added_tokens(field: Field | None, vocabulary: Vocabulary) -> list[AddedToken]:
    """The added tokens, whose ids must be those that the library would give them."""
    added: list[AddedToken] = []
    seen: dict[str, int] = {}
    ids: dict[int, int] = {}
    following = len(vocabulary.names)
    entries = [] if field is None else field.items()
    if len(entries) > MOST_ADDED:
        raise field.error(f"has {len(entries)} tokens; at most {MOST_ADDED} are supported")  # type: ignore[union-attr]
    for index, entry in enumerate(entries):
        content = entry["content"].text()
        id = entry["id"].integer(0)
        token = AddedToken(
            id,
            content,
            **{name: entry[name].flag() for name in ("special", "normalized", "lstrip", "rstrip", "single_word")},
        )
        if not content:
            raise entry["content"].error("is empty")
        if content in seen:
            raise entry["content"].error(f"is {shown(content)}, as that of added_tokens[{seen[content]}]")
        wanted = vocabulary.ids.get(content)
        if wanted is None:
            wanted, following = following, following + 1
            if id != wanted:
                raise entry["id"].error(
                    f"is {id}, but {shown(content)} is not in the vocabulary, and the next id after it is {wanted}"
                )
        elif id != wanted:
            raise entry["id"].error(f"is {id}, but in the vocabulary {shown(content)} has the id {wanted}")
        if id in ids:
            raise entry["id"].error(f"is {id}, as that of added_tokens[{ids[id]}]")
        seen[content] = ids[id] = index
        added.append(token)
    return added
