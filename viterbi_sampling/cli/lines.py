"""Lines in, lines out: a chunk at a time, with a progress bar."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO

import click
from tqdm import tqdm

CHUNK_BYTES = 1 << 22
"""So much input is held at a time."""


def write_rows(input: BinaryIO, output: BinaryIO, rows: Callable[[list[bytes], int], Iterator[str]]) -> None:
    """Write the rows of each chunk of lines; `rows` gets the lines and the number of the first, from 0."""
    number = 0
    size = os.fstat(input.fileno()).st_size or None if _is_file(input) else None
    with tqdm(total=size, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while lines := input.readlines(CHUNK_BYTES):
            try:
                for row in rows([line.removesuffix(b"\n") for line in lines], number):
                    output.write(row.encode("utf-8") + b"\n")
            except ValueError as error:
                raise click.ClickException(str(error)) from None
            number += len(lines)
            bar.update(sum(map(len, lines)))
    output.flush()


def _is_file(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):
        return False
