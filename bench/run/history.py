"""From the rows of the results store to what a study knows of its tuning trials."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from bench.run.outcome import Outcome, Tried
from bench.suite.search import COSTS


def costs(row: Mapping[str, Any]) -> dict[str, float]:
    """Returns what a row of `trials` says about costs: `bench.suite.search.COSTS`, without what is not known."""
    found = {name: row.get(name) for name in COSTS}
    return {name: float(cost) for name, cost in found.items() if cost is not None and math.isfinite(cost)}


def outcome_of(row: Mapping[str, Any]) -> Outcome:
    """Returns how the trial of a row ended."""
    value = row["value"]
    known = row["status"] == "complete" and value is not None and math.isfinite(value)
    return Outcome(row["status"], float(value) if known else None, costs(row))


def tuning_trials(
    trials: pd.DataFrame,
    study: str,
    runs_again: Callable[[str], bool],
    curves: pd.DataFrame | None = None,
) -> list[Tried]:
    """Returns a study's tuning trials in the order of their numbers.

    Args:
        trials: One row per trial, as `bench.results.select.newest_per_trial` leaves them.
        study: Id of the study.
        runs_again: Says of a trial's id whether it is to be run again; such a one keeps its setting.
        curves: Learning curves of these trials, needed for a study with a pruner.
    """
    mine = trials[(trials["study"] == study) & (trials["phase"] == "tune")]
    # A number has one row, unless a budget was spent before numbers were kept; the first one counts.
    mine = mine.sort_values("finished_at").drop_duplicates("number").sort_values("number")
    rows: list[dict[str, Any]] = mine.to_dict("records")  # type: ignore[assignment]
    scores = _scores(curves)
    return [
        Tried(
            number=int(row["number"]),
            setting=json.loads(row["setting_json"]),
            outcome=None if runs_again(row["trial"]) else outcome_of(row),
            curve=scores.get(row["trial"], {}),
        )
        for row in rows
    ]


def _scores(curves: pd.DataFrame | None) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    if curves is not None:
        known = curves[curves["score"].notna()]
        for trial, epoch, score in zip(known["trial"], known["epoch"], known["score"], strict=True):
            found.setdefault(trial, {})[int(epoch)] = float(score)
    return found
