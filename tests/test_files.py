"""Files: what one text gives alone, for every row, from every format into every other, whatever interrupts."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import xxhash
from conftest import ROOT, SAMPLES

from viterbi_sampling import Tokenizer
from viterbi_sampling.engine.hashing import hashes
from viterbi_sampling.lines import count_lines, lines_of_ids, rows_of_lines
from viterbi_sampling.pipelines import files, reading, writing
from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.files import Place, tokenize_files

TEXTS = [
    line
    for path in sorted(SAMPLES.glob("*.txt"))
    for line in path.read_text(encoding="utf-8").split("\n")
    if "\r" not in line
] * 2 + ["the last line"]


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)  # type: ignore[no-any-return]


def table(texts: list[str | None]) -> pa.Table:
    return pa.table({"doc": pa.array(range(100, 100 + len(texts))), "text": pa.array(texts, pa.string())})


def write_parquet(path: Path, texts: list[str]) -> None:
    pa.parquet.write_table(table(list(texts)), path, row_group_size=40)


def write_arrow(path: Path, texts: list[str]) -> None:
    with pa.ipc.new_file(path, table(list(texts)).schema) as writer:
        writer.write_table(table(list(texts)), max_chunksize=50)


def write_stream(path: Path, texts: list[str]) -> None:
    with pa.ipc.new_stream(path, table(list(texts)).schema) as writer:
        writer.write_table(table(list(texts)), max_chunksize=50)


def json_lines(texts: list[str]) -> bytes:
    rows = [json.dumps({"doc": 100 + i, "text": text}, ensure_ascii=i % 2 == 0) for i, text in enumerate(texts)]
    return ("\n".join(rows[:3]) + "\n\n  \n" + "\n".join(rows[3:]) + "\n").encode()


def write_csv(path: Path, texts: list[str]) -> None:
    pa.csv.write_csv(table(list(texts)), path)


INPUTS: dict[str, Callable[[Path, list[str]], Any]] = {
    "c.txt": lambda path, texts: path.write_text("\n".join(texts), encoding="utf-8"),
    "end.txt": lambda path, texts: path.write_text("\n".join(texts) + "\n", encoding="utf-8"),
    "no-name": lambda path, texts: path.write_text("\n".join(texts), encoding="utf-8"),
    "c.txt.gz": lambda path, texts: path.write_bytes(gzip.compress("\n".join(texts).encode())),
    "members.txt.gz": lambda path, texts: path.write_bytes(
        gzip.compress("\n".join(texts)[:700].encode()) + gzip.compress("\n".join(texts)[700:].encode())
    ),
    "c.txt.zst": lambda path, texts: path.write_bytes(zstd("\n".join(texts).encode())),
    "frames.txt.zst": lambda path, texts: path.write_bytes(
        zstd("\n".join(texts)[:700].encode()) + zstd("\n".join(texts)[700:].encode())
    ),
    "c.jsonl": lambda path, texts: path.write_bytes(json_lines(texts)),
    "c.jsonl.zst": lambda path, texts: path.write_bytes(zstd(json_lines(texts))),
    "c.csv": write_csv,
    "c.csv.gz": lambda path, texts: (write_csv(path, texts), path.write_bytes(gzip.compress(path.read_bytes()))),
    "c.parquet": write_parquet,
    "c.arrow": write_arrow,
    "stream.arrow": write_stream,
}
OUTPUTS = ["ids.txt", "ids.npy", "ids.bin", "ids.parquet", "ids.arrow"]


def ids_in(path: Path) -> list[list[int] | None]:
    """The rows of an output, read as its format says and by none of the code that wrote it."""
    if path.suffix == ".npy":
        ids, bounds = np.load(path, mmap_mode="r"), np.load(path.with_suffix(".offsets.npy"), mmap_mode="r")
        assert (ids.dtype, bounds.dtype) == (np.int32, np.int64)
        return [ids[bounds[i] : bounds[i + 1]].tolist() for i in range(len(bounds) - 1)]
    if path.suffix == ".bin":
        index = path.with_suffix(".idx").read_bytes()
        assert index[:9] == b"MMIDIDX\x00\x00"
        version, kind, rows, documents = struct.unpack("<QBQQ", index[9:34])
        assert (version, documents) == (1, rows + 1)
        sizes = np.frombuffer(index, "<i4", rows, 34)
        places = np.frombuffer(index, "<i8", rows, 34 + 4 * rows)
        assert np.frombuffer(index, "<i8", rows + 1, 34 + 12 * rows).tolist() == list(range(rows + 1))
        assert len(index) == 34 + 12 * rows + 8 * (rows + 1)
        dtype = {8: np.uint16, 4: np.int32}[kind]
        data = path.read_bytes()
        assert len(data) == sizes.sum() * np.dtype(dtype).itemsize
        return [np.frombuffer(data, dtype, size, at).tolist() for size, at in zip(sizes, places, strict=True)]
    if path.suffix in (".parquet", ".arrow"):
        result = pa.parquet.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).read_all()
        result.validate(full=True)
        assert result.schema.field("ids").type == pa.list_(pa.int32())
        return result["ids"].to_pylist()  # type: ignore[no-any-return]
    return [[int(word) for word in line.split(" ") if word] for line in path.read_text().split("\n")[:-1]]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks of a small file, some rows longer than a chunk."""
    monkeypatch.setattr(reading, "CHUNK_BYTES", 150)
    monkeypatch.setattr(writing, "ROW_GROUP_BYTES", 2000)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", INPUTS)
