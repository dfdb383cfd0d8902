"""A comparison as a picture."""

from __future__ import annotations

import textwrap
from pathlib import Path

from viterbi_sampling.benchmark.comparison import Comparison
from viterbi_sampling.benchmark.machine import described
from viterbi_sampling.benchmark.peers import OURS
from viterbi_sampling.benchmark.report import agreement, ratio, speed, title
from viterbi_sampling.benchmark.works import WORKS

OUR_COLOR, THEIR_COLOR, OTHER_COLOR = "#0969da", "#8c959f", "#d4a72c"


def draw_svg(comparison: Comparison, path: Path) -> None:
    """Write bars of the speeds as SVG, one block a work; yellow bars are of libraries that give something else.

    ImportError names the extra to install where matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("drawing needs matplotlib: pip install 'viterbi-sampling[plot]'") from None
    works = [work for work in WORKS if comparison.of(work)]
    heights = [len(comparison.of(work)) + 1.2 for work in works]
    with matplotlib.rc_context({"svg.hashsalt": "viterbi_sampling", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(9, 0.26 * sum(heights) + 0.6), layout="constrained")
        all_axes = figure.subplots(max(1, len(works)), squeeze=False, height_ratios=heights or None)[:, 0]
        for work, axes in zip(works, all_axes, strict=False):
            results = comparison.of(work)
            ours = results[0] if results[0].library == OURS else None
            speeds = [result.speed for result in results]
            colors = [
                OUR_COLOR if result.library == OURS else OTHER_COLOR if result.differ else THEIR_COLOR
                for result in results
            ]
            axes.barh(range(len(results)), speeds, 0.8, color=colors)
            axes.set_yticks(range(len(results)), [result.library for result in results])
            axes.invert_yaxis()
            axes.set_xlim(0, 1.5 * max(speeds))
            axes.set_xticks([])
            axes.set_title(title(comparison, work), loc="left", fontsize=9)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            for place, result in enumerate(results):
                notes = (speed(result), ratio(result, ours), agreement(result) if result.differ else "")
                axes.text(result.speed, place, "  " + "   ".join(filter(None, notes)), va="center")
        threads = "1 thread" if comparison.threads == 1 else f"{comparison.threads} threads"
        heading = f"{comparison.model} on {comparison.corpus}, {comparison.megabytes:.1f} MB, {threads}; "
        heading += "×: so many times as fast is ours; yellow: gives something else"
        where = textwrap.wrap(described(comparison.environment), 150)
        figure.suptitle("\n".join([heading, *where]), fontsize=7, x=0.01, horizontalalignment="left")
        figure.savefig(path, format="svg", metadata={"Date": None})
