from typing import Any

from viterbi_sampling.compat.sentencepiece.arguments import ReturnType
from viterbi_sampling.compat.sentencepiece.state import State

class Entry(State):
    """Encode and its other names."""

    def Encode(
        self,
        input: Any,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        reverse: bool | None = None,
        emit_unk_piece: bool | None = None,
        enable_sampling: bool | None = None,
        nbest_size: int | None = None,
        alpha: float | None = None,
        num_threads: int | None = None,
        thread_pool: Any = None,
        return_type: ReturnType = None,
        out_type: ReturnType = None,
        return_bytes: bool | None = None,
    ) -> Any: ...
    encode = Encode
    tokenize = Encode
    Tokenize = Encode
