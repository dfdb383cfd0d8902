from viterbi_sampling.engine.encoder import Encoder
from viterbi_sampling.engine.rows import Rows

def nbest(encoder: Encoder, rows: Rows, count: int, as_tokens: bool = False) -> list[tuple[list[int], float]]: ...
