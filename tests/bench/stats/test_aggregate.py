"""Averages from seeds to patients, and what empty masks and failures count in them."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.aggregate import (
    BRATS_DISTANCE,
    POLICIES,
    Policy,
    Worst,
    check_patients,
    counted_values,
    per_patient,
    status_counts,
)
from bench.stats.paired import compare
from medseg.tasks.spec import EmptyPolicy


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


def mean_of(
    *cells: dict[str, object], worst: Worst = 0.0, policy: Policy = "nnunet", agreed: float = math.nan
) -> float:
    return float(per_patient(pd.DataFrame(cells), worst, policy, agreed).loc["a", "p1"])


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
    table = per_patient(pd.DataFrame(cells), 0.0)
    assert list(table.index) == ["a", "b"]
    assert list(table.columns) == ["p1", "p2"]
    check_patients(table)


# Value, status, worst and `agreed` of a metric; what it counts with nnunet, brats and one; "out": left out.
POLICY = [
    (0.8, "ok", 0.0, 1.0, 0.8, 0.8, 0.8),
    (3.5, "ok", "diagonal", 0.0, 3.5, 3.5, 3.5),
    (math.nan, "ok", 0.0, 1.0, 0.0, 0.0, 0.0),
    (0.0, "reference_empty", 0.0, 1.0, 0.0, 0.0, 0.0),
    (0.0, "prediction_empty", 0.0, 1.0, 0.0, 0.0, 0.0),
    # Sensitivity has no value without a reference.
    (math.nan, "reference_empty", 0.0, math.nan, "out", "out", "out"),
    (math.nan, "both_empty", 0.0, 1.0, "out", 1.0, 1.0),
    (math.nan, "both_empty", "diagonal", 0.0, "out", 0.0, 0.0),
    (math.nan, "both_empty", 0.0, math.nan, "out", "out", "out"),
    # A volume difference where nothing is and nothing was predicted.
    (0.0, "both_empty", math.nan, math.nan, 0.0, 0.0, 0.0),
    (math.inf, "reference_empty", "diagonal", 0.0, 100.0, 373.13, 100.0),
    (math.inf, "prediction_empty", "diagonal", 0.0, 100.0, 373.13, 100.0),
    (math.nan, "failed", 0.0, 1.0, 0.0, 0.0, 0.0),
    (math.nan, "missing", 0.0, 1.0, 0.0, 0.0, 0.0),
    (math.nan, "failed", "diagonal", 0.0, 100.0, 373.13, 100.0),
    (math.nan, "missing", "diagonal", 0.0, 100.0, 373.13, 100.0),
    (math.nan, "failed", 1.0, math.nan, 1.0, 1.0, 1.0),
    (math.nan, "missing", -1.0, math.nan, -1.0, -1.0, -1.0),
    (math.nan, "failed", math.nan, math.nan, "out", "out", "out"),
    # A failed case cannot be talked into agreement.
    (math.nan, "missing", math.nan, 1.0, "out", "out", "out"),
]


@pytest.mark.parametrize("case", POLICY)
def test_policy(case: tuple[float, str, Worst, float, *tuple[float | str, ...]]) -> None:
    value, status, worst, agreed, *counted = case
    cells = pd.DataFrame([cell(value, status)])
    for policy, expected in zip(("nnunet", "brats", "one"), counted, strict=True):
        (found,) = counted_values(cells, worst, policy, agreed)
        assert found == expected or (expected == "out" and math.isnan(found)), policy


def test_policies_are_those_of_tasks() -> None:
    assert EmptyPolicy.__args__ == POLICIES  # type: ignore[attr-defined]
    # Of the image size of BraTS, at 1 mm.
    assert pytest.approx(math.dist((0, 0, 0), (240, 240, 155)), abs=0.02) == BRATS_DISTANCE


@pytest.mark.parametrize(
    ("worst", "policy", "message"),
    [
        ("zero", "nnunet", "worst must be a number or 'diagonal', got 'zero'"),
        (0.0, "monai", "policy must be one of nnunet, brats, one, got 'monai'"),
    ],
)
def test_unknown_words_are_refused(worst: str, policy: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        counted_values(pd.DataFrame([cell(0.5)]), worst, policy)  # type: ignore[arg-type]


def test_label_absent_from_both_masks_is_left_out() -> None:
    cells = [cell(math.nan, "both_empty", label="rv"), cell(0.6, label="lv")]
    assert mean_of(*cells) == 0.6
    assert math.isnan(mean_of(cells[0]))


@pytest.mark.parametrize("policy", POLICIES)
def test_five_missed_cases_of_ten_do_not_vanish(policy: Policy) -> None:
    cells = [cell(2.0, case=f"c{i}") for i in range(5)]
    cells += [cell(math.inf, "prediction_empty", case=f"c{i}") for i in range(5, 10)]
    # MONAI's reduction leaves out what is not finite: 2.0.
    assert pd.DataFrame(cells)["value"].replace(math.inf, math.nan).mean() == 2.0
    penalty = BRATS_DISTANCE if policy == "brats" else 100.0
    found = mean_of(*cells, worst="diagonal", policy=policy, agreed=0.0)
    assert found == pytest.approx((5 * 2 + 5 * penalty) / 10)


@pytest.mark.parametrize("policy", POLICIES)
def test_five_hallucinations_on_empty_references_do_not_vanish(policy: Policy) -> None:
    cells = [cell(1.0, case=f"c{i}") for i in range(5)]
    cells += [cell(0.0, "reference_empty", case=f"c{i}") for i in range(5, 10)]
    # MONAI ignores empty references by default: its mean Dice stays at 1.0.
    assert mean_of(*cells, policy=policy, agreed=1.0) == 0.5
    counts = status_counts(pd.DataFrame(cells)).loc["a"]
    assert (counts["n_valid"], counts["n_empty_reference"], counts["n_hallucinated"]) == (5, 5, 5)


def test_an_empty_prediction_is_not_praised_unless_asked_for() -> None:
    cells = [cell(0.0, "prediction_empty", case="there")]
    cells += [cell(math.nan, "both_empty", case=f"c{i}") for i in range(9)]
    found = {policy: mean_of(*cells, policy=policy, agreed=1.0) for policy in POLICIES}
    assert found == {"nnunet": 0.0, "brats": 0.9, "one": 0.9}


@pytest.mark.parametrize("policy", POLICIES)
def test_the_penalty_is_in_before_any_test(policy: Policy) -> None:
    """Two entries that both miss a case differ by inf - inf = NaN there, and the patient would vanish."""
    cells = [
        cell(
            math.inf if missed else 5.0 + shift,
            "prediction_empty" if missed else "ok",
            entry=e,
            patient=f"p{i}",
        )
        for e, shift in (("a", 0.0), ("b", 1.0))
        for i in range(6)
        for missed in [i == 0]
    ]
    values = per_patient(pd.DataFrame(cells), "diagonal", policy)
    assert np.isfinite(values.to_numpy()).all()
    test = compare(values, "a", "b")
    assert (test.n, test.mean) == (6, pytest.approx(-5 / 6))


def test_a_failure_without_a_worst_value_is_left_out_but_counted() -> None:
    cells = [cell(12.0, case="c0"), cell(math.nan, "failed", case="c1"), cell(math.nan, "missing", case="c2")]
    assert mean_of(*cells, worst=math.nan) == 12.0
    assert status_counts(pd.DataFrame(cells)).loc["a", "n_failed"] == 2


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
    assert counts.pop("n_hallucinated") == 1
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
        per_patient(pd.DataFrame([cell(0.1)]).drop(columns="diagonal"), 0.0)


def test_slices_cannot_pass_for_patients() -> None:
    slices = pd.DataFrame([[0.1, 0.2]], index=pd.Index(["a"], name="entry"), columns=["p1", "p1"])
    with pytest.raises(ValueError, match="entries x patients from per_patient, got entry x None"):
        check_patients(slices)
    slices.columns.name = "patient"
    with pytest.raises(ValueError, match="patient p1 comes several times"):
        check_patients(slices)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.randoms())
def test_order_of_rows_does_not_matter(values: list[float], random: object) -> None:
    cells = [cell(v, case=f"c{i}") for i, v in enumerate(values)]
    shuffled = cells.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean_of(*shuffled) == pytest.approx(mean_of(*cells), abs=1e-12)
    assert mean_of(*cells) == pytest.approx(np.mean(values), abs=1e-12)
