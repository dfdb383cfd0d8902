class Composer:
    """The canonical composition of this Python's unicodedata. Immutable; any number of threads may use it."""

def composer() -> Composer: ...
