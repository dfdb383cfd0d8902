import numpy as np
import numpy.typing as npt

class Rows:
    """Pointers to the UTF-8 of the texts of a batch, kept alive by their owner."""

    count: int
    def texts(self) -> list[str | bytes | None]: ...
    total: int
    def complete(self) -> Rows: ...
    def nulls(self) -> npt.NDArray[np.bool_] | None: ...
