"""verify: the samplers of a model against its exact law."""

from __future__ import annotations

from pathlib import Path

import click

from viterbi_sampling import verify as verification
from viterbi_sampling.cli.options import barred, check_alpha, load

VERIFIED_TEXT = "probability"


@click.command()
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
    check_alpha(alpha)
    tokenizer = load(model)
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
        click.echo("".join(f"{number:18.6f}" for number in numbers) + f"  {barred(row.pieces)}")
    for verdict in result.verdicts:
        outcome = "follows the exact law" if verdict.follows else "does NOT follow the exact law"
        note = " (the original Viterbi Sampling is biased)" if verdict.algorithm == "viterbi_sampling" else ""
        click.echo(
            f"{verdict.algorithm}: total variation {verdict.distance:.5f} (by chance {verdict.expected_distance:.5f}), "
            f"G = {verdict.statistic:.1f}, threshold {verdict.threshold:.1f}: {outcome}{note}"
        )
    if not result.passed:
        raise click.ClickException("a sampler does not follow its law")
