import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.encoder import Encoder, WeightTable
from viterbi_sampling.engine.rows import Rows

class Analysis:
    log_partition: float
    entropy: float
    text: bytes
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    has_unknown: bool
    parts: npt.NDArray[np.int32]
    marginals: npt.NDArray[np.float64]
    conditionals: npt.NDArray[np.float64]

def analyse(
    encoder: Encoder,
    rows: Rows,
    alpha: float = 0.0,
    weights: WeightTable | None = None,
    with_edges: bool = False,
    with_conditionals: bool = False,
) -> Analysis: ...
