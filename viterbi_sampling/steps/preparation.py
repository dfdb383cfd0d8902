"""From a text to what the engine reads: added tokens, normalizers, pre-tokenizers, in plain Python.

The engine's text has pre-tokens one after the other, marks between them where nothing else tells them apart, and a mark
for each added token.
"""

from __future__ import annotations

import re
from itertools import pairwise

from viterbi_sampling.errors import ModelError, shown
from viterbi_sampling.steps.aligned import WHITE_SPACE, Aligned, normalize
from viterbi_sampling.steps.description import (
    SPACE,
    AddedToken,
    Handed,
    Pipeline,
    Prepend,
    PreTokenizer,
    WhitespaceSplit,
)
from viterbi_sampling.steps.library import check_handed, library, library_pre_tokenizer

MARK = 0x140000
"""The code of the mark between two pre-tokens; MARK + 1 + i is that of added token i. Beyond Unicode."""


def mark(code: int) -> bytes:
    """A mark as the engine reads it: four bytes in the manner of UTF-8, which no UTF-8 holds."""
    value = code - MARK
    return bytes((0xF5 + (value >> 18), 0x80 | value >> 12 & 63, 0x80 | value >> 6 & 63, 0x80 | value & 63))


# -- pre-tokenizers --------------------------------------------------------------------------------


def pre_tokenize(step: PreTokenizer, text: Aligned) -> list[Aligned]:
    """The pre-tokens of one step, those that are empty left out."""
    if isinstance(step, WhitespaceSplit):
        return [text.slice(*match.span()) for match in re.finditer(_WORD, text.text)]
    if isinstance(step, Handed):
        spans = [span for _, span in library_pre_tokenizer(step).pre_tokenize_str(text.text)]
        return [text.slice(*span) for span in spans]
    text.replace((match.span() for match in re.finditer(" ", text.text)), step.replacement)
    first = step.prepend == "always" or (step.prepend == "first" and text.shift == 0)
    if first and text.text and not text.text.startswith(step.replacement):
        normalize(Prepend(step.replacement), text)
    if not step.split:
        return [text] if text.text else []
    cuts = sorted(
        {0, *(match.start() for match in re.finditer(re.escape(step.replacement), text.text)), len(text.text)}
    )
    return [text.slice(start, stop) for start, stop in pairwise(cuts)]


_WORD = "[^" + "".join(sorted(WHITE_SPACE)) + "]+"


# -- added tokens ----------------------------------------------------------------------------------


class Splitter:
    """Finds added tokens in texts: the leftmost, and of these the longest."""

    def __init__(self, contents: dict[str, AddedToken]) -> None:
        """`contents`: what is searched for, and which token it is."""
        self.tokens = contents
        longest = sorted(contents, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest))) if contents else None

    def split(self, text: str) -> list[tuple[int, int, AddedToken | None]]:
        """Spans that cover the text, those of added tokens with them."""
        spans: list[tuple[int, int, AddedToken | None]] = []
        last = 0
        for match in self.pattern.finditer(text) if self.pattern else ():
            start, stop = match.span()
            token = self.tokens[match.group()]
            if token.single_word and (_is_letter(text[start - 1 : start]) or _is_letter(text[stop : stop + 1])):
                continue
            while token.lstrip and start > last and text[start - 1] in WHITE_SPACE:
                start -= 1
            while token.rstrip and stop < len(text) and text[stop] in WHITE_SPACE:
                stop += 1
            if last < start:
                spans.append((last, start, None))
            spans.append((start, stop, token))
            last = stop
        if last < len(text):
            spans.append((last, len(text), None))
        return spans


def _is_letter(character: str) -> bool:
    r"""Whether a regular expression's \w matches the character; False for none."""
    if not character or character in WHITE_SPACE:
        return False
    words = library("an added token with single_word").pre_tokenizers.Whitespace().pre_tokenize_str(character + "a")
    return len(words) == 1


def added_contents(pipeline: Pipeline) -> tuple[dict[str, AddedToken], dict[str, AddedToken]]:
    """What is searched for before a text is normalized, and after it, with the token that each is."""
    before: dict[str, AddedToken] = {}
    after: dict[str, AddedToken] = {}
    for token in sorted(pipeline.added, key=lambda token: not token.special):
        if token.normalized:
            content = Aligned.of(token.content)
            for step in pipeline.normalizers:
                normalize(step, content)
            if not content.text:
                raise ModelError(f"the added token {shown(token.content)} is normalized to nothing")
            after.setdefault(content.text, token)
        else:
            before.setdefault(token.content, token)
    return before, after


# -- all of it -------------------------------------------------------------------------------------


class Prepared:
    """A text as the engine reads it, and for each byte of that the bytes of the given text that it comes from."""

    __slots__ = ("begins", "ends", "surfaces", "text")

    def __init__(self) -> None:
        self.text = bytearray()
        self.begins: list[int] = []
        self.ends: list[int] = []
        self.surfaces: dict[int, str] = {}  # of added tokens: what stands in the text, by position

    def add(self, encoded: bytes, begin: int, end: int) -> None:
        self.text += encoded
        self.begins += [begin] * len(encoded)
        self.ends += [end] * len(encoded)


class Preparation:
    """A pipeline ready to run in plain Python."""

    def __init__(self, pipeline: Pipeline) -> None:
        check_handed(pipeline)
        self.pipeline = pipeline
        self.before, self.after = (Splitter(contents) for contents in added_contents(pipeline))
        self.numbers = {token.id: number for number, token in enumerate(pipeline.added)}

    def prepare(self, text: str) -> Prepared:
        """The text for the engine: pre-tokens, with marks between them and for added tokens."""
        return self._prepare(Aligned.of(text))

    def prepare_bytes(self, text: bytes) -> Prepared:
        """The same for UTF-8; a byte that is none becomes U+FFFD."""
        decoded = text.decode("utf-8", "surrogateescape")
        whole = Aligned.of("".join("\0" if "\udc80" <= c <= "\udcff" else c for c in decoded))
        whole.text = "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in decoded)
        return self._prepare(whole)

    def _prepare(self, whole: Aligned) -> Prepared:
        prepared = Prepared()
        text = whole.text
        for start, stop, token in self.before.split(text):
            part = whole.slice(start, stop)
            if token is not None:
                self._add_token(prepared, part, token)
                continue
            for step in self.pipeline.normalizers:
                normalize(step, part)
            for first, last, found in self.after.split(part.text):
                if found is not None:
                    self._add_token(prepared, part.slice(first, last), found)
                else:
                    self._add_text(prepared, part.slice(first, last))
        return prepared

    def _add_token(self, prepared: Prepared, part: Aligned, token: AddedToken) -> None:
        prepared.surfaces[len(prepared.text)] = part.text
        prepared.add(mark(MARK + 1 + self.numbers[token.id]), part.begins[0], part.ends[-1])

    def _add_text(self, prepared: Prepared, part: Aligned) -> None:
        parts = [part]
        for step in self.pipeline.pre_tokenizers:
            parts = [piece for whole in parts for piece in pre_tokenize(step, whole)]
        space = SPACE if self.pipeline.escapes_spaces else None
        for number, piece in enumerate(parts):
            if number and not self.pipeline.cuts_at_spaces:
                prepared.add(mark(MARK), piece.begins[0], piece.begins[0])
            for character, begin, end in zip(piece.text, piece.begins, piece.ends, strict=True):
                prepared.add(b" " if character == space else character.encode("utf-8"), begin, end)
