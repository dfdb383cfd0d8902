from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

class PartPaths:
    """The paths of one part, best first: a path is a rank from 0, worked out when it is asked for."""

    def __init__(self, edges: npt.NDArray[np.int32], scores: npt.NDArray[np.float64], begin: int, end: int) -> None: ...
    def score(self, rank: int) -> float | None: ...
    def tokens(self, rank: int) -> list[int]: ...

def best_and_gaps(
    edges: npt.NDArray[np.int32], parts: npt.NDArray[np.int32], scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...
def best_combinations(
    parts: Callable[[int], PartPaths], gaps: npt.NDArray[np.float64], count: int
) -> Iterator[tuple[float, list[tuple[int, int]]]]: ...
