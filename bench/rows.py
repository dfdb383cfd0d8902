"""The rows of bench/table.py: what is measured, beside what, and how many times better it has to be."""

from __future__ import annotations

import lzma
import tempfile
from collections import deque
from collections.abc import Callable
from compileall import compile_dir
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import processes
from corpora import (
    CAT,
    DOCS,
    ENGLISH,
    JAPANESE_DOCS,
    LLMJP,
    NEW_WORDS,
    NOVELS,
    SHARED,
    T5,
    XLMR,
    lines_of,
    megabytes,
    model_path,
    ours,
    text_of,
    theirs,
)

import viterbi_sampling
from viterbi_sampling import Tokenizer
from viterbi_sampling.benchmark.timing import Times, take_turns

SHARE = 8
"""What sentencepiece does slowly, it gets every eighth line for; its speed is counted for these."""

NEW_WORDS_SHARE = 0.97
"""'Nothing is slower' within what two measurements of the same thing differ by."""


@dataclass(frozen=True)
class Settings:
    """How a row is measured: bytes of each text, turns, and the clock."""

    size: int
    repeats: int
    clock: str


@dataclass(frozen=True)
class Measured:
    """What came out of a row: two numbers in `unit`, and the lines whose ids differ (None: not compared)."""

    ours: float
    theirs: float
    unit: str
    lines: int
    megabytes: float
    differ: int | None = None
    times: dict[str, Times] = field(default_factory=dict)
    less_is_better: bool = False

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours if self.less_is_better else self.ours / self.theirs


def speeds(
    times: dict[str, Times],
    clock: str,
    lines: list[str],
    differ: int | None = None,
    their_lines: list[str] | None = None,
) -> Measured:
    """Both speeds in MB/s; `their_lines` where they got others than ours."""
    size = megabytes(lines)
    their_size = size if their_lines is None else megabytes(their_lines)
    best = size / times["ours"].best(clock), their_size / times["theirs"].best(clock)
    return Measured(*best, "MB/s", len(lines), size, differ, times)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    work: str
    against: str
    floor: float
    aim: float
    measure: Callable[[Settings], Measured]


# -- works that are done in batches: the same against sentencepiece, and on two threads against one --------


@dataclass(frozen=True)
class BatchWork:
    """A call of ours on `lines` with a number of threads, and sentencepiece's on every `share`-th of them.

    `rows` and `their_rows` turn the results into one entry a line, to be compared.
    """

    lines: list[str]
    call: Callable[[int], Any]
    their_call: Callable[[], Any]
    rows: Callable[[Any], list[Any]] = list
    their_rows: Callable[[Any], list[Any]] = list
    share: int = 1

    def differ(self) -> int:
        """How many lines have another result than sentencepiece's."""
        both = zip(self.rows(self.call(1))[:: self.share], self.their_rows(self.their_call()), strict=True)
        return sum(a != b for a, b in both)


Batched = Callable[[str, str, int], BatchWork]


def array_rows(arrays: list[Any]) -> list[list[int]]:
    return [array.tolist() for array in arrays]


def to_batch(model: str, corpus: str, size: int) -> BatchWork:
    lines, tokenizer, peer = lines_of(corpus, size), ours(model), theirs(model)
    return BatchWork(
        lines,
        lambda threads: tokenizer.encode_batch(lines, num_threads=threads),
        lambda: peer.encode(lines, return_type="numpy", num_threads=1),
        lambda batch: batch.to_list(),
        array_rows,
    )


def to_lists(model: str, corpus: str, size: int) -> BatchWork:
    lines, tokenizer, peer = lines_of(corpus, size), ours(model), theirs(model)
    return BatchWork(
        lines,
        lambda threads: tokenizer.encode_lists(lines, num_threads=threads),
        lambda: peer.encode(lines, num_threads=1),
    )


def one_text(model: str, corpus: str, size: int) -> BatchWork:
    text, tokenizer, peer = text_of(corpus, size), ours(model), theirs(model)
    return BatchWork(
        [text],
        lambda threads: tokenizer.encode_batch([text], num_threads=threads),
        lambda: [peer.encode(text, return_type="numpy")],
        lambda batch: batch.to_list(),
        array_rows,
    )


