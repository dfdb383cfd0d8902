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
