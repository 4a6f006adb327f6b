"""What `bench compact` does: one call, one rendering."""

from rich.console import Console

from bench.cli.commands import make_console
from bench.results.compaction import Compacted, compact
from bench.results.find import find_results
from bench.results.lock import RunLock
from bench.results.place import Place
from bench.words import plural

SHOWN = 5


def compact_command(results: Place | None, results_root: Place) -> int:
    """Gathers the files of results and says what came of it; returns the exit code."""
    place, console = find_results(results, results_root), make_console()
    with RunLock(place, console.print), console.status("gathering results") as status:

        def watch(done: int, total: int) -> None:
            status.update(f"gathering results: {done:,} of {total:,} trials")

        done = compact(place, watch)
    _say(done, place, console)
    return 1 if done.skipped else 0


def _say(done: Compacted, place: Place, console: Console) -> None:
    lines = [
        f"{plural(done.trials, 'trial')} gathered; {place} has {plural(done.groups, 'file')} per table now."
    ]
    if not done.trials:
        lines = [] if done.skipped else [f"Nothing to gather in {place}."]
    if done.skipped:
        lines.append(
            f"{plural(len(done.skipped), 'file')} of {place} damaged or missing; put back what you have of "
            "them: `bench run SUITE` makes single trials anew, and stops before it gives up many:"
        )
        lines += [f"  {text}" for text in done.skipped[:SHOWN]]
    if len(done.skipped) > SHOWN:
        lines.append(f"  and {len(done.skipped) - SHOWN:,} others")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
