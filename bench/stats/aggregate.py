"""From case values to one value per entry and patient: seed -> image -> patient -> label -> task.

The patient is the unit of every statistic. Slices, images, seeds and folds are averaged into it first, because
they are not independent of each other.
"""

from math import nan
from typing import Literal, get_args

import numpy as np
import pandas as pd

COLUMNS = ("entry", "fold", "seed", "patient", "case", "label", "value", "status", "diagonal")
KEY = ["entry", "fold", "seed", "case", "label"]
FAILED = ("failed", "missing")

Worst = float | Literal["diagonal"]
Policy = Literal["nnunet", "brats", "one"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

BRATS_DISTANCE = 373.13
"""Diagonal in mm of the 240 x 240 x 155 images of BraTS: what its evaluation counts for a missed distance."""


def counted_values(
    cells: pd.DataFrame, worst: Worst, policy: Policy = "nnunet", agreed: float = nan
) -> pd.Series:
    """Returns what each measured value counts in an average: the policy for empty masks and failures.

    - Failed and missing: the worst value; so is a value that is NaN though its status says ok. NaN where there
      is no worst value.
    - Infinite (one mask is empty): the worst value, too: of a distance the image's diagonal.
    - NaN where both masks are empty: left out, as nnU-Net does. Counting a label that is absent from both as 1
      would favour empty predictions; the policies ``one`` and ``brats`` do it.
    - NaN where one mask is empty: left out.

    Args:
        cells: Columns value, status and diagonal.
        worst: What a failed value counts: a number, NaN (left out), or the image's ``"diagonal"``.
        policy: ``nnunet``; ``one`` counts `agreed` where both masks are empty; ``brats`` does, too, and
            373.13 instead of the diagonal.
        agreed: What both masks being empty counts then; NaN: left out all the same.

    Returns:
        Floats on the index of `cells`; NaN where a value is left out.

    Raises:
        ValueError: If the policy is not known, or `worst` is another word.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    if isinstance(worst, str) and worst != "diagonal":
        raise ValueError(f"worst must be a number or 'diagonal', got {worst!r}")
    value = cells["value"].astype(float)
    if policy != "nnunet":
        value = value.mask((cells["status"] == "both_empty") & value.isna(), agreed)
    return value.mask(is_lost(cells) | np.isinf(value), _penalty(cells, worst, policy))


def _penalty(cells: pd.DataFrame, worst: Worst, policy: Policy) -> "pd.Series[float]":
    if not isinstance(worst, str):
        return pd.Series(float(worst), cells.index)
    return pd.Series(BRATS_DISTANCE, cells.index) if policy == "brats" else cells["diagonal"].astype(float)


def is_lost(cells: pd.DataFrame) -> "pd.Series[bool]":
    """Says which cells have no value though there should be one: failed, missing, or NaN with status ok."""
    return cells["status"].isin(FAILED) | ((cells["status"] == "ok") & cells["value"].isna())


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
    check_cells(cells)
    return average(cells, counted_values(cells, worst, policy, agreed))


def average(cells: pd.DataFrame, counted: "pd.Series[float]") -> pd.DataFrame:
    """Averages what cells count, as `per_patient` does.

    Args:
        cells: As `check_cells` wants them.
        counted: What each of them counts, on the same index.
    """
    values = cells[["entry", "patient", "label", "case"]].assign(counted=counted)
    means = values.groupby(["entry", "patient", "label", "case"], observed=True)["counted"].mean()
    for level in (["entry", "patient", "label"], ["entry", "patient"]):
        means = means.groupby(level=level, observed=True).mean()
    return means.unstack("patient")


def status_counts(cells: pd.DataFrame) -> pd.DataFrame:
    """Counts what happened to one metric's values, to be shown beside every mean.

    Args:
        cells: As in `per_patient`.

    Returns:
        A row per entry with columns n_valid (both masks have the label), n_empty_reference (the label is not
        there; whether or not it was predicted), n_missed (it is there but was not predicted) and n_failed
        (failed or missing, whether or not a worst value stands for them). They sum to the entry's rows.
        Then n_hallucinated: those of n_empty_reference in which the label was predicted.

    Raises:
        ValueError: As in `per_patient`.
    """
    check_cells(cells)
    status, lost = cells["status"], is_lost(cells)
    groups = {
        "n_valid": (status == "ok") & ~lost,
        "n_empty_reference": status.isin(("both_empty", "reference_empty")),
        "n_missed": status == "prediction_empty",
        "n_failed": lost,
        "n_hallucinated": status == "reference_empty",
    }
    return pd.DataFrame(groups).groupby(cells["entry"], observed=True).sum()


def check_cells(cells: pd.DataFrame) -> None:
    """Checks that cells can be averaged.

    Raises:
        ValueError: As in `per_patient`.
    """
    missing = [name for name in COLUMNS if name not in cells.columns]
    if missing:
        raise ValueError(f"cells need the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    twice = cells.duplicated(KEY)
    if twice.any():
        first = cells.loc[twice, KEY].iloc[0].to_dict()
        raise ValueError(f"a cell must come once, one metric at a time; twice: {first}")
    owners = cells[["case", "patient"]].drop_duplicates()
    shared = owners["case"].duplicated()
    if shared.any():
        raise ValueError(
            f"a case must belong to one patient; {owners.loc[shared, 'case'].iloc[0]} has several"
        )


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
