"""What each command does: one call, one rendering. Imports no torch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bench.errors import SuiteError
from medseg.data.cache import cache_dir

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.run.engine import Summary


WIDTH_WITHOUT_TERMINAL = 120
MOST_REASONS = 5


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


def make_plan_of(suite: Path, data: tuple[str, ...], console: Console) -> "Plan":
    """Reads a suite, finds its data and checks its models."""
    from bench.plan import make_plan
    from bench.suite import load_suite

    roots = parse_roots(data)
    loaded = load_suite(suite)
    with console.status("checking data and models") as status:

        def watch(task: str, done: int, total: int) -> None:
            status.update(f"{task}: looked at {done:,} of {total:,} files")

        return make_plan(loaded, roots, cache_dir(), watch)


def plan_command(suite: Path, data: tuple[str, ...]) -> int:
    """Prints what a suite would run."""
    from bench.plan import describe

    console = make_console()
    plan = make_plan_of(suite, data, console)
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
    trials = sum(study.tune_total + study.final_total for study in plan.studies)
    console.print(f"{len(plan.studies)} studies, {trials} trials; plan {plan.hash[:12]}")
    return 0


def run_command(
    suite: Path,
    data: tuple[str, ...],
    results_root: Path,
    only: Any,
    cpus: int | None,
    timeout_s: float | None,
    verbose: bool,
) -> int:
    """Runs what a suite misses and says how it went."""
    from bench.run.engine import RunOptions, run_suite

    console = make_console()
    plan = make_plan_of(suite, data, console)
    options = RunOptions(
        results=results_root / plan.suite.suite,
        cache=cache_dir(),
        only=only,
        cpus=cpus,
        timeout_s=timeout_s,
        verbose=verbose,
    )
    summary = run_suite(plan, options, console)
    _say(summary, options.results, suite, console)
    if summary.interrupted:
        return 130
    return 1 if summary.failed or summary.hopeless else 0


def leaderboard_command(
    results: Path | None,
    results_root: Path,
    task: str | None,
    metric: str,
    metrics: tuple[str, ...] | None,
    policy: Any,
    style: Any,
    output: Path | None,
) -> int:
    """Prints the leaderboard of a run."""
    from bench.leaderboard import show

    show(
        results,
        results_root,
        console=make_console(),
        task=task,
        metric=metric,
        metrics=metrics,
        policy=policy,
        style=style,
        output=output,
    )
    return 0


def _say(summary: "Summary", results: Path, suite: Path, console: Console) -> None:
    say = console.print
    if summary.idle:
        say(f"Nothing to do: {summary.complete} of {summary.planned} trials are complete in {results}.")
    else:
        say(f"Ran {summary.ran} trials; {summary.complete} of {summary.planned} are complete in {results}.")
    for status, count in sorted(summary.failed.items()):
        say(f"  {count} {status}; --only failed runs them again")
    for reason in summary.reasons[:MOST_REASONS]:
        say(f"  {reason}", soft_wrap=True, highlight=False, markup=False)
    if len(summary.reasons) > MOST_REASONS:
        say(f"  and {len(summary.reasons) - MOST_REASONS} other reasons: column detail of the trials table")
    for name in summary.hopeless:
        say(f"  {name}: every tuning trial failed, so it has no final trials")
    if summary.stale:
        say(f"  {summary.stale} were made by other code and are marked stale; --only stale runs them again")
    if summary.interrupted:
        say(f"Interrupted. `bench run {suite}` goes on where it stopped.")
    else:
        say(f"Next: bench leaderboard {results}")
