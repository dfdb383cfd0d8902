"""convert: a model file in another format."""

from __future__ import annotations

from pathlib import Path

import click

from viterbi_sampling.cli.options import load
from viterbi_sampling.errors import ModelError
from viterbi_sampling.formats.differences import differences

FORMATS = {".model": "sentencepiece", ".json": "huggingface"}


@click.command()
@click.argument("input", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "format",
    type=click.Choice(["sentencepiece", "huggingface", "bytepiece"]),
    help="The format to write; by default that of OUTPUT's name: .model is sentencepiece, .json huggingface.",
)
@click.option("--inexact", is_flag=True, help="Write also a model that gives other ids to a class of ordinary texts.")
def convert(input: Path, output: Path, format: str | None, inexact: bool) -> None:
    """Write the model in INPUT to OUTPUT in another format.

    What the format cannot hold is an error, and nothing is written then. A line on stderr says which texts may get
    other ids; docs/conversion.md says why.
    """
    name = format or FORMATS.get(output.suffix)
    if name is None:
        raise click.UsageError(f"which format is {output.name}? Give --to, or a name that ends with .model or .json")
    try:
        tokenizer = load(input)
        tokenizer.save(output, format=name, exact=not inexact)
    except (ModelError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if found := differences(tokenizer._model, name):
        click.echo(f"other ids are possible for: {'; '.join(found)} (docs/conversion.md)", err=True)
