"""What a job needs on data that lies in parts, on many machines."""

from __future__ import annotations

from viterbi_sampling.pipelines.arrow import HASH, Tokenize


def checked(job: Tokenize) -> Tokenize:
    """`job`, whose samples have keys that do not depend on the partition. ValueError where they have not.

    >>> from viterbi_sampling import Tokenizer
    >>> checked(Tokenize(Tokenizer.default(), alpha=0.1, index="hash")).index
    'hash'
    """
    if not isinstance(job, Tokenize):
        raise TypeError(f"job must be an arrow.Tokenize, not {type(job).__name__}")
    if job.alpha is not None and job.index is None:
        raise ValueError(f"samples of partitioned data need an index: the name of a column of row ids, or {HASH!r}")
    return job
