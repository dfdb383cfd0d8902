"""A tokenizer.json model as sentencepiece would have it: its steps as normalizer rules, as far as these can say them.

What stays different is what the two libraries do differently with the same rules: sentencepiece's map looks at the
longest rule and not at grapheme clusters, sums are float32, control pieces are not found in texts, and spaces beside
added tokens stay.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats.charsmap import charsmap_of, rules_of
from viterbi_sampling.model import SPACE, UNKNOWN_PENALTY, Model, NormalizerRules, Pieces, PieceType
from viterbi_sampling.steps import characters
from viterbi_sampling.steps.aligned import NMT_REMOVED, NMT_SPACES, WHITE_SPACE, Aligned, normalize
from viterbi_sampling.steps.compiled import compiled
from viterbi_sampling.steps.description import (
    Handed,
    Lowercase,
    Metaspace,
    Nmt,
    Normalizer,
    Pipeline,
    Precompiled,
    Prepend,
    Replace,
    Strip,
    StripAccents,
    UnicodeForm,
    WhitespaceSplit,
)
from viterbi_sampling.steps.patterns import SPACES, AtEnd, AtStart, Ranges, Run, parse
from viterbi_sampling.steps.patterns import WHITE_SPACE as WHITE

RUNS = "texts with runs of tabs, line ends or other white space"


def without_pipeline(model: Model, pipeline: Pipeline, exact: bool = True) -> Model:
    """The model with sentencepiece's rules; ModelError names what they cannot say.

    With `exact`, that is one, too, where the ids of ordinary texts would be others.
    """
    steps = list(pipeline.normalizers)
    prefix, words = _prefix(steps, pipeline)
    extra, otherwise = _edges(steps, prefix, words, bool(pipeline.pre_tokenizers))
    charsmap = _charsmap(steps, words)
    split = bool(pipeline.pre_tokenizers) and pipeline.cuts_at_spaces
    types = _types(model, pipeline, split)
    scores = model.pieces.scores.astype(np.float32)
    normal = scores[types == PieceType.NORMAL]
    if not len(model.ids_of_type(PieceType.UNKNOWN)):
        raise ModelError("a sentencepiece model needs an unknown piece, and model.unk_id is null")
    if not len(normal):
        raise ModelError("a sentencepiece model needs a normal piece, and all pieces are added tokens")
    inside = _inside(pipeline, words)
    if exact and (otherwise or inside):
        advice = "" if inside or RUNS in otherwise else "; stripped texts (str.strip) have the same ids"
        raise ModelError(
            f"a sentencepiece model would give other ids to {' and '.join(otherwise + inside)}{advice}; "
            "save(exact=False), or convert --inexact, writes it all the same"
        )
    made = replace(
        model,
        pieces=Pieces(model.pieces.text, model.pieces.offsets, scores.astype(np.float64), types),
        normalizer=NormalizerRules("user_defined" if charsmap else "identity", charsmap, prefix, extra, True),
        unknown_score=float(np.float32(normal.min()) - np.float32(UNKNOWN_PENALTY)),
        single_precision=True,
        restart="never",
        pipeline=None,
        source_format="",
        source=b"",
    )
    made.check()
    return made


def _prefix(steps: list[Normalizer], pipeline: Pipeline) -> tuple[bool, bool]:
    """(whether a space is put first, whether words are cut at white space), what says so taken from `steps`."""
    pre_tokenizers = list(pipeline.pre_tokenizers)
    if not pre_tokenizers:
        if not pipeline.escapes_spaces:
            raise ModelError("pre_tokenizer: there is none, and spaces do not become U+2581, as sentencepiece has it")
        steps.pop()
        first = steps[0] if steps else None
        if (
            isinstance(first, Replace)
            and first.is_regex
            and parse(first.pattern) == AtStart()
            and first.content == SPACE
        ):
            steps.pop(0)
            return True, False
        if first == Prepend(SPACE):
            steps.pop(0)
            return True, False
        return False, False
    last = pre_tokenizers.pop()
    words = pre_tokenizers == [WhitespaceSplit()]
    if pre_tokenizers and not words:
        raise ModelError(f"pre_tokenizer: sentencepiece has nothing like {_named(pre_tokenizers[0])}")
    if not isinstance(last, Metaspace):
        raise ModelError(f"pre_tokenizer: sentencepiece has nothing like {_named(last)}")
    if last.replacement != SPACE:
        raise ModelError(f"pre_tokenizer: the replacement is {last.replacement!r}, not U+2581 as in sentencepiece")
    # What transformers writes before a Metaspace that does the same; only U+2581 itself in a text may differ.
    doubled = steps[-1] if steps else None
    if isinstance(doubled, Replace) and doubled.content == 2 * SPACE and _at_end(doubled) == AtStart(SPACE):
        steps.pop()
    if steps and steps[-1] == Replace(" ", False, SPACE):
        steps.pop()
    return last.prepend != "never", words


def _named(step: object) -> str:
    return step.kind if isinstance(step, Handed) else type(step).__name__


def treated_otherwise(pipeline: Pipeline) -> list[str]:
    """The ordinary texts whose ids are others in sentencepiece."""
    steps = list(pipeline.normalizers)
    prefix, words = _prefix(steps, pipeline)
    return _edges(steps, prefix, words, bool(pipeline.pre_tokenizers))[1] + _inside(pipeline, words)


def _inside(pipeline: Pipeline, words: bool) -> list[str]:
    """The texts with an added token of ordinary characters, such as a dash, beside which a word begins or ends anew."""
    last = pipeline.pre_tokenizers[-1] if pipeline.pre_tokenizers else None
    anew = words or (isinstance(last, Metaspace) and last.prepend == "always")
    # What lies between tokens that are found before the text is normalized is a text of its own for these.
    ends = any(isinstance(step, Strip | Prepend) or _at_end(step) for step in pipeline.normalizers)
    found = {token.content for token in pipeline.added if anew or (ends and not token.normalized)}
    ordinary = sorted(content for content in found if content[0] not in "<[" or content[-1] not in ">]")
    if not ordinary:
        return []
    return [f"texts with {', '.join(map(repr, ordinary[:3]))}{' ...' if len(ordinary) > 3 else ''} beside a word"]


def _at_end(step: Normalizer) -> AtStart | AtEnd | None:
    """The end of a text that a step replaces."""
    pattern = parse(step.pattern) if isinstance(step, Replace) and step.is_regex else None
    return pattern if isinstance(pattern, AtStart | AtEnd) else None


def _edges(steps: list[Normalizer], prefix: bool, words: bool, metaspace: bool) -> tuple[bool, list[str]]:
    """(remove_extra_whitespaces, the texts that it treats otherwise), what says so taken from `steps`."""
    shortened = left = right = words
    doubled = stripped = False
    given = list(steps)
    spaced: list[Normalizer] = []  # what may make spaces where runs of them have been shortened
    for number, step in enumerate(given):
        if isinstance(step, Strip):
            left, right, stripped = left or step.left, right or step.right, True
        elif isinstance(step, Replace) and step.is_regex:
            pattern = parse(step.pattern)
            if step.content == "" and pattern in (AtStart(" "), AtStart(" ", True)):
                left = True
            elif step.content == "" and pattern in (AtEnd(" "), AtEnd(" ", True)):
                right = True
            elif prefix and step.content == "  " and pattern == AtStart(" "):
                doubled = True
            elif step.content in (" ", SPACE) and _is_run(pattern, SPACES):
                shortened, spaced = True, [later for later in given[number + 1 :] if not isinstance(later, Strip)]
            elif step.content == " " and _is_run(pattern, WHITE):
                shortened = True  # the map makes a space of unusual white space with more beside it
                continue
            else:
                continue
        else:
            continue
        steps.remove(step)
    otherwise = []
    # Metaspace puts U+2581 only where the text does not begin with it: the first of several spaces is the prefix.
    if not left and (not (prefix and metaspace) if shortened else prefix and metaspace and not doubled):
        otherwise.append("texts that begin with a space")
    if not shortened and (left or right):
        otherwise.append("texts that begin or end with a space")
    if shortened and not right:
        otherwise.append("texts that end with a space or what becomes one")
    if stripped and any(_applied(steps, character) not in ("", " ") for character in "\t\n\r"):
        otherwise.append("texts that begin or end with a tab or a line end")
    if not words and any(_applied(spaced, character) == " " for character in WHITE_SPACE - {" "}):
        otherwise.append(RUNS)
    return shortened, otherwise


def _is_run(pattern: object, ranges: Ranges) -> bool:
    return isinstance(pattern, Run) and pattern.ranges == ranges and not pattern.exact and pattern.low <= 2


def _applied(steps: list[Normalizer], text: str) -> str:
    return _rewriting(steps)(text)


def _rewriting(steps: list[Normalizer]) -> Callable[[str], str]:
    """What the steps make of a text, by the engine where it has all of them: a map has a few 100,000 rules."""
    engine = compiled(Pipeline(normalizers=tuple(steps)))
    if engine is not None:
        return lambda text: engine.normalize(text.encode("utf-8")).decode("utf-8")

    def plainly(text: str) -> str:
        aligned = Aligned(text, [0] * len(text), [0] * len(text), 0)
        for step in steps:
            normalize(step, aligned)
        return aligned.text

    return plainly


def _types(model: Model, pipeline: Pipeline, split: bool) -> np.ndarray:
    """Piece types: tokens of a usual purpose are control pieces, other added ones are taken wherever they stand."""
    types = model.pieces.types.copy()
    named = {model.bos_piece, model.eos_piece, model.pad_piece}
    for token in pipeline.added:
        if types[token.id] != PieceType.UNKNOWN:
            types[token.id] = PieceType.CONTROL if token.content in named else PieceType.USER_DEFINED
    if b"\0" in model.pieces.text:
        # No text of sentencepiece's holds the null character.
        types[[id for id in range(len(types)) if model.pieces.bytes_of(id) == b"\0"]] = PieceType.UNUSED
    if split:
        # Pieces that go on beyond the beginning of a pre-token never match.
        for id in np.flatnonzero(types == PieceType.NORMAL).tolist():
            if SPACE in model.pieces[id][1:]:
                types[id] = PieceType.UNUSED
    return types


def _charsmap(steps: list[Normalizer], words: bool) -> bytes:
    """The character map that does what the steps do to characters, one by one and in the sequences that they name."""
    if len(steps) == 1 and isinstance(steps[0], Precompiled):
        return steps[0].charsmap
    if not steps and not words:
        return b""
    keys: set[str] = set(WHITE_SPACE) if words else set()
    bare = False  # no accents are left
    for step in steps:
        found = _keys(step)
        if bare:
            found = {key for key in found if not any(characters.marks()[ord(character)] for character in key)}
        keys |= found
        bare = bare or isinstance(step, StripAccents)
    rules: dict[str, str] = {}
    single: dict[str, str] = {}
    rewritten = _rewriting(steps)

    def result(text: str) -> str:
        made = rewritten(text)
        return " " if words and made in WHITE_SPACE else made

    for key in sorted(keys, key=len):
        if "\0" in key:
            continue
        made = result(key)
        if len(key) == 1:
            single[key] = made
            if made != key:
                rules[key] = made
        elif made != "".join(single.get(character, character) for character in key):
            rules[key] = made
    return charsmap_of(rules)


def _keys(step: Normalizer) -> set[str]:
    """The characters and sequences of them that a step may change."""
    if isinstance(step, Precompiled):
        return set(rules_of(step.charsmap))
    if isinstance(step, StripAccents):
        return {chr(code) for code in np.flatnonzero(characters.marks()).tolist()}
    if isinstance(step, Nmt):
        return set(NMT_REMOVED | NMT_SPACES)
    if isinstance(step, Lowercase):
        return {chr(code) for code in _valid() if characters.lower(chr(code)) != chr(code)}
    if isinstance(step, UnicodeForm):
        changed = {chr(code) for code in _valid() if unicodedata.normalize("NFKD", chr(code)) != chr(code)}
        decomposed = {unicodedata.normalize("NFD", character) for character in changed}
        return changed | (decomposed if step.form.endswith("C") else set())
    if isinstance(step, Replace):
        pattern = parse(step.pattern) if step.is_regex else None
        if not step.is_regex:
            return {step.pattern}
        if pattern == Run(WHITE, 1, False):
            return set(WHITE_SPACE)
        if pattern == Run(WHITE, 2, False):
            unusual = WHITE_SPACE - set(" \t\n\r")
            return {a + b for a in WHITE_SPACE for b in WHITE_SPACE if a in unusual or b in unusual}
        if isinstance(pattern, Run) and pattern.exact and pattern.low == 1:
            codes = [code for low, high in pattern.ranges for code in range(low, high + 1)]
            if len(codes) <= 1 << 16:
                return {chr(code) for code in codes}
        raise ModelError(f"normalizer: sentencepiece has nothing like the regular expression {step.pattern!r}")
    raise ModelError(f"normalizer: sentencepiece has nothing like {type(step).__name__}")


def _valid() -> list[int]:
    return [*range(1, 0xD800), *range(0xE000, 0x30000)]
