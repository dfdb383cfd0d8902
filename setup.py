"""The build of the compiled core. Everything else is in pyproject.toml.

Switches, all off by default (``VITERBI_SAMPLING_<NAME>=1 pip install -e .``):

``CHECKS``    bounds and None checks in the compiled code, and assertions
``SANITIZE``  AddressSanitizer and UndefinedBehaviorSanitizer
``NATIVE``    tuning for this machine only (never for a wheel)
``PROFILE``   debug symbols, for perf and callgrind
"""

import os
import sys

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = (
    "formats.protobuf",
    "engine.faults",
    "engine.stream",
    "engine.weights",
    "engine.trie",
    "engine.nfc",
    "engine.normalizer",
    "engine.clusters",
    "engine.forms",
    "engine.strings",
    "engine.pretokens",
    "engine.added",
    "engine.pipeline",
    "engine.verbatim",
    "engine.rows",
    "engine.hashing",
    "engine.matches",
    "engine.endings",
    "engine.lattice",
    "engine.cuts",
    "engine.words",
    "engine.viterbi",
    "engine.choices",
    "engine.sweeps",
    "engine.arrivals",
    "engine.records",
    "engine.directly",
    "engine.by_ends",
    "engine.sampling",
    "engine.arrays",
    "engine.pieces",
    "engine.workspace",
    "engine.encoder",
    "engine.blocks",
    "engine.edges",
    "engine.parts",
    "engine.enumeration",
    "engine.kbest",
    "engine.alternatives",
    "engine.results",
    "engine.objects",
    "engine.threads",
    "engine.workers",
    "engine.placing",
    "engine.borders",
    "engine.divided",
    "engine.divisions",
    "engine.driver",
    "engine.quantities",
    "engine.counting",
    "engine.given",
    "engine.replacement",
    "engine.id_rows",
    "engine.characters",
    "engine.decoder",
    "texts",
    "compat.sentencepiece.batches",
    "compat.sentencepiece.entry",
    "arrow_texts",
    "numpy_texts",
    "lines",
)


def switched_on(name: str) -> bool:
    return os.environ.get(f"VITERBI_SAMPLING_{name}", "") not in ("", "0")


# Results are promised to the last bit: no contraction into fused multiply-adds, no fast-math.
if sys.platform == "win32":
    compile_args, link_args = ["/O2", "/fp:precise"], []
else:
    compile_args, link_args = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing"], []
    if switched_on("NATIVE"):
        compile_args += ["-march=native"]
    if switched_on("PROFILE"):
        compile_args += ["-g", "-fno-omit-frame-pointer"]
    if switched_on("SANITIZE"):
        sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        compile_args += sanitizers
        link_args += sanitizers

checked = switched_on("CHECKS")
setup(
    ext_modules=cythonize(
        [
            Extension(
                f"viterbi_sampling.{module}",
                [f"viterbi_sampling/{module.replace('.', '/')}.pyx"],
                include_dirs=[numpy.get_include()],
                extra_compile_args=compile_args,
                extra_link_args=link_args,
                language="c++",
            )
            for module in MODULES
        ],
        compiler_directives={
            "language_level": 3,
            "boundscheck": checked,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": checked,
            "nonecheck": checked,
            "embedsignature": False,
        },
        force=bool(checked or switched_on("SANITIZE") or switched_on("NATIVE") or switched_on("PROFILE")),
    ),
)
