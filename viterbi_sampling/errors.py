"""The error classes of the package."""


class ModelError(ValueError):
    """A model file, or a model in memory, that cannot be used.

    The message names the field or the piece that is wrong and what would be accepted; where the
    model came from a file, it begins with the file's name.

    >>> from viterbi_sampling import ModelError, Tokenizer
    >>> try:
    ...     Tokenizer.from_bytes(b"")
    ... except ModelError as error:
    ...     print(error)
    the model is empty (0 bytes)
    """


class ModelTypeError(ModelError):
    """A model file that is in order, but holds no Unigram model."""


def shown(value: object) -> str:
    """A value from a file as an error message spells it: of a long one the beginning.

    >>> shown("a" * 1000)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
