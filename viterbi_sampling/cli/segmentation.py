"""encode and sample: texts of files into ids of files."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
from tqdm import tqdm

from viterbi_sampling import Tokenizer
from viterbi_sampling.arguments import SAMPLERS
from viterbi_sampling.cli.lines import write_rows
from viterbi_sampling.cli.options import Command, check_alpha, end_options, load, spelling_options
from viterbi_sampling.cli.pieces import spelled, with_ends
from viterbi_sampling.pipelines import reading, writing
from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.files import CHECKPOINT_BYTES, Place, tokenize_files

READ_AS = tuple(reading.READERS)
WRITE_AS = tuple(CHECKPOINT_BYTES)


class Stopped(click.ClickException):
    exit_code = 128 + signal.SIGINT


def _file_options(command: Command) -> Command:
    """Where texts come from and ids go to."""
    for option in reversed(
        (
            click.argument("inputs", nargs=-1, type=click.Path(exists=True, allow_dash=True)),
            click.option("-o", "--output", default="-", help="A file; standard output by default."),
            click.option(
                "-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one."
            ),
            click.option("--column", default="text", show_default=True, help="The column or key of the texts."),
            click.option("--from", "read_as", type=click.Choice(READ_AS), help="What INPUTS are; their names tell."),
            click.option("--to", "write_as", type=click.Choice(WRITE_AS), help="What OUTPUT is; its name tells."),
            click.option(
                "--ids", "ids_column", default="ids", show_default=True, help="The column of ids (Parquet, Arrow)."
            ),
            click.option("--keep", multiple=True, help="A column to keep beside the ids; may be given often."),
            click.option("--keep-all", is_flag=True, help="Keep all columns, the texts too."),
            click.option("--offsets", is_flag=True, help="A column with the place of each token in its text."),
            click.option("--length", is_flag=True, help="A column with the number of ids."),
            click.option(
                "--compression",
                type=click.Choice(writing.COMPRESSIONS),
                default="zstd",
                show_default=True,
                help="Of a Parquet file; none is the fastest.",
            ),
            click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped."),
        )
    ):
        command = option(command)
    return command


@click.command()
@_file_options
@spelling_options
@end_options
def encode(**options: Any) -> None:
    """Segment each text of INPUTS along its best path.

    INPUTS are files and folders, by default standard input: lines of text, .jsonl, .csv, .parquet
    or .arrow, also compressed (gzip, Zstandard). By the name of OUTPUT, .npy gives a pair of numpy
    arrays (the ids, and .offsets.npy where each row begins), .bin a flat token file for training
    with its index (.idx, as of Megatron-LM), .parquet and .arrow a column of lists, and all else
    lines of numbers. OUTPUT appears when it is complete; what a stopped run has done, --resume uses.
    """
    _check_ends(tokenizer := load(options["model"]), options)
    if options["pieces"]:

        def rows(lines: list[bytes], _: int) -> Iterator[str]:
            ends = {name: options[name] for name in ("add_bos", "add_eos")}
            return (spelled(with_ends(tokenizer, tokenizer.tokenize(line), **ends)) for line in lines)

        _write_pieces(options, rows)
    else:
        _run(tokenizer, options, {})


@click.command()
@_file_options
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
@click.option("--epoch", type=click.IntRange(0, 2**32), default=0, show_default=True, help="Each draws afresh.")
@click.option("--index", help="The key of a row: a column, or hash, that of its text; by default its number.")
@click.option("-n", "--samples", type=click.IntRange(1), default=1, show_default=True, help="Rows for each text.")
@click.option("--log-probs", is_flag=True, help="A column with the log-probability of each sample.")
def sample(
    alpha: float, algorithm: str, nbest_size: int | None, seed: int | None, epoch: int, index: str | None, samples: int,
    log_probs: bool, **options: Any,
) -> None:  # fmt: skip
    """Segment each text of INPUTS at random; text i, from 0, is drawn with index i of the seed.

    INPUTS and OUTPUT are those of encode. The samples of a text depend on the model, the seed, the
    epoch and the key of its row only.
    """
    check_alpha(alpha)
    if (algorithm == "nbest") != (nbest_size is not None):
        raise click.UsageError("--algorithm nbest and --nbest-size go together")
    if options["resume"] and seed is None:
        raise click.UsageError("--resume needs the --seed of the run that was stopped")
    _check_ends(tokenizer := load(options["model"]), options)
    law: dict[str, Any] = {
        "alpha": alpha,
        "algorithm": algorithm,
        "nbest_size": nbest_size,
        "seed": secrets.randbits(64) if seed is None else seed,
    }
    if options["pieces"]:
        if index is not None:
            raise click.UsageError("--pieces: the key of a line is its number, --index does not go with it")

        def rows(lines: list[bytes], first: int) -> Iterator[str]:
            ends = {name: options[name] for name in ("add_bos", "add_eos")}
            drawn = (
                tokenizer.sample_with_offsets(line, index=row, draw=epoch * samples + draw, **law).pieces
                for row, line in enumerate(lines, first)
                for draw in range(samples)
            )
            return (spelled(with_ends(tokenizer, pieces, **ends)) for pieces in drawn)

        _write_pieces(options, rows)
    else:
        _run(tokenizer, options, {**law, "n": samples, "epoch": epoch, "index": index, "with_log_probs": log_probs})


def _check_ends(tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    for name, id, option in (("add_bos", tokenizer.bos_id, "--bos"), ("add_eos", tokenizer.eos_id, "--eos")):
        if options[name] and id is None:
            raise click.ClickException(f"{option}: the model has no such piece")


def _write_pieces(options: dict[str, Any], rows: Callable[[list[bytes], int], Iterator[str]]) -> None:
    inputs = options["inputs"] or ("-",)
    formats = {options["read_as"] or reading.format_of(inputs[0]), options["write_as"] or "lines"}
    if len(inputs) > 1 or Path(inputs[0]).is_dir() or formats != {"lines"} or options["resume"]:
        raise click.UsageError("--pieces turns lines of one file into lines")
    with click.open_file(inputs[0], "rb") as input, click.open_file(options["output"], "wb") as output:
        write_rows(cast(BinaryIO, input), cast(BinaryIO, output), rows)


def _run(tokenizer: Tokenizer, options: dict[str, Any], law: dict[str, Any]) -> None:
    """Do the files, with a progress bar on standard error where that is a terminal."""
    inputs = list(options["inputs"] or ("-",))
    if options["keep_all"] and (options["write_as"] or writing.format_of(options["output"])) not in writing.COLUMNAR:
        raise click.UsageError("--keep-all: the output must be a Parquet or an Arrow file")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        job = Tokenize(
            tokenizer,
            column=options["column"],
            output=options["ids_column"],
            add_bos=options["add_bos"],
            add_eos=options["add_eos"],
            with_offsets=options["offsets"],
            with_length=options["length"],
            keep_columns=True if options["keep_all"] else options["keep"] or False,
            **law,
        )
        sizes = [os.path.getsize(path) for path in reading.files_in(inputs) if path != reading.STANDARD_INPUT]
        with tqdm(total=sum(sizes) or None, unit="B", unit_scale=True, disable=None, leave=False) as bar:

            def progress(place: Place, read: int) -> None:
                bar.set_postfix_str(f"{tqdm.format_sizeof(place.tokens)} tokens", refresh=False)
                bar.update(read)

            tokenize_files(
                inputs,
                options["output"],
                job,
                read_as=options["read_as"],
                write_as=options["write_as"],
                compression=options["compression"],
                resume=options["resume"],
                num_threads=options["threads"],
                progress=progress,
            )
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        raise Stopped("stopped" if options["output"] == "-" else "stopped; --resume goes on from here") from None
    except (ValueError, TypeError, KeyError, NotImplementedError, ImportError, OSError) as error:
        raise click.ClickException(str(error)) from None
