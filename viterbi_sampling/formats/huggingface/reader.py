"""From a tokenizer.json to a Model."""

from __future__ import annotations

import re
from dataclasses import replace

from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats.huggingface.inputs import read_padding, read_post_processors, read_truncation
from viterbi_sampling.formats.huggingface.steps import read_decoders, read_normalizers, read_pre_tokenizers
from viterbi_sampling.formats.huggingface.vocabulary import Vocabulary, read_added_tokens, read_vocabulary
from viterbi_sampling.formats.json_document import Field, document
from viterbi_sampling.model import UNKNOWN_PENALTY, Model, NormalizerRules, Pieces, PieceType, byte_piece
from viterbi_sampling.steps.description import AddedToken, Pipeline, Prepend, Replace
from viterbi_sampling.steps.patterns import AtStart, parse

FIELDS = (
    "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
    "model",
)  # fmt: skip


def read(data: bytes) -> Model:
    """The Unigram model in a tokenizer.json; ModelError names the field that is wrong, or cannot be used."""
    root = document(data)
    root.only(FIELDS)
    version = root.get("version")
    if version is not None and version.text() != "1.0":
        raise version.error("is not the version 1.0, the only one there is")
    vocabulary = read_vocabulary(root["model"])
    added = read_added_tokens(root.get("added_tokens"), vocabulary)
    return _assemble(data, root, vocabulary, added)


def _assemble(data: bytes, root: Field, vocabulary: Vocabulary, added: list[AddedToken]) -> Model:
    size = len(vocabulary.names)
    pieces = max([size, *(token.id + 1 for token in added)])
    template, trims = read_post_processors(root.get("post_processor"), pieces)
    pipeline = Pipeline(
        added=tuple(added),
        normalizers=read_normalizers(root.get("normalizer")),
        pre_tokenizers=read_pre_tokenizers(root.get("pre_tokenizer")),
        decoders=read_decoders(root.get("decoder")),
        template=template,
        trims=trims,
        truncation=read_truncation(root.get("truncation")),
        padding=read_padding(root.get("padding"), pieces),
        vocabulary_size=size,
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
    # llm-jp writes <s|LLM-jp> for <s>, and so on.
    named = {re.sub(r"(?<=[^<])\|[^>|]*>\Z", ">", content): content for content in sorted(special)}
    named |= {content: content for content in special}
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
        return next((named[content] for content in usual if content in named), usual[0])

    pad = None if pipeline.padding is None else pipeline.padding.token
    return replace(
        model,
        bos_piece=name(first, "<s>", "<bos>", "[CLS]", "<cls>"),
        eos_piece=name(last, "</s>", "<eos>", "[SEP]", "<sep>"),
        pad_piece=pad if pad in special else name(None, "<pad>", "[PAD]"),
        unk_piece=model.pieces[int(unknown[0])] if len(unknown := model.ids_of_type(PieceType.UNKNOWN)) else "<unk>",
    )