def sampling(alpha: float) -> Batched:
    def work(model: str, corpus: str, size: int) -> BatchWork:
        lines, tokenizer, peer = lines_of(corpus, size), ours(model), theirs(model)
        some = lines[::SHARE]
        options = {"enable_sampling": True, "nbest_size": -1, "alpha": alpha, "return_type": "numpy", "num_threads": 1}
        # Samples differ by nature; both have to be segmentations of the text.
        return BatchWork(
            lines,
            lambda threads: tokenizer.sample_batch(lines, alpha=alpha, seed=1, num_threads=threads),
            lambda: peer.encode(some, **options),
            lambda batch: peer.decode(batch.to_list()),
            lambda arrays: peer.decode(array_rows(arrays)),
            SHARE,
        )

    return work


def decoding(form: str) -> Batched:
    """Of a Batch, or of the lists that sentencepiece is given."""

    def work(model: str, corpus: str, size: int) -> BatchWork:
        lines, tokenizer, peer = lines_of(corpus, size), ours(model), theirs(model)
        batch: Any = tokenizer.encode_batch(lines)
        ids = batch.to_list()
        given = batch if form == "Batch" else ids

        def call(threads: int) -> object:
            return tokenizer.decode_batch(given, num_threads=threads)

        return BatchWork(lines, call, lambda: peer.decode(ids, num_threads=1))

    return work


def offsets(model: str, corpus: str, size: int) -> BatchWork:
    lines, tokenizer, peer = lines_of(corpus, size), ours(model), theirs(model)
    some = lines[::SHARE]
    return BatchWork(
        lines,
        lambda threads: tokenizer.encode_batch(lines, with_offsets=True, num_threads=threads),
        lambda: peer.encode(some, return_type="offset_mapping", num_threads=1),
        lambda batch: [
            [(start, end) for start, end in batch.spans[first:last].tolist()]
            for first, last in pairwise(batch.offsets.tolist())
        ],
        lambda rows: [[tuple(pair) for pair in row["offsets"]] for row in rows],
        SHARE,
    )


def against_sentencepiece(work: Batched, model: str, corpus: str) -> Callable[[Settings], Measured]:
    def measure(settings: Settings) -> Measured:
        pair = work(model, corpus, settings.size)
        differ = pair.differ()
        times = take_turns({"theirs": pair.their_call, "ours": lambda: pair.call(1)}, settings.repeats)
        return speeds(times, settings.clock, pair.lines, differ, pair.lines[:: pair.share])

    return measure


def two_threads(work: Batched, model: str, corpus: str) -> Callable[[Settings], Measured]:
    def measure(settings: Settings) -> Measured:
        pair = work(model, corpus, settings.size)
        differ = sum(a != b for a, b in zip(pair.rows(pair.call(1)), pair.rows(pair.call(2)), strict=True))
        # Both cores have to be free at once for a moment: more turns.
        times = take_turns({"theirs": lambda: pair.call(1), "ours": lambda: pair.call(2)}, 3 * settings.repeats)
        size = megabytes(pair.lines)
        if settings.clock == "wall":
            return speeds(times, "wall", pair.lines, differ)
        two, one = size / times["ours"].on_free_cores(2), size / times["theirs"].best("cpu")
        return Measured(two, one, "MB/s", len(pair.lines), size, differ, times)

    return measure


# -- works of another shape ------------------------------------------------------------------------


def line_by_line(settings: Settings) -> Measured:
    """One call a line, so that what a call costs counts."""
    lines = [line for line in lines_of(ENGLISH, settings.size) if 50 <= len(line) <= 300]
    tokenizer, peer = ours(T5), theirs(T5)
    differ = sum(tokenizer.encode(line) != peer.encode(line) for line in lines)
    calls = {
        "theirs": lambda: deque(map(peer.encode, lines), 0),
        "ours": lambda: deque(map(tokenizer.encode, lines), 0),
    }
    times = take_turns(calls, settings.repeats)
    return speeds(times, settings.clock, lines, differ)


