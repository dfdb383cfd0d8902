"""The steps of a tokenizer.json that rewrite a text, cut it, and make text of tokens again."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from viterbi_sampling.engine.normalizer import read_charsmap
from viterbi_sampling.errors import shown
from viterbi_sampling.formats.json_document import Field
from viterbi_sampling.steps.description import (
    ByteFallback,
    Fuse,
    Handed,
    Lowercase,
    Metaspace,
    Nmt,
    Normalizer,
    Precompiled,
    Prepend,
    PreTokenizer,
    Replace,
    Strip,
    StripAccents,
    StripTokens,
    TokenDecoder,
    UnicodeForm,
    WhitespaceSplit,
)
from viterbi_sampling.steps.patterns import one_by_one


def steps_in(field: Field | None, key: str) -> list[Field]:
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
        raise kind.error(f"is {shown(name)}; the {what} that are supported are Sequence, {', '.join(known)}")
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
        blob = base64.b64decode(charsmap.text(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise charsmap.error(f"is not base64: {error}") from None
    read_charsmap(blob)  # now, and not when a text needs it
    return Precompiled(blob)


def _metaspace(field: Field) -> Metaspace:
    replacement = field["replacement"].text()
    if len(replacement) != 1:
        raise field["replacement"].error(f"is {shown(replacement)}, not one character")
    scheme = field.get("prepend_scheme")
    prepend = "always" if scheme is None else scheme.text()
    if prepend not in ("always", "first", "never"):
        raise field["prepend_scheme"].error(f"is {shown(prepend)}, not one of always, first, never")
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


def read_normalizers(field: Field | None) -> tuple[Normalizer, ...]:
    """The normalizers, in their order."""
    steps: list[Normalizer] = []
    for found in steps_in(field, "normalizers"):
        step = _kind(found, _NORMALIZERS, "normalizers")
        if isinstance(step, Replace) and step.is_regex:
            steps += (replace(step, pattern=pattern) for pattern in one_by_one(step.pattern, step.content))
        else:
            steps.append(step)
    return tuple(steps)


def read_pre_tokenizers(field: Field | None) -> tuple[PreTokenizer, ...]:
    """The pre-tokenizers, in their order."""
    return tuple(_kind(step, _PRE_TOKENIZERS, "pre-tokenizers") for step in steps_in(field, "pretokenizers"))


def read_decoders(field: Field | None) -> tuple[TokenDecoder, ...] | None:
    """The decoders, in their order; None where the file has none."""
    if field is None:
        return None
    return tuple(_kind(step, _DECODERS, "decoders") for step in steps_in(field, "decoders"))
