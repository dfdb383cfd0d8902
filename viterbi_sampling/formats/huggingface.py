"""Hugging Face's ``tokenizer.json``, model type Unigram (also the old layout without a type).

What is read, and what it means, is what tokenizers 0.23.3 makes of it. What is not understood is a
ModelError that names the field: a file is never read as something that it is not.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats.json_document import Field, document
from viterbi_sampling.model import (
    MAX_PIECE_BYTES,
    UNKNOWN_PENALTY,
    Model,
    NormalizerRules,
    Pieces,
    PieceType,
    byte_piece,
)
from viterbi_sampling.steps.description import (
    AddedToken,
    ByteFallback,
    Fuse,
    Handed,
    Lowercase,
    Metaspace,
    Nmt,
    Normalizer,
    Pipeline,
    Precompiled,
    Prepend,
    PreTokenizer,
    Replace,
    Strip,
    StripAccents,
    StripTokens,
    Template,
    TokenDecoder,
    UnicodeForm,
    WhitespaceSplit,
)
from viterbi_sampling.steps.patterns import AtStart, parse

OTHER_MODELS = ("BPE", "WordPiece", "WordLevel")
FIELDS = (
    "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
    "model",
)  # fmt: skip
GREATEST_LOWEST_SCORE = 10.0
"""With a worst score above this, a run of unknown characters may beat a piece that spells it."""

MOST_ADDED = (1 << 18) - 2
"""Added tokens are marks in the engine's text, of which there are so many."""


def read(data: bytes) -> Model:
    """The Unigram model in a tokenizer.json; ModelError names the field that is wrong, or cannot be used."""
    root = document(data)
    root.only(FIELDS)
    version = root.get("version")
    if version is not None and version.text() != "1.0":
        raise version.error("is not the version 1.0, the only one there is")
    vocabulary = _model(root["model"])
    added = _added_tokens(root.get("added_tokens"), vocabulary)
    return _assemble(data, root, vocabulary, added)


# -- the vocabulary ----------------------------------------------------------------------------------


class _Vocabulary:
    """The pieces and scores of the model itself."""

    def __init__(self, names: list[str], scores: list[float], unk_id: int | None, byte_fallback: bool) -> None:
        self.names = names
        self.scores = scores
        self.unk_id = unk_id
        self.byte_fallback = byte_fallback
        self.ids = {name: id for id, name in enumerate(names)}  # of equal pieces the last counts


def _model(model: Field) -> _Vocabulary:
    kind = model.get("type")
    if kind is not None and kind.text() != "Unigram":
        known = "only Unigram models can be loaded"
        if kind.text() in OTHER_MODELS:
            raise kind.error(f"is {kind.text()!r}; {known} (the tokenizers library runs the other types)")
        raise kind.error(f"is {kind.text()!r}; {known}")
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
            raise vocabulary.error(f"has at {index} {_shortened(entry)}, not a piece and its score")
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
    return _Vocabulary(names, scores, unk_id, byte_fallback)


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


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- added tokens ------------------------------------------------------------------------------------


def _added_tokens(field: Field | None, vocabulary: _Vocabulary) -> list[AddedToken]:
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
            raise entry["content"].error(f"is {content!r}, as that of added_tokens[{seen[content]}]")
        wanted = vocabulary.ids.get(content)
        if wanted is None:
            wanted, following = following, following + 1
            if id != wanted:
                raise entry["id"].error(
                    f"is {id}, but {content!r} is not in the vocabulary, and the next id after it is {wanted}"
                )
        elif id != wanted:
            raise entry["id"].error(f"is {id}, but in the vocabulary {content!r} has the id {wanted}")
        if id in ids:
            raise entry["id"].error(f"is {id}, as that of added_tokens[{ids[id]}]")
        seen[content] = ids[id] = index
        added.append(token)
    return added


# -- the steps -------------------------------------------------------------------------------------


def _sequence(field: Field | None, key: str) -> list[Field]:
    """The steps of a field that is null, one step or a Sequence of them, which may hold further ones."""
    if field is None:
        return []
    steps: list[Field] = []
    pending = [field]
    while pending:
        step = pending.pop()
        if step["type"].text() == "Sequence":
            pending += reversed(step[key].items())
        else:
            steps.append(step)
    return steps


def _kind(field: Field, known: dict[str, Callable[[Field], Any]], what: str) -> Any:
    kind = field["type"]
    name = kind.text()
    if name not in known:
        raise kind.error(f"is {name!r}; the {what} that are supported are Sequence, {', '.join(known)}")
    return known[name](field)


def _pattern(field: Field, content: str) -> Replace:
    pattern = field["pattern"]
    pattern.only({"String", "Regex"})
    if len(pattern.keys()) != 1:
        raise pattern.error("has not one of String and Regex")
    is_regex = pattern.get("Regex") is not None
    text = pattern["Regex" if is_regex else "String"].text()
    if not text:
        raise pattern.error("is empty, which matches everywhere; that is not supported")
    return Replace(text, is_regex, content)


