import numpy as np
import numpy.typing as npt

def replace(tokens: npt.NDArray[np.int32], old: int, new: int) -> None: ...
