from viterbi_sampling.engine.trie import Trie

def read_charsmap(blob: bytes) -> tuple[object, bytes]: ...

class Normalizer:
    """The rules of one model, ready to run. Immutable; any number of threads may use it."""

    def __init__(
        self,
        charsmap: bytes,
        symbols: Trie | None,
        add_dummy_prefix: bool,
        remove_extra_whitespaces: bool,
        escape_whitespaces: bool,
        whitespace_as_suffix: bool,
        nfc: bool = ...,
    ) -> None: ...
    def normalize(self, text: bytes) -> bytes: ...