def test_every_format(bundled: Tokenizer, tmp_path: Path, name: str) -> None:
    INPUTS[name](tmp_path / name, TEXTS)
    encoded = [bundled.encode(text) for text in TEXTS]
    for output in OUTPUTS:
        place = tokenize_files([tmp_path / name], tmp_path / output, Tokenize(bundled, keep_columns=False))
        assert ids_in(tmp_path / output) == encoded
        assert (place.rows, place.tokens) == (len(TEXTS), sum(map(len, encoded)))
    sampled = [
        bundled.sample(text, alpha=0.2, seed=4, index=i, draw=2 * 3 + j)
        for i, text in enumerate(TEXTS)
        for j in (0, 1, 2)
    ]
    job = Tokenize(bundled, alpha=0.2, seed=4, epoch=2, n=3, keep_columns=False)
    for output, threads in (("ids.npy", 1), ("ids.parquet", 4)):
        tokenize_files([tmp_path / name], tmp_path / output, job, num_threads=threads)
        assert ids_in(tmp_path / output) == sampled
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name, *OUTPUTS, "ids.offsets.npy", "ids.idx"}, "nothing else stays"


@pytest.mark.usefixtures("small_chunks")
def test_keys_and_columns(bundled: Tokenizer, tmp_path: Path) -> None:
    for name in ("c.jsonl", "c.csv", "c.parquet", "c.arrow"):
        INPUTS[name](tmp_path / name, TEXTS)
        by_column = [bundled.sample(text, alpha=0.2, seed=4, index=100 + i) for i, text in enumerate(TEXTS)]
        job = Tokenize(bundled, alpha=0.2, seed=4, index="doc", keep_columns=["doc"], with_length=True)
        tokenize_files([tmp_path / name], tmp_path / "ids.parquet", job)
        assert ids_in(tmp_path / "ids.parquet") == by_column
        result = pa.parquet.read_table(tmp_path / "ids.parquet")
        assert result["doc"].to_pylist() == list(range(100, 100 + len(TEXTS)))
        assert result["length"].to_pylist() == list(map(len, by_column))
        assert result.schema.names == ["doc", "ids", "length"]
        tokenize_files([tmp_path / name], tmp_path / "ids.npy", Tokenize(bundled, alpha=0.2, seed=4, index="doc"))
        assert ids_in(tmp_path / "ids.npy") == by_column
        tokenize_files([tmp_path / name], tmp_path / "ids.arrow", Tokenize(bundled))
        assert pa.ipc.open_file(tmp_path / "ids.arrow").read_all()["text"].to_pylist() == TEXTS
    by_hash = [bundled.sample(text, alpha=0.2, seed=4, index=xxhash.xxh64_intdigest(text.encode())) for text in TEXTS]
    for name in ("c.txt", "c.parquet"):
        INPUTS[name](tmp_path / name, TEXTS)
        tokenize_files([tmp_path / name], tmp_path / "ids.bin", Tokenize(bundled, alpha=0.2, seed=4, index="hash"))
        assert ids_in(tmp_path / "ids.bin") == by_hash


