import numpy as np
import numpy.typing as npt

def first_fault(
    text: bytes, offsets: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], limit: int, bytewise: bool
) -> tuple[int, str] | None: ...
