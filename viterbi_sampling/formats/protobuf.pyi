import numpy as np
import numpy.typing as npt

def fields(message: bytes, name: str) -> list[tuple[int, int | bytes]]: ...
def read_pieces(
    message: bytes, number: int
) -> tuple[bytes, npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.uint8], list[tuple[int, bytes]]]: ...
