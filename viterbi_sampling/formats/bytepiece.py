"""BytePiece's model: a JSON object ``{base64(piece): [id, readable piece, count]}``, or the zip that it ships in.

Pieces are byte strings, and a piece's score is log(count) - log(sum of all counts). The ids of the
pieces follow those of ``<pad>``, ``<bos>`` and ``<eos>``, which are 0, 1 and 2 and not in the file.
"""

from __future__ import annotations

import math
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any

import numpy as np

from viterbi_sampling.errors import ModelError
from viterbi_sampling.model import Model, NormalizerRules, Pieces, PieceType

RESERVED = ("<pad>", "<bos>", "<eos>")
MAX_JSON = 1 << 28
"""Bytes of the JSON in a zip: ten times the largest model that is known."""
MAX_COUNT = 2**63 - 1
"""A count must be at most this, which numpy's logarithm, and so BytePiece, can take."""


def read(data: bytes) -> Model:
    """The model in the bytes of a BytePiece JSON file, or of a zip that holds one; ModelError says where it breaks."""
    import json  # slow to import, and rarely needed

    source = unpack(data) if data[:2] == b"PK" else data
    try:
        entries = json.loads(source.decode("utf-8-sig"), object_pairs_hook=_Entries, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ModelError(f"the BytePiece JSON is not valid UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ModelError("the BytePiece JSON is nested too deeply") from None
    except ValueError as error:
        raise ModelError(f"the BytePiece JSON is not valid JSON, or truncated: {error}") from None
    if not isinstance(entries, _Entries):
        raise ModelError(
            f"a BytePiece model is a JSON object of base64(piece): [id, readable piece, count], not {_shown(entries)}"
        )
    return model_of(entries, source)


class _Entries(list[tuple[str, Any]]):
    """The entries of a JSON object in their order, equal keys and all."""


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "an object" if isinstance(value, _Entries) else f"an array of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def unpack(data: bytes) -> bytes:
    """The one file in a zip; ModelError where there is another number of them, or it is broken, encrypted or huge."""
    import io
    import zipfile  # slow to import, and rarely needed
    import zlib

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                names = ", ".join(repr(member.filename) for member in members[:4])
                raise ModelError(f"the zip must hold one BytePiece model, and holds {len(members)} files: {names}")
            (member,) = members
            if member.flag_bits & 1:
                raise ModelError(f"{member.filename!r} in the zip is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ModelError(
                    f"{member.filename!r} in the zip is compressed by method {member.compress_type}; "
                    "stored (0) and deflated (8) can be read"
                )
            # What the zip says of the size need not be true, so that one byte more is asked for than is accepted.
            if member.file_size <= MAX_JSON:
                with archive.open(member) as file:
                    content = file.read(MAX_JSON + 1)
            if member.file_size > MAX_JSON or len(content) > MAX_JSON:
                raise ModelError(f"{member.filename!r} in the zip has more than {MAX_JSON} bytes")
            return content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"the zip is broken: {str(error)[:200]}") from None


def model_of(entries: list[tuple[str, Any]], source: bytes) -> Model:
    """The model of the entries of the JSON object, whose text is `source`."""
    if not entries:
        raise ModelError("the BytePiece model has no pieces")
    count = len(entries) + len(RESERVED)
    pieces: list[bytes] = [name.encode() for name in RESERVED] + [b""] * len(entries)
    counts: list[float] = [1] * count
    seen: dict[bytes, str] = {}
    for key, value in entries:
        piece = _piece(key)
        if piece in seen:
            raise ModelError(
                f"the BytePiece model has the piece {_shown(piece)} twice, as {_shown(seen[piece])} and {_shown(key)}"
            )
        seen[piece] = key
        if not isinstance(value, list) or isinstance(value, _Entries) or len(value) != 3:
            raise ModelError(f"entry {_shown(key)} must be [id, readable piece, count], not {_shown(value)}")
        id = value[0]
        if type(id) is not int or not len(RESERVED) <= id < count:
            raise ModelError(
                f"the id of entry {_shown(key)} must be one of {len(RESERVED)} to {count - 1}, not {_shown(id)}: "
                "they follow <pad>, <bos> and <eos>, without gaps"
            )
        if pieces[id]:
            raise ModelError(f"pieces {_shown(pieces[id])} and {_shown(piece)} both have the id {id}")
        pieces[id] = piece
        counts[id] = _count(key, value[-1])
    # In the order of the file, as BytePiece adds them up (which matters where some are no whole numbers).
    total = sum(value[-1] for _, value in entries)
    if not 0 < total <= 2 * MAX_COUNT:
        raise ModelError(f"the counts must add up to at most {2 * MAX_COUNT}, not to {total}")
    # numpy's logarithm and no other: ids are BytePiece's to the last tie where scores are to the last bit.
    scores = np.zeros(count, np.float64)
    scores[len(RESERVED) :] = np.log(np.array(counts[len(RESERVED) :], _number_type(counts))) - np.log(total)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    types = np.full(count, int(PieceType.NORMAL), np.uint8)
    types[: len(RESERVED)] = int(PieceType.CONTROL)
    model = Model(
        pieces=Pieces(b"".join(pieces), offsets, scores, types),
        normalizer=NormalizerRules("nfc", b"", False, False, False, nfc=True),
        pad_piece=RESERVED[0],
        bos_piece=RESERVED[1],
        eos_piece=RESERVED[2],
        unknown_score=None,
        single_precision=False,
        restart="after_newline",
        bytewise=True,
        source_format="bytepiece",
        source=source,
    )
    model.check()
    return model


def _piece(key: str) -> bytes:
    try:
        piece = b64decode(key.encode("ascii"), validate=True)
    except (Base64Error, UnicodeEncodeError):
        raise ModelError(f"the key {_shown(key)} is not base64, which spells a piece") from None
    if not piece:
        raise ModelError("the key '' spells an empty piece")
    return piece


def _count(key: str, count: object) -> float:
    if type(count) is int and 0 < count <= MAX_COUNT:
        return count
    if type(count) is float and 0 < count <= MAX_COUNT and math.isfinite(count):
        return count
    raise ModelError(
        f"the count of entry {_shown(key)} must be a number above 0 and at most {MAX_COUNT}, not {_shown(count)}"
    )


def _number_type(counts: list[float]) -> type[np.number[Any]]:
    return np.int64 if all(type(count) is int for count in counts) else np.float64


def write(model: Model) -> bytes:
    """The JSON of a BytePiece model, as it came; ModelError for a model of another format."""
    if model.source_format == "bytepiece":
        return model.source
    origin = f"read from the format {model.source_format!r}" if model.source_format else "made from pieces"
    raise ModelError(
        "a BytePiece file holds a count of each piece, all 256 bytes among them, and no special pieces but "
        f"{', '.join(RESERVED)}; a model {origin} has scores that no counts give"
    )
