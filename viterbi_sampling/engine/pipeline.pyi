from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.normalizer import Normalizer
from viterbi_sampling.engine.trie import Trie

Splitter = tuple[Trie, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

def character_set(flags: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """The set of the code points that have a flag, in 64 bits each."""

class PipelineNormalizer(Normalizer):
    """A pipeline ready to run. Immutable; any number of threads may use it."""

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        cutting: str,
        prefix: str,
        before: Splitter | None,
        after: Splitter | None,
    ) -> None: ...
