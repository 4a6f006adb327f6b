"""What entries count where they are compared: labels that are not there, left out by one, invented by another."""

from collections.abc import Sequence
from math import nan

import pandas as pd

from bench.stats.counted import Policy, Worst
from bench.stats.grid import make_grid


def per_patient_together(
    cells: pd.DataFrame,
    entries: Sequence[str],
    worst: Worst,
    policy: Policy = "nnunet",
    agreed: float = nan,
    alone: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Averages one metric of entries within each patient, to compare these entries with each other.

    Of a label that is not there, who predicts nothing has no value, and who predicts something has a bad one. Left
    out, the patient would vanish from the difference, and inventing labels would cost nothing there. So a cell (fold,
    seed, case, label) that both masks leave empty counts `agreed` where any of the entries counts anything of that
    case and label, in any run; only what counts in no run of any is left out. An entry's own mean knows nothing of
    this: it must not depend on others.

    Args:
        cells: One metric's values, as in `per_patient`.
        entries: Those that are compared, mostly two.
        worst: What a failed or missing value counts.
        policy: What empty masks count.
        agreed: What both masks being empty counts; NaN: left out all the same.
        alone: What `per_patient` makes of these cells, if known: taken where nothing is added.

    Returns:
        Floats, these entries x patients, in this order, as `per_patient` makes them.

    Raises:
        ValueError: As in `per_patient`.
    """
    names = list(dict.fromkeys(entries))
    mine = cells[cells["entry"].isin(names)] if alone is None else cells
    grid = make_grid(mine, worst, policy, agreed)
    return grid.together(names, agreed, grid.per_patient() if alone is None else alone)
