"""Two entries side by side: on the same cases and labels, by the same definitions, from the same data and split."""

from dataclasses import dataclass, replace

import pandas as pd
from pandas.api.types import is_numeric_dtype

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.contrast import decided_runs
from bench.leaderboard.definitions import Apart
from bench.leaderboard.entries import Entry

A, B = "A", "B"
RUN = ["fold", "seed"]
KEY = ["case", "patient", "label", "metric"]


@dataclass(frozen=True)
class Pair:
    """Two entries on a task.

    Args:
        name: What is compared; empty where it is the same two entries everywhere.
        cells: Values of both, as entries `A` and `B`.
        notes: What a reader must know of them.
        waits: Why nothing can be concluded from them yet.
        same: Whether both sides are the same trials.
    """

    name: str
    cells: TaskCells
    notes: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    same: bool = False


def join(one: TaskCells, first: Entry, other: TaskCells, second: Entry, name: str) -> Pair | str:
    """Puts two entries side by side, on the cases and labels that both were measured on; or says why not.

    Final trials that are still to come are left out rather than counted as the worst: it is not known how they end.
    So are those of a fold or seed that the other side does not have: of a fold of its own, a side would be measured
    with networks that were trained on other patients.

    Args:
        one: Test values of A's task.
        first: The entry that is A.
        other: Test values of B's task.
        second: The entry that is B.
        name: What they are in a table.
    """
    who = f"{name}: " if name else ""
    sides = ((A, one, first), (B, other, second))
    for word, _, entry in sides:
        if entry.finals.empty or not decided_runs(entry):
            return f"{who}{word} has no final trials that ended"
    if _protocol(first) != _protocol(second):
        # A test patient of one split may have trained the other's network.
        return f"{who}A and B are on other data or another split"
    if one.contract.policy != other.contract.policy:
        return f"{who}policies for empty masks differ: {one.contract.policy} and {other.contract.policy}"
    shared = decided_runs(first) & decided_runs(second)
    if not shared:
        return f"{who}A and B have no fold and seed in common"
    both, lost = _common(*(_rows(cells, entry, word, shared) for word, cells, entry in sides))
    if both.empty:
        return f"{who}no case was measured on both sides"
    notes = [f"{word}: {note}" for word, cells, entry in sides for note in _notes(cells, entry)]
    notes += _unpaired(first, second, shared)
    notes += [cells.contract.patients_note for cells in (one, other) if cells.contract.patients_note]
    if lost:
        notes.append(f"left out: {lost} values of cases or labels that one side lacks")
    if first.name == second.name and set(first.finals["setting"]) != set(second.finals["setting"]):
        notes.append("settings differ: each side was tuned for itself")
    apart = _unlike_definitions(both)
    for word, cells, entry in sides:
        for metric, reasons in cells.apart.items():
            if entry.name in reasons:
                apart.setdefault(metric, {})[word] = reasons[entry.name]
    entries = (replace(first, name=A), replace(second, name=B))
    joined = replace(one, entries=entries, cells=both, pending={}, notes=(), apart=apart)
    return Pair(name, joined, tuple(dict.fromkeys(notes)), same=_are_same(first, second, both))


def _rows(cells: TaskCells, entry: Entry, word: str, runs: set[tuple[int, int]]) -> pd.DataFrame:
    mine = cells.cells[(cells.cells["entry"] == entry.name).to_numpy(bool)].assign(entry=word)
    return mine[pd.MultiIndex.from_frame(mine[RUN]).isin(runs)]


def _unpaired(first: Entry, second: Entry, shared: set[tuple[int, int]]) -> list[str]:
    """Says how many final trials of each side have no partner on the other."""
    counts = ((word, len(decided_runs(entry))) for word, entry in ((A, first), (B, second)))
    left = [
        f"{number - len(shared)} of {number} of {word}" for word, number in counts if number > len(shared)
    ]
    if not left:
        return []
    return [f"final trials left out, as the other side has none of their fold and seed: {', '.join(left)}"]


def _are_same(first: Entry, second: Entry, both: pd.DataFrame) -> bool:
    """Says whether two sides are the same trials, be it in a copy of the results."""
    keys = ["trial", "code", "attempt", "finished_at"]
    one, other = (set(entry.finals[keys].itertuples(index=False, name=None)) for entry in (first, second))
    if one != other:
        return False
    by = [*RUN, *KEY]
    rows = [both.loc[both["entry"] == word, [*by, "value", "definition"]].sort_values(by) for word in (A, B)]
    return rows[0].reset_index(drop=True).equals(rows[1].reset_index(drop=True))


def _notes(cells: TaskCells, entry: Entry) -> list[str]:
    """Returns an entry's notes; of final trials that are still to come they say otherwise than here."""
    expected = set(cells.cells[RUN].drop_duplicates().itertuples(index=False, name=None))
    left = len(expected - decided_runs(entry))
    notes = [note for note in entry.notes if not (left and note.startswith("incomplete: "))]
    return [*notes, f"{left} of {len(expected)} final trials to come, not counted"] if left else notes


def _protocol(entry: Entry) -> set[tuple[str, str]]:
    return set(zip(entry.finals["data"], entry.finals["split"], strict=True))


def _common(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Returns the rows of what both sides were measured on, and how many rows that leaves out."""
    rows = pd.concat([_plain(first), _plain(second)], ignore_index=True)
    sides = rows.groupby(KEY)["entry"].transform("nunique")
    kept = rows[sides == 2]
    texts = {name: kept[name].astype("category") for name in kept.columns if kept[name].dtype == object}
    return kept.assign(**texts), len(rows) - len(kept)


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns rows whose texts have no fixed words, so that those of two runs can stand together."""
    texts = {name: rows[name].astype(object) for name in rows.columns if not is_numeric_dtype(rows[name])}
    return rows.assign(**texts)


def _unlike_definitions(rows: pd.DataFrame) -> Apart:
    """Returns the metrics that A and B were measured by with different definitions."""
    known = rows[["metric", "label", "entry", "definition"]].dropna().drop_duplicates()
    number = known.groupby(["metric", "label"], observed=True)["definition"].nunique()
    apart: Apart = {}
    for metric, label in number.index[number > 1]:
        told = known[(known["metric"] == metric) & (known["label"] == label)]
        words = dict(zip(told["entry"], told["definition"], strict=True))
        apart.setdefault(str(metric), {})[B] = (
            f"measured as {words[B]}, A as {words[A]}: `bench rescore` measures anew"
        )
    return apart
