"""The doctest run leaves out the modules whose library is not installed, unless the run is there to test them."""

import os
from importlib.util import find_spec

NEEDS = {
    "datasets": "datasets",
    "grain": "grain",
    "torch": "torch",
    "transformers": "transformers",
    "vocabulary": "transformers",
}
"""Modules of viterbi_sampling.pipelines that cannot be run without a library."""

collect_ignore = [
    f"viterbi_sampling/pipelines/{module}.py"
    for module, library in NEEDS.items()
    if find_spec(library) is None and not os.environ.get("VITERBI_SAMPLING_PIPELINES")
]
