"""The command line: each command reads lines and writes lines."""

from __future__ import annotations

import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
from tqdm import tqdm

from viterbi_sampling import ModelError, Tokenizer, __version__
from viterbi_sampling import verify as verification
from viterbi_sampling.model import SPACE
from viterbi_sampling.tokenizer import SAMPLERS

CHUNK_BYTES = 1 << 22
"""So much input is held at a time."""

VERIFIED_TEXT = "probability"
DEMO_SENTENCE = "The tokenizer cuts a sentence in many ways, and each has its probability."

Command = Callable[..., Any]


def _options(command: Command) -> Command:
    """What all commands that read lines have in common."""
    for option in (
        click.argument("input", type=click.File("rb"), default="-"),
        click.option("-o", "--output", type=click.File("wb"), default="-", help="A file; standard output by default."),
        click.option(
            "-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one."
        ),
    ):
        command = option(command)
    return command


def _spelling(command: Command) -> Command:
    command = click.option("--threads", type=click.IntRange(1), help="By default as many as the process may use.")(
        command
    )
    return click.option("--pieces", is_flag=True, help="Pieces instead of ids, with spaces as U+2581.")(command)


def _ends(command: Command) -> Command:
    command = click.option("--bos", "add_bos", is_flag=True, help="Put the model's bos id before each line.")(command)
    return click.option("--eos", "add_eos", is_flag=True, help="Put the model's eos id after each line.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Exact Unigram tokenization: encode, decode and sample text, line by line.

    Exit status: 0, 1 for a model or data that cannot be used, 2 for a wrong call.
    """


@main.command()
@_options
@_spelling
@_ends
def encode(
    input: BinaryIO, output: BinaryIO, model: Path | None, pieces: bool, threads: int | None, **ends: bool
) -> None:
    """Segment each line of INPUT (a file, or standard input) along its best path."""
    tokenizer = _load(model)

    def rows(lines: list[bytes], _: int) -> Iterator[str]:
        if pieces:
            return (_spelled(_with_ends(tokenizer, tokenizer.tokenize(line), **ends)) for line in lines)
        return map(_numbers, tokenizer.encode_batch(lines, num_threads=threads, **ends).to_list())

    _lines(input, output, rows)


@main.command()
@_options
@_spelling
@_ends
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
    _check_alpha(alpha)
    if (algorithm == "nbest") != (nbest_size is not None):
        raise click.UsageError("--algorithm nbest and --nbest-size go together")
    tokenizer = _load(model)
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

    _lines(input, output, rows)


@main.command()
@_options
@_spelling
def decode(input: BinaryIO, output: BinaryIO, model: Path | None, pieces: bool, threads: int | None) -> None:
    """Turn lines of ids, separated by spaces, back into text."""
    tokenizer = _load(model)

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

    _lines(input, output, rows)


@main.command()
@click.option("-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one.")
@click.option("--text", default=VERIFIED_TEXT, show_default=True, help="A text of at most 10,000 segmentations.")
@click.option("--alpha", type=float, default=0.5, show_default=True, help="Inverse temperature.")
@click.option("--samples", type=click.IntRange(1000), default=1_000_000, show_default=True, help="Of each algorithm.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option("--rows", type=click.IntRange(1), default=12, show_default=True, help="The most probable ones are shown.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw them into this file.")
def verify(model: Path | None, text: str, alpha: float, samples: int, seed: int, rows: int, svg: Path | None) -> None:
    """Check the samplers on a model: exact probabilities beside observed frequencies.

    Exit status 1 where a sampler whose law is exact does not follow it.
    """
    _check_alpha(alpha)
    tokenizer = _load(model)
    try:
        result = verification.verify(tokenizer, text, alpha=alpha, samples=samples, seed=seed)
        if svg is not None:
            verification.draw_svg(result, svg)
    except (ValueError, ImportError, OSError) as error:
        raise click.ClickException(str(error)) from None
    names = [verdict.algorithm for verdict in result.verdicts]
    click.echo(f"{text!r}: {len(result.rows)} segmentations, {samples:,} samples, alpha = {alpha:g}")
    click.echo("".join(f"{name:>18}" for name in ("exact", *names)))
    for row in result.rows[:rows]:
        numbers = (row.probability, *(row.frequencies[name] for name in names))
        click.echo("".join(f"{number:18.6f}" for number in numbers) + f"  {_barred(row.pieces)}")
    for verdict in result.verdicts:
        outcome = "follows the exact law" if verdict.follows else "does NOT follow the exact law"
        note = " (the original Viterbi Sampling is biased)" if verdict.algorithm == "viterbi_sampling" else ""
        click.echo(
            f"{verdict.algorithm}: total variation {verdict.distance:.5f} (by chance {verdict.expected_distance:.5f}), "
            f"G = {verdict.statistic:.1f}, threshold {verdict.threshold:.1f}: {outcome}{note}"
        )
    if not result.passed:
        raise click.ClickException("a sampler does not follow its law")


@main.command()
@click.argument("sentence", default=DEMO_SENTENCE)
@click.option("-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one.")
@click.option("--alpha", type=float, default=0.5, show_default=True, help="Inverse temperature of the samples.")
def demo(sentence: str, model: Path | None, alpha: float) -> None:
    """Show the encoding and a few samples of one SENTENCE."""
    _check_alpha(alpha)
    tokenizer = _load(model)
    ids = tokenizer.encode(sentence)
    click.echo(f"model       {tokenizer!r}")
    click.echo(f"text        {sentence}")
    click.echo(f"ids         {' '.join(map(str, ids))}")
    click.echo(f"best path   {_barred(tokenizer.tokenize(sentence))}")
    for index in range(4):
        sampled = tokenizer.sample_with_offsets(sentence, alpha=alpha, seed=1, index=index)
        click.echo(f"sample {index}    {_barred(sampled.pieces)}")
    click.echo(f"decoded     {tokenizer.decode(ids)}")


def _check_alpha(alpha: float) -> None:
    if not (math.isfinite(alpha) and alpha >= 0):
        raise click.BadParameter(f"must be finite and at least 0, got {alpha}", param_hint="--alpha")


def _barred(pieces: list[str]) -> str:
    return " | ".join(piece.replace(" ", SPACE) for piece in pieces)


def _lines(input: BinaryIO, output: BinaryIO, rows: Callable[[list[bytes], int], Iterator[str]]) -> None:
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


def _load(path: Path | None) -> Tokenizer:
    try:
        return Tokenizer.default() if path is None else Tokenizer.from_file(path)
    except (ModelError, OSError) as error:
        raise click.ClickException(str(error)) from None
