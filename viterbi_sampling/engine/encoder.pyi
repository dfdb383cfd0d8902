import numpy as np
import numpy.typing as npt

from viterbi_sampling.engine.cuts import Cuts
from viterbi_sampling.engine.normalizer import Normalizer
from viterbi_sampling.engine.trie import Trie
from viterbi_sampling.engine.workspace import Workspace

RESTARTS: dict[str, int]
WeightTable = tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.int32] | None]

def piece_trie(
    text: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    distinct: bool = False,
) -> Trie: ...
def spell_spaces(
    text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[int]]: ...

class Encoder:
    """A model ready to run. Immutable; any number of threads may use it at once."""

    scores: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int32]
    pieces: int
    shelf: dict[tuple[str, float], list[Workspace]]

    def __init__(
        self,
        normalizer: Normalizer,
        trie: Trie,
        cuts: Cuts,
        scores: npt.NDArray[np.float64],
        single_scores: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int32],
        single_precision: bool,
        unknown_score: float | None,
        unknown_id: int,
        byte_fallback: bool,
        byte_ids: npt.NDArray[np.int32],
        escape_whitespaces: bool,
        restart: str = "never",
        aliases: npt.NDArray[np.int32] | None = None,
        bytewise: bool = ...,
    ) -> None: ...
    def draw_at_once(self, paths: int) -> None: ...
    cache_bytes: int
    def limit_cache(self, most: int) -> None: ...
    def share_work(self, bytes_a_thread: int) -> None: ...
    def keep_words(self, wanted: bool) -> None: ...
    def normalize(self, text: bytes) -> bytes: ...
    def alias_ids(self) -> npt.NDArray[np.int32]: ...
    def is_verbatim(self) -> bool: ...
    def visible(self, text: bytes) -> bytes: ...
    def spell(self, text: bytes, tokens: npt.NDArray[np.int32]) -> list[int]: ...
    def weights(self, alpha: float) -> WeightTable: ...
