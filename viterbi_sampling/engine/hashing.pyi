import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.rows import Rows

def hashes(rows: Rows) -> npt.NDArray[np.uint64]: ...
