"""JSON from a file that is not trusted: read once, and every value asked for by name and type.

Numbers are read as tokenizers (the Rust crate serde_json) reads them: the digits as one integer, then
multiplied or divided by a power of ten, which is not always the nearest double. Ties between sums of
scores are decided by the last bit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, KeysView
from typing import Any, NoReturn

from viterbi_sampling.errors import ModelError, shown

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_POWERS = [float(f"1e{exponent}") for exponent in range(309)]


class Field:
    """A value of a document, and the way to it."""

    __slots__ = ("path", "value")

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.value = value

    def error(self, what: str) -> ModelError:
        return ModelError(f"{self.path} {what}")

    def _of(self, kind: type, name: str) -> Any:
        if type(self.value) is not kind:
            raise self.error(f"is not {name}, but {_described(self.value)}")
        return self.value

    def text(self) -> str:
        return self._of(str, "a string")  # type: ignore[no-any-return]

    def character(self) -> str:
        text = self.text()
        if len(text) != 1:
            raise self.error(f"is {shown(text)}, not one character")
        return text

    def one_of(self, names: Collection[str]) -> str:
        text = self.text()
        if text not in names:
            raise self.error(f"is {shown(text)}, not one of {', '.join(names)}")
        return text

    def flag(self) -> bool:
        return self._of(bool, "true or false")  # type: ignore[no-any-return]

    def integer(self, least: int) -> int:
        value = self._of(int, "an integer")
        if not least <= value < 1 << 31:
            raise self.error(f"is {value}, not from {least} to 2^31 - 1")
        return value  # type: ignore[no-any-return]

    def array(self) -> list[Any]:
        return self._of(list, "an array")  # type: ignore[no-any-return]

    def items(self) -> list[Field]:
        return [Field(f"{self.path}[{index}]", value) for index, value in enumerate(self.array())]

    def keys(self) -> KeysView[str]:
        return self._of(dict, "an object").keys()  # type: ignore[no-any-return]

    def __getitem__(self, name: str) -> Field:
        found = self.get(name)
        if found is None:
            raise ModelError(f"{self._path_to(name)} is missing")
        return found

    def get(self, name: str) -> Field | None:
        """The value of that name; None where there is none, or it is null."""
        value = self._of(dict, "an object").get(name)
        return None if value is None else Field(self._path_to(name), value)

    def only(self, names: Iterable[str]) -> None:
        for name in self.keys():
            if name not in names:
                raise ModelError(f"{self._path_to(name)} is not a field that is known")

    def _path_to(self, name: str) -> str:
        name = name if len(name) <= 60 else name[:57] + "..."
        return f"{self.path}.{name}" if self.path else name


def _described(value: Any) -> str:
    kinds = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "true or false",
        int: "an integer",
        float: "a number",
    }
    return kinds.get(type(value), "null")


def document(data: bytes) -> Field:
    """The object that a JSON file holds; ModelError where it is not JSON, or nested too deeply."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"the JSON is not valid UTF-8: byte {error.start}") from None
    try:
        value = json.loads(text, parse_float=number, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError:
        raise ModelError("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ModelError(f"not JSON, or truncated: {error}") from None
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"the JSON cannot be read: {error}") from None
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ModelError("the JSON has a string that is not Unicode: half of a surrogate pair") from None
    if type(value) is not dict:
        raise ModelError(f"the JSON is {_described(value)}, not an object")
    return Field("", value)


def number(text: str) -> float:
    """The value of a number with a fraction or an exponent.

    >>> number("-12.25")
    -12.25
    """
    whole, _, rest = text.partition(".")
    fraction, _, power = rest.lower().partition("e")
    if not rest:
        whole, _, power = whole.lower().partition("e")
    digits = (whole + fraction).lstrip("-0")
    exponent = int(power or 0) if len(power) < 10 else (-(10**9) if power[0] == "-" else 10**9)
    dropped = 0
    significand = int(digits or 0)
    while significand >= 1 << 64:  # further digits are dropped
        significand //= 10
        dropped += 1
    exponent += dropped - len(fraction)
    value = float(significand)
    while value and not -308 <= exponent <= 308:
        if exponent > 0:
            raise ModelError(f"the number {text[:40]} is too large")
        value /= 1e308
        exponent += 308
    if value:
        value = value * _POWERS[exponent] if exponent >= 0 else value / _POWERS[-exponent]
    if math.isinf(value):
        raise ModelError(f"the number {text[:40]} is too large")
    return -value if text[0] == "-" else value


def _no_constant(name: str) -> NoReturn:
    raise ModelError(f"the JSON holds {name}, which is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"the JSON has the key {shown(twice)} twice in one object")
    return found
