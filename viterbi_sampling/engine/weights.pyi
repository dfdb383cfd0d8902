import numpy as np
import numpy.typing as npt

def edge_weights(
    scores: npt.NDArray[np.float64], alpha: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32] | None]: ...
