from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.encoder import Encoder, WeightTable
from viterbi_sampling.engine.rows import Rows

ALGORITHMS: dict[str, int]

def run(
    encoder: Encoder,
    rows: Rows,
    algorithm: str = "viterbi",
    alpha: float = 0.0,
    weights: WeightTable = (None, None),
    nbest_size: int = 0,
    seed: int = 0,
    first_index: int = 0,
    indices: npt.NDArray[np.uint64] | None = None,
    first_draw: int = 0,
    draws: int = 1,
    with_spans: bool = False,
    log_probs: npt.NDArray[np.float64] | None = None,
    prefix_id: int = -1,
    suffix_id: int = -1,
    num_threads: int = 1,
    unknown: list[bytes] | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32] | None]: ...
def id_lists(encoder: Encoder, rows: Rows, **options: Any) -> list[list[int]]: ...
def segment(
    encoder: Encoder,
    rows: Rows,
    algorithm: str = "viterbi",
    alpha: float = 0.0,
    weights: WeightTable = (None, None),
    nbest_size: int = 0,
    seed: int = 0,
    index: int = 0,
    draw: int = 0,
    words: npt.NDArray[np.uint64] | None = None,
) -> tuple[list[int], list[tuple[int, int]], list[bytes | None]]: ...
