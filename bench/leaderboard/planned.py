"""What the suite planned, so that a table shows that and not whatever rows happen to exist."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from bench.results.counting import Limits
from bench.results.store import Store


@dataclass(frozen=True)
class PlannedStudy:
    """A study as the suite has it today.

    Args:
        id: Of the study.
        task: Name.
        entry: Name in tables.
        labels: Column (``model``, ``loss``) to label, where the study has one of it.
        runs: Pairs of fold and seed of the final trials; empty where unknown.
        limits: Which of its tuning trials count.
    """

    id: str
    task: str
    entry: str
    labels: dict[str, str]
    runs: tuple[tuple[int, int], ...]
    limits: Limits = field(default_factory=Limits)


def read_planned(store: Store) -> list[PlannedStudy]:
    """Returns the studies of the suite that was run last; none where it was not kept."""
    return [_study(study) for study in (store.read_suite() or {}).get("studies", [])]


def _study(study: dict[str, Any]) -> PlannedStudy:
    sides = {"model": study.get("models", []), "loss": study.get("losses", [])}
    final = study.get("final", {})
    return PlannedStudy(
        id=study["id"],
        task=study["task"],
        entry=study["entry"],
        labels={column: side[0]["label"] for column, side in sides.items() if len(side) == 1},
        runs=tuple((fold, seed) for fold in final.get("folds", []) for seed in final.get("seeds", [])),
        limits=_limits(study),
    )


def _limits(study: dict[str, Any]) -> Limits:
    known = {limit.name for limit in fields(Limits)}
    # Older results name one of the limits.
    counts = study.get("counts", {"numbers": study.get("tune_total")})
    return Limits(**{name: limit for name, limit in counts.items() if name in known})


def relabel(trials: pd.DataFrame, planned: Sequence[PlannedStudy]) -> pd.DataFrame:
    """Gives trials the names that the suite uses today: a label may change without any training."""
    trials = trials.copy()
    for study in planned:
        mine = trials["study"] == study.id
        for column, label in {"entry": study.entry, **study.labels}.items():
            trials.loc[mine, column] = label
    return trials


def within_plan(trials: pd.DataFrame, planned: Sequence[PlannedStudy]) -> pd.DataFrame:
    """Drops what a smaller plan does not ask for any more: tuning beyond the budget, other folds and seeds.

    Trials of studies that are not planned stay as they are.
    """
    keep = pd.Series(True, trials.index)
    for study in planned:
        mine = trials["study"] == study.id
        numbers = study.limits.numbers
        if numbers is not None:
            keep &= ~(mine & (trials["phase"] == "tune") & (trials["number"] >= numbers))
        if study.runs:
            run = pd.Series(
                list(zip(trials["fold"], trials["seed"], strict=True)), trials.index, dtype=object
            )
            keep &= ~(mine & (trials["phase"] == "final") & ~run.isin(study.runs))
    return trials[keep]
