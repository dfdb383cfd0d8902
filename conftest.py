"""The doctest run leaves out the modules whose library is not installed, unless the run is there to test them."""

import os
from importlib.util import find_spec

NEEDS = ("datasets", "grain", "torch", "transformers")
"""Modules of viterbi_sampling.pipelines that cannot be run without the library of the same name."""

collect_ignore = [
    f"viterbi_sampling/pipelines/{name}.py"
    for name in NEEDS
    if find_spec(name) is None and not os.environ.get("VITERBI_SAMPLING_PIPELINES")
]
