"""Precompiled character maps of sentencepiece: their rules, and a map from rules.

A map is a Darts double array over the bytes of what is replaced, and the replacements, each ended by a zero byte.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from viterbi_sampling.engine.normalizer import read_charsmap
from viterbi_sampling.errors import ModelError

_LEAF = -1
_MOST_UNITS = 1 << 21
"""Offsets between units are shorter than this."""


def rules_of(charsmap: bytes) -> dict[str, str]:
    """What a map replaces, and by what; rules that are not whole characters are left out."""
    units, strings = read_charsmap(charsmap)
    array = np.asarray(units)
    labels = array & 0x800000FF
    children: dict[int, list[int]] = {}
    for index in np.flatnonzero((labels > 0) & (labels <= 0xFF)).tolist():
        children.setdefault(index ^ int(labels[index]), []).append(index)
    table = array.tolist()
    rules: dict[str, str] = {}
    pending = [(_offset(table[0]), b"")]
    while pending:
        base, key = pending.pop()
        for index in children.get(base, ()):
            unit = table[index]
            longer = key + bytes((unit & 0xFF,))
            below = index ^ _offset(unit)
            if unit >> 8 & 1:
                begin = table[below] & 0x7FFFFFFF
                with suppress(UnicodeDecodeError):
                    rules[longer.decode("utf-8")] = strings[begin : strings.index(b"\0", begin)].decode("utf-8")
            if len(longer) < 256:
                pending.append((below, longer))
    return rules


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)


def charsmap_of(rules: Mapping[str, str]) -> bytes:
    """The map with these rules, empty for none. No string may hold a null character.

    >>> rules_of(charsmap_of({"\\u0132": "IJ", "a\\u0301": "\\u00e1"})) == {"\\u0132": "IJ", "a\\u0301": "\\u00e1"}
    True
    """
    if not rules:
        return b""
    replacements = bytearray()
    places: dict[str, int] = {}
    root: dict[int, Any] = {}
    for key, value in sorted(rules.items()):
        if value not in places:
            places[value] = len(replacements)
            replacements += value.encode("utf-8") + b"\0"
        node = root
        for byte in key.encode("utf-8"):
            node = node.setdefault(byte, {})
        node[_LEAF] = places[value]
    units = [0] * 256
    used = bytearray(256)
    used[0] = True
    # A unit knows its label, not its parent: two parents with one base would have each other's children.
    bases: set[int] = set()
    next_single = beyond = 1  # each search goes on where the last one ended: space is not short
    pending = [(root, 0)]
    while pending:
        node, at = pending.pop()
        labels = [max(label, 0) for label in node]
        if len(labels) == 1:
            place = next_single
            while (place < len(used) and used[place]) or place ^ labels[0] in bases or place ^ labels[0] == at:
                place += 1
            base = place ^ labels[0]
            next_single = place + 1
        else:
            base = beyond
            while (
                base in bases or base == at or any(base ^ label < len(used) and used[base ^ label] for label in labels)
            ):
                base += 1
            beyond = base + 1
        needed = (max(base ^ label for label in labels) | 0xFF) + 1 - len(used)
        if needed > 0:
            units += [0] * needed
            used += bytes(needed)
        if len(units) > _MOST_UNITS:
            raise ModelError("the normalizer has more rules than a precompiled character map can hold")
        bases.add(base)
        units[at] |= (base ^ at) << 10 | (1 << 8 if _LEAF in node else 0)
        for label, below in node.items():
            place = base ^ max(label, 0)
            used[place] = True
            units[place] = below | 1 << 31 if label == _LEAF else label
            if label != _LEAF:
                pending.append((below, place))
    trie = np.array(units, "<u4").tobytes()
    return struct.pack("<I", len(trie)) + trie + bytes(replacements)
