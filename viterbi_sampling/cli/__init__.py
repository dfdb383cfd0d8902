"""The command line: one module a group of commands."""

from __future__ import annotations

import click

from viterbi_sampling import __version__
from viterbi_sampling.cli.bench import bench
from viterbi_sampling.cli.convert import convert
from viterbi_sampling.cli.decode import decode
from viterbi_sampling.cli.demo import demo
from viterbi_sampling.cli.inspect import inspect
from viterbi_sampling.cli.law import nbest, score
from viterbi_sampling.cli.segmentation import encode, sample
from viterbi_sampling.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Exact Unigram tokenization: encode, decode and sample text, line by line.

    Exit status: 0, 1 for a model or data that cannot be used, 2 for a wrong call.
    """


for command in (encode, decode, sample, nbest, score, inspect, verify, convert, bench, demo):
    main.add_command(command)
