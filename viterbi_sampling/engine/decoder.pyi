import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.id_rows import IdRows

class Decoder:
    """The surfaces of a vocabulary. Immutable; any number of threads may use it."""

    def __init__(
        self,
        text: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        kinds: npt.NDArray[np.uint8],
        byte_values: npt.NDArray[np.uint8],
        unknown_surface: bytes,
        strip_first: bool,
        strip_all: bool,
        errors: str = ...,
    ) -> None: ...
    def decode(self, rows: IdRows, num_threads: int = 1) -> list[str]: ...
    def decode_list(self, ids: list[int]) -> str | None: ...