def _precompiled(field: Field) -> Precompiled:
    charsmap = field["precompiled_charsmap"]
    try:
        return Precompiled(base64.b64decode(charsmap.text(), validate=True))
    except (binascii.Error, ValueError) as error:
        raise charsmap.error(f"is not base64: {error}") from None


def _metaspace(field: Field) -> Metaspace:
    replacement = field["replacement"].text()
    if len(replacement) != 1:
        raise field["replacement"].error(f"is {replacement!r}, not one character")
    scheme = field.get("prepend_scheme")
    prepend = "always" if scheme is None else scheme.text()
    if prepend not in ("always", "first", "never"):
        raise field["prepend_scheme"].error(f"is {prepend!r}, not one of always, first, never")
    prefix = field.get("add_prefix_space")
    if prefix is not None and not prefix.flag() and prepend != "never":
        raise prefix.error(f"is false, but the prepend_scheme is {prepend!r}, not 'never'")
    split = field.get("split")
    return Metaspace(replacement, prepend, split is None or split.flag())


def _handed(field: Field) -> Handed:
    return Handed(field["type"].text(), json.dumps(field.value, sort_keys=True))


_NORMALIZERS: dict[str, Callable[[Field], Normalizer]] = {
    "Precompiled": _precompiled,
    "Replace": lambda field: _pattern(field, field["content"].text()),
    "NFC": lambda field: UnicodeForm("NFC"),
    "NFD": lambda field: UnicodeForm("NFD"),
    "NFKC": lambda field: UnicodeForm("NFKC"),
    "NFKD": lambda field: UnicodeForm("NFKD"),
    "Nmt": lambda field: Nmt(),
    "Lowercase": lambda field: Lowercase(),
    "Strip": lambda field: Strip(field["strip_left"].flag(), field["strip_right"].flag()),
    "StripAccents": lambda field: StripAccents(),
    "Prepend": lambda field: Prepend(field["prepend"].text()),
}
_PRE_TOKENIZERS: dict[str, Callable[[Field], PreTokenizer]] = {
    "Metaspace": _metaspace,
    "WhitespaceSplit": lambda field: WhitespaceSplit(),
    **dict.fromkeys(
        (
            "Whitespace", "Split", "Digits", "Punctuation", "UnicodeScripts", "BertPreTokenizer", "CharDelimiterSplit",
            "FixedLength",
        ),
        _handed,
    ),
}  # fmt: skip
_DECODERS: dict[str, Callable[[Field], TokenDecoder]] = {
    "Metaspace": _metaspace,
    "Replace": lambda field: _pattern(field, field["content"].text()),
    "ByteFallback": lambda field: ByteFallback(),
    "Fuse": lambda field: Fuse(),
    "Strip": lambda field: StripTokens(
        field["content"].character(), field["start"].integer(0), field["stop"].integer(0)
    ),
    "WordPiece": _handed,
    "BPEDecoder": _handed,
    "CTC": _handed,
}


# -- post-processors ---------------------------------------------------------------------------------

Parts = tuple[tuple["str | tuple[int, ...]", int], ...]


def _template(field: Field | None) -> Template | None:
    """What the last of the post-processors that add tokens does; None where none does."""
    template = None
    for step in _sequence(field, "processors"):
        kind = step["type"].text()
        if kind == "TemplateProcessing":
            found = _template_processing(step)
        elif kind in ("BertProcessing", "RobertaProcessing"):
            found = _pair_processing(step, kind == "BertProcessing")
        elif kind == "ByteLevel":
            continue
        else:
            raise step["type"].error(
                f"is {kind!r}; the post-processors that are supported are Sequence, TemplateProcessing, "
                "BertProcessing, RobertaProcessing, ByteLevel"
            )
        if template is not None:
            raise step["type"].error("is the second post-processor that adds tokens, which is not supported")
        template = found
    return template


def _template_processing(field: Field) -> Template:
    tokens = field["special_tokens"]

    def parts(name: str) -> Parts:
        found: list[tuple[str | tuple[int, ...], int]] = []
        for part in field[name].items():
            part.only({"Sequence", "SpecialToken"})
            if part.get("Sequence") is not None:
                sequence = part["Sequence"]
                if sequence["id"].text() not in ("A", "B"):
                    raise sequence["id"].error(f"is {sequence['id'].text()!r}, not A or B")
                found.append((sequence["id"].text(), sequence["type_id"].integer(0)))
            else:
                special = part["SpecialToken"]
                token = tokens[special["id"].text()]
                ids = tuple(id.integer(0) for id in token["ids"].items())
                found.append((ids, special["type_id"].integer(0)))
        return tuple(found)

    return Template(parts("single"), parts("pair"))


