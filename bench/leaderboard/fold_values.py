"""Validation values of final trials: the folds of a cross-validation, each of which meets other patients."""

from collections.abc import Sequence

import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.results.store import Store
from bench.stats.aggregate import RunValues, per_run
from bench.stats.bayes import LEAST_FOLDS

MADE = ["trial", "code"]
RUN = ["fold", "seed"]


def read_folds(stores: Sequence[Store], cells: TaskCells) -> pd.DataFrame:
    """Reads the validation values of two entries; empty where they are no cross-validation.

    Args:
        stores: Where the trials of each entry are.
        cells: Test values of the two; their entries in the order of `stores`.

    Returns:
        Rows of the cases table with columns entry, fold and seed. Empty where an entry has fewer than three folds,
        has other ones than the other, or a final trial of it is not complete: what it lacks would count for it.
    """
    nothing = pd.DataFrame()
    finals = [entry.finals for entry in cells.entries]
    runs = [set(rows[RUN].itertuples(index=False, name=None)) for rows in finals]
    if runs[0] != runs[1] or len({fold for fold, _ in runs[0]}) < LEAST_FOLDS:
        return nothing
    if any((rows["status"] != "complete").any() for rows in finals):
        return nothing
    parts = []
    for store, entry, rows in zip(stores, cells.entries, finals, strict=True):
        found = store.cases(trials=list(rows["trial"]), part="validation")
        parts.append(found.merge(rows[[*MADE, *RUN]], on=MADE).assign(entry=entry.name))
    return pd.concat(parts, ignore_index=True)


def fold_values(rows: pd.DataFrame, cells: TaskCells, metric: str, label: str = "") -> RunValues | None:
    """Returns one metric's validation values of two entries, run by run; none where there are no such.

    Args:
        rows: Of `read_folds`.
        cells: Test values of the two.
        metric: Its name.
        label: Only this label; empty: all.
    """
    if rows.empty:
        return None
    facts = cells.facts(metric)
    definitions = {(one, definition) for one, definition in facts.definitions.items()}
    mine = rows[(rows["metric"] == metric) & ((rows["label"] == label) | (not label))]
    like = pd.MultiIndex.from_frame(mine[["label", "definition"]]).isin(definitions)
    mine = mine[like]
    if mine["entry"].nunique() < len(cells.entries):
        return None
    return per_run(mine, facts.worst, cells.policy, facts.agreed)
