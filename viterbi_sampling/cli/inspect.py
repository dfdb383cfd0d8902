"""inspect: what a model file holds, and the lattice of a text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from viterbi_sampling import Tokenizer
from viterbi_sampling.cli.options import barred, load
from viterbi_sampling.model import NormalizerRules, PieceType

EXAMPLE = "The river was still high."
MOST_CHARACTERS = 2000
"""Of a text whose lattice is drawn."""


@click.command()
@click.option("-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one.")
@click.option("--text", default=EXAMPLE, show_default=True, help="Segmented as an example.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the lattice of the text into this file.")
def inspect(model: Path | None, text: str, svg: Path | None) -> None:
    """Show what a model holds: pieces, rules, special ids; and what it makes of a text."""
    tokenizer = load(model)
    for name, value in facts(tokenizer):
        click.echo(f"{name:18}{value}")
    try:
        click.echo("")
        for name, value in facts_of_text(tokenizer, text):
            click.echo(f"{name:18}{value}")
        if svg is not None:
            lattice = tokenizer.lattice(text)
            if len(lattice.text) > MOST_CHARACTERS:
                raise ValueError(f"--svg draws texts of at most {MOST_CHARACTERS} characters, got {len(lattice.text)}")
            svg.write_text(lattice.to_svg(), encoding="utf-8")
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def facts(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """What the model holds, as (name, value)."""
    model = tokenizer._model
    types = model.pieces.types
    kinds = [(kind, int((types == kind).sum())) for kind in PieceType]
    yield "format", model.source_format or "none: pieces were given"
    yield (
        "pieces",
        f"{len(model.pieces):,}: "
        + ", ".join(f"{count:,} {kind.name.lower().replace('_', '-')}" for kind, count in kinds if count),
    )
    scores = model.pieces.scores[types == PieceType.NORMAL]
    if len(scores):
        yield "scores", f"{scores.min():g} to {scores.max():g}, of normal pieces"
        # What the scores leave over of a probability of 1; the models that sentencepiece trains sum up to about 1.
        yield "sum of exp(score)", f"{math.fsum(np.exp(np.minimum(scores, 700)).tolist()):.6g}"
    longest = int(np.diff(model.pieces.offsets).argmax())
    yield "longest piece", f"{longest} {model.pieces[longest]!r}"
    special = {"unk": tokenizer.unk_id, "bos": tokenizer.bos_id, "eos": tokenizer.eos_id, "pad": tokenizer.pad_id}
    for name, id in special.items():
        yield f"{name} id", "none" if id is None else f"{id} {tokenizer.id_to_piece(id)!r}"
    unknown = "has no segmentation" if model.unknown_score is None else f"has the score {model.unknown_score:g}"
    yield "unknown character", "is spelled in byte pieces" if model.byte_fallback else unknown
    yield "best path", "single precision" if model.single_precision else "double precision"
    if model.pipeline is not None:
        yield "steps", str(model.pipeline)
    else:
        yield "normalizer", rules(model.normalizer)
    if model.denormalizer is not None:
        yield "denormalizer", rules(model.denormalizer)


def rules(normalizer: NormalizerRules) -> str:
    """The rules in words."""
    flags = ("add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces", "whitespace_as_suffix")
    size = len(normalizer.charsmap)
    name = f"{normalizer.name or 'no name'} (a table of {size:,} bytes)" if size else "identity"
    return ", ".join([name, *(flag for flag in flags if getattr(normalizer, flag))])


def facts_of_text(tokenizer: Tokenizer, text: str) -> Iterator[tuple[str, str]]:
    """What the model makes of a text, as (name, value)."""
    ids = tokenizer.encode(text)
    yield "text", text
    yield "normalized", tokenizer.normalize(text)
    yield "ids", " ".join(map(str, ids))
    yield "best path", barred(tokenizer.tokenize(text))
    yield "its probability", f"{math.exp(tokenizer.log_prob(text, ids)):.6g}"
    count = tokenizer.count_segmentations(text)
    yield "segmentations", f"{count:,}" if count < 10**15 else f"about 10^{math.log10(count):.3f}"
    yield "log-partition", f"{tokenizer.log_partition(text):.9g}"
    yield "entropy", f"{tokenizer.entropy(text):.6g} nats"
