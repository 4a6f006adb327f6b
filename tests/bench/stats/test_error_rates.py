"""Simulations: false alarms of every test at a nominal 5%, and power as it is said.

Frequencies of 4,000 samples scatter by 0.0035 around 0.05. Exact tests of few values know few p-values and stay
below.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bench.stats.aggregate import RunValues
from bench.stats.bayes import correlated_t, signed_rank_rope
from bench.stats.friedman import friedman, nemenyi
from bench.stats.paired import compare, holm, holm_level, significance_map
from bench.stats.permutation import sign_flip_p
from bench.stats.power import minimum_detectable_difference, power_of
from bench.stats.signed_rank import signed_rank_rows

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
SYMMETRIC: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "laplace": lambda rng, shape: rng.laplace(0, 1, shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape),
    "mostly zero": lambda rng, shape: np.round(rng.normal(0, 0.5, shape)),
    "two scales": lambda rng, shape: rng.normal(0, 1, shape) * np.where(np.arange(shape[1]) % 4, 0.01, 1.0),
}


def table(values: np.ndarray, unit: str = "patient") -> pd.DataFrame:
    return pd.DataFrame(
        values,
        index=pd.Index([f"e{i}" for i in range(len(values))], name="entry"),
        columns=pd.Index([f"u{i}" for i in range(values.shape[1])], name=unit),
    )


def by_patient(d: np.ndarray) -> pd.Series:
    return pd.Series(d, index=pd.RangeIndex(len(d), name="patient"))


@pytest.mark.slow
@pytest.mark.parametrize("draw", SYMMETRIC)
@pytest.mark.parametrize("n", [6, 8, 12, 20, 50, 51, 200])
def test_signed_rank(n: int, draw: str) -> None:
    d = SYMMETRIC[draw](np.random.default_rng(n), (8000, n))
    assert (signed_rank_rows(d) < 0.05).mean() <= 0.056
    for side in ("greater", "less"):
        assert (signed_rank_rows(d, side) < 0.05).mean() <= 0.056
    if n >= 12 and draw != "mostly zero":
        assert (signed_rank_rows(d) < 0.05).mean() >= 0.038


@pytest.mark.slow
@pytest.mark.parametrize(("n", "skewed"), [(8, False), (12, False), (30, False), (100, True)])
def test_sign_flips(n: int, skewed: bool) -> None:
    """Of many patients the mean's test holds its level under skew, too."""
    rng = np.random.default_rng(n)
    draws = rng.exponential(1, (2000, n)) - 1 if skewed else rng.laplace(0, 1, (2000, n))
    alarms = np.mean([sign_flip_p(by_patient(d), rng, flips=499) < 0.05 for d in draws])
    assert 0.025 <= alarms <= (0.075 if skewed else 0.06)


def test_under_skew_the_signed_rank_test_asks_another_question_than_the_mean() -> None:
    """Exponential differences with mean zero: most are negative, and the more patients the surer it is."""
    rng = np.random.default_rng(0)
    alarms = [(signed_rank_rows(rng.exponential(1, (400, n)) - 1) < 0.05).mean() for n in (12, 100, 300)]
    assert alarms == pytest.approx([0.1, 0.38, 0.8], abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "n"), [(3, 3), (3, 4), (3, 5), (4, 5), (4, 14), (5, 3), (8, 3), (10, 5), (20, 30)]
)
def test_friedman_and_nemenyi(k: int, n: int) -> None:
    """Exact where units are few; by F not far above."""
    rng = np.random.default_rng(k * n)
    found = [friedman(table(rng.random((k, n)), "task"), 1) for _ in range(1200)]
    alarms = np.mean([one.f_p < 0.05 for one in found])
    assert 0.02 <= alarms <= (0.06 if found[0].exact else 0.075)
    # Demsar's chi-squared statistic is too careful, never too bold by much.
    assert np.mean([one.p < 0.05 for one in found]) <= 0.085
    family = np.mean([np.ptp(one.mean_ranks) > one.critical_difference for one in found])
    assert family <= 0.06
    few = found[:200]
    assert [(nemenyi(one) < 0.05).any().any() for one in few] == [
        np.ptp(one.mean_ranks) > one.critical_difference for one in few
    ]


@pytest.mark.slow
def test_f_alone_would_raise_false_alarms_of_few_tasks() -> None:
    from scipy.stats import f

    rng = np.random.default_rng(0)
    found = [friedman(table(rng.random((3, 3)), "task"), 1) for _ in range(2000)]
    assert np.mean([f.sf(one.f, 2, 4) < 0.05 for one in found]) == pytest.approx(0.19, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("k", "n"), [(4, 12), (8, 20), (4, 100)])
