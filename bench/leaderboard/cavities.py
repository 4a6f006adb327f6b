"""Ejection fractions and volumes of the heart's cavities: from a task's cells to rows, and how rows are written."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.table import CavityRow
from bench.stats.agreement import LEAST_PAIRS, Agreement, bland_altman
from bench.stats.ejection import MEASURED, REFERENCE, ejection_fraction

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class CavityColumn:
    """A column of the table of cavities; columns with a lower `keep` give way first where a terminal is narrow."""

    title: str
    text: Callable[[CavityRow], str]
    keep: int
    align: Literal["left", "right"] = "right"


COLUMNS = (
    CavityColumn("entry", lambda row: row.entry, 9, "left"),
    CavityColumn("cavity", lambda row: row.label, 9, "left"),
    CavityColumn("patients", lambda row: str(row.ef.n), 6),
    CavityColumn("EF bias [95% CI]", lambda row: _bias(row.ef, interval=True), 9),
    CavityColumn("limits of agreement", lambda row: _limits(row.ef), 8),
    CavityColumn("EDV bias (mL)", lambda row: _bias(row.edv), 5),
    CavityColumn("ESV bias (mL)", lambda row: _bias(row.esv), 4),
    CavityColumn("out", lambda row: str(sum(row.left_out.values())), 6),
    CavityColumn("missed", lambda row: str(row.n_missed), 7),
)


def cavity_rows(cells: TaskCells, order: Sequence[str]) -> tuple[CavityRow, ...]:
    """Returns how well each entry measures each cavity; nothing where volumes or phases were not recorded, or
    the task declares no cavities.

    Args:
        cells: Test values of a task.
        order: Names of the entries, as they are to be shown.
    """
    rows, cavities = cells.cells, cells.contract.cavities
    if "phase" not in rows.columns:
        return ()
    rows = rows[rows["metric"].isin((MEASURED, REFERENCE)) & rows["label"].isin(cavities)]
    if set(rows["metric"]) != {MEASURED, REFERENCE} or not rows["phase"].isin(("ED", "ES")).any():
        return ()
    found = ejection_fraction(rows)
    measured = set(rows["entry"])
    return tuple(
        _row(found.patients, found.left_out, entry, label)
        for entry in order
        if entry in measured
        for label in cavities
        if (rows["label"] == label).any()
    )


def _row(patients: pd.DataFrame, left_out: pd.DataFrame, entry: str, label: str) -> CavityRow:
    mine = patients[(patients["entry"] == entry) & (patients["label"] == label)]
    out = left_out[(left_out["entry"] == entry) & (left_out["label"] == label)]
    defined = mine.dropna(subset=["ef", "reference_ef"])
    return CavityRow(
        entry=entry,
        label=label,
        ef=_agreement(defined, "ef"),
        edv=_agreement(mine, "edv"),
        esv=_agreement(mine, "esv"),
        left_out={str(why): int(count) for why, count in out["why"].value_counts().sort_index().items()},
        n_missed=int(out["missed"].sum()),
    )


def _agreement(patients: pd.DataFrame, name: str) -> Agreement:
    reference, measured = patients[f"reference_{name}"], patients[name]
    return bland_altman(reference, measured, runs=patients["runs"], within=patients[f"{name}_within"])


def cavity_lines(rows: Sequence[CavityRow]) -> list[str]:
    """Returns the lines under the table of cavities."""
    lines = [
        "EF: ejection fraction (EDV - ESV) / EDV in % of each patient, mean of its seeds and folds; EDV, ESV: volume "
        "at end-diastole, end-systole.",
        "bias: prediction minus reference, mean over patients with its t interval; of EF in percentage points. "
        "Limits of agreement: bias -/+ 1.96 SD, between which lie 95% of normal differences of a single run; the SD "
        "holds the variance between patients and, over seeds and folds, within them (Bland, Altman 1986, 1999).",
    ]
    lines += [
        f"{row.entry}, {row.label}: without EF "
        + ", ".join(f"{n} ({why})" for why, n in row.left_out.items())
        for row in rows
        if row.left_out
    ]
    if any(row.left_out for row in rows):
        lines.append(
            "out: patients without EF. missed: of them, those with nothing predicted at ED; their volumes count in "
            "the bias of EDV and ESV."
        )
    if not all(row.ef.can_tell for row in rows):
        lines.append(f"{CANNOT_TELL}: fewer than {LEAST_PAIRS} patients.")
    return lines


def _bias(agreement: Agreement, interval: bool = False) -> str:
    if math.isnan(agreement.bias):
        return "–"
    if not (interval and agreement.can_tell):
        return f"{agreement.bias:+.1f}"
    low, high = agreement.bias_interval
    return f"{agreement.bias:+.1f} [{low:+.1f}, {high:+.1f}]"


def _limits(agreement: Agreement) -> str:
    return f"{agreement.low:+.1f} to {agreement.high:+.1f}" if agreement.can_tell else CANNOT_TELL
