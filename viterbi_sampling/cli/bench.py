"""bench: speeds beside other libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from viterbi_sampling.arguments import thread_count
from viterbi_sampling.benchmark import DISTRIBUTIONS
from viterbi_sampling.benchmark.timing import CLOCKS
from viterbi_sampling.benchmark.works import WORKS
from viterbi_sampling.cli.options import check_alpha, load
from viterbi_sampling.tokenizer import DEFAULT_MODEL

REPEATED = 1_000_000
"""Bytes: the sample texts of the package are repeated up to this size where no corpus is given."""


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("-m", "--model", type=click.Path(path_type=Path), help="A model file; by default the bundled one.")
@click.option("--tokenizer-json", type=click.Path(path_type=Path, dir_okay=False),
              help="The same model for libraries that read this format only; by default it is converted.")  # fmt: skip
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(DISTRIBUTIONS)), help="All by default.")
@click.option("--work", "works", multiple=True, type=click.Choice(list(WORKS)), help="All by default.")
@click.option("--megabytes", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True,
              help="Of the corpus, its beginning.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Cores that each may use.")
@click.option("--alpha", type=float, default=0.1, show_default=True, help="Inverse temperature of the samples.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Turns of each, at least.")
@click.option("--clock", type=click.Choice(CLOCKS), default="wall", show_default=True,
              help="cpu: the time the processor took, for one thread where others use the cores.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all times into this file.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the speeds into this file.")
def bench(
    corpus: Path | None, model: Path | None, tokenizer_json: Path | None, peers: tuple[str, ...],
    works: tuple[str, ...], megabytes: float, threads: int, alpha: float, repeats: int, clock: str,
    json_path: Path | None, svg: Path | None,
) -> None:  # fmt: skip
    """Compare speeds with the other tokenizers that are installed, on the lines of CORPUS (text, or text in .xz).

    What they give is compared first, line by line; then they take turns in one process, and the best time of each
    counts. Without CORPUS the sample texts of the package are used, over and over.
    """
    # Not before: the other commands would be slower to start.
    from lzma import LZMAError

    from viterbi_sampling.benchmark import report
    from viterbi_sampling.benchmark.chart import draw_svg
    from viterbi_sampling.benchmark.comparison import compare
    from viterbi_sampling.benchmark.peers import ModelFile

    check_alpha(alpha)
    if threads > thread_count(None):
        raise click.BadParameter(f"this process may use {thread_count(None)} cores", param_hint="--threads")
    if clock == "cpu" and threads > 1:
        raise click.UsageError("--clock cpu adds up the time of all threads: it goes with --threads 1 only")
    tokenizer = load(model)
    try:
        content = None if tokenizer_json is None else tokenizer_json.read_bytes()
        lines = _lines(corpus, int(megabytes * 1_000_000))
    except (OSError, EOFError, LZMAError) as error:
        raise click.ClickException(str(error)) from None
    if not any(lines):
        raise click.ClickException(f"{corpus} holds no text")
    data = _bundled() if model is None else model.read_bytes()
    comparison = compare(
        ModelFile(data, tokenizer, content),
        lines,
        model_name="the bundled model" if model is None else model.name,
        corpus_name="the bundled sample texts" if corpus is None else corpus.name,
        libraries=peers or tuple(DISTRIBUTIONS),
        works=works or tuple(WORKS),
        threads=threads,
        alpha=alpha,
        repeats=repeats,
        clock=clock,
        progress=_say,
    )
    for line in report.text(comparison):
        click.echo(line)
    try:
        if json_path is not None:
            document = json.dumps(comparison.as_json(), indent=1, ensure_ascii=False)
            json_path.write_text(document + "\n", encoding="utf-8")
        if svg is not None:
            draw_svg(comparison, svg)
    except (ImportError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _lines(corpus: Path | None, size: int) -> list[str]:
    """The lines of the beginning of a text; bytes that are not UTF-8 are replaced."""
    import lzma
    from importlib import resources

    if corpus is None:
        folder = resources.files("viterbi_sampling.data").joinpath("samples")
        samples = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".txt"))
        data = samples.encode("utf-8") * (REPEATED // len(samples.encode("utf-8")) + 1)
    else:
        with lzma.open(corpus) if corpus.suffix == ".xz" else corpus.open("rb") as file:
            data = file.read(size + 1)
    text = data[:size].decode("utf-8", "replace").removesuffix("\ufffd" if len(data) > size else "")
    return text.removesuffix("\n").split("\n")


def _say(done: str) -> None:
    """What is being done, for who is watching."""
    if sys.stderr.isatty():
        click.echo(done, err=True)


def _bundled() -> bytes:
    from importlib import resources

    return resources.files("viterbi_sampling.data").joinpath(DEFAULT_MODEL).read_bytes()
