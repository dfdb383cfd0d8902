from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.rows import Rows

class IdRows(Rows):
    """Rows of the ids of a vocabulary."""

    def arrays(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...

def rows_of_array(ids: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64], end: int) -> IdRows: ...
def rows_of_lists(
    rows: list[Any] | tuple[Any, ...], end: int, checked: Callable[[Any, int], npt.NDArray[np.int32]]
) -> IdRows: ...
