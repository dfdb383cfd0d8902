class Trie:
    """Pieces to walk down byte by byte. Immutable once built; any number of threads may read it."""

    def memory(self) -> int: ...
