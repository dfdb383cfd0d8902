"""How much faster is a program when its import of sentencepiece is replaced?

    python bench/drop_in.py                                     # T5, an English novel
    python bench/drop_in.py xlmr_250k_rebuilt zh_four_novels.txt.xz

Both libraries get the same calls and take turns in one process; what is determined is compared first. Lists run on
one thread. Needs the folder of real models and texts, beside the project or where VITERBI_SAMPLING_SHARED points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np
import sentencepiece
from corpora import SHARED, lines_of, model_path

from viterbi_sampling.benchmark.timing import take_turns
from viterbi_sampling.compat import sentencepiece as drop_in

Call = Callable[[Any], Any]
RETURN_TYPES: tuple[Any, ...] = (int, str, bytes, "numpy", "offset_mapping", "serialized_proto", "proto")
SAMPLING: dict[str, Any] = {"enable_sampling": True, "nbest_size": -1, "alpha": 0.1}


def calls(line: str, lines: list[str], ids: list[list[int]]) -> dict[str, tuple[int, Call]]:
    """(how often a turn makes it, the call) by its name."""
    found: dict[str, tuple[int, Call]] = {}
    for kind in RETURN_TYPES:
        name = kind if isinstance(kind, str) else kind.__name__
        found[f"one, {name}"] = (2000, lambda sp, kind=kind: sp.encode(line, return_type=kind))
        found[f"list, {name}"] = (1, lambda sp, kind=kind: sp.encode(lines, return_type=kind, num_threads=1))
    found["one, bos and eos"] = (2000, lambda sp: sp.encode(line, add_eos=True))
    found["one, reverse"] = (2000, lambda sp: sp.encode(line, reverse=True))
    found["one, encode_as_pieces"] = (2000, lambda sp: sp.encode_as_pieces(line))
    found["one, sampled"] = (500, lambda sp: sp.encode(line, **SAMPLING))
    found["list, sampled"] = (1, lambda sp: sp.encode(lines, num_threads=1, **SAMPLING))
    found["one, 10 best"] = (200, lambda sp: sp.nbest_encode(line, nbest_size=10))
    found["one, decode"] = (2000, lambda sp: sp.decode(ids[0]))
    found["list, decode"] = (1, lambda sp: sp.decode(ids, num_threads=1))
    found["one, normalize"] = (2000, lambda sp: sp.normalize(line))
    found["id_to_piece"] = (5000, lambda sp: sp.id_to_piece(300))
    found["piece_to_id"] = (5000, lambda sp: sp.piece_to_id("a"))
    found["get_score"] = (5000, lambda sp: sp.get_score(300))
    return found


def same(name: str, expected: Any, actual: Any) -> bool:
    """Whether the two gave the same, as far as it is determined."""
    if "sampled" in name or "best" in name:
        return True
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(same(name, a, b) for a, b in zip(expected, actual, strict=True))
    if isinstance(expected, np.ndarray):
        return bool(np.array_equal(expected, actual))
    if hasattr(expected, "SerializeToString"):
        return bool(expected.SerializeToString() == actual.SerializeToString())
    return bool(expected == actual)


@click.command(help=__doc__)
@click.argument("model", default="t5_base_32k")
@click.argument("corpus", default="en_pride_and_prejudice.txt.xz")
@click.option("--size", default=700_000, show_default=True, help="Bytes of text.")
@click.option("--repeats", default=5, show_default=True, help="Turns of each call.")
def main(model: str, corpus: str, size: int, repeats: int) -> None:
    if not SHARED.is_dir():
        raise click.ClickException(f"no shared data at {SHARED}")
    path = str(model_path(model))
    processors = {
        "sentencepiece": sentencepiece.SentencePieceProcessor(model_file=path),
        "drop-in": drop_in.SentencePieceProcessor(model_file=path),
    }
    lines = [line for line in lines_of(corpus, size) if line.strip()]
    line = min(lines, key=lambda text: abs(len(text.encode()) - 60))
    ids = processors["sentencepiece"].encode([line, *lines])
    click.echo(f"{model}, {corpus}: {len(lines)} lines; one line: {line!r}")
    for name, (count, call) in calls(line, lines, ids).items():
        expected, actual = (call(processor) for processor in processors.values())
        if not same(name, expected, actual):
            raise click.ClickException(f"{name}: the two differ")
        turns = {
            who: lambda processor=processor, call=call, count=count: [call(processor) for _ in range(count)]
            for who, processor in processors.items()
        }
        times = take_turns(turns, repeats)
        theirs, ours = (times[who].best("cpu") / count * 1e6 for who in processors)
        click.echo(f"{name:24} {theirs:12,.2f} µs {ours:12,.2f} µs {theirs / ours:6.1f} ×")


if __name__ == "__main__":
    main()
