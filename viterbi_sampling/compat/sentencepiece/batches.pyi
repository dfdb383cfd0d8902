from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.pieces import PieceStrings

def serialize(
    strings: PieceStrings,
    texts: list[bytes],
    ids: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    spans: npt.NDArray[np.int32] | None,
    unknown: list[bytes],
    byte_values: npt.NDArray[np.int16],
) -> list[bytes]: ...
def serialize_tokens(
    text: bytes,
    ids: list[int],
    pieces: list[bytes],
    spans: list[tuple[int, int]],
    byte_values: npt.NDArray[np.int16],
) -> bytes: ...
def offset_mappings(
    strings: PieceStrings,
    ids: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    spans: npt.NDArray[np.int32] | None,
    unknown: list[bytes],
    as_bytes: bool,
) -> list[dict[str, Any]]: ...
