"""Steps that are rare: the tokenizers library runs them, where it is installed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from viterbi_sampling.errors import ModelError, shown
from viterbi_sampling.steps.description import Handed, Pipeline, Replace
from viterbi_sampling.steps.patterns import parse


def library(what: str) -> Any:
    """The tokenizers library, which `what` needs."""
    try:
        import tokenizers
    except ImportError:
        raise ModelError(f"{what} needs the tokenizers library: pip install tokenizers") from None
    return tokenizers


@lru_cache(maxsize=64)
def _library_splitters(pattern: str) -> tuple[Any, Any]:
    tokenizers = library(f"the regular expression {shown(pattern)}")
    try:
        regex = tokenizers.Regex(pattern)
    except Exception as error:
        raise ModelError(f"the regular expression {shown(pattern)} is not one of Oniguruma: {error}") from None
    split = tokenizers.pre_tokenizers.Split
    if any(tokenizers.normalizers.Replace(regex, "\0").normalize_str(text).count("\0") > 1 for text in ("~", "a")):
        raise ModelError(f"the regular expression {shown(pattern)} matches where nothing is; that is not supported")
    return split(regex, "isolated"), split(regex, "removed")


def library_matches(pattern: str, text: str) -> list[tuple[int, int]]:
    isolated, removed = _library_splitters(pattern)
    kept = {span for _, span in removed.pre_tokenize_str(text)}
    return [span for _, span in isolated.pre_tokenize_str(text) if span not in kept]


def library_pre_tokenizer(step: Handed) -> Any:
    return _step_of_library("pre_tokenizer", step)


def library_decoder(step: Handed) -> Any:
    return _step_of_library("decoder", step)


@lru_cache(maxsize=64)
def _step_of_library(field: str, step: Handed) -> Any:
    """The library's object for the step that stands in `field` of a file."""
    tokenizers = library(f"the {field.replace('_', '-')} {step.kind}")
    try:
        model = '{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0]]}'
        return getattr(tokenizers.Tokenizer.from_str(f'{{"{field}":{step.json},"model":{model}}}'), field)
    except Exception as error:
        raise ModelError(f"{field}: {step.kind} cannot be used: {error}") from None


def check_handed(pipeline: Pipeline) -> None:
    """Raise ModelError where a step needs the tokenizers library, and it is missing or refuses the step."""
    for pre_tokenizer in pipeline.pre_tokenizers:
        if isinstance(pre_tokenizer, Handed):
            library_pre_tokenizer(pre_tokenizer)
    for step in pipeline.normalizers:
        if isinstance(step, Replace) and step.is_regex and parse(step.pattern) is None:
            _library_splitters(step.pattern)
    if any(token.single_word for token in pipeline.added):
        library("an added token with single_word")
