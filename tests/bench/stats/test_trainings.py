"""Intervals over patients and trainings."""

import math

import numpy as np
import pytest
from scipy.stats import t

from bench.stats.aggregate import RunValues
from bench.stats.trainings import detectable_mean, mean_error, mean_interval, mean_power
from bench.stats.variance import Components, difference_components

NAN = math.nan


def components(values: np.ndarray, folds: int = 1) -> Components:
    """Returns the components of differences (runs, patients), runs by fold."""
    runs = tuple((place % folds, place // folds) for place in range(len(values)))
    patients = tuple(f"p{place}" for place in range(values.shape[1]))
    both = np.stack([values, np.zeros_like(values)])
    return difference_components(RunValues(("a", "b"), runs, patients, both), "a", "b")


def drawn(rng: np.random.Generator, runs: int, patients: int, of_run: float) -> np.ndarray:
    shape = rng.normal(0, 0.03, patients) + rng.normal(0, of_run, runs)[:, None]
    return np.asarray(shape + rng.normal(0, 0.02, (runs, patients)))


def test_it_is_the_analysis_of_variance_of_readers_and_cases() -> None:
    values = drawn(np.random.default_rng(0), 4, 12, 0.05)
    error = mean_error(components(values))
    runs, n = values.shape
    of_patients = runs * values.mean(axis=0).var(ddof=1)
    of_runs = n * values.mean(axis=1).var(ddof=1)
    left = values - values.mean(axis=0) - values.mean(axis=1)[:, None] + values.mean()
    residual = (left**2).sum() / ((runs - 1) * (n - 1))
    total = of_patients + of_runs - residual
    assert error.total == pytest.approx(total / (n * runs))
    parts = [(of_patients, n - 1), (of_runs, runs - 1), (residual, (runs - 1) * (n - 1))]
    assert error.freedom == pytest.approx(total**2 / sum(part**2 / df for part, df in parts))
    half = t.ppf(0.975, error.freedom) * math.sqrt(error.total)
    assert mean_interval(0.1, error, 0.95) == pytest.approx((0.1 - half, 0.1 + half))


def test_without_variance_of_trainings_it_is_the_t_interval_of_patients() -> None:
    values = drawn(np.random.default_rng(1), 3, 10, 0.0)
    values -= values.mean(axis=1)[:, None]
    error = mean_error(components(values))
    d = values.mean(axis=0)
    assert (error.trainings, error.freedom, error.training_share) == (0.0, 9.0, 0.0)
    assert error.total == pytest.approx(d.var(ddof=1) / 10)


@pytest.mark.parametrize(
    "parts",
    [
        Components(0.01, NAN, NAN, NAN, 20, 1, 1),
        Components(0.01, 0.01, NAN, 0.01, 1, 3, 1),
        Components(0.01, 0.01, NAN, 0.01, 20, 1, 1),
    ],
)
def test_a_single_training_or_patient_tells_nothing(parts: Components) -> None:
    error = mean_error(parts)
    assert math.isnan(error.total)
    assert math.isnan(error.training_share)
    assert all(map(math.isnan, mean_interval(0.1, error, 0.95)))
    assert math.isnan(mean_power(0.1, error, 0.05))
    assert math.isnan(detectable_mean(error, 0.05, 0.8))


def test_folds_count_as_few_trainings_however_many_seeds_they_have() -> None:
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(0, 0.05, 3), 5)[:, None] + rng.normal(0, 0.01, (15, 30))
    runs = tuple((place // 5, place % 5) for place in range(15))
    both = np.stack([values, np.zeros_like(values)])
    parts = difference_components(RunValues(("a", "b"), runs, tuple(map(str, range(30))), both), "a", "b")
    assert mean_error(parts).freedom == pytest.approx(2, rel=0.05)


def test_folds_share_training_cases() -> None:
    """Five folds that vary by 1: 1/5 + 1/4 is the variance of their mean, not 1/5 (Nadeau, Bengio 2003)."""
    folds = mean_error(Components(0.0, NAN, 1.0, 0.0, 20, 5, 5))
    assert folds.trainings == pytest.approx(1 / 5 + 1 / 4)
    seeds = mean_error(Components(0.0, 1.0, NAN, 0.0, 20, 5, 1))
    assert seeds.trainings == pytest.approx(1 / 5)
    # Seeds within folds are as independent as any.
    both = mean_error(Components(0.0, 1.0, 1.0, 0.0, 20, 15, 5))
    assert both.trainings == pytest.approx(1 / 15 + 1 / 5 + 1 / 4)


def test_more_patients_do_not_make_up_for_few_trainings() -> None:
    few, many = (mean_error(Components(1e-3, 1e-3, NAN, 1e-4, patients, 3, 1)) for patients in (10, 100_000))
    assert many.total == pytest.approx(1e-3 / 3, rel=0.01)
    assert few.training_share == pytest.approx(0.765, abs=0.01)
    assert many.training_share > 0.999


def test_power_is_that_of_the_interval() -> None:
    rng = np.random.default_rng(3)
    error = mean_error(Components(9e-4, 0.0, NAN, 4e-4, 25, 2, 1))
    least = detectable_mean(error, 0.05, 0.8)
    assert mean_power(least, error, 0.05) == pytest.approx(0.8)
    assert mean_power(0.0, error, 0.05) == pytest.approx(0.025)
    d = least + rng.normal(0, math.sqrt(error.total * 25), (4000, 25))
    spread = d.std(axis=1, ddof=1) / 5
    found = np.mean(d.mean(axis=1) - t.ppf(0.975, 24) * spread > 0)
    assert found == pytest.approx(0.8, abs=0.03)
    assert mean_power(0.1, mean_error(Components(0.0, 0.0, NAN, 0.0, 25, 2, 1)), 0.05) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patients", "runs", "of_run"),
    [(20, 3, 0.0), (20, 3, 0.005), (50, 3, 0.01), (50, 5, 0.005), (200, 3, 0.005)],
)
def test_coverage(patients: int, runs: int, of_run: float) -> None:
    rng, hits, alone = np.random.default_rng(4), 0, 0
    for _ in range(2000):
        values = drawn(rng, runs, patients, of_run)
        low, high = mean_interval(float(values.mean()), mean_error(components(values)), 0.95)
        hits += low <= 0 <= high
        d = values.mean(axis=0)
        alone += abs(d.mean()) <= t.ppf(0.975, patients - 1) * d.std(ddof=1) / math.sqrt(patients)
    assert hits / 2000 == pytest.approx(0.945, abs=0.02)
    if of_run / 0.03 > 0.15 and patients >= 50:
        # Patients alone: what is known of these trainings is taken for what is known of the method.
        assert alone / 2000 < 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "seeds"), [(5, 1), (5, 3), (3, 1)])
def test_folds_whose_luck_is_alike(folds: int, seeds: int) -> None:
    """The training luck of folds has a correlation of 0.2; counted as independent they miss in 11%."""
    rng, times, missed = np.random.default_rng(6), 800, 0
    for _ in range(times):
        luck = 0.3 * (math.sqrt(0.2) * rng.normal() + math.sqrt(0.8) * rng.normal(size=folds))
        values = (
            np.tile(luck, seeds)[:, None] + rng.normal(0, 0.1, (folds * seeds, 1)) + rng.normal(0, 1, 100)
        )
        values = values + rng.normal(0, 0.5, values.shape)
        low, high = mean_interval(float(values.mean()), mean_error(components(values, folds)), 0.95)
        missed += not low <= 0 <= high
    assert missed / times < 0.075


def test_rounding_in_a_large_table_is_no_variance_of_folds() -> None:
    parts = components(drawn(np.random.default_rng(0), 300, 2000, 0.01))
    assert math.isnan(parts.fold)
    assert parts.seed == pytest.approx(1e-4, rel=0.3)
