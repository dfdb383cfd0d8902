from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.rows import Rows

def rows_of_fixed_width(array: npt.NDArray[np.bytes_]) -> Rows: ...
def rows_of_variable_width(array: npt.NDArray[Any]) -> Rows: ...
