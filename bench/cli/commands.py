"""What each command does: one call, one rendering. Imports no torch."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.errors import SuiteError
from bench.words import plural
from medseg.data.cache import cache_dir

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.plan.study import Study
    from bench.suite.load import LoadedSuite


WIDTH_WITHOUT_TERMINAL = 120


def make_console() -> Console:
    """Returns the console; a log file or a pipe is wide enough for every column of a leaderboard."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    return console


def parse_roots(data: tuple[str, ...]) -> dict[str, Path]:
    """Reads NAME=PATH pairs.

    Raises:
        SuiteError: If a pair has no name or no path.
    """
    roots = {}
    for pair in data:
        name, sign, path = pair.partition("=")
        if not (name and sign and path):
            raise SuiteError([(None, f"--data {pair}: expected NAME=PATH, e.g. acdc=/data/ACDC")])
        roots[name] = Path(path).expanduser().absolute()
    return roots


def load_at_scale(suite: Path, scale: str, console: Console) -> "LoadedSuite":
    """Reads a suite; of its smoke version it says what that changes."""
    from bench.suite import load_suite

    loaded = load_suite(suite)
    if scale == "full":
        return loaded
    from bench.plan.scale import smoke_suite

    with console.status("asking models for their tiny options"):
        loaded, changes = smoke_suite(loaded, cache_dir())
    console.print(changes, soft_wrap=True, highlight=False, markup=False)
    return loaded


def make_plan_of(
    loaded: "LoadedSuite",
    data: tuple[str, ...],
    console: Console,
    begin: Callable[[], None] = lambda: None,
) -> "Plan":
    """Finds the data of a suite and checks its models; in between it calls `begin`."""
    from bench.plan import make_plan

    # A smoke run is one of generated data, whatever was asked for beside it.
    roots = {} if loaded.suite.scale == "smoke" else parse_roots(data)
    with console.status("checking data and models") as status:

        def watch(task: str, done: int, total: int) -> None:
            status.update(f"{task}: looked at {done:,} of {total:,} files")

        return make_plan(loaded, roots, cache_dir(), watch, begin)


def plan_command(suite: Path, data: tuple[str, ...], scale: str = "full") -> int:
    """Prints what a suite would run."""
    from bench.plan import describe
    from bench.plan.claim_notes import claim_notes
    from bench.plan.totals import describe_totals

    console = make_console()
    plan = make_plan_of(load_at_scale(suite, scale, console), data, console)
    table = Table(box=None, header_style="dim", pad_edge=False)
    rows = describe(plan)
    for name in rows[0]:
        table.add_column(name, justify="right" if isinstance(rows[0][name], int) else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()))
    console.print(table)
    for name, planned in plan.data.items():
        for note in planned.notes:
            console.print(f"{name}: {note}", soft_wrap=True, highlight=False, markup=False)
    say_notes(plan.studies, console)
    for line in claim_notes(plan):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for line in describe_totals(plan):
        console.print(line, soft_wrap=True, highlight=False)
    trials = sum(study.tune_total + study.final_total for study in plan.studies)
    studies = "1 study" if len(plan.studies) == 1 else f"{len(plan.studies):,} studies"
    console.print(f"{studies}, {plural(trials, 'trial')}; plan {plan.hash[:12]}")
    return 0


def say_notes(studies: Sequence["Study"], console: Console) -> None:
    """Says what of a plan may be a slip."""
    from bench.plan.notes import plan_notes

    for line in plan_notes(studies):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
