"""nbest and score: what the law says of each line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import click

from viterbi_sampling import Tokenizer
from viterbi_sampling.cli.lines import write_rows
from viterbi_sampling.cli.options import check_alpha, line_options, load
from viterbi_sampling.cli.pieces import piece_id, spelled

Result = TypeVar("Result")


@click.command()
@line_options
@click.option("-k", "--count", type=click.IntRange(1), default=10, show_default=True, help="Segmentations a line.")
@click.option("--pieces", is_flag=True, help="Pieces instead of ids, with spaces as U+2581.")
def nbest(input: BinaryIO, output: BinaryIO, model: Path | None, count: int, pieces: bool) -> None:
    """List the COUNT best segmentations of each line of INPUT, best first; all there are where there are fewer.

    One line a segmentation: the number of the input line, from 1, the log-probability (alpha = 1), and the ids,
    separated by tabs.
    """
    tokenizer = load(model)

    def rows(lines: list[bytes], first: int) -> Iterator[str]:
        for number, line in enumerate(lines, first + 1):
            for segmentation in _of_line(number, lambda line=line: tokenizer.nbest(line, count)):  # type: ignore[misc]
                ids = segmentation.ids
                words = spelled([tokenizer.id_to_piece(id) for id in ids]) if pieces else " ".join(map(str, ids))
                yield f"{number}\t{segmentation.log_prob!r}\t{words}"

    write_rows(input, output, rows)


@click.command()
@line_options
@click.option("--alpha", type=float, default=1.0, show_default=True, help="Inverse temperature.")
@click.option("--ids", "ids_file", type=click.File("rb"), help="Lines of ids to score, one for each line of INPUT.")
@click.option("--pieces", is_flag=True, help="The lines of --ids hold pieces, with spaces as U+2581.")
def score(
    input: BinaryIO, output: BinaryIO, model: Path | None, alpha: float, ids_file: BinaryIO | None, pieces: bool
) -> None:
    """Say of each line of INPUT how probable its best segmentation is, or the one that --ids gives.

    One line a line: its log-probability (-inf for ids that are no segmentation of the line), the log-partition, and the
    entropy of a random segmentation in nats, separated by tabs.
    """
    check_alpha(alpha)
    if pieces and ids_file is None:
        raise click.UsageError("--pieces goes with --ids")
    tokenizer = load(model)

    def row(line: bytes) -> str:
        ids = tokenizer.encode(line) if ids_file is None else _read_ids(tokenizer, ids_file, pieces)
        numbers = (
            tokenizer.log_prob(line, ids, alpha=alpha),
            tokenizer.log_partition(line, alpha=alpha),
            tokenizer.entropy(line, alpha=alpha),
        )
        return "\t".join(map(repr, numbers))

    def rows(lines: list[bytes], first: int) -> Iterator[str]:
        for number, line in enumerate(lines, first + 1):
            yield _of_line(number, lambda line=line: row(line))  # type: ignore[misc]

    write_rows(input, output, rows)
    if ids_file is not None and ids_file.readline():
        raise click.ClickException(f"{ids_file.name}: more lines of ids than lines of text")


def _read_ids(tokenizer: Tokenizer, file: BinaryIO, pieces: bool) -> list[int]:
    line = file.readline()
    if not line:
        raise ValueError(f"{file.name} has no more lines of ids")
    words = line.decode("utf-8").removesuffix("\n").split(" ")
    return [piece_id(tokenizer, word) if pieces else int(word) for word in words if word]


def _of_line(number: int, call: Callable[[], Result]) -> Result:
    """What the call gives; what is wrong with the data names its line."""
    try:
        return call()
    except (ValueError, KeyError) as error:
        raise click.ClickException(f"line {number}: {error.args[0]}") from None
