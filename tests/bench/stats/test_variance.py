"""Variance components: published tables, mean squares by hand, REML as oracle, and what cannot be told."""

import math

import numpy as np
import pandas as pd
import pytest

from bench.stats.aggregate import RunValues
from bench.stats.variance import Components, difference_components, variance_components

# Shrout, Fleiss 1979, table 2: ratings of six targets by four judges.
RATINGS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
).T


def of(values: np.ndarray, folds: int = 1) -> Components:
    """Returns the components of runs x patients; runs are ordered by fold."""
    return variance_components(run_values(values[None], folds))["e0"]


def run_values(values: np.ndarray, folds: int = 1) -> RunValues:
    entries, runs, patients = values.shape
    names = tuple((run * folds // runs, run % (runs // folds)) for run in range(runs))
    return RunValues(
        tuple(f"e{i}" for i in range(entries)), names, tuple(f"p{i:03}" for i in range(patients)), values
    )


def simulated(
    rng: np.random.Generator, folds: int, seeds: int, patients: int, sd: tuple[float, float, float, float]
) -> np.ndarray:
    """Returns runs x patients with the standard deviations of patient, seed, fold, residual."""
    patient, seed, fold, residual = sd
    runs = folds * seeds
    return np.asarray(
        rng.normal(0, patient, patients)
        + np.repeat(rng.normal(0, fold, folds), seeds)[:, None]
        + rng.normal(0, seed, (runs, 1))
        + rng.normal(0, residual, (runs, patients))
    )


def test_shrout_and_fleiss() -> None:
    found = of(RATINGS)
    # The paper's mean squares: 11.24 between targets, 32.49 between judges, 1.02 residual; ICC(2, 1) = 0.29.
    assert found.residual == pytest.approx(1.02, abs=0.005)
    assert found.patient == pytest.approx((11.24 - 1.02) / 4, abs=0.005)
    assert found.seed == pytest.approx((32.49 - 1.02) / 6, abs=0.005)
    assert found.shares["patient"] == pytest.approx(0.29, abs=0.001)
    assert (found.n_patients, found.n_runs, found.n_folds) == (6, 4, 1)
    assert math.isnan(found.fold)


def test_seeds_within_folds_by_mean_squares() -> None:
    values = simulated(np.random.default_rng(0), 3, 4, 10, (1.0, 0.5, 0.8, 0.3))
    means = values.mean()
    by_fold = values.reshape(3, 4, 10).mean(axis=(1, 2))
    patients = 12 * ((values.mean(axis=0) - means) ** 2).sum() / 9
    folds = 40 * ((by_fold - means) ** 2).sum() / 2
    seeds = 10 * ((values.mean(axis=1) - np.repeat(by_fold, 4)) ** 2).sum() / 9
    left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + means
    residual = (left**2).sum() / (9 * 11)
    found = of(values, folds=3)
    assert found.residual == pytest.approx(residual)
    assert found.patient == pytest.approx((patients - residual) / 12)
    assert found.seed == pytest.approx((seeds - residual) / 10)
    assert found.fold == pytest.approx((folds - seeds) / 40)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.total == pytest.approx(found.patient + found.seed + found.fold + found.residual)


def test_agrees_with_restricted_maximum_likelihood() -> None:
    mixed = pytest.importorskip("statsmodels.formula.api").mixedlm
    values = simulated(np.random.default_rng(3), 4, 3, 15, (1.0, 0.3, 0.5, 0.5))
    frame = pd.DataFrame(
        [
            (run // 3, run, patient, value)
            for run, row in enumerate(values)
            for patient, value in enumerate(row)
        ],
        columns=["fold", "run", "patient", "value"],
    ).assign(all=1)
    parts = {name: f"0 + C({name})" for name in ("patient", "fold", "run")}
    peer = mixed("value ~ 1", frame, groups="all", vc_formula=parts).fit(reml=True)
    theirs = dict(zip(peer.model.exog_vc.names, peer.vcomp, strict=True))
    found = of(values, folds=4)
    assert found.patient == pytest.approx(theirs["patient"], rel=2e-3)
    assert found.fold == pytest.approx(theirs["fold"], rel=2e-3)
    assert found.seed == pytest.approx(theirs["run"], rel=2e-3)
    assert found.residual == pytest.approx(peer.scale, rel=2e-3)


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_estimates_are_right_on_average_also_with_holes(missing: float) -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(400):
        values = simulated(rng, 4, 3, 12, (2.0, 0.5, 1.0, 1.0))
        values[rng.random(values.shape) < missing] = np.nan
        one = of(values, folds=4)
        found.append((one.patient, one.seed, one.fold, one.residual))
    # Cut off at zero the smaller ones are a little too large.
    assert np.mean(found, axis=0) == pytest.approx([4.0, 0.25, 1.0, 1.0], rel=0.1)


def test_folds_that_test_other_patients_each_cannot_tell_what_folds_do() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(200):
        values = simulated(rng, 3, 2, 30, (2.0, 0.5, 3.0, 1.0))
        for run in range(6):
            values[run, np.arange(30) % 3 != run // 2] = np.nan
        one = of(values, folds=3)
        assert math.isnan(one.fold)
        found.append((one.patient, one.seed, one.residual))
    assert np.mean(found, axis=0) == pytest.approx([4.0, 0.25, 1.0], rel=0.1)


def test_one_seed_per_fold_and_a_single_run() -> None:
    values = simulated(np.random.default_rng(6), 5, 1, 20, (1.0, 0.5, 0.5, 0.3))
    found = of(values, folds=5)
    assert math.isnan(found.seed)
    # What runs differ by is all the folds'; the same as if they were seeds.
    assert found.fold == pytest.approx(of(values).seed)
    single = of(values[:1])
    assert single.patient == pytest.approx(values[0].var(ddof=1))
    assert [math.isnan(x) for x in (single.seed, single.fold, single.residual)] == [True] * 3
    assert single.shares["patient"] == 1.0


def test_differences_are_free_of_what_both_find_hard() -> None:
    rng = np.random.default_rng(7)
    hard = rng.normal(0, 5, 20)
    values = np.stack([hard + rng.normal(0, 0.1, (6, 20)) for _ in range(2)])
    runs = run_values(values, folds=2)
    own, gap = variance_components(runs)["e0"], difference_components(runs, "e0", "e1")
    assert own.patient == pytest.approx(25, rel=0.5)
    assert gap.patient < 0.01
    assert gap == variance_components(run_values((values[0] - values[1])[None], folds=2))["e0"]


def test_nothing_varies_and_nothing_there() -> None:
    still = of(np.full((4, 5), 0.7))
    assert (still.patient, still.seed, still.residual) == (0, 0, 0)
    assert all(math.isnan(share) for share in still.shares.values())
    empty = of(np.full((4, 5), np.nan))
    assert math.isnan(empty.total)
    assert (empty.n_patients, empty.n_runs) == (0, 0)


def test_runs_without_values_do_not_count() -> None:
    values = np.vstack([RATINGS, np.full((2, 6), np.nan)])
    found = of(values)
    assert found == of(RATINGS)


def test_an_unknown_entry() -> None:
    with pytest.raises(ValueError, match="no entry 'x'; there are e0"):
        difference_components(run_values(RATINGS[None]), "e0", "x")
