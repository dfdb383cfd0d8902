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
from viterbi_sampling.model import SPACE, UNKNOWN_PENALTY, Model, PieceType


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
    added = []
    for id, name in enumerate(names):
        kind = model.pieces.types[id]
        if kind in (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.USER_DEFINED):
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            added.append({"id": id, "content": name, **flags, "special": bool(kind != PieceType.USER_DEFINED)})
    return added


def _normalizer(model: Model) -> dict[str, Any] | None:
    rules = model.normalizer
    steps: list[dict[str, Any]] = []
    if rules.charsmap:
        encoded = base64.b64encode(rules.charsmap).decode("ascii")
        steps.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    if rules.remove_extra_whitespaces:
        # Normalizers run between added tokens, so that Strip would take spaces from beside user-defined pieces.
        if not len(model.ids_of_type(PieceType.USER_DEFINED)):
            steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
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
