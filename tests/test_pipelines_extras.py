"""Libraries that feed models are imported only when they are used; a missing one says how to install it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from conftest import ROOT

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.arrow import Tokenize

LIBRARIES = ("datasets", "grain", "polars", "pyarrow", "pyspark", "ray", "torch", "transformers")


def test_the_package_imports_none_of_them() -> None:
    script = """
import sys
import viterbi_sampling.pipelines.arrow, viterbi_sampling.pipelines.ray, viterbi_sampling.pipelines.spark
print(*sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "viterbi_sampling.tokenizer" in out
    assert [name for name in LIBRARIES if name in out] == []


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [("transformers", "transformers", "huggingface"), ("torch", "torch", "torch"), ("grain", "grain", "grain")],
)
def test_modules_whose_library_is_missing(
    module: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"viterbi_sampling.pipelines.{module}"
    for loaded in [key for key in sys.modules if key in (name, library) or key.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "viterbi_sampling.pipelines.vocabulary", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'viterbi-sampling\[{extra}\]'"):
        importlib.import_module(name)
    assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("module", "library"), [("ray", "ray"), ("spark", "pyspark.sql.pandas.types")])
def test_functions_whose_library_is_missing(
    module: str, library: str, bundled: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, library.split(".")[0], None)
    function = importlib.import_module(f"viterbi_sampling.pipelines.{module}").tokenize
    with pytest.raises(ImportError, match=rf"pip install 'viterbi-sampling\[{module}\]'"):
        function(None, Tokenize(bundled))
    assert f"\n{module} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
