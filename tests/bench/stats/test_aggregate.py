"""Averages from seeds to patients, and what empty masks and failures count in them."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.aggregate import check_patients, per_patient, status_counts


def cell(
    value: float,
    status: str = "ok",
    *,
    entry: str = "a",
    seed: int = 0,
    patient: str = "p1",
    case: str = "",
    label: str = "lv",
    diagonal: float = 100.0,
) -> dict[str, object]:
    return {
        "entry": entry,
        "fold": 0,
        "seed": seed,
        "patient": patient,
        "case": case or f"{patient}-ed",
        "label": label,
        "value": value,
        "status": status,
        "diagonal": diagonal,
    }


def mean_of(*cells: dict[str, object], worst: str = "zero") -> float:
    return float(per_patient(pd.DataFrame(cells), worst).loc["a", "p1"])  # type: ignore[arg-type]


def test_averages_go_seed_image_label_patient() -> None:
    cells = [
        cell(0.2, seed=0, case="ed"),
        cell(0.4, seed=1, case="ed"),
        cell(0.9, seed=0, case="es"),
        cell(0.1, seed=0, case="ed", label="rv"),
    ]
    # Image ed: 0.3; patient's lv: (0.3 + 0.9) / 2 = 0.6; labels: (0.6 + 0.1) / 2. A flat mean would be 0.4.
    assert mean_of(*cells) == pytest.approx(0.35)


def test_table_is_entries_by_patients_sorted() -> None:
    cells = [cell(0.5, entry=e, patient=p) for e in ("b", "a") for p in ("p2", "p1")]
    table = per_patient(pd.DataFrame(cells), "zero")
    assert list(table.index) == ["a", "b"]
    assert list(table.columns) == ["p1", "p2"]
    check_patients(table)


@pytest.mark.parametrize(
    ("value", "status", "worst", "counted"),
    [
        (0.8, "ok", "zero", 0.8),
        (0.0, "reference_empty", "zero", 0.0),
        (0.0, "prediction_empty", "zero", 0.0),
        (math.nan, "failed", "zero", 0.0),
        (math.nan, "missing", "zero", 0.0),
        (math.nan, "failed", "diagonal", 100.0),
        (math.nan, "missing", "diagonal", 100.0),
        (math.inf, "prediction_empty", "diagonal", 100.0),
        (math.inf, "reference_empty", "diagonal", 100.0),
        (math.nan, "ok", "zero", 0.0),
        (3.5, "ok", "diagonal", 3.5),
    ],
)
def test_policy(value: float, status: str, worst: str, counted: float) -> None:
    assert mean_of(cell(value, status), worst=worst) == counted


def test_label_absent_from_both_masks_is_left_out() -> None:
    cells = [cell(math.nan, "both_empty", label="rv"), cell(0.6, label="lv")]
    assert mean_of(*cells) == 0.6
    assert math.isnan(mean_of(cells[0]))


def test_five_missed_cases_of_ten_do_not_vanish() -> None:
    # MONAI's defaults would leave this HD95 at 2.0.
    cells = [cell(2.0, case=f"c{i}") for i in range(5)]
    cells += [cell(math.inf, "prediction_empty", case=f"c{i}") for i in range(5, 10)]
    assert mean_of(*cells, worst="diagonal") == pytest.approx((5 * 2 + 5 * 100) / 10)


def test_penalty_is_each_image_s_own_diagonal() -> None:
    cells = [
        cell(math.inf, "prediction_empty", case="small", diagonal=10.0),
        cell(math.inf, "prediction_empty", case="large", diagonal=30.0),
    ]
    assert mean_of(*cells, worst="diagonal") == 20.0


def test_counts_sum_to_the_rows() -> None:
    statuses = ["ok", "ok", "both_empty", "reference_empty", "prediction_empty", "failed", "missing"]
    cells = [cell(0.5, status, case=f"c{i}") for i, status in enumerate(statuses)]
    counts = status_counts(pd.DataFrame(cells)).loc["a"]
    assert counts.to_dict() == {"n_valid": 2, "n_empty_reference": 2, "n_missed": 1, "n_failed": 2}
    assert counts.sum() == len(cells)


def test_a_cell_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must come once.*'case': 'p1-ed'"):
        mean_of(cell(0.1), cell(0.2))


def test_a_case_of_two_patients_is_refused() -> None:
    with pytest.raises(ValueError, match="case must belong to one patient; x has several"):
        mean_of(cell(0.1, case="x"), cell(0.2, case="x", patient="p2", label="rv"))


def test_missing_columns_are_named() -> None:
    with pytest.raises(ValueError, match="missing: diagonal"):
        per_patient(pd.DataFrame([cell(0.1)]).drop(columns="diagonal"), "zero")


def test_slices_cannot_pass_for_patients() -> None:
    slices = pd.DataFrame([[0.1, 0.2]], index=pd.Index(["a"], name="entry"), columns=["p1", "p1"])
    with pytest.raises(ValueError, match="entries x patients from per_patient, got entry x None"):
        check_patients(slices)
    slices.columns.name = "patient"
    with pytest.raises(ValueError, match="patient p1 comes several times"):
        check_patients(slices)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.randoms())
def test_order_of_rows_does_not_matter(values: list[float], random: object) -> None:
    cells = [cell(v, case=f"c{i}") for i, v in enumerate(values)]
    shuffled = cells.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean_of(*shuffled) == pytest.approx(mean_of(*cells), abs=1e-12)
    assert mean_of(*cells) == pytest.approx(np.mean(values), abs=1e-12)
