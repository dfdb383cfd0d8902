"""demo: one sentence, its best segmentation and a few random ones."""

from __future__ import annotations

from pathlib import Path

import click

from viterbi_sampling.cli.options import barred, check_alpha, load

DEMO_SENTENCE = "The tokenizer cuts a sentence in many ways, and each has its probability."


@click.command()
@click.argument("sentence", default=DEMO_SENTENCE)
@click.option("-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one.")
@click.option("--alpha", type=float, default=0.5, show_default=True, help="Inverse temperature of the samples.")
def demo(sentence: str, model: Path | None, alpha: float) -> None:
    """Show the encoding and a few samples of one SENTENCE."""
    check_alpha(alpha)
    tokenizer = load(model)
    ids = tokenizer.encode(sentence)
    click.echo(f"model       {tokenizer!r}")
    click.echo(f"text        {sentence}")
    click.echo(f"ids         {' '.join(map(str, ids))}")
    click.echo(f"best path   {barred(tokenizer.tokenize(sentence))}")
    for index in range(4):
        sampled = tokenizer.sample_with_offsets(sentence, alpha=alpha, seed=1, index=index)
        click.echo(f"sample {index}    {barred(sampled.pieces)}")
    click.echo(f"decoded     {tokenizer.decode(ids)}")
