"""One definition per metric and label: values of two definitions are neither averaged nor compared.

Nor is what was never measured: an old trial without a metric's values did not fail at it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.errors import ResultsError
from bench.leaderboard.facts import known_spec
from bench.stats.codes import combine, pick

RUN = ["entry", "fold", "seed"]
PLACE = ["metric", "label"]

Apart = dict[str, dict[str, str]]


@dataclass(frozen=True)
class OneDefinition:
    """Values that can be compared.

    Args:
        values: The rows of the chosen definitions, of entries that have these in every complete trial.
        apart: By metric and entry, why an entry's values of a metric are not among them.
        notes: What was chosen, where trials differ.
    """

    values: pd.DataFrame
    apart: Apart = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def one_definition(
    values: pd.DataFrame,
    complete: pd.DataFrame,
    tolerances: Mapping[str, float],
    wanted: Mapping[str, str] | None = None,
) -> OneDefinition:
    """Chooses a definition per metric and label: today's if every measured trial has it, else what most have.

    Of definitions that equally many trials have, the newest version is taken. An entry with a trial that has others
    but not the chosen one is set apart for that metric: it did not fail, it was measured by another measure. So is
    one with a complete trial that has no value of the metric at all: it was not measured by it.

    Args:
        values: Columns entry, fold, seed, metric, label, definition and more; a run of an entry is a trial.
        complete: Complete trials of all entries; columns entry, fold, seed.
        tolerances: Tolerance by label, as the task declares it today.
        wanted: By metric, the definition that a user chose; taken for every label that has it.

    Raises:
        ResultsError: If a metric was measured, but not by the definition that is wanted.
    """
    wanted = wanted or {}
    every = combine(values, [*RUN, *PLACE, "definition"])
    held = every.frame()
    _check_wanted(held, wanted)
    apart = _unmeasured(held, complete)
    several = held.groupby(PLACE, observed=True)["definition"].transform("nunique") > 1
    if not several.any():
        return OneDefinition(without(values, apart), apart)
    measured = held[[*RUN, "metric"]].drop_duplicates()["metric"].value_counts()
    chosen: dict[tuple[str, str], str] = {}
    told: dict[tuple[str, str], list[str]] = {}
    for place, rows in held[several].groupby(PLACE, observed=True):
        metric, label = map(str, place)
        trials = int(measured[metric])
        number = {str(name): int(count) for name, count in rows["definition"].value_counts().items() if count}
        today = wanted[metric] if wanted.get(metric) in number else _today(metric, tolerances.get(label))
        asked = today == wanted.get(metric)
        taken = today if asked or number.get(today) == trials else _most(number)
        chosen[metric, label] = taken
        if taken != today or number[taken] < trials:
            told.setdefault((metric, _choice(taken, number, trials)), []).append(label)
        for entry, others in _without(rows, taken).items():
            apart.setdefault(metric, {})[entry] = (
                f"{metric} measured as {others}, not as {taken}: not compared; `bench rescore` measures anew"
            )
    kept = [
        chosen.get((str(metric), str(label)), definition) == definition
        for metric, label, definition in zip(held["metric"], held["label"], held["definition"], strict=True)
    ]
    notes = tuple(f"{metric} ({', '.join(labels)}): {text}" for (metric, text), labels in told.items())
    return OneDefinition(without(values[pick(np.array(kept), every.codes)], apart), apart, notes)


def _check_wanted(held: pd.DataFrame, wanted: Mapping[str, str]) -> None:
    for metric, definition in wanted.items():
        known = set(held.loc[held["metric"] == metric, "definition"])
        if known and definition not in known:
            raise ResultsError(
                f"no values of {metric} by the definition '{definition}' (there are: {', '.join(sorted(known))})"
            )


def _unmeasured(held: pd.DataFrame, complete: pd.DataFrame) -> Apart:
    """Returns the entries with a complete trial without any value of a metric that others were measured by."""
    total = complete.groupby("entry", observed=True).size()
    measured = held[[*RUN, "metric"]].drop_duplicates()
    has = measured.groupby(["metric", "entry"], observed=True).size()
    lacking = total - has.unstack(fill_value=0).reindex(columns=total.index, fill_value=0)
    apart: Apart = {}
    for metric, row in lacking.iterrows():
        for entry, number in row[row > 0].items():
            trials = f"{number} of {total[str(entry)]} complete trials"
            reason = f"{metric} not measured in {trials}: not compared; `bench rescore` may add it"
            apart.setdefault(str(metric), {})[str(entry)] = reason
    return apart


def without(rows: pd.DataFrame, apart: Apart) -> pd.DataFrame:
    """Returns rows without those of entries that are set apart for a metric."""
    for metric, entries in apart.items():
        rows = rows[~((rows["metric"] == metric) & rows["entry"].isin(list(entries)))]
    return rows


def _today(metric: str, tolerance: float | None) -> str:
    spec = known_spec(metric)
    return spec.definition_with(tolerance) if spec else ""


def _most(number: Mapping[str, int]) -> str:
    def rank(name: str) -> tuple[int, int, str]:
        version = re.search(r"/v(\d+)$", name)
        return number[name], int(version[1]) if version else 0, name

    return max(number, key=rank)


def _choice(taken: str, number: Mapping[str, int], trials: int) -> str:
    others = ", ".join(f"{name} in {number[name]}" for name in sorted(number) if name != taken)
    return f"shown as {taken}, which {number[taken]} of {trials} trials have (also {others})"


def _without(rows: pd.DataFrame, taken: str) -> dict[str, str]:
    """Returns the entries with a trial that lacks a definition, and what that trial has instead."""
    has = (rows["definition"] == taken).groupby([rows[name] for name in RUN], observed=True).transform("any")
    lacking = rows[~has].groupby("entry", observed=True)["definition"]
    return {str(entry): ", ".join(sorted(set(names))) for entry, names in lacking}