@pytest.mark.usefixtures("small_chunks")
def test_many_files_and_folders(bundled: Tokenizer, tmp_path: Path) -> None:
    """Rows are numbered through all of them, folders in the order of names."""
    folder = tmp_path / "corpus"
    (folder / "b").mkdir(parents=True)
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden.txt").write_text("x")
    (folder / "notes.md").write_text("x")
    write_parquet(folder / "a.parquet", TEXTS[:30])
    (folder / "b" / "c.txt.gz").write_bytes(gzip.compress("\n".join(TEXTS[30:60]).encode()))
    (folder / "d.jsonl").write_bytes(json_lines(TEXTS[60:90]))
    (folder / "e.txt").write_text("")
    INPUTS["c.txt"](tmp_path / "z.md", TEXTS[90:])
    sampled = [bundled.sample(text, alpha=0.2, seed=4, index=i) for i, text in enumerate(TEXTS)]
    for output in OUTPUTS:
        job = Tokenize(bundled, alpha=0.2, seed=4, keep_columns=False)
        tokenize_files([folder, tmp_path / "z.md"], tmp_path / output, job)
        assert ids_in(tmp_path / output) == sampled
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: no file here ends in \.txt"):
        tokenize_files([tmp_path / "empty"], tmp_path / "x.npy", job)


