"""Pieces as words of a line, with spaces as U+2581."""

from __future__ import annotations

import click

from viterbi_sampling import Tokenizer
from viterbi_sampling.model import SPACE


def spelled(pieces: list[str]) -> str:
    return " ".join(piece.replace(" ", SPACE) for piece in pieces)


def piece_id(tokenizer: Tokenizer, word: str) -> int:
    """The id of a piece that was written by `spelled`."""
    try:
        return tokenizer.piece_to_id(word)
    except KeyError:
        return tokenizer.piece_to_id(word.replace(SPACE, " "))


def with_ends(tokenizer: Tokenizer, pieces: list[str], add_bos: bool, add_eos: bool) -> list[str]:
    for wanted, id, name in ((add_bos, tokenizer.bos_id, "--bos"), (add_eos, tokenizer.eos_id, "--eos")):
        if wanted and id is None:
            raise click.ClickException(f"{name}: the model has no such piece")
    before = [tokenizer.id_to_piece(tokenizer.bos_id)] if add_bos and tokenizer.bos_id is not None else []
    after = [tokenizer.id_to_piece(tokenizer.eos_id)] if add_eos and tokenizer.eos_id is not None else []
    return [*before, *pieces, *after]