def _pair_processing(field: Field, bert: bool) -> Template:
    ids = {}
    for name in ("cls", "sep"):
        value = field[name].items()
        if len(value) != 2:
            raise field[name].error("is not a token and its id")
        ids[name] = (value[1].integer(0),)
    cls, sep = (ids["cls"], 0), (ids["sep"], 0)
    if bert:
        return Template((cls, ("A", 0), sep), (cls, ("A", 0), sep, ("B", 1), (ids["sep"], 1)))
    return Template((cls, ("A", 0), sep), (cls, ("A", 0), sep, sep, ("B", 0), sep))


# -- all of it -------------------------------------------------------------------------------------


def _assemble(data: bytes, root: Field, vocabulary: _Vocabulary, added: list[AddedToken]) -> Model:
    decoder = root.get("decoder")
    pipeline = Pipeline(
        added=tuple(added),
        normalizers=tuple(
            _kind(step, _NORMALIZERS, "normalizers") for step in _sequence(root.get("normalizer"), "normalizers")
        ),
        pre_tokenizers=tuple(
            _kind(step, _PRE_TOKENIZERS, "pre-tokenizers")
            for step in _sequence(root.get("pre_tokenizer"), "pretokenizers")
        ),
        decoders=None
        if decoder is None
        else tuple(_kind(step, _DECODERS, "decoders") for step in _sequence(decoder, "decoders")),
        template=_template(root.get("post_processor")),
        vocabulary_size=len(vocabulary.names),
        settings={
            name: field.value
            for name in ("truncation", "padding", "post_processor")
            if (field := root.get(name)) is not None
        },
    )
    _refuse_lost_beginnings(pipeline)
    names, scores = list(vocabulary.names), list(vocabulary.scores)
    types = [int(PieceType.NORMAL)] * len(names)
    byte_fallback = vocabulary.byte_fallback and any(byte_piece(value) in vocabulary.ids for value in range(256))
    if byte_fallback:
        for value in range(256):
            id = vocabulary.ids.get(byte_piece(value))
            if id is None:
                raise root["model"]["byte_fallback"].error(
                    f"is on, but the vocabulary has not {byte_piece(value)} while it has others; that is not supported"
                )
            types[id] = PieceType.BYTE
    for token in added:
        kind = PieceType.CONTROL if token.special else PieceType.USER_DEFINED
        if token.id < len(names):
            types[token.id] = kind
        else:
            names.append(token.content)
            scores.append(0.0)
            types.append(kind)
    if vocabulary.unk_id is not None:
        types[vocabulary.unk_id] = PieceType.UNKNOWN
    unknown = None if vocabulary.unk_id is None else min(vocabulary.scores) - UNKNOWN_PENALTY
    model = Model(
        pieces=Pieces.from_strings(names, scores, types),
        normalizer=NormalizerRules("tokenizer.json", b"", False, False, pipeline.escapes_spaces),
        byte_fallback=byte_fallback,
        unknown_score=unknown,
        single_precision=False,
        restart="at_space" if pipeline.cuts_at_spaces else "at_marks",
        pipeline=pipeline,
        source_format="huggingface",
        source=data,
    )
    return _with_named_tokens(model, pipeline)


def _refuse_lost_beginnings(pipeline: Pipeline) -> None:
    """Raise ModelError where text that comes from nowhere is put first, and a step follows that moves characters.

    tokenizers loses its place then: it puts the beginning twice, or panics.
    """
    begun = False
    for step in pipeline.normalizers:
        if begun and not isinstance(step, Replace | Prepend):
            raise ModelError(
                f"normalizer: {type(step).__name__} after a Replace that puts text where nothing is, "
                "which is not supported"
            )
        begun = begun or (
            isinstance(step, Replace) and step.is_regex and parse(step.pattern) == AtStart() and step.content != ""
        )


def _with_named_tokens(model: Model, pipeline: Pipeline) -> Model:
    """The same with bos, eos and pad: what the template puts first and last, or tokens of the usual names."""
    special = {token.content for token in pipeline.added if token.special}
    first = last = None
    if pipeline.template is not None:
        parts = [part for part, _ in pipeline.template.single]
        if "A" in parts:
            middle = parts.index("A")
            first = next((part[0] for part in parts[:middle] if isinstance(part, tuple) and part), None)
            last = next((part[0] for part in parts[middle + 1 :] if isinstance(part, tuple) and part), None)

    def name(id: int | None, *usual: str) -> str:
        if id is not None and id < len(model.pieces) and model.pieces[id] in special:
            return model.pieces[id]
        return next((content for content in usual if content in special), usual[0])

    padding = pipeline.settings.get("padding")
    pad = padding.get("pad_token") if isinstance(padding, dict) else None
    return replace(
        model,
        bos_piece=name(first, "<s>", "<bos>", "[CLS]", "<cls>"),
        eos_piece=name(last, "</s>", "<eos>", "[SEP]", "<sep>"),
        pad_piece=pad if pad in special else name(None, "<pad>", "[PAD]"),
        unk_piece=model.pieces[int(unknown[0])] if len(unknown := model.ids_of_type(PieceType.UNKNOWN)) else "<unk>",
    )
