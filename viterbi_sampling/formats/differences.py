"""Which texts may get other ids after a conversion, because two libraries treat the same rules differently."""

from __future__ import annotations

from viterbi_sampling.formats.huggingface.writer import plain_pieces
from viterbi_sampling.formats.without_pipeline import treated_otherwise
from viterbi_sampling.model import Model, PieceType
from viterbi_sampling.steps.description import Replace, Strip


def differences(model: Model, format: str) -> list[str]:
    """The classes of texts that docs/conversion.md names for this model; none where the format stays.

    They are those that can differ, not those that do.
    """
    if model.source_format == format or "bytepiece" in (model.source_format, format):
        return []
    named = ["runs like ----- whose segmentations tie", "special tokens in the text"]
    if format == "sentencepiece":
        if model.pipeline is None:
            return named
        if any(isinstance(step, Strip) and step.right for step in model.pipeline.normalizers):
            named.append("white space at the end that is no space, tab or line end")
        if any(step == Replace(r"\s{2,}", True, " ") for step in model.pipeline.normalizers):
            named.append("three or more unusual white-space characters side by side")
        return treated_otherwise(model.pipeline) + named
    if model.normalizer.charsmap:
        named.append(
            "clusters of several characters that the character map composes (decomposed Hangul, two-part vowels)"
        )
    added = set(model.ids_of_type(PieceType.USER_DEFINED).tolist()) - plain_pieces(model)
    if added and model.normalizer.add_dummy_prefix:
        named.insert(0, "texts that begin with a user-defined piece")
    return named
