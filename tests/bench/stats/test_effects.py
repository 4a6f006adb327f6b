"""Effect sizes: known answers, brute force as oracle, and a simulation of coverage."""

import math

import numpy as np
import pandas as pd
import pytest

from bench.stats.effects import Effect, Size, effects, wilson
from bench.stats.intervals import mean_intervals, median_intervals


def effect(d: object, sign: int = 1) -> Effect:
    """Returns the effect of one row of differences."""
    return effects(table(a=np.asarray(d, float)), sign, np.random.default_rng(0), 99)["a"]


def rank_biserial(d: object) -> Size:
    return effect(d).rank_biserial


def table(**rows: object) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis(index="entry").rename_axis(columns="patient").astype(float)


def walsh(d: np.ndarray) -> float:
    """The share of pairs of patients, each with himself too, whose sum is positive, minus negative ones'."""
    signs = np.sign(d[:, None] + d[None, :])[np.triu_indices(len(d))]
    return float(signs.mean())


def test_king_and_minium() -> None:
    # Their ten pairs have T = 10, the smaller of the sums of ranks: r = 45 / 55 - 10 / 55 (Kerby 2014).
    d = np.arange(1.0, 11) * np.where(np.isin(np.arange(1, 11), (1, 2, 3, 4)), -1, 1)
    assert rank_biserial(d).value == pytest.approx(35 / 55)


@pytest.mark.parametrize("seed", range(5))
def test_is_the_share_of_positive_pairs(seed: int) -> None:
    d = np.random.default_rng(seed).normal(0.3, 1, 15)
    assert rank_biserial(d).value == pytest.approx(walsh(d))


def test_zeros_and_ties_count_for_neither_side() -> None:
    assert rank_biserial([0, 0, 0, 0]).value == 0
    # Ranks 1.5, 1.5, 3.5, 3.5.
    assert rank_biserial([0, 0, 1, -1]).value == 0
    assert rank_biserial([0, 0, 1, 1]).value == pytest.approx(0.7)
    assert rank_biserial([2e-9, -1e-9, 2, 2]).value == pytest.approx(0.7)


def test_interval_is_as_wide_as_the_jackknife_says() -> None:
    d = np.random.default_rng(3).normal(0.6, 1, 14)
    above = d[:, None] + d[None, :] > 0
    others = (above.sum(axis=1) - np.diag(above)) / 13
    share = (1 + walsh(d)) / 2
    size = share * (1 - share) / (4 * others.var(ddof=1) / 14)
    assert 7 < size < 14
    found = rank_biserial(d)
    assert ((1 + found.low) / 2, (1 + found.high) / 2) == pytest.approx(wilson(share, size))


def test_unanimous_patients_are_not_certainty() -> None:
    found = rank_biserial(np.arange(1.0, 21))
    assert (found.value, found.high) == (1, 1)
    assert 0.4 < found.low < 0.5
    few = effect([1.0] * 6).improvement
    assert few.value == 1
    assert few.low == pytest.approx(6 / (6 + 1.96**2), abs=1e-3)


def test_mirror() -> None:
    d = np.random.default_rng(0).normal(0.5, 1, 12)
    one, other = rank_biserial(d), rank_biserial(-d)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_in_newcombe_1998(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


def test_improvement_counts_ties_half() -> None:
    assert effect([2, -1, 0, math.nan]).improvement.value == 0.5
    assert effect([0.1, 0, 0.2, 0.1]).improvement.value == pytest.approx(3.5 / 4)
    assert math.isnan(effect([math.nan]).improvement.value)
    one = effect([1]).improvement
    assert one.value == 1
    assert math.isnan(one.low)


def test_what_is_no_patient_is_refused() -> None:
    slices = table(a=[1.0, 2.0]).set_axis(pd.Index(["p1", "p1"], name="patient"), axis=1)
    with pytest.raises(ValueError, match="patient p1 comes several times"):
        effects(slices, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"sign must be 1 .* or -1, got 0"):
        effect([1.0, 2.0], sign=0)


def test_effects_of_a_table() -> None:
    rng = np.random.default_rng(0)
    best = rng.normal(0.8, 0.1, 25)
    values = table(best=best, worse=best - 0.02 - 0.01 * rng.random(25), other=best + rng.normal(0, 0.1, 25))
    values.loc["other", 3] = math.nan
    gaps = values.loc[["worse", "other"]] - values.loc["best"]
    found = effects(gaps, 1, np.random.default_rng(1), resamples=999)
    assert list(found) == ["worse", "other"]
    assert (found["worse"].n, found["other"].n) == (25, 24)
    means = mean_intervals(gaps, np.random.default_rng(1), resamples=999)
    medians = median_intervals(gaps)
    assert (found["other"].mean.value, found["other"].mean.low) == (means.mean[1], means.low[1])
    assert (found["other"].median.value, found["other"].median.high) == (medians.mean[1], medians.high[1])
    assert found["worse"].rank_biserial.value == -1
    assert found["worse"].improvement.value == 0
    # Of a distance, lower is better; differences keep their sign.
    distance = effects(gaps, -1, np.random.default_rng(1), resamples=999)["worse"]
    assert (distance.rank_biserial.value, distance.improvement.value) == (1, 1)
    assert distance.mean == found["worse"].mean


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 20, 50])
@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0])
def test_coverage(n: int, shift: float) -> None:
    from scipy.special import ndtr

    rng, times, hits = np.random.default_rng(0), 1500, np.zeros(2)
    truth = 2 * ndtr(shift * np.sqrt(2)) - 1, ndtr(shift)
    for _ in range(times):
        d = rng.normal(shift, 1, n)
        found = effect(d)
        sizes = found.rank_biserial, found.improvement
        hits += [size.low <= true <= size.high for size, true in zip(sizes, truth, strict=True)]
    # A share of ten patients has eleven values: coverage goes up and down around 95%.
    assert ((hits / times >= 0.9) & (hits / times <= 0.995)).all(), hits / times
