"""Writing the protocol-buffers wire format; reading it is in protobuf.pyx.

Source: the encoding chapter of the Protocol Buffers documentation.
"""

from __future__ import annotations

import math
import struct

VARINT, LENGTH, FIXED32 = 0, 2, 5
BEYOND_FLOAT32 = (2.0 - 2.0**-24) * 2.0**127
"""The least number that rounds to infinity as a float32."""


def varint(value: int) -> bytes:
    """An integer, seven bits a byte, the lowest first; negative ones as 64 bits.

    >>> varint(300)
    b'\\xac\\x02'
    """
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def tag(number: int, wire_type: int) -> bytes:
    """What begins a field."""
    return varint(number << 3 | wire_type)


def integer_field(number: int, value: int) -> bytes:
    """A field of an integer, a flag or an enum."""
    return tag(number, VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes, a string in UTF-8, or a message."""
    return tag(number, LENGTH) + varint(len(value)) + value


def float_field(number: int, value: float) -> bytes:
    """A field of a float32; what is too great for one becomes infinite, as it does in C."""
    if math.isfinite(value) and abs(value) >= BEYOND_FLOAT32:
        value = math.copysign(math.inf, value)
    return tag(number, FIXED32) + struct.pack("<f", value)
