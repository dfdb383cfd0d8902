"""The annotations: a file of typical use passes mypy's strict checks, and runs."""

import os
import subprocess
import sys

from conftest import ROOT


def test_typical_use() -> None:
    file = str(ROOT / "tests" / "typical_use.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MYPY")}
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "--config-file", "", file],
        capture_output=True, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ran = subprocess.run([sys.executable, file], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
