from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.encoder import Encoder, WeightTable
from viterbi_sampling.engine.pieces import PieceStrings
from viterbi_sampling.engine.rows import Rows

def rows_of(texts: list[Any] | tuple[Any, ...]) -> Rows: ...
def encode(encoder: Encoder, text: str | bytes, prefix_id: int = -1, suffix_id: int = -1) -> list[int] | None: ...
def encode_array(
    encoder: Encoder, text: str | bytes, prefix_id: int = -1, suffix_id: int = -1
) -> npt.NDArray[np.int32] | None: ...
def sample(
    encoder: Encoder,
    text: str | bytes,
    algorithm: str,
    number: int,
    alpha: float,
    weights: WeightTable,
    seed: int,
    index: int,
    draw: int,
    prefix_id: int = -1,
    suffix_id: int = -1,
) -> list[int] | None: ...
def annotate(
    encoder: Encoder, strings: PieceStrings, text: str | bytes, as_bytes: bool = False
) -> tuple[list[int], list[str] | list[bytes], list[tuple[int, int]]] | None: ...
def normalized(encoder: Encoder, text: str | bytes) -> Any: ...
def align(encoder: Encoder, text: str | bytes) -> tuple[bytes, npt.NDArray[np.int32]]: ...
