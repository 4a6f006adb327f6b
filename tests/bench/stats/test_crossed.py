"""Crossed bootstrap of patients and runs: known spreads, folds, and a simulation of coverage."""

import numpy as np
import pytest

from bench.stats.aggregate import RunValues
from bench.stats.crossed import crossed_intervals
from bench.stats.intervals import Intervals

Z = 1.959964


def run_values(values: object, folds: int = 1) -> RunValues:
    """Makes runs of equally many seeds per fold from entries x runs x patients."""
    array = np.asarray(values, float)
    seeds = array.shape[1] // folds
    return RunValues(
        entries=tuple(f"e{i}" for i in range(len(array))),
        runs=tuple((fold, seed) for fold in range(folds) for seed in range(seeds)),
        patients=tuple(f"p{i:03}" for i in range(array.shape[2])),
        values=array,
    )


def interval(runs: RunValues, against: str | None = None) -> Intervals:
    return crossed_intervals(runs, np.random.default_rng(0), resamples=4000, against=against)


def test_width_is_that_of_both_spreads() -> None:
    rng = np.random.default_rng(1)
    patient, run = rng.normal(0, 1, 80), rng.normal(0, 0.3, 40)
    found = interval(run_values([run[:, None] + patient]))
    # Additive values: the bootstrap's variance is known, with n - 1 draws the unbiased one.
    sd = np.sqrt(patient.var(ddof=1) / 80 + run.var(ddof=1) / 40)
    assert found.method == ("crossed",)
    assert found.mean[0] == pytest.approx(patient.mean() + run.mean())
    assert found.high[0] - found.low[0] == pytest.approx(2 * Z * sd, rel=0.06)


def test_three_seeds_are_not_shrunk() -> None:
    patients = np.random.default_rng(2).normal(0, 1e-6, 30)
    seeds = np.array([0.0, 1.0, 2.0])
    found = interval(run_values([seeds[:, None] + patients]))
    # Two of three are drawn: means 0, 0.5, 1, 1.5, 2 with chances 1, 2, 3, 2, 1 of 9.
    assert found.low[0] == pytest.approx(0, abs=1e-5)
    assert found.high[0] == pytest.approx(2, abs=1e-5)


def test_one_run_knows_patients_only() -> None:
    patients = np.random.default_rng(3).normal(0, 1, 60)
    found = interval(run_values([[patients]]))
    assert found.method == ("percentile",)
    assert found.high[0] - found.low[0] == pytest.approx(2 * Z * patients.std(ddof=1) / np.sqrt(60), rel=0.06)


def test_folds_on_the_same_patients_are_drawn_with_their_seeds() -> None:
    patients = np.random.default_rng(4).normal(0, 1e-6, 20)
    fold = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 3)
    found = interval(run_values([fold[:, None] + patients], folds=5))
    # As if there were 5 runs, not 15: 2.5 / 5 is the variance of a mean of five. They share training cases: 1/5 + 1/4
    # instead of 1/5.
    assert found.high[0] - found.low[0] == pytest.approx(2 * Z * np.sqrt(2.5 * (1 / 5 + 1 / 4)), rel=0.1)
    same = interval(run_values([np.arange(5.0)[:, None] + patients], folds=5))
    assert (found.low[0], found.high[0]) == pytest.approx((same.low[0], same.high[0]), abs=1e-5)


def test_folds_with_patients_of_their_own_stay() -> None:
    values = np.full((1, 4, 20), np.nan)
    values[0, :2, :10], values[0, 2:, 10:] = 0.0, 1.0
    values[0, 1] += 0.001
    found = interval(run_values(values, folds=2))
    # A fold is never without its patients: what varies is who is drawn, like a coin thrown 19 times.
    assert found.method == ("crossed",)
    assert found.mean[0] == pytest.approx(0.50025)
    assert found.high[0] - found.low[0] == pytest.approx(2 * Z * np.sqrt(0.25 / 19), rel=0.15)
    alone = values[:, [0, 2]]
    assert interval(run_values(alone, folds=2)).method == ("percentile",)


def test_entries_are_resampled_together() -> None:
    first = np.random.default_rng(5).normal(0, 1, (6, 25))
    runs = run_values([first, first + 0.25, first - 1.0])
    found = interval(runs, against="e0")
    assert found.mean == pytest.approx([0, 0.25, -1], abs=1e-12)
    assert found.low == pytest.approx(found.mean, abs=1e-12)
    assert found.high == pytest.approx(found.mean, abs=1e-12)
    own = interval(runs)
    assert own.high - own.low == pytest.approx(np.full(3, own.high[0] - own.low[0]))


def test_nan_is_left_out() -> None:
    values = np.random.default_rng(6).normal(0, 1, (2, 3, 12))
    values[0, 1, 4] = np.nan
    values[1, :, 1:] = np.nan
    found = interval(run_values(values))
    assert found.mean[0] == pytest.approx(np.nanmean(np.nanmean(values[0], axis=0)))
    assert found.low[0] < found.mean[0] < found.high[0]
    assert found.method == ("crossed", "none")
    assert np.isnan(found.low[1])
    values[1] = np.nan
    assert np.isnan(interval(run_values(values)).mean[1])


def test_same_generator_state_same_interval() -> None:
    runs = run_values(np.random.default_rng(7).normal(0, 1, (1, 4, 9)))
    np.testing.assert_array_equal(interval(runs).low, interval(runs).low)


def test_bad_arguments() -> None:
    runs = run_values(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="no entry 'x'; there are e0"):
        interval(runs, against="x")
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        crossed_intervals(runs, np.random.default_rng(0), resamples=0)
    with pytest.raises(ValueError, match="at least one patient"):
        interval(run_values(np.zeros((1, 2, 0))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "spread", "least"), [(5, 0.0, 0.92), (5, 1.0, 0.92), (3, 1.0, 0.91), (10, 3.0, 0.92)]
)
def test_coverage(seeds: int, spread: float, least: float) -> None:
    """Spread: of the runs, in standard errors that patients give a mean."""
    rng, patients, hits, times = np.random.default_rng(0), 30, 0, 1000
    for _ in range(times):
        run = rng.normal(0, spread / np.sqrt(patients), (seeds, 1))
        values = rng.normal(0, 1, patients) + run + rng.normal(0, 0.3, (seeds, patients))
        found = crossed_intervals(run_values([values]), rng, resamples=500)
        hits += bool(found.low[0] <= 0 <= found.high[0])
    assert least <= hits / times <= 0.97
