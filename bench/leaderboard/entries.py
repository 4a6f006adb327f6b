"""The entries of a task: which of their trials count, and what a reader must know of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from bench.leaderboard.definitions import Apart
from bench.results.counting import Limits
from bench.results.schema import UNDECIDED
from bench.results.select import constraints_out_of_reach, newest_per_trial

AS_WORST = "counted as worst"
NOT_PLANNED = "not in the suite any more"


@dataclass(frozen=True)
class Entry:
    """An entry of a task.

    Args:
        name: As in the results, e.g. ``unet + dice``.
        model: Label of its model.
        loss: Label of its loss.
        finals: Its final trials, one per fold and seed, whatever their status.
        notes: What a reader must know of it.
        tuning: Its tuning trials, all attempts of all code.
    """

    name: str
    model: str
    loss: str
    finals: pd.DataFrame
    notes: tuple[str, ...] = ()
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)


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
    newest = _newest(trials if finals.empty else finals, ["data", "split"])
    same = (trials["data"] == newest["data"]) & (trials["split"] == newest["split"])
    left_out = int((~same).sum())
    notes = [f"{left_out} trials on other data or another split are not shown"] if left_out else []
    return trials[same], notes


def _newest(trials: pd.DataFrame, columns: list[str]) -> "pd.Series[str]":
    """Returns some columns of the trial that finished last."""
    last = trials["finished_at"].to_numpy().argsort(kind="stable")[-1]
    found: pd.Series[str] = trials[columns].iloc[last]
    return found


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
    newest = _newest(trials if finals.empty else finals, ["model", "loss"])
    notes = []
    if finals.empty:
        notes.append(f"every tuning trial failed: {AS_WORST}")
    notes += _stale(finals)
    if finals["outdated"].any():
        notes.append("outdated: tuning has found a better setting that has no final trials yet")
    if gone:
        notes.append(NOT_PLANNED)
    if looks > 1:
        notes.append(f"{looks} settings of this entry have met the test cases")
    labels = _label(finals, newest, "model"), _label(finals, newest, "loss")
    return Entry(name, *labels, finals, tuple(notes), trials[trials["phase"] == "tune"])


def _stale(finals: pd.DataFrame) -> list[str]:
    """Says which code made an entry's finals, where it is not today's; the more so where it is not one code."""
    if not finals["stale"].any():
        return []
    stale = finals[finals["stale"]]
    made = ", ".join(code[:8] for code in sorted(stale["code"].unique()))
    notes = [f"stale: {len(stale)} of {len(finals)} final trials were made by other code ({made})"]
    codes = finals["code"].value_counts().sort_index()
    if len(codes) > 1:
        parts = ", ".join(f"{count} by {str(code)[:8]}" for code, count in codes.items())
        notes.append(f"mixed: its final trials are of {len(codes)} versions of the code ({parts})")
    return notes


def _label(finals: pd.DataFrame, newest: "pd.Series[str]", axis: str) -> str:
    return "/".join(sorted(finals[axis].unique())) if len(finals) else str(newest[axis])


def with_holes(entry: Entry, runs: pd.DataFrame, missing: pd.DataFrame, apart: Apart) -> Entry:
    """Notes what an entry lacks of what others have, and what of it cannot be compared.

    Args:
        entry: The entry.
        runs: Folds and seeds that each entry must have.
        missing: Columns entry, fold and seed: a row per value that some entry has and another one lacks.
        apart: By metric and entry, what cannot be compared.
    """
    if entry.finals.empty:
        return entry
    ran = dict(zip(_pairs(entry.finals), entry.finals["status"], strict=True))
    status = [str(ran.get(run, "not run")) for run in _pairs(runs)]
    lost = Counter(word for word in status if word != "complete")
    notes = list(entry.notes)
    if lost:
        words = ", ".join(f"{count} {word}" for word, count in sorted(lost.items()))
        notes.append(f"incomplete: {lost.total()} of {len(runs)} final trials {AS_WORST} ({words})")
    complete = [run for run, word in ran.items() if word == "complete"]
    mine = missing[missing["entry"] == entry.name]
    holes = 0
    if len(mine):
        holes = int(mine.value_counts(["fold", "seed"]).reindex(complete, fill_value=0).sum())
    if holes:
        notes.append(f"incomplete: {holes} values that others have {AS_WORST}")
    reasons = {metric: entries[entry.name] for metric, entries in apart.items() if entry.name in entries}
    return replace(entry, notes=(*notes, *_grouped(reasons)))


def _pairs(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows["fold"].tolist(), rows["seed"].tolist(), strict=True))


def _grouped(reasons: Mapping[str, str]) -> list[str]:
    """Writes reasons that differ in the metric's name only as one."""
    metrics: dict[str, list[str]] = {}
    for metric, reason in reasons.items():
        metrics.setdefault(reason.removeprefix(metric), []).append(metric)
    return [", ".join(names) + reason for reason, names in metrics.items()]
