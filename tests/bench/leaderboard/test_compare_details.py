"""What else is said of a difference: other tests, what it scatters by, what it would take."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t

from bench.leaderboard.compare import compare_match
from bench.leaderboard.compare_detail_sheet import detail_sheets
from bench.leaderboard.comparison import Comparison, Details
from bench.leaderboard.opponents import match_runs

Gap = Callable[[int, int, int], float]


@pytest.fixture
def compared(world: Any, tmp_path: Path) -> Callable[..., Comparison]:
    """Compares a run with one that is `gap(fold, seed, patient)` worse; each fold validates patients of its own."""

    def compare(
        gap: Gap,
        folds: int = 1,
        seeds: int = 1,
        shared: bool = False,
        status: str = "complete",
        **options: Any,
    ) -> Comparison:
        other = type(world)(tmp_path / "results" / "other")

        def case(one: Any, trial: str, fold: int, seed: int, patient: int) -> list[dict[str, Any]]:
            dice = 0.8 - patient % 50 / 100 - (one is other) * gap(fold, seed, patient)
            return [one.case(trial, patient, "dice", dice), one.case(trial, patient, "hd95", 10 * (1 - dice))]

        for fold in range(folds):
            mine = range(100, 104) if shared else range(100 + 4 * fold, 104 + 4 * fold)
            for seed in range(seeds):
                for one in (world, other):
                    row = one.trial("unet", fold=fold, seed=seed)
                    if one is other and fold == folds - 1:
                        row["status"] = status
                    test = [part for p in range(12) for part in case(one, row["trial"], fold, seed, p)]
                    val = [part for p in mine for part in case(one, row["trial"], fold, seed, p)]
                    cases = [*test, *(part | {"part": "validation"} for part in val)]
                    one.store.write(row, cases if row["status"] == "complete" else [], [])
        match = match_runs(world.store, other.store)
        return compare_match(match, resamples=199, **{"details": True} | options)

    return compare


def only(found: Comparison) -> Details:
    (row,) = found.rows
    assert row.details is not None
    return row.details


def steady(_fold: int, _seed: int, patient: int) -> float:
    return 0.03 + patient / 1000


def alternating(_fold: int, _seed: int, patient: int) -> float:
    return 0.01 + (0.03 if patient % 2 else -0.03)


def shown(found: Comparison) -> dict[str, str]:
    (sheet,) = detail_sheets(found)
    return {column.title: column.cells[0].text for column in sheet.columns}


def test_nobody_asked(compared: Any) -> None:
    found = compared(steady, details=False)
    assert found.rows[0].details is None
    assert detail_sheets(found) == []


def test_twelve_patients_that_agree(compared: Any) -> None:
    found = compared(steady, ropes={"dice": 0.01})
    details = only(found)
    # Two of all sign flips are so far from zero.
    assert details.sign_flip_p == pytest.approx(2 / 2**12)
    assert details.rope == 0.01
    assert details.by_patients is not None
    assert details.by_patients.worse > 0.99
    assert details.by_folds is None
    assert math.isnan(details.resampled.low)
    # It is shown: nothing more is taken.
    assert details.outlook is None
    texts = shown(found)
    assert texts["sign-flip p"] == "0.00049"
    assert texts["P(worse / equal / better)"] == "1.00 / 0.00 / 0.00"
    assert not {"takes", "by folds", "resampled"} & set(texts)


def test_of_distances_longer_is_worse(compared: Any) -> None:
    details = only(compared(steady, ropes={"hd95": 0.1}))
    assert details.by_patients is not None
    assert details.by_patients.worse > 0.99


@pytest.mark.parametrize(
    ("options", "rope"),
    [
        ({}, None),
        ({"margins": {"dice": 0.0}}, None),
        ({"margins": {"dice": -0.1}}, 0.1),
        ({"margins": {"dice": -0.1}, "ropes": {"dice": 0.2}}, 0.2),
    ],
)
def test_the_margin_is_the_region_where_no_other_is_asked(
    compared: Any, options: dict[str, Any], rope: float | None
) -> None:
    details = only(compared(steady, **options))
    assert details.rope == rope
    assert (details.by_patients is None) == (rope is None)
    if details.by_patients is not None:
        assert details.by_patients.equivalent > 0.99


def by_fold(fold: int, _seed: int, _patient: int) -> float:
    return 0.02 + fold / 100


@pytest.mark.parametrize("metric", ["dice", "hd95"])
def test_folds_of_a_cross_validation(compared: Any, metric: str) -> None:
    """Folds differ by 0.02, 0.03 and 0.04: SD 0.01, and the variance of their mean 1/3 + 1/2 of its square."""
    found = compared(by_fold, folds=3, seeds=2, metrics=[metric])
    details = only(found)
    assert details.by_folds is not None
    assert details.by_folds.n == 3
    assert details.by_folds.equivalent == pytest.approx(0, abs=1e-12)
    assert details.by_folds.worse == pytest.approx(t.cdf(0.03 / (0.01 * math.sqrt(1 / 3 + 1 / 2)), 2))
    assert shown(found)["by folds"] == "0.96 / 0.00 / 0.04"


def test_a_region_holds_over_folds_too(compared: Any) -> None:
    details = only(compared(by_fold, folds=3, ropes={"dice": 0.2}))
    assert details.by_folds is not None
    assert details.by_folds.equivalent > 0.99


@pytest.mark.parametrize(
    "options", [{"folds": 2}, {"folds": 3, "shared": True}, {"folds": 3, "status": "diverged"}]
)
def test_what_is_no_cross_validation(compared: Any, options: dict[str, Any]) -> None:
    assert only(compared(by_fold, **options)).by_folds is None


def test_trainings_are_told_from_patients(compared: Any) -> None:
    """Seeds differ by 0.02, 0.03 and 0.04, patients not at all."""
    found = compared(lambda _fold, seed, _patient: 0.02 + seed / 100, seeds=3)
    details = only(found)
    assert details.shares["seed"] == pytest.approx(1)
    assert details.components.seed == pytest.approx(0.01**2)
    assert details.resampled.mean == pytest.approx(-0.03)
    # Of two of three seeds.
    assert (details.resampled.low, details.resampled.high) == pytest.approx((-0.04, -0.02))
    assert shown(found)["patient / seed / fold / rest"] == "0% / 100% / – / 0%"


def test_what_it_takes_where_it_is_open(compared: Any) -> None:
    found = compared(alternating)
    details = only(found)
    assert found.rows[0].verdict == "no difference shown"
    assert details.outlook is not None
    assert 12 < details.outlook.units < math.inf
    assert shown(found)["takes"].endswith(" patients")


def test_columns_are_explained_where_they_stand(compared: Any) -> None:
    (sheet,) = detail_sheets(compared(alternating, ropes={"dice": 0.02}))
    keys = {column.key for column in sheet.columns} - {""}
    assert keys == {"sign_flip", "patients", "takes"}
    lines = " ".join(sheet.all_lines)
    assert "practically equal: within ±0.02" in lines
    assert "by folds" not in lines
