"""decode: lines of ids or pieces back into text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from viterbi_sampling.cli.lines import write_rows
from viterbi_sampling.cli.options import line_options, load, spelling_options
from viterbi_sampling.cli.pieces import piece_id


@click.command()
@line_options
@spelling_options
def decode(input: BinaryIO, output: BinaryIO, model: Path | None, pieces: bool, threads: int | None) -> None:
    """Turn lines of ids, separated by spaces, back into text."""
    tokenizer = load(model)

    def row(line: bytes) -> str:
        words = line.decode("utf-8").split(" ") if line else []
        if not pieces:
            return tokenizer.decode([int(word) for word in words if word])
        return tokenizer.decode([piece_id(tokenizer, word) for word in words if word])

    def rows(lines: list[bytes], first: int) -> Iterator[str]:
        for number, line in enumerate(lines, first + 1):
            try:
                yield row(line)
            except (ValueError, KeyError) as error:
                raise click.ClickException(f"line {number}: {error.args[0]}") from None

    write_rows(input, output, rows)