def test_families(k: int, n: int) -> None:
    """Of entries that are all equal, at most 5% of leaderboards and maps show a difference."""
    rng = np.random.default_rng(k * n)
    maps, boards = [], []
    for _ in range(1000):
        values = table(rng.normal(0, 2, n) + rng.laplace(0, 1, (k, n)))
        maps.append((significance_map(values, 1) < 0.05).any().any())
        boards.append(min(holm([compare(values, name, "e0").p for name in values.index[1:]])) < 0.05)
    assert np.mean(maps) <= 0.065
    assert np.mean(boards) <= 0.065


@pytest.mark.slow
@pytest.mark.parametrize(("k", "alarms"), [(2, 0.05), (5, 0.09), (10, 0.13), (20, 0.21)])
def test_the_best_is_chosen_by_the_same_data(k: int, alarms: float) -> None:
    """Of equal entries, Holm over the comparisons with the best alone calls one worse too often; over all pairs not.

    Who is best in truth stays among the best even so.
    """
    rng = np.random.default_rng(k)
    alone, pairs, excluded = [], [], []
    for _ in range(2000):
        values = rng.normal(0, 1, (k, 40))
        best = int(values.mean(axis=1).argmax())
        others = [i for i in range(k) if i != best]
        raw = list(signed_rank_rows(values[best] - values[others]))
        corrected = holm(raw)
        alone.append(min(corrected) < 0.05)
        pairs.append(min(holm(raw, family=k * (k - 1) // 2)) < 0.05)
        excluded.append(best != 0 and corrected[others.index(0)] < 0.05)
    assert np.mean(alone) == pytest.approx(alarms, abs=0.03)
    assert np.mean(pairs) <= 0.06
    assert np.mean(excluded) <= 0.035


@pytest.mark.slow
def test_correlated_t_of_correlated_folds() -> None:
    """Folds that correlate by 1/5, as their shared training patients make them."""
    rng = np.random.default_rng(0)
    names, seeds = tuple(f"p{i}" for i in range(5)), tuple((fold, 0) for fold in range(5))
    alarms, naive = [], []
    for _ in range(3000):
        d = np.sqrt(0.2) * rng.normal() + np.sqrt(0.8) * rng.normal(0, 1, 5)
        values = np.where(np.eye(5, dtype=bool), np.stack([np.diag(d), np.zeros((5, 5))]), np.nan)
        found = correlated_t(RunValues(("a", "b"), seeds, names, values), "a", "b", 0.0)
        alarms.append(max(found.better, found.worse) > 0.975)
        naive.append(abs(d.mean()) / np.sqrt(d.var(ddof=1) / 5) > 2.776)
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.012)
    assert np.mean(naive) > 0.13


@pytest.mark.slow
def test_equivalence_is_rarely_claimed_of_entries_that_differ() -> None:
    """A difference at the rope's edge. Posterior probabilities are no error rates: above 95% for better in 9%."""
    rng = np.random.default_rng(0)
    found = [
        signed_rank_rope(by_patient(rng.normal(0.01, 0.02, 20)), 0.01, rng, draws=1000) for _ in range(1500)
    ]
    assert np.mean([one.equivalent > 0.95 for one in found]) <= 0.07
    assert np.mean([one.better > 0.95 for one in found]) == pytest.approx(0.09, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 10, 15, 30, 60, 200])
@pytest.mark.parametrize("alpha", [0.05, holm_level(10)])
def test_power_of_normal_differences(n: int, alpha: float) -> None:
    detectable = minimum_detectable_difference(1.0, n, alpha)
    if np.isinf(detectable):
        assert power_of(5.0, 1.0, n, alpha) == 0
        return
    rng = np.random.default_rng(n)
    assert (signed_rank_rows(rng.normal(detectable, 1, (6000, n))) < alpha).mean() == pytest.approx(
        0.8, abs=0.055
    )
    # Heavy tails are found more easily, never less.
    heavy = rng.laplace(detectable, np.sqrt(0.5), (6000, n))
    assert (signed_rank_rows(heavy) < alpha).mean() >= (0.66 if n <= 10 else 0.77)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "alarms"), [(1, 0.48), (5, 0.21), (50, 0.07)])
def test_patients_alone_say_nothing_about_other_seeds(seeds: int, alarms: float) -> None:
    """Equal methods whose trained networks differ: the test over patients is right about the networks only."""
    rng = np.random.default_rng(seeds)
    d = np.stack([
        rng.normal(0, 1, 100) + (rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 0.5, (seeds, 100))).mean(axis=0)
        for _ in range(2000)
    ])  # fmt: skip
    assert (signed_rank_rows(d) < 0.05).mean() == pytest.approx(alarms, abs=0.04)
