import numpy as np
import numpy.typing as npt

def without_replacement(
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    tokens: npt.NDArray[np.int32],
    conditionals: npt.NDArray[np.float64],
    count: int,
    seed: int,
    index: int,
    excluded: npt.NDArray[np.int32] | None = None,
) -> list[tuple[npt.NDArray[np.int32], float, float]]: ...
