"""What `bench compare` does: one call, one rendering. Imports no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.commands import make_console
from bench.errors import BenchError, NothingInCommonError, ResultsError

if TYPE_CHECKING:
    from bench.leaderboard.opponents import Match
    from bench.results.place import Place
    from bench.results.store import Store

EXIT_CODES = {"": 0, "kept": 0, "broken": 1, "cannot tell": 7}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed."""

    sides: tuple[str, ...]
    run: "Place | None"
    code: tuple[str, str] | None
    results_root: "Place"
    tasks: tuple[str, ...]
    metrics: tuple[str, ...] | None
    margins: tuple[str, ...]
    each_label: bool
    ropes: tuple[str, ...] = ()
    details: bool = False


def compare_command(asked: Asked, style: str, output: Path | None) -> int:
    """Prints how B differs from A; returns the exit code."""
    from bench.leaderboard.compare import compare_match
    from bench.leaderboard.compare_detail_sheet import detail_sheets
    from bench.leaderboard.compare_sheet import compare_lines, compare_sheets
    from bench.leaderboard.publish import publish

    margins, ropes = parse_margins(asked.margins), parse_ropes(asked.ropes)
    details = asked.details or bool(ropes) or style != "rich"
    try:
        match = find_match(asked)
        found = compare_match(match, asked.metrics, margins, asked.each_label, ropes=ropes, details=details)
    except NothingInCommonError as error:
        if not margins:
            raise
        click.echo(f"bench: {error}", err=True)
        return EXIT_CODES["cannot tell"]
    data = {
        "a": found.titles[0],
        "b": found.titles[1],
        "answer": found.answer or None,
        "margins": found.margins,
        "rows": found.rows,
        "left_out": found.left_out,
        "comparisons": found.comparisons,
        "lines": compare_lines(found),
    }
    publish([*compare_sheets(found), *detail_sheets(found)], data, style, make_console(), output)
    return EXIT_CODES[found.answer]


def parse_ropes(pairs: Sequence[str]) -> dict[str, float]:
    """Reads METRIC=VALUE pairs of differences that do not matter.

    Raises:
        BenchError: As in `parse_margins`, or if a value is not above zero.
    """
    found = parse_margins(pairs, "--rope")
    for name, rope in found.items():
        if rope <= 0:
            raise BenchError(f"--rope {name}={rope:g}: expected a difference above zero, e.g. dice=0.005")
    return found


def parse_margins(pairs: Sequence[str], option: str = "--margin") -> dict[str, float]:
    """Reads METRIC=VALUE pairs.

    Raises:
        BenchError: If one is malformed, or a metric comes twice.
    """
    found: dict[str, float] = {}
    example = "dice=-0.01 or hd95=+1" if option == "--margin" else "dice=0.005"
    for pair in pairs:
        name, _, text = (word.strip() for word in pair.partition("="))
        try:
            margin = float(text)
        except ValueError:
            margin = math.nan
        if not name or not math.isfinite(margin):
            raise BenchError(f"{option} {pair}: expected METRIC=VALUE, e.g. {example}")
        if name in found:
            raise BenchError(f"{option} {pair}: {name} has one already, {found[name]:+g}")
        found[name] = margin
    return found


def find_match(asked: Asked) -> "Match":
    """Finds out who is compared with whom.

    Raises:
        BenchError: If there are not two sides, or they are the same.
        ResultsError: If they are not there.
    """
    from bench.leaderboard.opponents import match_codes, match_entries, match_runs

    tasks = asked.tasks or None
    if asked.code is not None:
        if len(asked.sides) + (asked.run is not None) > 1:
            raise BenchError(f"--code compares within one run, got {', '.join(map(repr, asked.sides))}")
        return match_codes(_store(asked, next(iter(asked.sides), None)), asked.code, tasks)
    if len(asked.sides) != 2:
        raise BenchError(
            f"expected A and B: two runs, or two entries of a run; got {len(asked.sides)} of them"
        )
    first, second = asked.sides
    if asked.run is None:
        runs = [_run(asked, side) for side in asked.sides]
        if runs[0] is not None and runs[1] is not None:
            return match_runs(runs[0], runs[1], tasks)
        for run, other in zip(runs, (second, first), strict=True):
            if run is not None:
                raise ResultsError(f"{run.root} is a run, so {other} must be one, but there are no results")
    return match_entries(_store(asked, None), (first, second), tasks)


def _store(asked: Asked, where: str | None) -> "Store":
    """Returns the run that was named, or the newest."""
    if where is not None:
        return _store_of(asked, where)
    from bench.results.find import find_results
    from bench.results.store import Store

    return Store(find_results(asked.run, asked.results_root))


def _store_of(asked: Asked, where: str) -> "Store":
    from bench.results.find import find_results
    from bench.results.store import Store

    return Store(find_results(where, asked.results_root))


def _run(asked: Asked, side: str) -> "Store | None":
    """Returns a side's results; none where there are no such."""
    try:
        return _store_of(asked, side)
    except ResultsError:
        return None
