"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """`given`: "lines", their "ids", or "nothing". `compares`: what is compared line by line, "" for nothing."""

    title: str
    given: str
    compares: str


WORKS = {
    "arrays": Work("encode, to arrays", "lines", "ids"),
    "lists": Work("encode, to lists", "lines", "ids"),
    "line": Work("encode, one call a line", "lines", "ids"),
    "offsets": Work("encode with offsets", "lines", "spans in the text"),
    # Samples differ by nature; what can be wrong in them without statistics is that they are none of the text.
    "sample": Work("sample", "lines", "decoded text"),
    "decode": Work("decode", "ids", "decoded text"),
    "load": Work("load the model", "nothing", ""),
}
