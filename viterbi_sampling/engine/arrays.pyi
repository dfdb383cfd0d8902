import numpy as np
import numpy.typing as npt

def lists(values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> list[list[int]]: ...
