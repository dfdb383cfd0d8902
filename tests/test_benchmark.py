"""The comparison with other libraries: what it says of them is so, and none of them can break it."""

from __future__ import annotations

import json
import os
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import click.testing
import pytest
from conftest import SAMPLES, train

from viterbi_sampling import Tokenizer
from viterbi_sampling.benchmark import chart, comparison, machine, peers, report
from viterbi_sampling.benchmark.comparison import Comparison, compare
from viterbi_sampling.benchmark.peers import OURS, Act, ModelFile, Unable
from viterbi_sampling.benchmark.works import WORKS
from viterbi_sampling.cli import main

LINES = (SAMPLES / "prose.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def model() -> ModelFile:
    data = train()
    return ModelFile(data, Tokenizer.from_bytes(data))


def add(monkeypatch: pytest.MonkeyPatch, name: str, library: Any, distribution: str = "numpy") -> None:
    """One more library, "installed" where the distribution is."""
    monkeypatch.setitem(peers.DISTRIBUTIONS, name, distribution)
    monkeypatch.setitem(peers.PEERS, name, library)


def run(*arguments: object) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_sentencepiece_agrees_at_every_work(model: ModelFile) -> None:
    found = compare(model, LINES, libraries=["sentencepiece"], repeats=1)
    assert not found.failed
    assert not found.left_out
    size = sum(len(line.encode()) for line in LINES) / 1e6
    for work, kind in WORKS.items():
        ours, theirs = found.of(work)
        assert (ours.library, theirs.library) == (OURS, "sentencepiece")
        for result in (ours, theirs):
            assert result.seconds == min(result.times.wall)
            assert result.differ == (0 if kind.compares else None)
            assert (result.lines, result.megabytes) == ((len(LINES), size) if kind.given != "nothing" else (0, 0.0))
            assert result.compared == (len(LINES) if kind.compares else 0)


def test_differences_are_counted_and_the_first_is_shown(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: ModelFile, settings: peers.Settings) -> peers.Acts:
        def encode(lines: list[str]) -> list[list[int]]:
            rows = model.tokenizer.encode_batch(lines).to_list()
            return [[*row[:1], 1, 2] if number % 3 == 2 else row for number, row in enumerate(rows)]

        return {"lists": Act(encode)}

    add(monkeypatch, "wrong", wrong)
    found = compare(model, LINES, libraries=["wrong"], works=["lists"], repeats=1)
    theirs = found.of("lists")[1]
    assert theirs.differ == len(range(2, len(LINES), 3))
    assert theirs.first_difference is not None
    assert theirs.first_difference.theirs == "[1, 2]"
    text = "\n".join(report.text(found))
    assert f"{theirs.differ} of {len(LINES)} lines differ" in text
    assert "theirs [1, 2]" in text


@pytest.mark.parametrize("ours", [1, 2, 8])
@pytest.mark.parametrize("theirs", [1, 2, 8])
def test_shares_are_compared_where_they_meet(ours: int, theirs: int) -> None:
    lines = [f"line {number}" for number in range(37)]
    given = {step: comparison._Given(Act(list), None, step, step, lines[::step]) for step in (ours, theirs)}
    other = [line.upper() if line in ("line 16", "line 32") else line for line in lines]
    wrong = comparison._Given(Act(list), None, theirs, theirs, other[::theirs])
    kind = WORKS["decode"]
    step = max(ours, theirs)
    assert comparison._differences(kind, lines, given[ours], given[theirs]) == (len(lines[::step]), 0, None)
    count, differ, first = comparison._differences(kind, lines, given[ours], wrong)
    assert (count, differ) == (len(lines[::step]), 2)
    assert first == comparison.Difference("'line 16'", "'line 16'", "'LINE 16'")


class Panic(BaseException):
    """As compiled libraries raise it."""


def test_a_library_that_fails_is_named_with_the_reason(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise Panic("index out of bounds\nand more")

    add(monkeypatch, "no_load", fail)
    add(monkeypatch, "no_work", lambda model, settings: {"lists": Act(fail), "load": Act(lambda _: None)})
    add(monkeypatch, "too_few", lambda model, settings: {"lists": Act(lambda lines: lines[1:])})
    add(monkeypatch, "missing", fail, distribution="no-such-distribution")
    names = ["no_load", "no_work", "too_few", "missing"]
    found = compare(model, LINES, libraries=names, works=["lists", "load"], repeats=1)
    assert found.left_out == {
        "no_load": "Panic: index out of bounds",
        "missing": "is not installed: pip install no-such-distribution",
    }
    assert found.failed == {
        ("lists", "no_work"): "Panic: index out of bounds",
        ("lists", "too_few"): f"gave {len(LINES) - 1} results for {len(LINES)} lines",
    }
    assert [result.library for result in found.of("load")] == [OURS, "no_work"]
    text = "\n".join(report.text(found))
    assert "pip install no-such-distribution" in text
    assert "failed: Panic: index out of bounds" in text


def test_an_interrupt_is_no_failure_of_a_library() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        peers.attempt(interrupted)


def test_a_model_that_a_library_cannot_read(model: ModelFile) -> None:
    bytes_only = ModelFile(b"", Tokenizer.from_pieces({"a": -1.0}))
    with pytest.raises(Unable, match="cannot be written"):
        bytes_only.in_format("no such format")
    document = ModelFile(model.data, model.tokenizer, b'{"post_processor": {}, "padding": 1, "model": 2}')
    assert json.loads(document.tokenizer_json()) == {
        "post_processor": None, "truncation": None, "padding": None, "model": 2,
    }  # fmt: skip


def test_a_slow_library_is_given_a_share(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viterbi_sampling.benchmark.comparison.LONGEST_TURN", 1e-9)
    found = compare(model, LINES * 20, libraries=["sentencepiece"], works=["lists", "decode"], repeats=1)
    for work in ("lists", "decode"):
        theirs = found.of(work)[1]
        assert 0 < theirs.lines < len(LINES) * 20
        assert theirs.differ == 0
    assert found.of("lists")[1].compared == len(LINES) * 20
    assert found.of("decode")[1].compared == found.of("decode")[1].lines


def test_cores_are_given_back() -> None:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    before = os.environ.get("RAYON_NUM_THREADS")
    with machine.cores(1):
        assert os.environ["RAYON_NUM_THREADS"] == "1"
        assert not allowed or len(os.sched_getaffinity(0)) == 1
    assert not allowed or os.sched_getaffinity(0) == allowed
    assert os.environ.get("RAYON_NUM_THREADS") == before


def test_command(tmp_path: Path) -> None:
    found, svg = tmp_path / "b.json", tmp_path / "b.svg"
    result = run("--peer", "sentencepiece", "--megabytes", 0.02, "--repeats", 1, "--json", found, "--svg", svg)
    assert result.exit_code == 0, result.output
    assert "same ids" in result.stdout
    document = json.loads(found.read_text(encoding="utf-8"))
    assert {(row["work"], row["library"]) for row in document["results"]} == {
        (work, library) for work in WORKS for library in (OURS, "sentencepiece")
    }
    assert document["environment"]["versions"]["sentencepiece"]
    picture = xml.etree.ElementTree.parse(svg).getroot()
    assert picture.tag.endswith("svg")


def test_command_on_a_model_and_a_text(model: ModelFile, tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(model.data)
    (tmp_path / "text").write_bytes(b"one line\n\xff another\nlast \xe5\xb7\x9d\n")
    result = run(tmp_path / "text", "-m", tmp_path / "m.model", "--peer", "sentencepiece", "--work", "lists",
                 "--clock", "cpu", "--repeats", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("m.model on text: 3 lines")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-m", "missing.model"], 1, "missing.model"),
        (["missing.txt"], 1, "missing.txt"),
        (["--tokenizer-json", "missing.json"], 1, "missing.json"),
        (["--alpha", "-1"], 2, "alpha"),
        (["--threads", "100000"], 2, "cores"),
        (["--peer", "nothing"], 2, "sentencepiece"),
        (["--work", "nothing"], 2, "lists"),
    ],
)
def test_wrong_calls(arguments: list[str], status: int, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == status
    assert message in result.output
    assert "Traceback" not in result.output


def test_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\n\n")
    result = run(tmp_path / "text")
    assert result.exit_code == 1
    assert "holds no text" in result.output


def test_a_picture_without_matplotlib(model: ModelFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: Comparison = compare(model, LINES, libraries=[], works=["lists"], repeats=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"viterbi-sampling\[plot\]"):
        chart.draw_svg(found, tmp_path / "b.svg")
