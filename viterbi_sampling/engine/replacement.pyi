import numpy as np
import numpy.typing as npt

def without_replacement(
    edges: npt.NDArray[np.int32],
    conditionals: npt.NDArray[np.float64],
    size: int,
    count: int,
    seed: int,
    index: int,
    excluded: list[int] | None = None,
) -> list[tuple[list[int], float, float]]: ...
