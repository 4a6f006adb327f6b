"""Final trials that have not run yet: nobody knows what they give, so they are neither values nor failures."""

from collections import Counter
from dataclasses import replace

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.entries import Entry
from bench.results.schema import UNDECIDED

NOT_RUN = "not run"
GOES_ON = "`bench run` goes on, --on-missing worst ranks it all the same"


def without_awaited(cells: TaskCells, advice: str = "") -> TaskCells:
    """Takes out of the ranking the entries that wait for final trials.

    What ran and failed is no reason to wait, and an entry of which every tuning trial failed waits for nothing.

    Args:
        cells: Test values of a task.
        advice: What else to say of each such entry.

    Returns:
        The same, these entries among the pending ones.
    """
    found = {entry.name: why for entry in cells.entries if (why := awaited(entry, cells))}
    if not found:
        return cells
    waiting = {name: f"{why}; {advice}" if advice else why for name, why in found.items()}
    kept = tuple(entry for entry in cells.entries if entry.name not in found)
    rows = cells.cells[cells.cells["entry"].isin([entry.name for entry in kept])]
    return replace(cells, entries=kept, cells=rows, pending=cells.pending | waiting)


def awaited(entry: Entry, cells: TaskCells) -> str:
    """Says which final trials an entry waits for: the suite's, or such as others have; empty where for none.

    Args:
        entry: The entry.
        cells: Test values of its task.
    """
    if entry.finals.empty:
        return ""
    finals = entry.finals
    status = dict(zip(zip(finals["fold"], finals["seed"], strict=True), finals["status"], strict=True))
    runs = list(cells.ran.itertuples(index=False, name=None))
    words = Counter(str(status.get(run, NOT_RUN)) for run in runs)
    open_ = {word: count for word, count in words.items() if word in (NOT_RUN, *UNDECIDED)}
    if not open_:
        return ""
    of = f"{sum(open_.values())} of {len(runs)} final trials"
    if set(open_) == {NOT_RUN}:
        return f"{of} not run yet"
    return f"{of} still to be run: {', '.join(f'{count} {word}' for word, count in sorted(open_.items()))}"
