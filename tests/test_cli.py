"""The command line, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SAMPLES
from models import KINDS

from viterbi_sampling import Tokenizer

PROSE = SAMPLES / "prose.txt"


def run(*arguments: object, text: str | bytes = b"") -> subprocess.CompletedProcess[bytes]:
    data = text.encode() if isinstance(text, str) else text
    command = [sys.executable, "-m", "viterbi_sampling", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, env=os.environ | {"COLUMNS": "100"})


def lines(result: subprocess.CompletedProcess[bytes]) -> list[str]:
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().split("\n")[:-1]


def test_encode_and_decode(bundled: Tokenizer, tmp_path: Path) -> None:
    texts = PROSE.read_text(encoding="utf-8").splitlines()
    encoded = lines(run("encode", PROSE))
    assert [[int(word) for word in line.split()] for line in encoded] == [bundled.encode(text) for text in texts]
    assert lines(run("encode", text=PROSE.read_bytes())) == encoded
    run("encode", PROSE, "-o", tmp_path / "ids")
    assert lines(run("decode", tmp_path / "ids")) == texts
    pieces = lines(run("encode", PROSE, "--pieces"))
    assert pieces[0].split(" ") == [piece.replace(" ", "\u2581") for piece in bundled.tokenize(texts[0])]
    assert lines(run("decode", "--pieces", text="\n".join(pieces) + "\n")) == texts


def test_sample(bundled: Tokenizer) -> None:
    texts = PROSE.read_text(encoding="utf-8").splitlines()
    sampled = lines(run("sample", PROSE, "--alpha", 0.2, "--seed", 5, "-n", 2, "--threads", 2))
    expected = bundled.sample_batch(texts, alpha=0.2, seed=5, n=2).to_list()
    assert [[int(word) for word in line.split()] for line in sampled] == expected
    pieces = lines(run("sample", PROSE, "--alpha", 0.2, "--seed", 5, "-n", 2, "--pieces"))
    assert lines(run("decode", "--pieces", text="\n".join(pieces) + "\n")) == [t for t in texts for _ in range(2)]
    assert [len(line.split(" ")) for line in pieces] == [len(ids) for ids in expected]
    original = lines(run("sample", PROSE, "--alpha", 0.2, "--seed", 5, "--algorithm", "viterbi_sampling"))
    assert original != sampled[::2]


def test_model_and_ends(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(KINDS["nmt_nfkc"]())
    tokenizer = Tokenizer.from_file(tmp_path / "m.model")
    text = "the river"
    result = lines(run("encode", "-m", tmp_path / "m.model", "--bos", "--eos", text=text))
    assert result == [" ".join(map(str, tokenizer.encode(text, add_bos=True, add_eos=True)))]
    result = lines(run("encode", "-m", tmp_path / "m.model", "--bos", "--pieces", text=text))
    assert result == [" ".join(["<s>", *tokenizer.tokenize(text)])]


def test_every_line_stays_a_line(bundled: Tokenizer) -> None:
    text = b"a\n\n\xff\n \r\nlast"
    assert len(lines(run("encode", text=text))) == 5
    assert lines(run("encode", text=b"")) == []
    assert lines(run("encode", text=b"\n")) == [""]


@pytest.mark.parametrize(
    ("arguments", "text", "status", "message"),
    [
        (["encode", "-m", "nowhere.model"], "x", 1, "nowhere.model"),
        (["encode", "-m", str(PROSE)], "x", 1, "broken or truncated|not a sentencepiece model"),
        (["decode"], "1 2\n1 99999999\n", 1, "line 2: ids[1] = 99999999 is not an id"),
        (["decode"], "1 x\n", 1, "line 1"),
        (["decode", "--pieces"], "nonesuch!\n", 1, "line 1: the vocabulary has no piece"),
        (["sample"], "x", 2, "--alpha"),
        (["sample", "--alpha", "-1"], "x", 2, "--alpha"),
        (["sample", "--alpha", "nan"], "x", 2, "--alpha"),
        (["sample", "--alpha", "1", "--seed", "-4"], "x", 2, "--seed"),
        (["sample", "--alpha", "1", "--algorithm", "gibbs"], "x", 2, "--algorithm"),
        (["encode", "no-such-file.txt"], "", 2, "no-such-file.txt"),
        (["frobnicate"], "", 2, "frobnicate"),
    ],
)
def test_errors(arguments: list[str], text: str, status: int, message: str) -> None:
    result = run(*arguments, text=text)
    error = result.stderr.decode()
    assert result.returncode == status, error
    assert any(part in error for part in message.split("|")), error
    assert "Traceback" not in error


def test_demo() -> None:
    shown = lines(run("demo"))
    assert sum(line.startswith("sample") for line in shown) == 4
    assert lines(run("demo", "Zwei Wörter"))[-1].endswith("Zwei Wörter")


def test_verify(tmp_path: Path) -> None:
    shown = lines(run("verify", "--text", "table", "--samples", 20_000, "--rows", 3, "--svg", tmp_path / "law.svg"))
    assert shown[0].startswith("'table'")
    assert sum("follows the exact law" in line for line in shown) >= 2
    assert (tmp_path / "law.svg").read_text().startswith("<?xml")
    result = run("verify", "--text", "a very long text " * 20)
    assert result.returncode == 1
    assert "take a shorter one" in result.stderr.decode()


def test_nbest_sampling(bundled: Tokenizer) -> None:
    sampled = lines(run("sample", "--alpha", 0.5, "--algorithm", "nbest", "--nbest-size", 4, "--seed", 3, text="table"))
    expected = bundled.sample("table", alpha=0.5, algorithm="nbest", nbest_size=4, seed=3)
    assert sampled == [" ".join(map(str, expected))]
    assert run("sample", "--alpha", "1", "--algorithm", "nbest", text="x").returncode == 2


def test_nbest(bundled: Tokenizer) -> None:
    texts = [*PROSE.read_text(encoding="utf-8").splitlines()[:3], "", "x"]
    shown = [line.split("\t") for line in lines(run("nbest", "-k", 4, text="\n".join(texts)))]
    expected = [
        [str(number), repr(s.log_prob), " ".join(map(str, s.ids))]
        for number, text in enumerate(texts, 1)
        for s in bundled.nbest(text, 4)
    ]
    assert shown == expected
    pieces = lines(run("nbest", "-k", 1, "--pieces", text="the river"))
    assert pieces[0].split("\t")[2] == " ".join(p.replace(" ", "\u2581") for p in bundled.tokenize("the river"))
    assert run("nbest", "-k", 0, text="x").returncode == 2


def test_score(bundled: Tokenizer, tmp_path: Path) -> None:
    texts = [*PROSE.read_text(encoding="utf-8").splitlines()[:5], ""]
    (tmp_path / "text").write_text("\n".join(texts) + "\n", encoding="utf-8")
    (tmp_path / "text.ids").write_bytes(run("sample", tmp_path / "text", "--alpha", 0.1, "--seed", 1).stdout)
    sampled = bundled.sample_batch(texts, alpha=0.1, seed=1).to_list()
    for options, all_ids in (([], map(bundled.encode, texts)), (["--ids", tmp_path / "text.ids"], sampled)):
        for line, text, ids in zip(
            lines(run("score", tmp_path / "text", "--alpha", 0.3, *options)), texts, all_ids, strict=True
        ):
            assert [float(word) for word in line.split("\t")] == [
                bundled.log_prob(text, ids, alpha=0.3),
                bundled.log_partition(text, alpha=0.3),
                bundled.entropy(text, alpha=0.3),
            ]
    assert lines(run("score", "--ids", tmp_path / "text.ids", text="x\n" * 6))[0].startswith("-inf\t")
    few = run("score", "--ids", tmp_path / "text.ids", text="x\n")
    assert (few.returncode, b"more lines of ids" in few.stderr) == (1, True)
    many = run("score", "--ids", tmp_path / "text.ids", text="x\n" * 7)
    assert (many.returncode, b"line 7: " in many.stderr) == (1, True)
    (tmp_path / "pieces").write_bytes(run("encode", "--pieces", tmp_path / "text").stdout)
    assert run("score", tmp_path / "text", "--ids", tmp_path / "pieces", "--pieces").stdout == run(
        "score", tmp_path / "text"
    ).stdout  # fmt: skip


def test_inspect(bundled: Tokenizer, tmp_path: Path) -> None:
    shown = dict(line.split(maxsplit=1) for line in lines(run("inspect")) if line.split()[1:])
    assert shown["pieces"].startswith(f"{len(bundled):,}: ")
    assert shown["segmentations"] == f"{bundled.count_segmentations(shown['text']):,}"
    (tmp_path / "m.model").write_bytes(KINDS["user-defined, bytes, control"]())
    text = lines(run("inspect", "-m", tmp_path / "m.model", "--text", "the river", "--svg", tmp_path / "lattice.svg"))
    assert any("user-defined" in line and "256 byte" in line for line in text)
    assert any("nmt_nfkc" in line for line in text)
    tokenizer = Tokenizer.from_file(tmp_path / "m.model")
    assert (tmp_path / "lattice.svg").read_text(encoding="utf-8") == tokenizer.lattice("the river").to_svg()
    assert lines(run("inspect", "--text", "long " * 2000))
    assert run("inspect", "--text", "long " * 2000, "--svg", tmp_path / "long.svg").returncode == 1
