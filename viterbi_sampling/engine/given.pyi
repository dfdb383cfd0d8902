import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.encoder import Encoder

def log_weight(
    encoder: Encoder, text: bytes, tokens: npt.NDArray[np.int32], alpha: float, merged: bool
) -> float | None: ...
