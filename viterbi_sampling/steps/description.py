"""Pipeline: what a tokenizer.json says of a text before and after the model, as frozen data.

The steps are those of Hugging Face's tokenizers, sequences flattened. The other modules here run
them in plain Python, `viterbi_sampling.engine.pipeline` those that it knows in compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in the text itself, before (`normalized`: after) it is normalized.

    `content` is what is searched for, in the normalized text its normalized form. `lstrip`, `rstrip`: the
    white space beside it belongs to it. `single_word`: only where no letter stands beside it. `special`: left out
    when decoding.
    """

    id: int
    content: str
    special: bool = True
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


@dataclass(frozen=True)
class Precompiled:
    """sentencepiece's character map, applied to grapheme clusters of less than 6 bytes, and to characters."""

    charsmap: bytes = field(repr=False)


@dataclass(frozen=True)
class UnicodeForm:
    """NFC, NFD, NFKC or NFKD."""

    form: str


@dataclass(frozen=True)
class StripAccents:
    """Remove the combining marks."""


@dataclass(frozen=True)
class Lowercase:
    """Each character in lower case."""


@dataclass(frozen=True)
class Nmt:
    """Remove control characters, and make spaces of other white space."""


@dataclass(frozen=True)
class Strip:
    """Remove the white space at the ends."""

    left: bool
    right: bool


@dataclass(frozen=True)
class Replace:
    """Replace what matches a string, or a regular expression of Oniguruma."""

    pattern: str
    is_regex: bool
    content: str


@dataclass(frozen=True)
class Prepend:
    """Put a string before a text that is not empty."""

    content: str


@dataclass(frozen=True)
class Metaspace:
    """Make `replacement` of spaces, put one first ("always", "never", "first": of the text only), cut before each."""

    replacement: str
    prepend: str
    split: bool


@dataclass(frozen=True)
class WhitespaceSplit:
    """Cut at white space, which goes."""


@dataclass(frozen=True)
class Handed:
    """A pre-tokenizer that is rare, as JSON: the tokenizers library runs it. It must not change the text."""

    kind: str
    json: str


@dataclass(frozen=True)
class ByteFallback:
    """Make characters of runs of tokens like <0x0A>; U+FFFD of each byte of a run that is not UTF-8."""


@dataclass(frozen=True)
class Fuse:
    """Join all tokens to one."""


@dataclass(frozen=True)
class StripTokens:
    """Remove up to `start` characters `content` at the beginning of each token, up to `stop` at its end."""

    content: str
    start: int
    stop: int


Normalizer: TypeAlias = Precompiled | UnicodeForm | StripAccents | Lowercase | Nmt | Strip | Replace | Prepend
PreTokenizer: TypeAlias = Metaspace | WhitespaceSplit | Handed
TokenDecoder: TypeAlias = Metaspace | ByteFallback | Fuse | StripTokens | Replace | Handed


Parts: TypeAlias = tuple[tuple[str | tuple[int, ...], int], ...]


@dataclass(frozen=True)
class Template:
    """What a post-processor puts around one text and around a pair, each of which comes once.

    Each part is "A", "B", or a tuple of ids; the second number is its type id. `window_types`: those of "A" and "B" in
    other windows of a row that is cut off than the first.
    """

    single: Parts
    pair: Parts
    window_types: tuple[int, int] = (0, 1)


@dataclass(frozen=True)
class Truncation:
    """Rows have at most `max_length` tokens, special ones counted.

    `strategy`: "longest_first", "only_first" or "only_second"; windows overlap in `stride` tokens; `direction`: "right"
    where the first tokens stay, "left" where the last ones do.
    """

    max_length: int
    strategy: str
    stride: int
    direction: str


@dataclass(frozen=True)
class Padding:
    """Rows are filled up to `length`, None for that of the longest, and on to a multiple of `multiple`."""

    length: int | None
    multiple: int | None
    direction: str
    id: int
    type_id: int
    token: str


@dataclass(frozen=True)
class Pipeline:
    """All of a tokenizer.json but the vocabulary.

    `vocabulary_size` is the number of pieces of the model itself; those of higher ids are added tokens.
    `decoders` is None where there are none: tokens are then joined by spaces. `trims`: how often the spaces at the ends
    of tokens are taken from their offsets, and each time whether one that may have been put first is left.
    """

    added: tuple[AddedToken, ...] = ()
    normalizers: tuple[Normalizer, ...] = ()
    pre_tokenizers: tuple[PreTokenizer, ...] = ()
    decoders: tuple[TokenDecoder, ...] | None = None
    template: Template | None = None
    trims: tuple[bool, ...] = ()
    truncation: Truncation | None = None
    padding: Padding | None = None
    vocabulary_size: int = 0

    @property
    def escapes_spaces(self) -> bool:
        """Whether no space reaches the model: U+2581 stands for it, as in sentencepiece."""
        if self.cuts_at_spaces or self._keeps_whole:
            return True
        last = self.normalizers[-1] if self.normalizers else None
        escaped = isinstance(last, Replace) and last.pattern == " " and last.content == SPACE
        return escaped and not self.pre_tokenizers

    @property
    def _keeps_whole(self) -> bool:
        """Whether the one pre-tokenizer writes U+2581 for spaces and cuts nowhere."""
        return len(self.pre_tokenizers) == 1 and any(
            isinstance(step, Metaspace) and step.replacement == SPACE and not step.split for step in self.pre_tokenizers
        )

    @property
    def cuts_at_spaces(self) -> bool:
        """Whether pre-tokens begin at each U+2581, and nowhere else but at added tokens."""
        if not self.pre_tokenizers:
            return False
        *others, last = self.pre_tokenizers
        return (
            isinstance(last, Metaspace)
            and last.replacement == SPACE
            and last.split
            and (
                not others or (last.prepend == "always" and len(others) == 1 and isinstance(others[0], WhitespaceSplit))
            )
        )


SPACE = "\u2581"
