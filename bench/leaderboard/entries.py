"""The entries of a task: which of their trials count, and what a reader must know of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from bench.leaderboard.definitions import Apart
from bench.results.counting import Limits
from bench.results.schema import UNDECIDED
from bench.results.select import constraints_out_of_reach, newest_per_trial

MEASURED = ["case", "patient", "label", "metric"]


@dataclass(frozen=True)
class Entry:
    """An entry of a task.

    Args:
        name: As in the results, e.g. ``unet + dice``.
        model: Label of its model.
        loss: Label of its loss.
        finals: Its final trials, one per fold and seed, whatever their status.
        notes: What a reader must know of it.
    """

    name: str
    model: str
    loss: str
    finals: pd.DataFrame
    notes: tuple[str, ...] = ()


def of_study(trials: pd.DataFrame, study: str | None) -> pd.DataFrame:
    """Keeps one study of an entry: the suite's, or where that is unknown the one with the newest final."""
    if study is None and len(trials):
        finals = trials[trials["phase"] == "final"]
        study = str((trials if finals.empty else finals).sort_values("finished_at")["study"].iloc[-1])
    return trials[trials["study"] == study]


def one_protocol(trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keeps the trials on one version of the data and one split: those of the newest final trial."""
    if trials.empty:
        return trials, []
    finals = trials[trials["phase"] == "final"]
    newest = (trials if finals.empty else finals).sort_values("finished_at").iloc[-1]
    same = (trials["data"] == newest["data"]) & (trials["split"] == newest["split"])
    left_out = int((~same).sum())
    notes = [f"{left_out} trials on other data or another split are not shown"] if left_out else []
    return trials[same], notes


def pending_reason(trials: pd.DataFrame, was_run: bool, limits: Limits | None = None) -> str:
    """Says why an entry cannot be ranked; empty where it can.

    Args:
        trials: All that count.
        was_run: Whether the entry has other trials.
        limits: What its tuning may spend and a setting may cost.
    """
    if trials.empty:
        return "no trials yet of the suite's settings, data and split" if was_run else "no trials yet"
    if (trials["phase"] == "final").any():
        return ""
    failed = ~newest_per_trial(trials)["status"].isin(("complete", *UNDECIDED))
    if failed.all():
        return ""
    why = constraints_out_of_reach(trials, limits) if limits is not None else ""
    return f"no final trials: {why}" if why else "no final trials yet"


def make_entry(name: str, trials: pd.DataFrame, finals: pd.DataFrame, looks: int, gone: bool) -> Entry:
    """Returns an entry with what its trials alone tell.

    Args:
        name: Name.
        trials: All that count.
        finals: The final trials that speak for it, as `current_finals` has them.
        looks: How many of its settings have met the test cases.
        gone: Whether the suite has it no more.
    """
    newest = (trials if finals.empty else finals).sort_values("finished_at").iloc[-1]
    notes = []
    if finals.empty:
        notes.append("every tuning trial failed: counted as worst")
    stale = int(finals["stale"].sum())
    if stale:
        notes.append(f"stale: {stale} of {len(finals)} final trials were made by other code")
    if finals["outdated"].any():
        notes.append("outdated: tuning has found a better setting that has no final trials yet")
    if gone:
        notes.append("not in the suite any more")
    if looks > 1:
        notes.append(f"{looks} settings of this entry have met the test cases")
    return Entry(name, _label(finals, newest, "model"), _label(finals, newest, "loss"), finals, tuple(notes))


def _label(finals: pd.DataFrame, newest: "pd.Series[str]", axis: str) -> str:
    return "/".join(sorted(finals[axis].unique())) if len(finals) else str(newest[axis])


def with_holes(entry: Entry, runs: pd.DataFrame, values: pd.DataFrame, apart: Apart) -> Entry:
    """Notes what an entry lacks of what others have, and what of it cannot be compared.

    Args:
        entry: The entry.
        runs: Folds and seeds that each entry must have.
        values: Values of all entries, as measured.
        apart: By metric and entry, what cannot be compared.
    """
    if entry.finals.empty:
        return entry
    status = runs.merge(entry.finals[["fold", "seed", "status"]], how="left", on=["fold", "seed"])["status"]
    lost = status.fillna("not run")[status != "complete"].value_counts().sort_index()
    notes = list(entry.notes)
    if len(lost):
        words = ", ".join(f"{count} {word}" for word, count in lost.items())
        notes.append(f"incomplete: {lost.sum()} of {len(runs)} final trials counted as worst ({words})")
    reasons = {metric: entries[entry.name] for metric, entries in apart.items() if entry.name in entries}
    wanted = _size(values, reasons) * int((status == "complete").sum())
    holes = wanted - int((values["entry"] == entry.name).sum())
    if holes:
        notes.append(f"incomplete: {holes} values that others have counted as worst")
    return replace(entry, notes=(*notes, *_grouped(reasons)))


def _grouped(reasons: Mapping[str, str]) -> list[str]:
    """Writes reasons that differ in the metric's name only as one."""
    metrics: dict[str, list[str]] = {}
    for metric, reason in reasons.items():
        metrics.setdefault(reason.removeprefix(metric), []).append(metric)
    return [", ".join(names) + reason for reason, names in metrics.items()]


def _size(values: pd.DataFrame, but: Collection[str]) -> int:
    """Returns how many values a trial has of all metrics but some."""
    measured = values[MEASURED].drop_duplicates()
    return int((~measured["metric"].isin(list(but))).sum())
