"""Where and with what a measurement was made."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from viterbi_sampling import __version__
from viterbi_sampling.arguments import thread_count


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The name that the processor gives itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(distributions: Iterable[str] = ()) -> dict[str, object]:
    """Processor, cores, system load, versions and date, as JSON can hold them."""
    versions = {"viterbi_sampling": __version__}
    versions |= {name: version for name in ("numpy", *distributions) if (version := version_of(name)) is not None}
    return {
        "processor": processor(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": thread_count(None),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def described(environment: dict[str, object]) -> str:
    """The same as one line.

    >>> described({"processor": "X", "cores": 2, "load": [0.1, 0.1, 0.1], "python": "3.11.2",
    ...            "versions": {"numpy": "2.4"}, "date": "2026-01-02T03:04:05+00:00"})
    'X, 2 cores (load 0.1), Python 3.11.2, numpy 2.4, 2026-01-02'
    """
    versions = environment["versions"]
    assert isinstance(versions, dict)
    load = environment["load"]
    return ", ".join(
        [
            str(environment["processor"]),
            f"{environment['cores']} cores" + (f" (load {load[0]:g})" if isinstance(load, list) else ""),
            f"Python {environment['python']}",
            *(f"{name} {version}" for name, version in versions.items()),
            str(environment["date"])[:10],
        ]
    )


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Inside, the process may use `count` of its cores only, where the system can say so.

    Libraries that ask for no number of threads take as many as there are cores; those that use Rayon
    are told by RAYON_NUM_THREADS, which counts at their first use in a process and not afterwards.
    """
    before = os.environ.get("RAYON_NUM_THREADS")
    os.environ["RAYON_NUM_THREADS"] = str(count)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if count < len(allowed):
        os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        if count < len(allowed):
            os.sched_setaffinity(0, allowed)
        if before is None:
            del os.environ["RAYON_NUM_THREADS"]
        else:
            os.environ["RAYON_NUM_THREADS"] = before
