"""The exact quantities: speed beside sentencepiece, and how time grows with the text.

    python bench/quantities.py [MODEL TEXT]...          # by default T5's and XLM-R's on novels

First table: log_partition, entropy and marginals beside sentencepiece's sampling of the same lines, and nbest(64) with
all ids as lists beside its nbest. Second table: the time for the first megabyte of the text as one text over that for
its ten tenths as ten texts, times ten: what is linear has 10. (One tenth again and again would stay in the cache next
to the core, and the processor would know its branches by heart.) One thread, in turns, best of several; processor time,
since other programs may use the cores. Results are dropped as they come, so that memory of large ones is used again.
"""

from __future__ import annotations

from collections.abc import Callable

import click
from rows import ENGLISH, NOVELS, T5, XLMR, lines_of, megabytes, ours, text_of, theirs

from viterbi_sampling import Tokenizer
from viterbi_sampling.benchmark.timing import take_turns

ALPHA = 0.1
SAMPLED, LISTED = 200_000, 20_000
"""Bytes of the lines that are sampled, and of those whose best segmentations are listed, which takes long."""
LONG = 1_000_000

Call = Callable[[str], object]


def some_lines(corpus: str, size: int) -> list[str]:
    """Lines from all over the corpus, about `size` bytes together."""
    lines = lines_of(corpus, 4 * LONG)
    step = max(1, int(megabytes(lines) * 1e6 / size))
    return [line for line in lines[::step] if line.strip()]


def speeds(model: str, corpus: str, repeats: int) -> None:
    tokenizer, peer = ours(model), theirs(model)
    sampled, listed = some_lines(corpus, SAMPLED), some_lines(corpus, LISTED)

    def their_samples(lines: list[str]) -> object:
        return peer.encode(lines, enable_sampling=True, nbest_size=-1, alpha=ALPHA, num_threads=1)

    def their_nbest(lines: list[str]) -> object:
        return [peer.nbest_encode(line, nbest_size=64) for line in lines]

    rows: list[tuple[str, list[str], Call, Callable[[list[str]], object]]] = [
        ("log_partition / sampling", sampled, lambda line: tokenizer.log_partition(line, alpha=ALPHA), their_samples),
        ("entropy / sampling", sampled, lambda line: tokenizer.entropy(line, alpha=ALPHA), their_samples),
        ("marginals / sampling", sampled, lambda line: tokenizer.marginals(line, alpha=ALPHA), their_samples),
        ("nbest(64) / nbest(64)", listed, lambda line: [found.ids for found in tokenizer.nbest(line, 64)], their_nbest),
    ]
    click.echo(f"\n{'':30}{'sentencepiece':>16}{'ours':>14}{'ratio':>9}")
    for name, lines, call, their_call in rows:
        times = take_turns(
            {
                "theirs": lambda lines=lines, their_call=their_call: their_call(lines),  # type: ignore[misc]
                "ours": lambda lines=lines, call=call: [call(line) for line in lines],  # type: ignore[misc]
            },
            repeats,
        )
        speed = {name: megabytes(lines) / each.best("cpu") for name, each in times.items()}
        ratio = speed["ours"] / speed["theirs"]
        click.echo(f"{name:30}{speed['theirs']:11.3f} MB/s{speed['ours']:9.3f} MB/s{ratio:8.2f}x")


def calls(tokenizer: Tokenizer) -> dict[str, Call]:
    return {
        "sample": lambda text: tokenizer.sample(text, alpha=ALPHA, seed=1),
        "log_partition": lambda text: tokenizer.log_partition(text, alpha=ALPHA),
        "entropy": lambda text: tokenizer.entropy(text, alpha=ALPHA),
        "marginals": lambda text: tokenizer.marginals(text, alpha=ALPHA),
        "lattice": lambda text: tokenizer.lattice(text),
        "encode and log_prob": lambda text: tokenizer.log_prob(text, tokenizer.encode(text), alpha=ALPHA),
        "nbest(64)": lambda text: tokenizer.nbest(text, 64),
        "nbest(64), all ids as lists": lambda text: [found.ids for found in tokenizer.nbest(text, 64)],
        "sample among the 64 best": lambda text: tokenizer.sample(
            text, alpha=ALPHA, algorithm="nbest", nbest_size=64, seed=1
        ),
        "8 without replacement": lambda text: tokenizer.sample_without_replacement(text, 8, alpha=ALPHA, seed=1),
        "count_segmentations": lambda text: tokenizer.count_segmentations(text),
    }


def growth(model: str, corpus: str, repeats: int) -> None:
    tokenizer, text = ours(model), text_of(corpus, 4 * LONG)
    data = text.encode()[:LONG]
    tenths = [data[first : first + LONG // 10].decode("utf-8", "ignore") for first in range(0, LONG, LONG // 10)]
    whole = "".join(tenths)
    click.echo(f"\n{'':30}{'100 kB':>14}{'1 MB':>14}{'ratio':>9}")
    for name, call in calls(tokenizer).items():
        times = take_turns(
            {
                "tenths": lambda call=call: [None for tenth in tenths if call(tenth) is None],  # type: ignore[misc]
                "whole": lambda call=call: call(whole),  # type: ignore[misc]
            },
            repeats,
        )
        before, after = times["tenths"].best("cpu") / 10, times["whole"].best("cpu")
        click.echo(f"{name:30}{before * 1000:11.2f} ms{after * 1000:11.2f} ms{after / before:8.1f}x")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--repeats", default=5, show_default=True)
def main(names: tuple[str, ...], repeats: int) -> None:
    """Measure pairs of MODEL TEXT, names in the shared data."""
    if len(names) % 2:
        raise click.UsageError("give pairs of MODEL TEXT")
    for model, corpus in list(zip(names[::2], names[1::2], strict=True)) or [(T5, ENGLISH), (XLMR, NOVELS)]:
        click.echo(f"\n{model} on {corpus}, alpha {ALPHA}, best of {repeats}")
        speeds(model, corpus, repeats)
        growth(model, corpus, repeats)


if __name__ == "__main__":
    main()