def test_no_rows(bundled: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("")
    write_parquet(tmp_path / "c.parquet", [])
    for name in ("c.txt", "c.parquet"):
        for output in OUTPUTS:
            tokenize_files([tmp_path / name], tmp_path / output, Tokenize(bundled))
            assert ids_in(tmp_path / output) == []


def test_nulls(bundled: Tokenizer, tmp_path: Path) -> None:
    texts: list[str | None] = ["a", None, "b"]
    pa.parquet.write_table(table(texts), tmp_path / "c.parquet")
    (tmp_path / "c.jsonl").write_text('{"text": "a"}\n{"text": null}\n{"text": "b"}\n')
    expected = [bundled.encode("a"), None, bundled.encode("b")]
    for name in ("c.parquet", "c.jsonl"):
        for output in OUTPUTS:
            if output in ("ids.parquet", "ids.arrow"):
                tokenize_files([tmp_path / name], tmp_path / output, Tokenize(bundled, keep_columns=False))
                assert ids_in(tmp_path / output) == expected
            else:
                with pytest.raises(ValueError, match=rf"{name}, rows counted from 0: row 1 of texts is null"):
                    tokenize_files([tmp_path / name], tmp_path / output, Tokenize(bundled))
                assert not (tmp_path / output).exists()


def test_a_vocabulary_too_large_for_16_bits(tmp_path: Path) -> None:
    pieces = {chr(0x4E00 + i // 256) + chr(0x4E00 + i % 256): -1.0 for i in range(66_000)}
    tokenizer = Tokenizer.from_pieces(pieces)
    texts = [list(pieces)[i] for i in (0, 65_499, 65_999)]
    (tmp_path / "c.txt").write_text("\n".join(texts), encoding="utf-8")
    tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.bin", Tokenize(tokenizer))
    assert ids_in(tmp_path / "ids.bin") == [[0], [65_499], [65_999]]
    assert np.memmap(tmp_path / "ids.bin", np.int32).tolist() == [0, 65_499, 65_999]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
def test_compression_of_a_parquet_file(bundled: Tokenizer, tmp_path: Path, compression: str) -> None:
    texts = ["a test", "", "of compression"] * 50
    (tmp_path / "c.txt").write_text("\n".join(texts), encoding="utf-8")
    tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.parquet", Tokenize(bundled), compression=compression)
    column = pyarrow.parquet.ParquetFile(tmp_path / "ids.parquet").metadata.row_group(0).column(0)
    assert column.compression == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
    assert ids_in(tmp_path / "ids.parquet") == bundled.encode_batch(texts).to_list()
    with pytest.raises(ValueError, match="compression must be one of zstd, snappy, none, got 'brotli'"):
        tokenize_files([tmp_path / "c.txt"], tmp_path / "x.parquet", Tokenize(bundled), compression="brotli")


def test_two_runs_at_once(bundled: Tokenizer, tmp_path: Path) -> None:
    INPUTS["c.txt"](tmp_path / "c.txt", TEXTS)
    job = Tokenize(bundled)

    def again(place: Place, read: int) -> None:
        for resume in (False, True):
            with pytest.raises(ValueError, match=r"another run is writing .*ids\.npy"):
                tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", job, resume=resume)

    tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", job, progress=again)
    assert ids_in(tmp_path / "ids.npy") == [bundled.encode(text) for text in TEXTS]
    assert not list(tmp_path.glob(".*"))


def test_lines_of_ids_and_lines_of_text() -> None:
    edges = [0, *(10**k + d for k in range(1, 10) for d in (-1, 0, 1)), 2**31 - 1]
    rows = [edges, [], [7], edges[::-1], []]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    expected = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    assert lines_of_ids(np.concatenate([np.array(row, np.int32) for row in rows]), offsets).decode() == expected
    assert lines_of_ids(np.zeros(0, np.int32), np.zeros(1, np.int64)) == b""
    for data in (b"", b"\n", b"a", b"a\n", b"\n\na\r\n \n", b"\0\n\xff"):
        lines = data.split(b"\n")[: -1 if data.endswith(b"\n") or not data else None]
        assert count_lines(data) == len(lines)
        assert count_lines(data, skip_blank=True) == sum(bool(line.strip(b" \t\r\n")) for line in lines)
        assert hashes(rows_of_lines(data)).tolist() == [xxhash.xxh64_intdigest(line) for line in lines]


class Stop(Exception):
    pass


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["c.txt", "members.txt.gz", "c.jsonl", "c.csv", "c.parquet", "c.arrow"])
@pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt])
def test_an_interrupted_run_is_gone_on_with(
    bundled: Tokenizer, tmp_path: Path, name: str, output: str, kind: type[BaseException]
) -> None:
    INPUTS[name](tmp_path / "first.txt", TEXTS[:20]) if name == "c.txt" else INPUTS[name](
        tmp_path / f"0{name}", TEXTS[:20]
    )
    INPUTS[name](tmp_path / name, TEXTS)
    inputs = [tmp_path / ("first.txt" if name == "c.txt" else f"0{name}"), tmp_path / name]
    job = Tokenize(bundled, alpha=0.2, seed=4, n=2, keep_columns=False)
    tokenize_files(inputs, tmp_path / f"whole-{output}", job)
    expected = ids_in(tmp_path / f"whole-{output}")
    done: list[Place] = []

    def stop_after(count: int) -> Callable[[Place, int], None]:
        def progress(place: Place, read: int) -> None:
            done.append(place)
            if len(done) >= count:
                raise kind

        return progress

    for count in (1, 3, 9):
        done.clear()
        with pytest.raises(kind):
            tokenize_files(inputs, tmp_path / output, job, resume=count > 1, progress=stop_after(count))
        assert not (tmp_path / output).exists(), "nothing half done has the output's name"
        reached = done[-1]
    done.clear()
    place = tokenize_files(inputs, tmp_path / output, job, resume=True, progress=lambda place, _: done.append(place))
    assert ids_in(tmp_path / output) == expected
    assert place.rows == len(expected)
    assert done[0].rows > reached.rows > 0, "what was done is not done again"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_chunk_that_is_written_in_part(
    bundled: Tokenizer, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full: the run goes on before that chunk."""
    INPUTS["c.txt"](tmp_path / "c.txt", TEXTS)
    monkeypatch.setitem(files.CHECKPOINT_BYTES, writing.format_of(output), 1000)
    original = writing.Growing.write if output in ("ids.txt", "ids.npy", "ids.bin") else writing.ColumnWriter.write
    calls = 0

    def fail(self: Any, data: Any) -> None:
        nonlocal calls
        calls += 1
        original(self, data)
        if calls == 22:
            raise OSError(28, "No space left on device")

    owner = writing.Growing if original.__qualname__.startswith("Growing") else writing.ColumnWriter
    monkeypatch.setattr(owner, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        tokenize_files([tmp_path / "c.txt"], tmp_path / output, Tokenize(bundled))
    assert not (tmp_path / output).exists()
    calls = 100
    done: list[Place] = []
    tokenize_files(
        [tmp_path / "c.txt"], tmp_path / output, Tokenize(bundled), resume=True, progress=lambda at, _: done.append(at)
    )
    assert done[0].rows > 2, "it went on where the last note was"
    assert ids_in(tmp_path / output) == [bundled.encode(text) for text in TEXTS]


def test_going_on_needs_the_same_run(bundled: Tokenizer, tmp_path: Path) -> None:
    INPUTS["c.txt"](tmp_path / "c.txt", TEXTS)
    job = Tokenize(bundled, alpha=0.2, seed=4)

    def stop(place: Place, read: int) -> None:
        raise Stop

    def leave() -> None:
        with pytest.raises(Stop):
            tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", job, progress=stop)

    leave()
    with pytest.raises(ValueError, match="was left by a run with another seed: 4, now 5"):
        tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", Tokenize(bundled, alpha=0.2, seed=5), resume=True)
    other = Tokenizer.from_pieces({"a": -1.0}, unk_score=-9.0)
    with pytest.raises(ValueError, match="another model"):
        tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", Tokenize(other, alpha=0.2, seed=4), resume=True)
    (tmp_path / "c.txt").write_text("another text")
    with pytest.raises(ValueError, match="another inputs"):
        tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", job, resume=True)
    tokenize_files([tmp_path / "c.txt"], tmp_path / "ids.npy", job)
    assert ids_in(tmp_path / "ids.npy") == [bundled.sample("another text", alpha=0.2, seed=4, index=0)]


KILLED = """
import sys
from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines import files, reading
from viterbi_sampling.pipelines.arrow import Tokenize
reading.CHUNK_BYTES = 1 << 16
for kind in files.CHECKPOINT_BYTES:
    files.CHECKPOINT_BYTES[kind] = 1 << 18
job = Tokenize(Tokenizer.default(), alpha=0.1, seed=3)
files.tokenize_files([sys.argv[1]], sys.argv[2], job, resume="--resume" in sys.argv)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("output", ["ids.npy", "ids.bin", "ids.txt", "ids.parquet"])
def test_a_killed_run(bundled: Tokenizer, tmp_path: Path, output: str) -> None:
    """SIGKILL, wherever it strikes: no half file, and the next run ends with what one run alone gives."""
    texts = TEXTS * 400
    INPUTS["c.txt"](tmp_path / "c.txt", texts)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "c.txt"), str(tmp_path / output)]
    note = tmp_path / f".{output}.partial" / "note.json"
    kills = 0

    def noted() -> bytes:
        try:
            return note.read_bytes()
        except FileNotFoundError:  # not yet, or no longer
            return b""

    for _ in range(2):
        before = noted()
        process = subprocess.Popen([*command, "--resume"])
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if noted() not in (before, b""):
                process.send_signal(signal.SIGKILL)
                process.wait()
                break
            time.sleep(0.001)
        process.wait()
        if process.returncode == -signal.SIGKILL:
            kills += 1
            assert not (tmp_path / output).exists()
            place = json.loads(note.read_text())["place"]
            assert 0 < place["rows"] <= len(texts)
    assert kills > 0, "it was over before it could be killed"
    subprocess.run([*command, "--resume"], check=True)
    expected = bundled.sample_batch(texts, alpha=0.1, seed=3).to_list()
    assert ids_in(tmp_path / output) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupt_on_the_command_line(bundled: Tokenizer, tmp_path: Path) -> None:
    texts = TEXTS * 2400
    INPUTS["c.txt"](tmp_path / "c.txt", texts)
    arguments = "sample c.txt -o i.npy --alpha 0.1 --seed 3 --threads 1"
    command = [sys.executable, "-m", "viterbi_sampling", *arguments.split()]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path)
    while not (tmp_path / ".i.npy.partial" / "ids").exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1].decode()
    assert process.returncode == 130, error
    assert "stopped; --resume goes on from here" in error
    assert "Traceback" not in error
    assert not (tmp_path / "i.npy").exists()
    subprocess.run([*command, "--resume"], check=True, cwd=tmp_path)
    assert ids_in(tmp_path / "i.npy") == bundled.sample_batch(texts, alpha=0.1, seed=3).to_list()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    import fcntl
    import pty
    import termios

    INPUTS["c.txt.gz"](tmp_path / "c.txt.gz", TEXTS * 40)
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-m", "viterbi_sampling", "encode", "c.txt.gz", "-o", "ids.npy"]
    process = subprocess.Popen(command, stderr=terminal, cwd=tmp_path, env=os.environ | {"TQDM_MININTERVAL": "0"})
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # what Linux says when the other end is closed
        while data := os.read(main, 4096):
            shown += data
    os.close(main)
    assert process.wait() == 0
    assert re.search(rb"B/s, [0-9.]+k tokens", shown), shown