def first_token(settings: Settings) -> Measured:
    """In fresh processes: import, load, encode a line. Ours is compiled to bytecode first, as pip does it."""
    compile_dir(Path(viterbi_sampling.__file__).parent, quiet=2)
    times = {"theirs": Times(), "ours": Times()}
    libraries = {"theirs": "sentencepiece", "ours": "viterbi_sampling"}
    ids = {}
    for turn in range(2 * settings.repeats + 1):
        for name, library in libraries.items():
            result = processes.measure("first-token", library, model_path(XLMR))
            ids[name] = result["ids"]
            if turn:  # the first reads the files from the disk
                times[name].wall.append(result["wall"])
                times[name].cpu.append(result["cpu"])
    best = [1000 * times[name].best(settings.clock) for name in ("ours", "theirs")]
    return Measured(best[0], best[1], "ms", 1, 0.0, int(ids["ours"] != ids["theirs"]), times, True)


def cold(model: str, corpus: str, alpha: float | None, most: int = 1 << 62) -> Callable[[Settings], Measured]:
    """The first pass of a new tokenizer over a text, or its first `most` bytes, beside its next ones."""

    def measure(settings: Settings) -> Measured:
        lines = lines_of(corpus, min(settings.size, most))
        data = model_path(model).read_bytes()
        times = {"theirs": Times(), "ours": Times()}
        for _ in range(settings.repeats):
            tokenizer = Tokenizer.from_bytes(data)
            call = encoding(tokenizer, lines, alpha)
            encoding(tokenizer, lines[:1], alpha)()  # the weights of alpha belong to the tokenizer, not to the text
            for name in ("ours", "theirs", "theirs"):
                times[name].measure(call)
        return speeds(times, settings.clock, lines)

    return measure


def encoding(tokenizer: Tokenizer, lines: list[str], alpha: float | None) -> Callable[[], Any]:
    if alpha is None:
        return lambda: tokenizer.encode_batch(lines, num_threads=1)
    return lambda: tokenizer.sample_batch(lines, alpha=alpha, seed=1, num_threads=1)


def new_words_row(model: str, alpha: float | None) -> Callable[[Settings], Measured]:
    """Words that no cache has seen, by a tokenizer that keeps words and by one that does not."""

    def measure(settings: Settings) -> Measured:
        lines = lines_of(NEW_WORDS, settings.size)
        data = model_path(model).read_bytes()
        keeping, plain = Tokenizer.from_bytes(data), Tokenizer.from_bytes(data)
        plain._encoder.keep_words(False)
        calls = {"theirs": encoding(plain, lines, alpha), "ours": encoding(keeping, lines, alpha)}
        ids = {name: call().to_list() for name, call in calls.items()}
        differ = sum(a != b for a, b in zip(*ids.values(), strict=True))
        ids.clear()
        times = take_turns(calls, settings.repeats)
        return speeds(times, settings.clock, lines, differ)

    return measure


def loaded_memory(of: Callable[[dict[str, Any]], int]) -> Callable[[Settings], Measured]:
    def measure(settings: Settings) -> Measured:
        results = [processes.measure("load", name, model_path(XLMR)) for name in ("viterbi_sampling", "sentencepiece")]
        numbers = [of(result) / 1e6 for result in results]
        return Measured(numbers[0], numbers[1], "MB", 1, 0.0, int(results[0]["ids"] != results[1]["ids"]), {}, True)

    return measure


