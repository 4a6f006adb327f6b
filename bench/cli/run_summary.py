"""How a run ended, on the screen."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.run.options import RunOptions
from bench.run.policy import MOST_ATTEMPTS
from bench.run.progress import duration
from bench.run.summary import Spent, Summary
from bench.words import plural

MOST_REASONS = 5


def say_summary(summary: Summary, options: RunOptions, console: Console) -> None:
    """Says what was run, what tuning cost, what failed and why, and what to do next."""
    results = options.results
    stand = f"{summary.complete} of {summary.planned}"
    if not summary.idle:
        done = f"Ran {plural(summary.ran, 'trial')}; {stand} are complete in {results}."
    else:
        done = f"Nothing to {'run' if summary.missing else 'do'}: {stand} trials are complete in {results}."
    lines = [done, *_failures(summary), *_rest(summary, options)]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if summary.spent and not summary.idle:
        console.print(spent_table(summary.spent))
    console.print(_next(summary, options), soft_wrap=True, highlight=False, markup=False)


def spent_table(spent: Sequence[Spent]) -> Table:
    """Returns what tuning has cost, a row per study; columns of zeros are left out."""
    table = Table(box=None, header_style="dim", pad_edge=False, title="Spent on tuning", title_justify="left")
    for name in ("task", "entry", "budget"):
        table.add_column(name, no_wrap=True)
    counted = ["trials", *(name for name in ("pruned", "failed") if any(getattr(row, name) for row in spent))]
    for name in (*counted, "epochs", "device time"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in spent:
        counts = [f"{getattr(row, name):,}" for name in (*counted, "epochs")]
        table.add_row(row.task, row.entry, row.budget, *counts, duration(row.device_s))
    return table


def _failures(summary: Summary) -> list[str]:
    hopeless = summary.hopeless_losses
    lost = summary.failed.get("infra_lost", 0) - hopeless
    lines = [
        f"  {count} {status}" for status, count in sorted(summary.failed.items()) if status != "infra_lost"
    ]
    if hopeless:
        lines.append(f"  {hopeless} infra_lost after {MOST_ATTEMPTS} attempts and more")
    if lines:
        lines[-1] += "; --retry failed runs what failed again"
    if lost:
        lines.append(f"  {lost} infra_lost; the same command tries again")
    if summary.kept:
        lines.append(
            _counted(
                summary.kept,
                "was lost when it ran again, and keeps the result that it had",
                "were lost when they ran again, and keep the result that they had",
            )
        )
    lines += [f"  {reason}" for reason in summary.reasons[:MOST_REASONS]]
    if len(summary.reasons) > MOST_REASONS:
        left = len(summary.reasons) - MOST_REASONS
        lines.append(f"  and {plural(left, 'other reason')}: column detail of the trials table")
    lines += [
        f"  {name}: no tuning trial can be chosen, so it has no final trials" for name in summary.hopeless
    ]
    lines += [f"  {study}: the study was stopped; see --max-failures" for study in summary.stopped]
    return lines


def _rest(summary: Summary, options: RunOptions) -> list[str]:
    lines = []
    if summary.pruned:
        lines.append(
            _counted(
                summary.pruned,
                "was pruned: its scores said that it would not be the best",
                "were pruned: their scores said that they would not be the best",
            )
        )
    if summary.stale:
        lines.append(
            _counted(
                summary.stale,
                "was made by other code and is marked stale; --only stale runs it again",
                "were made by other code and are marked stale; --only stale runs them again",
            )
        )
    if summary.note is not None:
        lines.append(f"  Optuna's dashboard misses something: {summary.note}")
    if summary.unfinished and summary.end is None:
        lines.append(
            _counted(
                summary.missing,
                "is missing: it waits for the scores of what was lost",
                "are missing: they wait for the scores of what was lost",
            )
        )
    elif summary.missing and summary.end is None and not options.policy.new:
        lines.append(
            _counted(
                summary.missing,
                "is missing; without --only it is run",
                "are missing; without --only they are run",
            )
        )
    return lines


def _next(summary: Summary, options: RunOptions) -> str:
    goes_on = "The same command goes on where it stopped."
    if summary.end == "interrupted":
        return f"Interrupted. {goes_on}"
    if summary.end == "time is up":
        return f"Stopped after --max-hours {options.max_hours:g}. {goes_on}"
    if summary.end == "limit":
        missing = _counted(summary.missing, "is missing", "are missing").strip()
        return f"Stopped after --limit {options.limit}, {missing}. {goes_on}"
    return f"Next: bench leaderboard {options.results}"


def _counted(count: int, one: str, many: str) -> str:
    return f"  {count} {one if count == 1 else many}"
