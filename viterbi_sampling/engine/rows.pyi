class Rows:
    """Pointers to the UTF-8 of the texts of a batch, kept alive by their owner."""

    count: int
    total: int
