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
