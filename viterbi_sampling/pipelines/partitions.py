"""What jobs on data in parts, on many machines, have in common: keys that no partition changes, and a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from viterbi_sampling.pipelines.arrow import HASH, Tokenize
from viterbi_sampling.tokenizer import Tokenizer


def checked(job: Tokenize) -> Tokenize:
    """`job`, whose samples have keys that do not depend on the partition. ValueError where they have not.

    >>> from viterbi_sampling import Tokenizer
    >>> checked(Tokenize(Tokenizer.default(), alpha=0.1, index="hash")).index
    'hash'
    """
    if not isinstance(job, Tokenize):
        raise TypeError(f"job must be an arrow.Tokenize, not {type(job).__name__}")
    if job.alpha is not None and job.index is None:
        raise ValueError(f"samples of partitioned data need an index: the name of a column of row ids, or {HASH!r}")
    return job


def command(run: Callable[..., None]) -> click.Command:
    """The command that calls ``run(SOURCE, TARGET, job, ...)``, from one folder of Parquet to another."""

    def tokenize(source: str, target: str, model: str | None, keep: tuple[str, ...], **options: Any) -> None:
        tokenizer = Tokenizer.default() if model is None else Tokenizer.from_file(model)
        engine = {name: options.pop(name) for name in ("master", "address", "workers") if name in options}
        if options["alpha"] is None:
            for name in ("index", "seed", "epoch", "n"):
                del options[name]
        try:
            job = checked(Tokenize(tokenizer, keep_columns=keep, **options))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        run(source, target, job, **engine)

    made = click.command(help=run.__doc__)(tokenize)
    made.params[:0] = [
        click.Argument(["source"]),
        click.Argument(["target"]),
        click.Option(["-m", "--model"], type=click.Path(exists=True), help="A model file; by default the bundled one."),
        click.Option(["--column"], default="text", show_default=True, help="The column of texts."),
        click.Option(["--keep"], multiple=True, help="A column to keep; may be given often."),
        click.Option(["--alpha"], type=float, help="Sample, with this inverse temperature."),
        click.Option(["--index"], help="The column of row ids, or hash: the keys of samples."),
        click.Option(["--seed"], type=int, default=0, show_default=True),
        click.Option(["--epoch"], type=int, default=0, show_default=True),
        click.Option(["-n"], type=click.IntRange(1), default=1, show_default=True, help="Samples of each row."),
    ]
    return made
