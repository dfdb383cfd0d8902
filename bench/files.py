"""What `viterbi-sampling encode` takes from a file of lines to a file of ids, beside the batch call in memory.

    python bench/files.py [--model spiece.model] [--corpus corpus.txt] [--size 1000] [--folder /dev/shm] [--rounds 3]

The corpus, T5 and the English novels by default, is repeated up to `--size` MB. In each round the batch call, in a
process that holds the lines as Python strings already, and one run of the command for each kind of output take turns,
the start of its process included; the best time of each counts. `--folder` holds the corpus and the outputs: in
memory, if what is asked is not how fast the disk is.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from corpora import ENGLISH, T5, model_path, text_of

OUTPUTS: dict[str, tuple[str, ...]] = {
    "ids.npy": (),
    "ids.bin": (),
    "ids.arrow": (),
    "ids.txt": (),
    "ids.parquet": (),
    "uncompressed.parquet": ("--compression", "none"),
}
IN_MEMORY = """
import sys, time
from viterbi_sampling import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
with open(sys.argv[2], encoding="utf-8") as file:
    lines = file.read().split("\\n")
for _ in sys.stdin:
    start = time.perf_counter()
    batch = tokenizer.encode_batch(lines)
    print(time.perf_counter() - start, flush=True)
    del batch
"""


@click.command()
@click.option("-m", "--model", type=click.Path(exists=True, path_type=Path), help="T5's, of the shared models.")
@click.option("--corpus", "given", type=click.Path(exists=True, path_type=Path), help="UTF-8 lines; English novels.")
@click.option("--size", default=1000, show_default=True, help="MB of text.")
@click.option("--folder", type=click.Path(exists=True, path_type=Path), help="For the files; a temporary one.")
@click.option("--rounds", default=3, show_default=True)
def main(model: Path | None, given: Path | None, size: int, folder: Path | None, rounds: int) -> None:
    """Print the best speed of each, and how many times that of the batch call it is."""
    model = model or model_path(T5)
    text = given.read_bytes() if given else text_of(ENGLISH, 1 << 28).encode()
    command = Path(sys.executable).with_name("viterbi-sampling")
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source = Path(place) / "corpus.txt"
        with source.open("wb") as file:
            for _ in range(max(1, round(size * 1e6 / len(text)))):
                file.write(text)
        total = source.stat().st_size
        in_memory = [sys.executable, "-c", IN_MEMORY, str(model), str(source)]
        with subprocess.Popen(in_memory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(rounds):
                process.stdin.write("\n")
                process.stdin.flush()
                best["in memory"] = min(best.get("in memory", 1e9), float(process.stdout.readline()))
                for name, options in OUTPUTS.items():
                    target = Path(place) / name
                    start = time.perf_counter()
                    subprocess.run([command, "encode", source, "-m", model, "-o", target, *options], check=True)
                    best[name] = min(best.get(name, 1e9), time.perf_counter() - start)
                    for left in Path(place).glob(f"{target.stem}*"):
                        left.unlink()
            process.stdin.close()
    for name, seconds in best.items():
        click.echo(f"{name:24}{total / seconds / 1e6:8.0f} MB/s{best['in memory'] / seconds:8.2f} x")


if __name__ == "__main__":
    main()