def streaming(settings: Settings) -> Measured:
    """The peak of a loop over 1 GB, beside its peak after three tenths, when it has seen all of the texts thrice."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        with text.open("wb") as file:
            for corpus in (ENGLISH, NOVELS, "bible_mix.tsv.xz"):
                with lzma.open(SHARED / "corpora" / corpus) as packed:
                    while chunk := packed.read(1 << 20):
                        file.write(chunk)
        result = processes.measure("stream", "viterbi_sampling", model_path(T5), text)
    early, late = (result["peaks"][at] / 1e6 for at in (2, -1))
    return Measured(late, early, "MB", 0, result["bytes"] / 1e6, None, {}, True)


# -- the table -------------------------------------------------------------------------------------

NUMPY, SAMPLING, LATER = "sentencepiece, to numpy", "sentencepiece, sampling", "later passes"
BATCHED: list[tuple[str, str, str, Batched, str, str, float, float]] = [
    ("t5-batch", "T5, English novels as lines, to a Batch", NUMPY, to_batch, T5, ENGLISH, 10, 20),
    ("t5-lists", "the same to lists", "sentencepiece", to_lists, T5, ENGLISH, 6, 10),
    ("t5-one-text", "the same as one text", NUMPY, one_text, T5, ENGLISH, 10, 20),
    ("xlmr-en", "XLM-R, English novels", NUMPY, to_batch, XLMR, ENGLISH, 8, 15),
    ("xlmr-zh-docs", "XLM-R, Chinese documentation", NUMPY, to_batch, XLMR, DOCS, 5, 10),
    ("xlmr-ja-docs", "XLM-R, Japanese documentation", NUMPY, to_batch, XLMR, JAPANESE_DOCS, 5, 10),
    ("xlmr-zh-novels", "XLM-R, Chinese novels", NUMPY, to_batch, XLMR, NOVELS, 3, 6),
    ("llmjp-en", "llm-jp 98k, English novels", NUMPY, to_batch, LLMJP, ENGLISH, 3, 6),
    ("llmjp-ja", "llm-jp 98k, a Japanese novel", NUMPY, to_batch, LLMJP, CAT, 3, 6),
    ("t5-sample-0.1", "T5, English novels, sample, alpha 0.1", SAMPLING, sampling(0.1), T5, ENGLISH, 25, 50),
    ("t5-sample-0.5", "the same, alpha 0.5", SAMPLING, sampling(0.5), T5, ENGLISH, 25, 50),
    ("xlmr-sample-0.1", "XLM-R, Chinese novels, sample, alpha 0.1", SAMPLING, sampling(0.1), XLMR, NOVELS, 8, 16),
    ("xlmr-sample-0.5", "the same, alpha 0.5", SAMPLING, sampling(0.5), XLMR, NOVELS, 8, 16),
    ("t5-decode", "T5, decode a Batch", "sentencepiece, lists", decoding("Batch"), T5, ENGLISH, 3, 6),
    ("t5-decode-lists", "T5, decode lists", "sentencepiece, lists", decoding("lists"), T5, ENGLISH, 3, 6),
    ("t5-offsets", "T5, English novels with offsets", "sentencepiece, offset_mapping", offsets, T5, ENGLISH, 5, 10),
]  # fmt: skip

ROWS = [
    *(
        Row(name, work, against, floor, aim, against_sentencepiece(batched, model, corpus))
        for name, work, against, batched, model, corpus, floor, aim in BATCHED
    ),
    Row("t5-line-by-line", "T5, one `encode` a line of 50 to 300 characters", "sentencepiece", 4, 8, line_by_line),
    *(
        Row(f"threads-{name}", f"2 threads: {work}", "1 thread", 1.8, 1.95, two_threads(batched, model, corpus))
        for name, work, _, batched, model, corpus, _, _ in BATCHED
    ),
    Row("first-token", "import, load the 250,000 pieces, encode a line", "sentencepiece", 2, 4, first_token),
    Row("cold-t5", "T5, English novels, first pass", LATER, 0.5, 1, cold(T5, ENGLISH, None)),
    Row("cold-t5-1mb", "the same, 1 MB of it", LATER, 0.5, 1, cold(T5, ENGLISH, None, 1_000_000)),
    Row("cold-llmjp-ja", "llm-jp 98k, a Japanese novel of 1 MB, first pass", LATER, 0.5, 1, cold(LLMJP, CAT, None)),
    Row("cold-xlmr", "XLM-R, Chinese novels, first pass", LATER, 0.5, 1, cold(XLMR, NOVELS, None)),
    Row("cold-t5-sample", "T5, English novels, sample, first pass", LATER, 0.5, 1, cold(T5, ENGLISH, 0.1)),
    Row("cold-xlmr-sample", "XLM-R, Chinese novels, sample, first pass", LATER, 0.5, 1, cold(XLMR, NOVELS, 0.1)),
    Row("new-words", "T5, all words new", "without the cache", NEW_WORDS_SHARE, 1, new_words_row(T5, None)),
    Row("new-words-sample", "T5, all words new, sample, alpha 0.1", "without the cache", NEW_WORDS_SHARE, 1,
        new_words_row(T5, 0.1)),
    Row("memory-load", "peak of a process that loads the 250,000 pieces", "sentencepiece", 1, 1,
        loaded_memory(lambda found: found["peak"])),
    Row("memory-load-alone", "the same without what the imports take", "sentencepiece", 1, 1,
        loaded_memory(lambda found: found["peak"] - found["imported"])),
    Row("memory-stream", "peak of encoding 1 GB in chunks of lines", "after 0.3 GB", 0.95, 1, streaming),
]  # fmt: skip
