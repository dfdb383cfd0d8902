from viterbi_sampling.engine.normalizer import Normalizer

class Verbatim(Normalizer):
    """Rows are texts that plain Python has prepared."""

    def __init__(self) -> None: ...
