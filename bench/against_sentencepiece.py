"""Speed beside sentencepiece: one core, one process, interleaved, best of several.

    python bench/against_sentencepiece.py                           # the models and texts of ../shared/data
    python bench/against_sentencepiece.py MODEL TEXT [MODEL TEXT ...]

First the ids of the two are compared; then each line of the table is timed, theirs and ours in turn. Throughput is in
MB/s of UTF-8 and means little on a machine that others use too; the ratio of the two is what counts.
"""

from __future__ import annotations

import lzma
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy
import sentencepiece

from viterbi_sampling import Tokenizer, __version__

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DEFAULT = [
    ("t5_base_32k.model", "en_classics.md.txt.xz"),
    ("xlmr_250k_rebuilt.model", "zh_four_novels.txt.xz"),
]
SAMPLED_SHARE = 8
"""sentencepiece samples slowly: it gets every eighth line, and its speed is counted for these."""


def read_lines(path: Path, size: int) -> list[str]:
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
        return file.read(size).decode("utf-8", "ignore").split("\n")


def megabytes(lines: list[str]) -> float:
    return sum(len(line.encode("utf-8")) for line in lines) / 1e6


def best_of(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """The shortest time of each call in seconds; the calls take turns."""
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def compare(model: Path, corpus: Path, size: int, repeats: int) -> None:
    data = model.read_bytes()
    tokenizer, processor = Tokenizer.from_bytes(data), sentencepiece.SentencePieceProcessor(model_proto=data)
    lines = read_lines(corpus, size)
    some = lines[::SAMPLED_SHARE]
    ours, theirs = tokenizer.encode_batch(lines).to_list(), processor.encode(lines)
    different = sum(a != b for a, b in zip(ours, theirs, strict=True))
    click.echo(
        f"\n{model.stem} on {corpus.name}: {len(lines)} lines, {megabytes(lines):.1f} MB, {different} lines differ"
    )
    options = {"return_type": "numpy", "num_threads": 1}
    batch = tokenizer.encode_batch(lines)
    rows: list[tuple[str, Callable[[], object], float, Callable[[], object], float]] = [
        (
            "encode to numpy",
            lambda: processor.encode(lines, **options),
            megabytes(lines),
            lambda: tokenizer.encode_batch(lines, num_threads=1),
            megabytes(lines),
        ),
        (
            "encode with offsets",
            lambda: processor.encode(some, return_type="offset_mapping", num_threads=1),
            megabytes(some),
            lambda: tokenizer.encode_batch(lines, with_offsets=True, num_threads=1),
            megabytes(lines),
        ),
    ]
    for alpha in (0.1, 0.5):
        for algorithm in ("perfect", "ffbs"):
            rows.append(
                (
                    f"sample, alpha {alpha}, {algorithm}",
                    lambda alpha=alpha: processor.encode(  # type: ignore[misc]
                        some, enable_sampling=True, nbest_size=-1, alpha=alpha, **options
                    ),
                    megabytes(some),
                    lambda alpha=alpha, algorithm=algorithm: tokenizer.sample_batch(  # type: ignore[misc]
                        lines, alpha=alpha, algorithm=algorithm, seed=1, num_threads=1
                    ),
                    megabytes(lines),
                )
            )
    ids = batch.to_list()
    rows.append(
        (
            "decode",
            lambda: processor.decode(ids, num_threads=1),
            megabytes(lines),
            lambda: tokenizer.decode_batch(batch),
            megabytes(lines),
        )
    )
    rows.append(("load", lambda: sentencepiece.SentencePieceProcessor(model_proto=data), len(data) / 1e6,
                 lambda: Tokenizer.from_bytes(data), len(data) / 1e6))  # fmt: skip
    click.echo(f"{'':32}{'sentencepiece':>14}{'ours':>10}{'ratio':>8}")
    for name, their_call, their_size, our_call, our_size in rows:
        their_time, our_time = best_of(repeats, their_call, our_call)
        their_speed, our_speed = their_size / their_time, our_size / our_time
        click.echo(f"{name:32}{their_speed:10.1f} MB/s{our_speed:10.1f}{our_speed / their_speed:7.2f}x")


@click.command()
@click.argument("pairs", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--megabytes", "size", default=10, show_default=True, help="Of each text, its beginning.")
@click.option("--repeats", default=5, show_default=True)
def main(pairs: tuple[Path, ...], size: int, repeats: int) -> None:
    """Compare speeds with sentencepiece on MODEL TEXT pairs."""
    if len(pairs) % 2:
        raise click.UsageError("give pairs of MODEL TEXT")
    chosen = list(zip(pairs[::2], pairs[1::2], strict=True)) or [
        (SHARED / "models" / "sentencepiece" / model, SHARED / "corpora" / corpus) for model, corpus in DEFAULT
    ]
    python = ".".join(map(str, sys.version_info[:3]))
    click.echo(f"viterbi_sampling {__version__}, sentencepiece {sentencepiece.__version__}, numpy {numpy.__version__}, "
               f"Python {python}, {platform.machine()}, one thread, best of {repeats}")  # fmt: skip
    for model, corpus in chosen:
        compare(model, corpus, size * 1_000_000, repeats)


if __name__ == "__main__":
    main()
