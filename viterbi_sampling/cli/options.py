"""What commands have in common: their options, and the checks of what was given."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from viterbi_sampling import ModelError, Tokenizer
from viterbi_sampling.model import SPACE

Command = Callable[..., Any]


def line_options(command: Command) -> Command:
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


def spelling_options(command: Command) -> Command:
    command = click.option("--threads", type=click.IntRange(1), help="By default as many as the process may use.")(
        command
    )
    return click.option("--pieces", is_flag=True, help="Pieces instead of ids, with spaces as U+2581.")(command)


def end_options(command: Command) -> Command:
    command = click.option("--bos", "add_bos", is_flag=True, help="Put the model's bos id before each line.")(command)
    return click.option("--eos", "add_eos", is_flag=True, help="Put the model's eos id after each line.")(command)


def check_alpha(alpha: float) -> None:
    if not (math.isfinite(alpha) and alpha >= 0):
        raise click.BadParameter(f"must be finite and at least 0, got {alpha}", param_hint="--alpha")


def load(path: Path | None) -> Tokenizer:
    try:
        return Tokenizer.default() if path is None else Tokenizer.from_file(path)
    except (ModelError, OSError) as error:
        raise click.ClickException(str(error)) from None


def barred(pieces: list[str]) -> str:
    return " | ".join(piece.replace(" ", SPACE) for piece in pieces)
