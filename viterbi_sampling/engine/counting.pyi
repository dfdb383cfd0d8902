import numpy as np
import numpy.typing as npt

def count_paths(
    starts: npt.NDArray[np.int32], ends: npt.NDArray[np.int32], parts: npt.NDArray[np.int32]
) -> list[int]: ...
