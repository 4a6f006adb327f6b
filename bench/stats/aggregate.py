"""From case values to one value per entry and patient: seed -> image -> patient -> label -> task.

The patient is the unit of every statistic. Slices, images, seeds and folds are averaged into it first, because
they are not independent of each other.
"""

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.stats.codes import combine
from bench.stats.counted import (
    BRATS_DISTANCE,
    FAILED,
    POLICIES,
    Policy,
    Worst,
    counted_values,
    is_lost,
)
from bench.stats.grid import COLUMNS, KEY, Grid, make_grid

__all__ = [
    "BRATS_DISTANCE",
    "COLUMNS",
    "FAILED",
    "KEY",
    "POLICIES",
    "Policy",
    "RunValues",
    "Worst",
    "check_patients",
    "counted_values",
    "is_lost",
    "per_patient",
    "per_run",
    "run_values",
    "status_counts",
]


@dataclass(frozen=True)
class RunValues:
    """One metric's values by entry, run and patient: images and labels are averaged, runs are not.

    Args:
        entries: Names, sorted.
        runs: Pairs of fold and seed, sorted. Every entry has the same ones.
        patients: Names, sorted.
        values: Floats (entries, runs, patients), the worst put in; NaN: left out.

    Raises:
        ValueError: If the shape does not fit, or an entry, a run or a patient comes twice: slices or images were
            given where patients must be.
    """

    entries: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]
    patients: tuple[str, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        axes = {"entry": self.entries, "run": self.runs, "patient": self.patients}
        expected = tuple(map(len, axes.values()))
        if self.values.shape != expected:
            raise ValueError(f"values must be entries x runs x patients {expected}, got {self.values.shape}")
        for kind, names in axes.items():
            if len(set(names)) != len(names):
                raise ValueError(
                    f"one value per entry, run and patient is needed; a {kind} comes several times"
                )


def per_patient(
    cells: pd.DataFrame, worst: Worst, policy: Policy = "nnunet", agreed: float = nan
) -> pd.DataFrame:
    """Averages one metric over folds and seeds, then images, then labels, within each patient.

    Penalties are put in first, so that every later step works on finite numbers.

    Args:
        cells: One metric's values with the columns of `COLUMNS`; a row per entry, fold, seed, case and label.
        worst: What a failed or missing value counts; see `counted_values`.
        policy: What empty masks count.
        agreed: What both masks being empty counts, where the policy counts it.

    Returns:
        Floats, entries x patients, both sorted; index ``entry``, columns ``patient``. NaN where all of a
        patient's values are left out, or where the entry has no row of the patient.

    Raises:
        ValueError: If a column is missing, a cell comes twice, or a case belongs to two patients; and as in
            `counted_values`.
    """
    return make_grid(cells, worst, policy, agreed).per_patient()


def per_run(cells: pd.DataFrame, worst: Worst, policy: Policy = "nnunet", agreed: float = nan) -> RunValues:
    """Averages one metric over images, then labels, within each run (fold and seed) and patient.

    Args and errors are as in `per_patient`. To average these values over runs is not quite what `per_patient` does
    where values are left out: it averages runs first, image by image.
    """
    return run_values(make_grid(cells, worst, policy, agreed))


def run_values(grid: Grid) -> RunValues:
    """Returns what `per_run` does of values that are in an array."""
    return RunValues(tuple(map(str, grid.entries)), grid.runs, tuple(map(str, grid.patients)), grid.per_run())


def status_counts(cells: pd.DataFrame) -> pd.DataFrame:
    """Counts what happened to one metric's values, to be shown beside every mean.

    Args:
        cells: As in `per_patient`.

    Returns:
        A row per entry with columns n_valid (both masks have the label), n_empty_reference (the label is not
        there; whether or not it was predicted), n_missed (it is there but was not predicted) and n_failed
        (failed or missing, whether or not a worst value stands for them). They sum to the entry's rows.
        Then n_hallucinated: those of n_empty_reference in which the label was predicted.
    """
    status, lost = cells["status"], is_lost(cells)
    groups = {
        "n_valid": (status == "ok") & ~lost,
        "n_empty_reference": status.isin(("both_empty", "reference_empty")),
        "n_missed": status == "prediction_empty",
        "n_failed": lost,
        "n_hallucinated": status == "reference_empty",
    }
    entry = combine(cells, ["entry"])
    counts = {
        name: np.bincount(entry.codes[which.to_numpy(bool)], minlength=entry.number)
        for name, which in groups.items()
    }
    return pd.DataFrame(counts, index=entry.frame()["entry"])


def check_patients(values: pd.DataFrame) -> None:
    """Checks that a table has one value per entry and patient, as `per_patient` makes it.

    Raises:
        ValueError: If its axes are not ``entry`` x ``patient``, or an entry or a patient comes twice: slices,
            images or seeds were given where patients must be.
    """
    if values.index.name != "entry" or values.columns.name != "patient":
        raise ValueError(
            "statistics take a table of entries x patients from per_patient, got "
            f"{values.index.name} x {values.columns.name}"
        )
    for kind, axis in (("entry", values.index), ("patient", values.columns)):
        if not axis.is_unique:
            again = axis[axis.duplicated()][0]
            raise ValueError(f"one value per entry and patient is needed; {kind} {again} comes several times")
