"""encode, sample and decode: each reads lines and writes lines."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from viterbi_sampling import Tokenizer
from viterbi_sampling.arguments import SAMPLERS
from viterbi_sampling.cli.lines import write_rows
from viterbi_sampling.cli.options import check_alpha, end_options, line_options, load, spelling_options
from viterbi_sampling.model import SPACE


@click.command()
@line_options
@spelling_options
@end_options
def encode(
    input: BinaryIO, output: BinaryIO, model: Path | None, pieces: bool, threads: int | None, **ends: bool
) -> None:
    """Segment each line of INPUT (a file, or standard input) along its best path."""
    tokenizer = load(model)

    def rows(lines: list[bytes], _: int) -> Iterator[str]:
        if pieces:
            return (_spelled(_with_ends(tokenizer, tokenizer.tokenize(line), **ends)) for line in lines)
        return map(_numbers, tokenizer.encode_batch(lines, num_threads=threads, **ends).to_list())

    write_rows(input, output, rows)


@click.command()
@line_options
@spelling_options
@end_options
@click.option("--alpha", type=float, required=True, help="Inverse temperature: 0 is uniform, 1 the model's own law.")
@click.option(
    "--algorithm",
    type=click.Choice(SAMPLERS),
    default="perfect",
    show_default=True,
    help="viterbi_sampling is the original one, whose law is biased.",
)
@click.option("--nbest-size", type=click.IntRange(1), help="For nbest: the number of best segmentations to draw from.")
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), help="The same seed, the same samples; fresh ones by default."
)
@click.option("-n", "--samples", type=click.IntRange(1), default=1, show_default=True, help="Lines for each line.")
def sample(
    input: BinaryIO, output: BinaryIO, model: Path | None, pieces: bool, threads: int | None, alpha: float,
    algorithm: str, nbest_size: int | None, seed: int | None, samples: int, **ends: bool,
) -> None:  # fmt: skip
    """Segment each line of INPUT at random; line i, from 0, is drawn with index i of the seed."""
    check_alpha(alpha)
    if (algorithm == "nbest") != (nbest_size is not None):
        raise click.UsageError("--algorithm nbest and --nbest-size go together")
    tokenizer = load(model)
    law: dict[str, Any] = {
        "alpha": alpha,
        "algorithm": algorithm,
        "nbest_size": nbest_size,
        "seed": secrets.randbits(64) if seed is None else seed,
    }

    def rows(lines: list[bytes], first: int) -> Iterator[str]:
        if not pieces:
            options = {**law, **ends}
            batch = tokenizer.sample_batch(lines, n=samples, index=first, num_threads=threads, **options)
            return map(_numbers, batch.to_list())
        drawn = (
            tokenizer.sample_with_offsets(line, index=index, draw=draw, **law).pieces
            for index, line in enumerate(lines, first)
            for draw in range(samples)
        )
        return (_spelled(_with_ends(tokenizer, row, **ends)) for row in drawn)

    write_rows(input, output, rows)


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
        return tokenizer.decode([_piece_id(tokenizer, word) for word in words if word])

    def rows(lines: list[bytes], first: int) -> Iterator[str]:
        for number, line in enumerate(lines, first + 1):
            try:
                yield row(line)
            except (ValueError, KeyError) as error:
                raise click.ClickException(f"line {number}: {error.args[0]}") from None

    write_rows(input, output, rows)


def _numbers(ids: list[int]) -> str:
    return " ".join(map(str, ids))


def _spelled(pieces: list[str]) -> str:
    return " ".join(piece.replace(" ", SPACE) for piece in pieces)


def _piece_id(tokenizer: Tokenizer, word: str) -> int:
    """The id of a piece that was written by _spelled."""
    try:
        return tokenizer.piece_to_id(word)
    except KeyError:
        return tokenizer.piece_to_id(word.replace(SPACE, " "))


def _with_ends(tokenizer: Tokenizer, pieces: list[str], add_bos: bool, add_eos: bool) -> list[str]:
    for wanted, id, name in ((add_bos, tokenizer.bos_id, "--bos"), (add_eos, tokenizer.eos_id, "--eos")):
        if wanted and id is None:
            raise click.ClickException(f"{name}: the model has no such piece")
    before = [tokenizer.id_to_piece(tokenizer.bos_id)] if add_bos and tokenizer.bos_id is not None else []
    after = [tokenizer.id_to_piece(tokenizer.eos_id)] if add_eos and tokenizer.eos_id is not None else []
    return [*before, *pieces, *after]
