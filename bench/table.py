"""The table of speeds that this project promises: each row beside sentencepiece or beside ourselves, with its floor.

    python bench/table.py                          # all rows (some minutes)
    python bench/table.py --list                   # their names
    python bench/table.py --only 't5-*' --clock cpu --repeats 3
    python bench/table.py --json out.json --markdown bench/RESULTS.md

The two of a row take turns in one process and the best time of each counts. A ratio says how many times better ours
is; a floor of 0.5 allows ours to be twice as slow. What the two give (ids, spans, texts) is compared before a row is
timed. Needs the folder of real models and texts, beside the project or where VITERBI_SAMPLING_SHARED points.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from pathlib import Path

import click
from corpora import SHARED
from rows import ROWS, SHARE, Measured, Row, Settings

from viterbi_sampling.benchmark.machine import described, environment

Result = tuple[Row, Measured | str]
"""A row, and what came out of it or why nothing did."""


def verdict(row: Row, measured: Measured) -> str:
    if measured.ratio < row.floor:
        return "below the floor"
    return "aim reached" if measured.ratio >= row.aim else "floor holds"


def cells(row: Row, measured: Measured) -> list[str]:
    """A row of the table as it is shown."""
    places = 2 if row.floor < 3 else 1
    differ = {None: "", 0: "0"}.get(measured.differ, f"{measured.differ} of {measured.lines}")
    speeds = [f"{speed:,.1f} {measured.unit}" for speed in (measured.ours, measured.theirs)]
    marks = [f"{number:.{places}f} ×" for number in (measured.ratio, row.floor, row.aim)]
    return [row.work, row.against, *speeds, *marks, verdict(row, measured), differ]


BEGIN, END = "<!-- table: python bench/table.py --markdown -->", "<!-- end of the table -->"
HEADINGS = ["work", "against", "ours", "theirs", "ratio", "floor", "aim", "", "lines that differ"]


def markdown(results: list[Result], settings: Settings, where: dict[str, object]) -> str:
    """The table with all that has to be known to read it."""
    notes = [
        f"{described(where)}; {settings.clock} clock, best of {settings.repeats} or more turns.",
        f"Of each text its first {settings.size / 1e6:g} MB; sentencepiece gets every {SHARE}th line for what it does "
        "slowly (sampling, offsets). What the two give is compared first.",
    ]
    if settings.clock == "cpu":
        notes.append("2 threads: what two free cores could take at best, half of the time of all threads.")
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for row, measured in results:
        if isinstance(measured, str):
            shown = [row.work, row.against, "–", "–", "–", f"{row.floor:g} ×", f"{row.aim:g} ×", measured, ""]
        else:
            shown = cells(row, measured)
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join([*notes, "", *lines, ""])


def write_markdown(path: Path, table: str) -> None:
    """Put the table between its marks in a file; what is written around them stays."""
    before, after = f"# Measured\n\n{BEGIN}\n", f"{END}\n"
    if path.exists():
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise click.ClickException(f"{path} has no place for the table: {BEGIN} ... {END}")
        before, after = f"{before}{BEGIN}\n", f"{END}{after}"
    path.write_text(before + table + after, encoding="utf-8")


def as_json(row: Row, measured: Measured | str) -> dict[str, object]:
    known: dict[str, object] = {
        "name": row.name, "work": row.work, "against": row.against, "floor": row.floor, "aim": row.aim,
    }  # fmt: skip
    if isinstance(measured, str):
        return known | {"error": measured}
    return known | dataclasses.asdict(measured) | {"ratio": measured.ratio, "verdict": verdict(row, measured)}


@click.command()
@click.option("--only", multiple=True, help="Rows by name, * and ? allowed; may be given several times.")
@click.option("--list", "listed", is_flag=True, help="Show the names of the rows.")
@click.option("--megabytes", default=10.0, show_default=True, help="Of each text, its beginning.")
@click.option("--repeats", default=5, show_default=True, help="Turns of each row, at least.")
@click.option("--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True,
              help="cpu: where others use the cores; 2 threads: what free cores could give at best.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(path_type=Path))
@click.option("--markdown", "markdown_path", type=click.Path(path_type=Path),
              help="Put the table between its marks in this file.")  # fmt: skip
def main(
    only: tuple[str, ...], listed: bool, megabytes: float, repeats: int, clock: str, json_path: Path | None,
    markdown_path: Path | None,
) -> None:  # fmt: skip
    """Measure the table of promised speeds."""
    chosen = [row for row in ROWS if not only or any(fnmatch.fnmatch(row.name, pattern) for pattern in only)]
    if not chosen:
        raise click.UsageError(f"no row is called {', '.join(only)}; --list shows the names")
    if listed:
        for row in chosen:
            click.echo(f"{row.name:28} {row.work}")
        return
    if not SHARED.is_dir():
        raise click.ClickException(f"no models and texts at {SHARED}; VITERBI_SAMPLING_SHARED can say where they are")
    settings = Settings(int(megabytes * 1_000_000), repeats, clock)
    where = environment(["sentencepiece"])
    click.echo(f"{described(where)}; {clock} clock, best of {repeats} or more in turns")
    click.echo(f"{'':28}{'ours':>14}{'theirs':>14}{'':7}{'ratio':>8}{'floor':>8}{'aim':>8}")
    results: list[Result] = []
    for row in chosen:
        try:
            measured: Measured | str = row.measure(settings)
        except Exception as error:  # a row that fails must not lose the others
            measured = f"{type(error).__name__}: {error}"
        results.append((row, measured))
        if isinstance(measured, str):
            click.echo(f"{row.name:28}{measured}")
            continue
        differ = f"; {measured.differ} of {measured.lines} lines DIFFER" if measured.differ else ""
        click.echo(
            f"{row.name:28}{measured.ours:14,.1f}{measured.theirs:14,.1f} {measured.unit:6}{measured.ratio:8.2f}"
            f"{row.floor:8g}{row.aim:8g}  {verdict(row, measured)}{differ}"
        )
    if json_path is not None:
        document = {"environment": where, "clock": clock, "repeats": repeats, "megabytes": megabytes,
                    "rows": [as_json(*result) for result in results]}  # fmt: skip
        json_path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if markdown_path is not None:
        write_markdown(markdown_path, markdown(results, settings, where))
    failed = sum(
        isinstance(measured, str) or measured.ratio < row.floor or bool(measured.differ) for row, measured in results
    )
    click.echo(f"{len(results) - failed} of {len(results)} rows hold")


if __name__ == "__main__":
    main()
