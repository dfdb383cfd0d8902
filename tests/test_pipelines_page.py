"""docs/pipelines.md says what runs: every example, each in under 20 lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT, optional

pytestmark = pytest.mark.pipelines
PAGE = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
EXAMPLES = {section.split("\n", 1)[0]: re.findall(r"```python\n(.*?)```", section, re.DOTALL) for section in SECTIONS}
START = EXAMPLES.pop(SECTIONS[0].split("\n", 1)[0])[0]
LIBRARIES = {
    "Hugging Face transformers": "transformers",
    "Hugging Face datasets": "datasets",
    "PyTorch": "torch",
    "JAX grain": "grain",
    "Ray Data": "ray",
    "Spark": "pyspark",
}
ENGINES = {"Ray Data": "ray", "Spark": "spark"}


def test_every_part_has_an_example() -> None:
    assert set(EXAMPLES) == {*LIBRARIES, "Arrow", "Files", "Polars", "pandas"}
    assert all(len(codes) == 1 and codes[0].count("\n") < 20 for codes in EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if name in LIBRARIES:
        optional(LIBRARIES[name])
    if name in ENGINES:  # what runs already is used by the example
        request.getfixturevalue(ENGINES[name])
    monkeypatch.chdir(tmp_path)
    source = START + "import pyarrow as pa\n" + EXAMPLES[name][0]
    exec(compile(source, f"docs/pipelines.md, {name}", "exec"), {"__name__": "example"})
