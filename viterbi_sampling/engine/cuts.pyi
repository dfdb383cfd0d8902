import numpy as np
import numpy.typing as npt

class Cuts:
    """The pairs of characters that occur inside pieces. Immutable; any number of threads may use it."""

    def __init__(
        self,
        text: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        ids: npt.NDArray[np.int32],
    ) -> None: ...
    def split(self, text: bytes) -> list[int]: ...
