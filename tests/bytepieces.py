"""Small BytePiece models, and their segmentations by the reference."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from fit import Cells

from viterbi_sampling import reference as ref


def model_file(counts: Mapping[bytes, float]) -> bytes:
    """The JSON of a model with these pieces and all bytes, each of those that are missing counted once."""
    complete = {bytes([value]): 1 for value in range(256)} | dict(counts)
    pieces = sorted(complete, key=lambda piece: (len(piece), piece))
    entries = {
        b64encode(piece).decode(): [i + 3, piece.decode(errors="ignore"), complete[piece]]
        for i, piece in enumerate(pieces)
    }
    return json.dumps(entries, indent=4, ensure_ascii=False).encode()


def scored(data: bytes) -> dict[bytes, tuple[int, float]]:
    """The (id, score) of each piece of a model file, as the reference takes them."""
    entries = json.loads(data)
    total = np.log(sum(count for _, _, count in entries.values()))
    return {b64decode(key): (id, float(np.log(count) - total)) for key, (id, _, count) in entries.items()}


def expected_ids(pieces: Mapping[bytes, tuple[int, float]], text: str) -> list[int]:
    """The ids by the reference."""
    ids: list[int] = []
    for line in ref.bytepiece_lines(text):
        path = ref.viterbi(ref.lattice(line, pieces), len(line))
        ids += [edge.token for edge in path]
    return ids


def assert_follows(law: Mapping[tuple[int, ...], float], cells: Cells, samples: Iterable[Iterable[int]]) -> None:
    """The samples are of the law, whose cells are given."""
    counts = Counter(map(tuple, samples))
    assert set(counts) <= set(law)
    assert cells.fits(np.array([counts[path] for path in law], np.int64))