MEASURED = """
import resource, sys
from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize
from viterbi_sampling.pipelines.files import tokenize_files
tokenize_files([sys.argv[1]], sys.argv[2], Tokenize(Tokenizer.default()), num_threads=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
@pytest.mark.parametrize("output", ["ids.bin", "ids.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, output: str) -> None:
    data = ("\n".join(TEXTS) + "\n").encode()
    peaks = []
    for size in (16_000_000, 64_000_000):
        with open(tmp_path / "c.txt", "wb") as file:
            for _ in range(size // len(data)):
                file.write(data)
        command = [sys.executable, "-c", MEASURED, str(tmp_path / "c.txt"), str(tmp_path / output)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    assert peaks[1] < peaks[0] + 48_000, f"peaks in kB: {peaks}"


@pytest.mark.parametrize(
    ("name", "settings", "options", "message"),
    [
        ("c.txt", {"with_offsets": True}, {}, "with_offsets: the output must be a Parquet or an Arrow file"),
        ("c.txt", {"keep_columns": ["doc"]}, {}, "keep_columns: the output must be"),
        ("c.txt", {"alpha": 1.0, "index": "doc"}, {}, "lines of text have no column 'doc'"),
        ("c.txt", {}, {"read_as": "xml"}, "read_as must be one of lines, jsonl, csv, parquet, arrow, got 'xml'"),
        ("c.txt", {}, {"write_as": "xml"}, "write_as must be one of"),
        ("c.txt", {}, {"read_as": "parquet"}, "c.txt: .*arquet"),
        ("c.txt", {}, {"read_as": "jsonl"}, "JSON parse error"),
        ("c.parquet", {"column": "body"}, {}, "c.parquet: no column 'body'; there are 'doc', 'text'"),
        ("c.arrow", {"column": "body"}, {}, "c.arrow: no column 'body'; there are 'doc', 'text'"),
        ("c.jsonl", {"column": "body"}, {}, "no object has a key 'body'"),
        ("c.csv", {"column": "body"}, {}, "c.csv: .*'body'"),
        ("c.jsonl", {"column": "doc"}, {}, "JSON parse error"),
    ],
)
def test_errors(
    bundled: Tokenizer, tmp_path: Path, name: str, settings: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    INPUTS[name](tmp_path / name, TEXTS)
    with pytest.raises(ValueError, match=message):
        tokenize_files([tmp_path / name], tmp_path / "ids.npy", Tokenize(bundled, **settings), **options)
    assert not (tmp_path / "ids.npy").exists()


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_broken_compression(bundled: Tokenizer, tmp_path: Path, suffix: str) -> None:
    data = {"gz": gzip.compress, "zst": zstd}[suffix]("\n".join(TEXTS * 5).encode())
    half = len(data) // 2
    broken = [data[:half], data[:-1]]
    if suffix == "gz":  # has a checksum
        broken += [data[:half] + b"\xff" * 50 + data[half + 50 :], data[:-8] + bytes(8)]
    for content in broken:
        (tmp_path / f"c.txt.{suffix}").write_bytes(content)
        with pytest.raises(ValueError, match=rf"c\.txt\.{suffix}: "):
            tokenize_files([tmp_path / f"c.txt.{suffix}"], tmp_path / "ids.npy", Tokenize(bundled))
        assert not (tmp_path / "ids.npy").exists()


def test_what_is_no_regular_file_is_not_replaced(bundled: Tokenizer, tmp_path: Path) -> None:
    INPUTS["c.txt"](tmp_path / "c.txt", TEXTS)
    if os.path.exists("/dev/null"):
        tokenize_files([tmp_path / "c.txt"], "/dev/null", Tokenize(bundled))
        assert not os.path.isfile("/dev/null")
        with pytest.raises(ValueError, match="only lines can be written"):
            tokenize_files([tmp_path / "c.txt"], "/dev/null", Tokenize(bundled), write_as="npy")
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    tokenize_files([tmp_path / "c.txt"], tmp_path / "link.txt", Tokenize(bundled))
    assert (tmp_path / "link.txt").is_symlink()
    assert len(ids_in(tmp_path / "real.txt")) == len(TEXTS)


def test_lines_need_no_pyarrow(bundled: Tokenizer, tmp_path: Path) -> None:
    INPUTS["c.txt.gz"](tmp_path / "c.txt.gz", TEXTS)
    code = "import sys; sys.modules['pyarrow'] = None\nfrom viterbi_sampling.cli import main\nmain()"
    for output in ("ids.npy", "ids.bin", "ids.txt", "ids.parquet"):
        command = [sys.executable, "-c", code, "encode", str(tmp_path / "c.txt.gz"), "-o", str(tmp_path / output)]
        result = subprocess.run(command, capture_output=True)
        if output == "ids.parquet":
            assert result.returncode == 1
            assert b"pip install 'viterbi-sampling[arrow]'" in result.stderr
        else:
            assert result.returncode == 0, result.stderr
            assert ids_in(tmp_path / output) == [bundled.encode(text) for text in TEXTS]


def test_the_command_line(bundled: Tokenizer, tmp_path: Path) -> None:
    write_parquet(tmp_path / "c.parquet", TEXTS)
    arguments = "sample c.parquet -o i.arrow --column text --alpha 0.2 --seed 4 --epoch 3 -n 2 --index doc --keep doc"
    command = [sys.executable, "-m", "viterbi_sampling", *arguments.split(), "--log-probs", "--length", "--offsets"]
    subprocess.run(command, check=True, cwd=tmp_path)
    expected = bundled.sample_batch(
        TEXTS, alpha=0.2, seed=4, n=2, draw=6, index=range(100, 100 + len(TEXTS)), with_log_probs=True
    )
    result = pa.ipc.open_file(tmp_path / "i.arrow").read_all()
    assert result["ids"].to_pylist() == expected.to_list()
    assert expected.log_probs is not None
    assert result["log_prob"].to_pylist() == expected.log_probs.tolist()
    assert result.schema.names == ["doc", "ids", "offsets", "log_prob", "length"]


def test_the_commands_of_the_page(bundled: Tokenizer, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    commands = page.split("\n## Files\n")[1].split("```sh\n")[1].split("```")[0].splitlines()
    write_parquet(tmp_path / "corpus.parquet", TEXTS)
    (tmp_path / "corpus").mkdir()
    INPUTS["c.jsonl.zst"](tmp_path / "corpus" / "c.jsonl.zst", TEXTS)
    for command in commands:
        subprocess.run([sys.executable, "-m", *command.replace("-", "_", 1).split()], check=True, cwd=tmp_path)
    assert ids_in(tmp_path / "ids.parquet") == [bundled.encode(text) for text in TEXTS]
    sampled = bundled.sample_batch(TEXTS, alpha=0.2, seed=1, draw=1, add_eos=True)
    assert ids_in(tmp_path / "epoch1.bin") == sampled.to_list()
