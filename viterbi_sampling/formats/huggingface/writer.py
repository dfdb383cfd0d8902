"""A sentencepiece model as tokenizer.json: the steps that do what its normalizer does, as far as there are such.

What stays different is what the two libraries do differently with the same rules, see without_pipeline.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats.huggingface.steps import read_normalizers
from viterbi_sampling.formats.json_document import Field
from viterbi_sampling.model import SPACE, UNKNOWN_PENALTY, Model, PieceType
from viterbi_sampling.steps.aligned import Aligned, normalize


def write(model: Model) -> bytes:
    """The bytes of a tokenizer.json for `model`; ModelError where the format cannot hold it."""
    if model.source_format == "huggingface":
        return model.source
    pieces = model.pieces
    unknown = model.ids_of_type(PieceType.UNKNOWN)
    for wrong, what in (
        (model.normalizer.whitespace_as_suffix, "spaces after words (treat_whitespace_as_suffix)"),
        (model.denormalizer is not None, "a denormalizer"),
        (len(model.ids_of_type(PieceType.UNUSED)) > 0, "unused pieces"),
        (not len(unknown) or model.unknown_score is None, "a model without an unknown piece"),
    ):
        if wrong:
            raise ModelError(f"a tokenizer.json cannot hold {what}")
    scores = pieces.scores.copy()
    normal = pieces.types == PieceType.NORMAL
    lowest = float(scores[normal].min()) if normal.any() else 0.0
    # The worst of all scores counts there, so that those of special pieces must not be worse.
    scores[~normal] = np.maximum(scores[~normal], lowest)
    if not math.isclose(model.unknown_score or 0.0, lowest - UNKNOWN_PENALTY, rel_tol=1e-6):
        raise ModelError(
            f"in a tokenizer.json an unknown character scores {UNKNOWN_PENALTY:g} less than the worst piece "
            f"({lowest}), not {model.unknown_score}"
        )
    names = [pieces[id] for id in range(len(pieces))]
    spaced = any(SPACE in name[1:] for name in names)
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(model, names),
        "normalizer": _normalizer(model),
        "pre_tokenizer": _metaspace(model, not spaced) if model.normalizer.escape_whitespaces else None,
        "post_processor": None,
        "decoder": _decoder(model, not spaced),
        "model": {
            "type": "Unigram",
            "unk_id": int(unknown[0]),
            "vocab": [list(entry) for entry in zip(names, scores.tolist(), strict=True)],
            "byte_fallback": model.byte_fallback,
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=2).encode("utf-8")


def _added_tokens(model: Model, names: list[str]) -> list[dict[str, Any]]:
    """Tokens that are found in the text: user-defined ones in the normalized text where they are the same there.

    So the steps see the whole text, and what they do at its ends they do not do beside tokens.
    """
    steps = () if (found := _normalizer(model)) is None else read_normalizers(Field("normalizer", found))
    added = []
    plain = plain_pieces(model)
    for id, name in enumerate(names):
        kind = model.pieces.types[id]
        if id not in plain and kind in (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.USER_DEFINED):
            special = bool(kind != PieceType.USER_DEFINED)
            content = Aligned.of(name)
            for step in () if special else steps:
                normalize(step, content)
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
            normalized = not special and content.text == name
            added.append({"id": id, "content": name, **flags, "normalized": normalized, "special": special})
    return added


def plain_pieces(model: Model) -> set[int]:
    """User-defined pieces of one character that no other piece holds: the best path takes them without being told.

    As pieces they have the space of the beginning before them, which added tokens have not.
    """
    pieces = model.pieces
    names = [pieces[id] for id in range(len(pieces))]
    single = {
        name: id
        for id, name in enumerate(names)
        if pieces.types[id] == PieceType.USER_DEFINED and len(name) == 1 and name != SPACE
    }
    found = set(single.values())
    if single:
        for id, name in enumerate(names):
            if len(name) > 1 and pieces.types[id] in (PieceType.NORMAL, PieceType.USER_DEFINED):
                found.difference_update(single[character] for character in single.keys() & set(name))
    return found


def _normalizer(model: Model) -> dict[str, Any] | None:
    rules = model.normalizer
    steps: list[dict[str, Any]] = []
    if rules.charsmap:
        encoded = base64.b64encode(rules.charsmap).decode("ascii")
        steps.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    prefix = rules.add_dummy_prefix and rules.escape_whitespaces
    if rules.remove_extra_whitespaces:
        # Of the spaces at the beginning one is left where it is the prefix, which Metaspace puts only where none is.
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
        if not prefix:
            steps.append({"type": "Replace", "pattern": {"Regex": r"\A "}, "content": ""})
        steps.append({"type": "Replace", "pattern": {"Regex": r" \z"}, "content": ""})
    elif prefix:
        # Spaces at the beginning do not stand for the prefix, so that there is one more.
        steps.append({"type": "Replace", "pattern": {"Regex": r"\A "}, "content": "  "})
    if rules.add_dummy_prefix and not rules.escape_whitespaces:
        steps.append({"type": "Prepend", "prepend": " "})
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "normalizers": steps}


def _metaspace(model: Model, split: bool) -> dict[str, Any]:
    scheme = "first" if model.normalizer.add_dummy_prefix else "never"
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}


def _decoder(model: Model, split: bool) -> dict[str, Any]:
    rules = model.normalizer
    if not rules.escape_whitespaces:
        return {"type": "Fuse"}
    if not model.byte_fallback:
        return _metaspace(model, split)
    steps: list[dict[str, Any]] = [
        {"type": "ByteFallback"},
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "Fuse"},
    ]
    if rules.add_dummy_prefix:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}
