"""The texts of a tokenizer.json model on their way into the engine and back: marks, surfaces, offsets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from viterbi_sampling.batch import Encoding
from viterbi_sampling.steps.description import AddedToken, Pipeline
from viterbi_sampling.steps.preparation import Preparation, Prepared, added_contents
from viterbi_sampling.steps.trimming import trimmed

_MARKS = re.compile(rb"[\xf5-\xf7][\x80-\xbf]{3}")


class PipelineTexts:
    """What a pipeline does to texts outside the engine.

    `python`: the steps run in plain Python, since the engine has not all of them; the rows that the engine gets are
    then texts that are prepared already.
    """

    def __init__(self, pipeline: Pipeline, python: bool) -> None:
        self.added = pipeline.added
        self.trims = pipeline.trims
        self.preparation = Preparation(pipeline) if python else None
        _, after = added_contents(pipeline)
        self.contents = {token.id: content for content, token in after.items()}

    def prepare(self, text: str | bytes) -> Prepared:
        """A text that is prepared by plain Python; `text` is str or UTF-8 bytes."""
        assert self.preparation is not None
        if isinstance(text, str):
            text.encode("utf-8")  # a lone surrogate is an error here as everywhere
            return self.preparation.prepare(text)
        return self.preparation.prepare_bytes(text)

    def prepare_all(self, texts: Iterable[str | bytes]) -> list[Prepared]:
        return [self.prepare(text) for text in texts]

    def token_of(self, encoded: bytes) -> AddedToken:
        """The added token whose mark `encoded` is."""
        value = (encoded[0] - 0xF5) << 18 | (encoded[1] & 63) << 12 | (encoded[2] & 63) << 6 | encoded[3] & 63
        return self.added[value - 1]

    def surface(self, encoded: bytes, text: str | bytes, span: tuple[int, int]) -> str:
        """What stands in the text for an added token that was found by the engine."""
        token = self.token_of(encoded)
        if token.normalized:
            return self.contents[token.id]
        if not (token.lstrip or token.rstrip):
            return token.content
        found = text[span[0] : span[1]]
        return found if isinstance(found, str) else found.decode("utf-8", "replace")

    def trimmed(self, encoding: Encoding, text: str | bytes) -> Encoding:
        """The same with its offsets as the post-processors leave them."""
        if not self.trims:
            return encoding
        in_bytes = not isinstance(text, str)
        return encoding._replace(offsets=trimmed(encoding.pieces, encoding.offsets, self.trims, in_bytes))

    def with_placeholders(self, text: bytes) -> bytes:
        """A text of the engine with one character, U+FFFC, for each of its marks, so that positions stay."""
        return _MARKS.sub(b"\xef\xbf\xbc", text)

    def readable(self, text: bytes) -> bytes:
        """A text of the engine without its marks: added tokens as they are written."""

        def content(found: re.Match[bytes]) -> bytes:
            encoded = found.group()
            return b"" if encoded == b"\xf5\x80\x80\x80" else self.token_of(encoded).content.encode("utf-8")

        return _MARKS.sub(content, text)

    @staticmethod
    def place(prepared: Prepared, text: str | bytes, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Spans of a prepared text as spans of the given one: of characters for str, of bytes for bytes."""
        placed = []
        starts: list[int] | None = None
        if isinstance(text, str) and not text.isascii():
            starts = []
            for number, character in enumerate(text):
                starts += [number] * len(character.encode("utf-8"))
            starts.append(len(text))
        for begin, end in spans:
            if begin < end:
                begin, end = prepared.begins[begin], prepared.ends[end - 1]
            elif begin:
                begin = end = len(text.encode("utf-8") if isinstance(text, str) else text)
            if starts is not None and (begin < len(starts) - 1 or begin == end):
                begin, end = starts[begin], starts[end]
            placed.append((begin, end))
        return placed
