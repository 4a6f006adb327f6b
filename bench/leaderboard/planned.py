"""What the suite planned, so that a table shows that and not whatever rows happen to exist."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import ResultsError
from bench.results.counting import Limits
from bench.results.store import SUITE_FILE, Store


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
    """Returns the studies of the suite that was run last; none where it was not kept.

    Raises:
        ResultsError: If the file lacks something.
    """
    try:
        return [_study(study) for study in (store.read_suite() or {}).get("studies", [])]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        what = (
            f"a study has no {error}"
            if isinstance(error, KeyError)
            else "a study has another form than expected"
        )
        raise ResultsError(
            f"{store.root / SUITE_FILE}: {what}; run the suite again to renew the file, or put it back"
        ) from error


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
    labels: dict[str, dict[str, str]] = {}
    for study in planned:
        for column, label in {"entry": study.entry, **study.labels}.items():
            labels.setdefault(column, {})[study.id] = label
    today = {column: trials["study"].map(names) for column, names in labels.items()}
    return trials.assign(**{column: names.fillna(trials[column]) for column, names in today.items()})


def within_plan(trials: pd.DataFrame, planned: Sequence[PlannedStudy]) -> pd.DataFrame:
    """Drops what a smaller plan does not ask for any more: tuning beyond the budget, other folds and seeds.

    Trials of studies that are not planned stay as they are.
    """
    numbers = {study.id: study.limits.numbers for study in planned if study.limits.numbers is not None}
    beyond = trials["number"] >= trials["study"].map(numbers).astype(float)
    limited = [study for study in planned if study.runs]
    runs = [(study.id, fold, seed) for study in limited for fold, seed in study.runs]
    asked = pd.MultiIndex.from_frame(trials[["study", "fold", "seed"]]).isin(runs) if runs else False
    other = trials["study"].isin([study.id for study in limited]) & ~np.asarray(asked, bool)
    dropped = ((trials["phase"] == "tune") & beyond) | ((trials["phase"] == "final") & other)
    return trials[~dropped]
