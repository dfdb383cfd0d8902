from collections.abc import Iterable

from viterbi_sampling.engine.rows import Rows

def rows_of(texts: Iterable[str | bytes]) -> Rows: ...
