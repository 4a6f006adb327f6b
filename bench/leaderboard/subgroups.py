"""Groups of patients: by pathology, by size of what is to be found, or by any column of a table that a user gives."""

import numpy as np
import pandas as pd

from bench.errors import ResultsError
from bench.stats.codes import combine

PATHOLOGY, SIZE = "pathology", "size"
REFERENCE = "reference_volume_ml"


def patient_groups(
    cells: pd.DataFrame, by: str, table: pd.DataFrame | None = None, task: str = ""
) -> pd.Series:
    """Returns the group of each patient, so that a table per group can be made.

    Args:
        cells: Test values of a task; columns patient, metric, value, status, and subgroup where it was recorded.
        by: ``"pathology"``: the subgroup that the data set gives; ``"size"``: tertiles of the mean volume of the
            labels in the reference; else a column of `table`.
        table: Frame indexed by patient, e.g. with columns site and scanner.
        task: Name, for messages.

    Returns:
        Categorical on the index ``patient``, named `by`, groups in the order in which they should be shown: sizes
        ascending, else by name. Patients without a group are left out.

    Raises:
        ResultsError: If nothing of the kind is known, or a patient belongs to two groups.
    """
    if table is not None and by in table.columns:
        found = _of_table(cells, table[by], task)
    elif by == PATHOLOGY:
        found = _of_pathology(cells, task)
    elif by == SIZE:
        found = _of_size(cells, task)
    else:
        known = ", ".join([PATHOLOGY, SIZE, *([] if table is None else map(str, table.columns))])
        raise ResultsError(f"{task}: no subgroups by '{by}' (there are: {known})")
    return found.rename(by).rename_axis("patient")


def _of_table(cells: pd.DataFrame, column: pd.Series, task: str) -> pd.Series:
    if not column.index.is_unique:
        again = column.index[column.index.duplicated()][0]
        raise ResultsError(
            f"{task}: the table of subgroups must have one row per patient; {again} has several"
        )
    known = column.set_axis(column.index.map(str)).dropna()
    patients = [name for name in map(str, cells["patient"].unique()) if name in known.index]
    if not patients:
        raise ResultsError(
            f"{task}: no patient of the results is in the table of subgroups "
            f"(results: {cells['patient'].iloc[0]}, table: {next(iter(known.index), 'nothing')})"
        )
    return known.loc[sorted(patients)].map(str).astype("category")


def _of_pathology(cells: pd.DataFrame, task: str) -> pd.Series:
    if "subgroup" not in cells.columns:
        raise ResultsError(f"{task}: no pathology is recorded")
    pairs = combine(cells[cells["subgroup"].notna()], ["patient", "subgroup"]).frame()
    pairs = pairs[pairs["subgroup"] != ""]
    if pairs.empty:
        raise ResultsError(f"{task}: no pathology is recorded: its data set names no subgroups of patients")
    twice = pairs["patient"].duplicated()
    if twice.any():
        raise ResultsError(
            f"{task}: a patient must belong to one subgroup; {pairs.loc[twice, 'patient'].iloc[0]} has several"
        )
    return pairs.set_index("patient")["subgroup"].astype("category")


def _of_size(cells: pd.DataFrame, task: str) -> pd.Series:
    rows = cells[(cells["metric"] == REFERENCE) & np.isfinite(cells["value"].astype(float))]
    if rows.empty:
        raise ResultsError(f"{task}: no groups by size: the metric {REFERENCE} was not measured")
    pairs = combine(rows, ["patient", "label"])
    total = np.bincount(pairs.codes, weights=rows["value"].to_numpy(float), minlength=pairs.number)
    means = pairs.frame().assign(mean=total / np.bincount(pairs.codes, minlength=pairs.number))
    volume = means.groupby("patient")["mean"].mean()
    first, second = np.quantile(volume, [1 / 3, 2 / 3])
    names = [
        f"small (up to {first:.3g} mL)",
        f"medium (up to {second:.3g} mL)",
        f"large (over {second:.3g} mL)",
    ]
    places = np.searchsorted([first, second], volume.to_numpy(float), side="left")
    groups = pd.Categorical.from_codes(places, pd.Index(names), ordered=True)
    return pd.Series(groups, volume.index)
