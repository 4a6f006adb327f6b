"""Ejection fractions from volumes: known numbers, runs, and who is left out and why."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from bench.stats.ejection import (
    MISSED,
    NO_PHASES,
    NO_REFERENCE,
    SEVERAL,
    UNMEASURED,
    EjectionFractions,
    ejection_fraction,
)

Volumes = dict[str, tuple[float, float]]


def patient(
    measured: Volumes, reference: Volumes | None = None, name: str = "p1", seed: int = 0, **changes: Any
) -> Iterator[dict[str, Any]]:
    """Yields rows of a patient; `measured` and `reference` have (EDV, ESV) by label."""
    for metric, volumes in (("volume_ml", measured), ("reference_volume_ml", reference or {"LV": (100, 40)})):
        for label, pair in volumes.items():
            for phase, value in zip(("ED", "ES"), pair, strict=True):
                row = {
                    "entry": "a", "fold": 0, "seed": seed, "case": f"{name}-{phase}", "patient": name, "label": label,
                    "metric": metric, "phase": phase, "value": value, "status": "ok",
                }  # fmt: skip
                yield row | changes


def fractions(*rows: Iterator[dict[str, Any]]) -> EjectionFractions:
    return ejection_fraction(pd.DataFrame([row for part in rows for row in part]))


def left_out(found: EjectionFractions) -> dict[str, tuple[str, bool]]:
    rows = found.left_out.to_dict("records")
    return {row["patient"]: (row["why"], row["missed"]) for row in rows}


def test_known_numbers() -> None:
    reference = {"LV": (120.0, 48.0), "RV": (150.0, 75.0)}
    found = fractions(patient({"LV": (100.0, 50.0), "RV": (140.0, 70.0)}, reference))
    lv, rv = found.patients.to_dict("records")
    assert (lv["label"], lv["ef"], lv["reference_ef"]) == ("LV", 50.0, 60.0)
    assert (rv["label"], rv["ef"], rv["reference_ef"]) == ("RV", 50.0, 50.0)
    assert (lv["edv"], lv["esv"], lv["reference_edv"], lv["reference_esv"]) == (100, 50, 120, 48)
    assert found.left_out.empty


def test_runs_are_averaged_as_ratios_within_the_patient() -> None:
    found = fractions(
        patient({"LV": (100.0, 50.0)}),
        patient({"LV": (200.0, 50.0)}, seed=1),
        patient({"LV": (1, 0)}, name="p2"),
    )
    first, second = found.patients.to_dict("records")
    # 50% and 75%; the ratio of mean volumes would be 66.7%.
    assert (first["ef"], first["edv"], first["reference_ef"]) == (62.5, 150, 60)
    assert (second["patient"], second["ef"]) == ("p2", 100)
    # 50 and 75%, 100 and 200 mL, always 50 mL.
    assert (first["runs"], second["runs"]) == (2, 1)
    assert [first[f"{name}_within"] for name in ("ef", "edv", "esv")] == [312.5, 5000, 0]
    assert math.isnan(second["ef_within"])


def test_entries_and_labels_are_kept_apart() -> None:
    found = fractions(patient({"LV": (100.0, 50.0)}), patient({"LV": (100.0, 20.0)}, entry="b"))
    assert found.patients.set_index("entry")["ef"].to_dict() == {"a": 50, "b": 80}


def test_a_missed_cavity_has_no_ef_but_its_volumes_count() -> None:
    found = fractions(patient({"LV": (0.0, 40.0)}), patient({"LV": (90.0, 45.0)}, name="p2"))
    assert left_out(found) == {"p1": (MISSED, True)}
    missed = found.patients.set_index("patient").loc["p1"]
    assert math.isnan(missed["ef"])
    assert (missed["edv"], missed["reference_edv"]) == (0, 100)


def test_missed_in_one_run_of_two_is_missed() -> None:
    found = fractions(patient({"LV": (100.0, 50.0)}), patient({"LV": (0.0, 0.0)}, seed=1))
    assert left_out(found) == {"p1": (MISSED, True)}
    # Not the EF of the run that found it.
    assert math.isnan(found.patients.loc[0, "ef"])


def test_a_cavity_that_is_not_there_is_left_out_and_not_missed() -> None:
    found = fractions(patient({"LV": (0.0, 0.0)}, {"LV": (0.0, 0.0)}))
    assert left_out(found) == {"p1": (NO_REFERENCE, False)}
    found = fractions(patient({"LV": (10.0, 5.0)}, {"LV": (0.0, 0.0)}))
    assert left_out(found) == {"p1": (NO_REFERENCE, False)}


@pytest.mark.parametrize("status", ["failed", "missing"])
def test_a_patient_that_one_run_did_not_measure_is_left_out(status: str) -> None:
    lost = patient({"LV": (math.nan, math.nan)}, {"LV": (math.nan, math.nan)}, seed=1, status=status)
    found = fractions(patient({"LV": (100.0, 50.0)}), lost, patient({"LV": (100.0, 50.0)}, name="p2"))
    assert left_out(found) == {"p1": (UNMEASURED, False)}
    assert found.patients["patient"].tolist() == ["p2"]


def test_a_run_without_any_row_of_a_phase_counts_as_unmeasured() -> None:
    half = (row for row in patient({"LV": (100.0, 50.0)}, seed=1) if row["phase"] == "ED")
    assert left_out(fractions(patient({"LV": (100.0, 50.0)}), half)) == {"p1": (UNMEASURED, False)}


@pytest.mark.parametrize("kept", ["ED", "ES"])
def test_a_patient_without_both_phases_is_left_out(kept: str) -> None:
    half = (row for row in patient({"LV": (100.0, 50.0)}) if row["phase"] == kept)
    found = fractions(
        half, patient({"LV": (1.0, 1.0)}, name="p2"), patient({"LV": (1.0, 1.0)}, name="p3", phase="")
    )
    assert left_out(found) == {"p1": (NO_PHASES, False), "p3": (NO_PHASES, False)}
    assert found.patients["patient"].tolist() == ["p2"]


def test_two_images_of_a_phase_are_not_guessed_from() -> None:
    again = patient({"LV": (90.0, 50.0)}, case="again")
    assert left_out(fractions(patient({"LV": (100.0, 50.0)}), again)) == {"p1": (SEVERAL, False)}


def test_other_metrics_do_not_matter_and_nothing_is_fine() -> None:
    dice = patient({"LV": (100.0, 50.0)}, metric="dice")
    found = fractions(dice)
    assert found.patients.empty
    assert found.left_out.empty
    assert {"ef", "reference_ef", "edv", "esv"} <= set(found.patients.columns)


def test_missing_columns_are_named() -> None:
    rows = pd.DataFrame(patient({"LV": (1.0, 1.0)})).drop(columns="phase")
    with pytest.raises(ValueError, match="missing: phase"):
        ejection_fraction(rows)
