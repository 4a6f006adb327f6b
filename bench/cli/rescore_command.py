"""What `bench rescore` does: one call, one rendering. Imports neither torch nor Ray."""

from collections import Counter

from rich.console import Console

from bench.cli.commands import make_console, parse_roots
from bench.cli.progress import progress_bars
from bench.cli.score_options import parse_metrics, parse_tolerance
from bench.results.find import find_results
from bench.results.place import Place
from bench.run.rescore import Options, Outcome, Summary, rescore
from bench.run.rescore_metrics import Asked
from bench.words import plural
from medseg.data.cache import cache_dir

MOST_CONFLICTS = 5


def rescore_command(
    results: Place,
    results_root: Place,
    data: tuple[str, ...],
    metrics: str | None,
    tolerance: str | None,
    dry_run: bool,
    processes: int | None,
) -> int:
    """Measures kept predictions again and says what was added; returns the exit code."""
    place = find_results(results, results_root)
    asked = Asked(
        parse_metrics(metrics) if metrics else None, parse_tolerance(tolerance) if tolerance else None
    )
    options = Options(parse_roots(data), cache_dir(), asked, dry_run, processes)
    with progress_bars() as watch:
        summary = rescore(place, options, watch)
    _say(summary, place, dry_run, make_console())
    return 1 if summary.failed else 0


def _say(summary: Summary, place: Place, dry_run: bool, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    total: Counter[str] = Counter()
    for outcome in summary.outcomes:
        total += outcome.added
        for line in _trouble(outcome):
            say(line)
    trials = sum(bool(outcome.added) for outcome in summary.outcomes)
    if total:
        verb = "Would add" if dry_run else "Added"
        say(f"{verb} {total.total():,} values to {trials} of {summary.finals} final trials in {place}:")
        for definition, count in sorted(total.items()):
            say(f"  {definition}: {count:,}")
    elif not summary.failed:
        same = sum(outcome.same for outcome in summary.outcomes)
        say(f"Nothing to do: {same:,} values in {place} measured again, all are there with the same numbers.")
    for note in summary.notes:
        say(note)


def _trouble(outcome: Outcome) -> list[str]:
    """Returns what stands in the way of a trial's values, or of those of some cases."""
    if outcome.problem:
        return [f"{outcome.title}: {outcome.problem}"]
    lines = []
    if outcome.failures:
        count = len(outcome.failures)
        lines.append(
            f"{outcome.title}: {count} case{'s' * (count > 1)} could not be measured in full, first "
            f"{outcome.failures[0]}"
        )
    if outcome.conflicts:
        lines.append(
            f"{outcome.title}: {plural(len(outcome.conflicts), 'value is', 'values are')} not what the same "
            "definition gives now; nothing "
            f"was added. Are the predictions those of this trial?"
        )
    lines += [f"  {conflict}" for conflict in outcome.conflicts[:MOST_CONFLICTS]]
    if len(outcome.conflicts) > MOST_CONFLICTS:
        lines.append(f"  and {len(outcome.conflicts) - MOST_CONFLICTS} others")
    return lines
