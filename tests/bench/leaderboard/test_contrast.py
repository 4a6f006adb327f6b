"""What a difference of two sides rests on: patient by patient, and run by run."""

import math
from typing import Any

import numpy as np
import pytest

from bench.leaderboard.compare import compare_match
from bench.leaderboard.compare_sheet import compare_sheets
from bench.leaderboard.contrast import FIRST, SECOND, Contrast, contrast, over_tasks, side_runs
from bench.leaderboard.load import load_tasks
from bench.leaderboard.opponents import match_entries
from bench.stats.crossed import crossed_intervals

CLEAN, INVENTOR = "clean + dice", "inventor + dice"


@pytest.fixture
def invented(world: Any) -> Any:
    """Three seeds of each: in 12 of 30 patients there is no label, and one of the two predicts it all the same."""
    rng = np.random.default_rng(0)
    dice = rng.uniform(0.7, 0.9, 30)
    for seed in range(3):
        for model, gain in (("clean", 0.0), ("inventor", 0.01)):
            row = world.trial(model, "dice", seed=seed)
            values = dice + gain + rng.normal(0, 0.002, 30)
            cases = []
            for patient, value in enumerate(values):
                absent = {"clean": (math.nan, "both_empty"), "inventor": (0.0, "reference_empty")}[model]
                told, status = absent if patient < 12 else (float(value), "ok")
                cases.append(world.case(row["trial"], patient, "dice", told, status))
            world.store.write(row, cases, [])
    return world


def whole(found: Contrast) -> None:
    """Checks that patients and runs tell of the same differences."""
    assert found.components.n_patients == found.n
    assert found.over_trainings(0.95).mean == pytest.approx(found.mean)
    # Each patient's mean over r runs varies by patient + residual / r, if runs do not.
    parts = found.components
    assert parts.patient + parts.residual / parts.n_runs == pytest.approx(found.sd**2, rel=1e-6)


def test_absent_labels_count_in_the_trainings_as_in_the_patients(invented: Any) -> None:
    (cells,) = load_tasks(invented.store)
    found = contrast(cells, "dice", [CLEAN], [INVENTOR], 1)
    assert (found.n, found.components.n_runs) == (30, 3)
    assert found.mean > 0.3
    whole(found)
    # Patients are nearly all of it: the interval over trainings is no narrower than that over patients.
    over, alone = found.over_trainings(0.95), found.interval(0.95, 0, 999)
    assert over.low < found.mean < over.high
    assert over.high - over.low > 0.95 * (alone.high - alone.low)
    runs = side_runs(cells, "dice", [CLEAN], [INVENTOR])
    assert runs.entries == (FIRST, SECOND)
    gaps = np.nanmean(runs.values[0] - runs.values[1], axis=0)
    np.testing.assert_allclose(gaps, found.d.reindex(runs.patients))


def test_compare_resamples_what_it_tests(invented: Any) -> None:
    match = match_entries(invented.store, (CLEAN, INVENTOR))
    found = compare_match(match, details=True, resamples=499)
    (row,) = found.rows
    assert row.details is not None
    resampled = row.details.resampled
    assert row.n == 30
    assert row.over_trainings.mean == pytest.approx(row.difference.mean)
    assert resampled.mean == pytest.approx(row.difference.mean)
    assert resampled.low < row.difference.mean < resampled.high < 0
    # Means of A and of B are those whose difference stands beside them.
    assert row.second - row.first == pytest.approx(row.difference.mean)
    assert "499 resamples" in " ".join(compare_sheets(found)[0].lines)
    cells = match.pairs[0].cells
    by_hand = crossed_intervals(
        cells.runs_together("dice", ["A", "B"]), np.random.default_rng(0), 499, against="A"
    )
    assert (resampled.low, resampled.high) == (by_hand.low[1], by_hand.high[1])


def test_sides_of_several_entries_are_averaged_run_by_run(world: Any) -> None:
    for seed in range(2):
        for place, loss in enumerate(("dice", "ce", "focal")):
            world.final("unet", loss, quality=0.8 + 0.01 * place + 0.002 * seed, patients=8, seed=seed)
    (cells,) = load_tasks(world.store)
    found = contrast(cells, "dice", ["unet + focal"], ["unet + dice", "unet + ce"], 1)
    assert found.mean == pytest.approx(0.015, abs=0.01)
    assert found.components.n_patients == found.n == 8
    assert contrast(cells, "dice", ["unet + focal"], ["unet + dice", "unet + ce"], -1).mean == -found.mean
    runs = side_runs(cells, "dice", ["unet + focal"], ["unet + dice", "unet + ce"])
    np.testing.assert_allclose((runs.values[0] - runs.values[1]).mean(axis=0), found.array)


def test_over_tasks_each_counts_its_mean() -> None:
    one = Contrast(over_tasks([]).d)
    assert (one.n, math.isnan(one.mean), one.effect(1, 0)) == (0, True, None)
