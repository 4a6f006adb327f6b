"""Ejection fraction of the heart's cavities, from volumes at end-diastole (ED) and end-systole (ES)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.stats.aggregate import FAILED

MEASURED, REFERENCE = "volume_ml", "reference_volume_ml"
"""Metrics whose values are the volumes of a label in prediction and reference."""

PATIENT = ["entry", "label", "patient"]
RUN = ["fold", "seed"]
COLUMNS = (*PATIENT, *RUN, "metric", "phase", "value", "status")
VOLUMES = {
    (MEASURED, "ED"): "edv",
    (MEASURED, "ES"): "esv",
    (REFERENCE, "ED"): "reference_edv",
    (REFERENCE, "ES"): "reference_esv",
}
NO_PHASES = "no image at ED or at ES"
SEVERAL = "several images of one phase"
UNMEASURED = "volumes not measured in every run"
NO_REFERENCE = "nothing there at ED"
MISSED = "nothing predicted at ED"


@dataclass(frozen=True)
class EjectionFractions:
    """Ejection fractions and volumes by entry, label and patient.

    Args:
        patients: Columns entry, label, patient; ef and reference_ef in %; edv, esv, reference_edv and
            reference_esv in mL: means over runs. EF is NaN where the volume at ED is 0. runs: how many; ef_within,
            edv_within and esv_within: variance over the runs of measured minus reference, NaN of one run.
        left_out: Patients without EF: columns entry, label, patient, why, and missed (bool): the cavity is there
            at ED and a run predicted nothing.
    """

    patients: pd.DataFrame
    left_out: pd.DataFrame


def ejection_fraction(cells: pd.DataFrame) -> EjectionFractions:
    """Computes EF = (EDV - ESV) / EDV of every patient, for reference and prediction.

    EF is computed for each run (fold and seed), then averaged over the runs: the patient is the unit, and the mean
    of ratios is what one run gives on average. (The ratio of mean volumes would be the EF of an ensemble that
    nobody ran.) A patient that one run did not measure is left out rather than averaged over fewer runs.

    Args:
        cells: Rows of the metrics ``volume_ml`` and ``reference_volume_ml`` in mL, of the labels that are cavities;
            columns entry, fold, seed, patient, label, metric, phase (``ED``, ``ES`` or empty), value, status.

    Raises:
        ValueError: If a column is missing.
    """
    missing = [name for name in COLUMNS if name not in cells.columns]
    if missing:
        raise ValueError(f"cells need the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    rows = cells[cells["metric"].isin((MEASURED, REFERENCE))]
    runs = _volumes(rows)
    known = runs.notna().all(axis=1)
    edv, reference_edv = runs["edv"], runs["reference_edv"]
    runs = runs.assign(
        ef=100 * (edv - runs["esv"]) / edv.mask(edv == 0),
        reference_ef=100 * (reference_edv - runs["reference_esv"]) / reference_edv.mask(reference_edv == 0),
    )
    by_patient = runs.groupby(level=PATIENT)
    # The first reason that applies, from the last to the first.
    why = pd.Series("", by_patient.size().index, dtype=object)
    for reason, applies in (
        (MISSED, _any(edv == 0)),
        (NO_REFERENCE, _any(reference_edv == 0)),
        (UNMEASURED, ~known.groupby(level=PATIENT).all()),
        (NO_PHASES, _phases(rows) < len(("ED", "ES"))),
        (SEVERAL, _several(rows)),
    ):
        why = why.mask(applies.reindex(why.index).astype(bool), reason)
    means = by_patient.mean().assign(runs=by_patient.size(), **_within(runs))
    undefined = by_patient[["ef", "reference_ef"]].count().lt(by_patient.size(), axis=0)
    means[["ef", "reference_ef"]] = means[["ef", "reference_ef"]].mask(undefined)
    whole = ~why.isin((UNMEASURED, NO_PHASES, SEVERAL))
    left_out = why[why != ""].rename("why").reset_index()
    return EjectionFractions(
        patients=means[whole].reset_index(), left_out=left_out.assign(missed=left_out["why"] == MISSED)
    )


def _within(runs: pd.DataFrame) -> "dict[str, pd.Series[float]]":
    """Returns the variance over a patient's runs of each quantity's error."""
    return {
        f"{name}_within": (runs[name] - runs[f"reference_{name}"]).groupby(level=PATIENT).var()
        for name in ("ef", "edv", "esv")
    }


def _volumes(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns volumes with a row per entry, label, patient and run; NaN where there is none."""
    keys = [*PATIENT, *RUN]
    every = rows[keys].drop_duplicates().set_index(keys).index
    value = rows["value"].astype(float)
    usable = ~rows["status"].isin(FAILED) & np.isfinite(value)
    found = rows.assign(value=value.where(usable)).drop_duplicates([*keys, "metric", "phase"])
    columns = {
        name: found[(found["metric"] == metric) & (found["phase"] == phase)]
        .set_index(keys)["value"]
        .reindex(every)
        for (metric, phase), name in VOLUMES.items()
    }
    return pd.DataFrame(columns, index=every)


def _any(applies: "pd.Series[bool]") -> "pd.Series[bool]":
    return applies.groupby(level=PATIENT).any()


def _phases(rows: pd.DataFrame) -> "pd.Series[int]":
    """Returns how many of the two phases a patient has, by entry, label and patient."""
    phase = rows["phase"].where(rows["phase"].isin(("ED", "ES")))
    return phase.groupby([rows[name] for name in PATIENT]).nunique()


def _several(rows: pd.DataFrame) -> "pd.Series[bool]":
    twice = rows.duplicated([*PATIENT, *RUN, "metric", "phase"]) & rows["phase"].isin(("ED", "ES"))
    return twice.groupby([rows[name] for name in PATIENT]).any()
