"""What only a fresh process can tell: the time to the first token, and memory.

    python bench/processes.py first-token|load|stream LIBRARY MODEL [TEXT]

prints one JSON object. bench/table.py runs it; `measure` is how.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LINE = "The river was still high, and nobody had crossed it since the spring."
STREAMED = 1_000_000_000
CHUNK = 4_000_000


def memory() -> dict[str, int]:
    """The resident bytes of this process now, and the most it ever had.

    Not getrusage: its peak is inherited from the process that started this one.
    """
    found = {}
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) * 1024
    return {"now": found["VmRSS"], "peak": found["VmHWM"]}


def first_token(library: str, model: str) -> dict[str, Any]:
    """Import, load the model, encode a line; the start of the interpreter does not count."""
    wall, cpu = time.perf_counter(), time.process_time()
    if library == "sentencepiece":
        import sentencepiece

        ids = sentencepiece.SentencePieceProcessor(model_file=model).encode(LINE)
    else:
        import viterbi_sampling

        ids = viterbi_sampling.Tokenizer.from_file(model).encode(LINE)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "ids": ids}


def load(library: str, model: str) -> dict[str, Any]:
    """The memory of a process that loads the model and encodes a line."""
    if library == "sentencepiece":
        import sentencepiece

        imported = memory()["now"]
        ids = sentencepiece.SentencePieceProcessor(model_file=model).encode(LINE)
    else:
        import viterbi_sampling

        imported = memory()["now"]
        ids = viterbi_sampling.Tokenizer.from_file(model).encode(LINE)
    return {**memory(), "imported": imported, "ids": ids}


def stream(library: str, model: str, text: str) -> dict[str, Any]:
    """The most memory that a loop over 1 GB ever had, a chunk of lines at a time, after each tenth of it."""
    import viterbi_sampling

    tokenizer = viterbi_sampling.Tokenizer.from_file(model)
    done, total, peaks = 0, 0, []
    while done < STREAMED:
        with open(text, "rb") as file:
            while (lines := file.readlines(CHUNK)) and done < STREAMED:
                total += len(tokenizer.encode_batch(lines).ids)
                done += sum(map(len, lines))
                while done >= (len(peaks) + 1) * STREAMED // 10:
                    peaks.append(memory()["peak"])
    return {**memory(), "peaks": peaks, "bytes": done, "ids": total}


def measure(what: str, library: str, *paths: Path) -> dict[str, Any]:
    """What a fresh process of this script prints."""
    command = [sys.executable, __file__, what, library, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} {library}: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps({"first-token": first_token, "load": load, "stream": stream}[sys.argv[1]](*sys.argv[2:])))
