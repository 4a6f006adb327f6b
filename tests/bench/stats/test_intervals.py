"""Bootstrap intervals of means and medians: scipy as oracle, properties, and simulations of coverage."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, bootstrap

from bench.stats.intervals import mean_intervals, median_intervals


def table(values: object) -> pd.DataFrame:
    array = np.atleast_2d(np.asarray(values, float))
    return pd.DataFrame(
        array,
        index=pd.Index([f"e{i}" for i in range(len(array))], name="entry"),
        columns=pd.Index([f"p{i}" for i in range(array.shape[1])], name="patient"),
    )


@pytest.mark.parametrize("size", [8, 20, 60])
def test_agrees_with_scipy_on_skewed_data(size: int) -> None:
    data = np.random.default_rng(size).beta(8, 1.5, size)
    ours = mean_intervals(table(data), np.random.default_rng(1), resamples=60_000)
    peer = bootstrap((data,), np.mean, n_resamples=60_000, method="BCa", rng=np.random.default_rng(2))
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert ours.method == ("bca",)
    assert ours.mean[0] == pytest.approx(data.mean())
    assert ours.low[0] == pytest.approx(peer.confidence_interval.low, abs=0.02 * width)
    assert ours.high[0] == pytest.approx(peer.confidence_interval.high, abs=0.02 * width)


def test_bca_leans_where_the_data_lean() -> None:
    data = 1 - np.random.default_rng(0).exponential(0.1, 15)
    ours = mean_intervals(table(data), np.random.default_rng(1))
    assert ours.mean[0] - ours.low[0] > ours.high[0] - ours.mean[0]


def test_equal_values_give_a_point_and_say_percentile() -> None:
    ours = mean_intervals(table([0.1] * 7), np.random.default_rng(0))
    assert ours.method == ("percentile",)
    assert ours.low[0] == ours.high[0] == ours.mean[0] == pytest.approx(0.1)


def test_one_patient_has_no_interval() -> None:
    ours = mean_intervals(table([0.9]), np.random.default_rng(0))
    assert ours.method == ("none",)
    assert np.isnan(ours.low[0])
    assert ours.mean[0] == pytest.approx(0.9)


def test_nan_is_left_out() -> None:
    full = np.random.default_rng(0).random(12)
    holes = np.concatenate([full, [np.nan] * 4])
    ours = mean_intervals(table(holes), np.random.default_rng(1), resamples=40_000)
    plain = mean_intervals(table(full), np.random.default_rng(2), resamples=40_000)
    assert ours.mean[0] == pytest.approx(full.mean())
    # Fewer of the twelve may be drawn, and more: a little wider, not another interval.
    assert ours.low[0] == pytest.approx(plain.low[0], abs=0.03)
    assert ours.high[0] == pytest.approx(plain.high[0], abs=0.03)
    nothing = mean_intervals(table([[np.nan] * 3]), np.random.default_rng(1))
    assert np.isnan(nothing.mean[0])
    assert np.isnan(nothing.high[0])


def test_all_rows_see_the_same_patients() -> None:
    first = np.random.default_rng(0).random(15)
    ours = mean_intervals(table([first, first + 0.25, -first]), np.random.default_rng(1), resamples=999)
    assert ours.low[1] - ours.low[0] == pytest.approx(0.25)
    assert ours.high[1] - ours.high[0] == pytest.approx(0.25)
    # The difference of two entries that move together has no spread, though each of them has.
    gap = mean_intervals(table([first + 0.25 - first]), np.random.default_rng(1), resamples=999)
    assert gap.high[0] - gap.low[0] == pytest.approx(0, abs=1e-12)


def test_same_generator_state_same_interval_whatever_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(np.random.default_rng(0).random((2, 10)))
    once = mean_intervals(data, np.random.default_rng(3), resamples=500)
    again = mean_intervals(data, np.random.default_rng(3), resamples=500)
    np.testing.assert_array_equal(once.low, again.low)
    monkeypatch.setattr("bench.stats.resample.CHUNK", 70)
    pieces = mean_intervals(data, np.random.default_rng(3), resamples=500)
    np.testing.assert_allclose(pieces.low, once.low, rtol=1e-12)


@pytest.mark.parametrize(("resamples", "level"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_bad_arguments(resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="resamples must be at least 1, level within"):
        mean_intervals(table([1, 2]), np.random.default_rng(0), resamples, level)


def test_no_patients() -> None:
    with pytest.raises(ValueError, match="at least one patient"):
        mean_intervals(table(np.empty((1, 0))), np.random.default_rng(0))


@pytest.mark.parametrize("size", [7, 20, 61])
def test_median_agrees_with_scipy(size: int) -> None:
    data = np.random.default_rng(size).beta(8, 1.5, size)
    ours = median_intervals(table([data, -data]))
    rng = np.random.default_rng(1)
    peer = bootstrap((data,), np.median, n_resamples=20_000, method="percentile", rng=rng).confidence_interval
    # What is drawn may end at a neighbouring value.
    near = np.diff(np.sort(data)).max()
    assert ours.method == ("percentile", "percentile")
    assert ours.mean[0] == pytest.approx(np.median(data))
    assert (ours.low[0], ours.high[0]) == pytest.approx((peer.low, peer.high), abs=near)
    assert (ours.low[1], ours.high[1]) == pytest.approx((-ours.high[0], -ours.low[0]), abs=near)


def test_median_of_few_and_of_none() -> None:
    ours = median_intervals(table([[3.0, np.nan, np.nan], [1.0, 2.0, np.nan], [np.nan] * 3, [0.1, 0.1, 0.1]]))
    assert ours.method == ("none", "percentile", "none", "percentile")
    np.testing.assert_allclose(ours.mean, [3, 1.5, np.nan, 0.1])
    np.testing.assert_allclose(ours.low, [np.nan, 1, np.nan, 0.1])
    np.testing.assert_allclose(ours.high, [np.nan, 2, np.nan, 0.1])
    assert not len(median_intervals(table(np.empty((0, 4)))).mean)


def test_median_takes_patients_only() -> None:
    with pytest.raises(ValueError, match="at least one patient"):
        median_intervals(table(np.empty((1, 0))))
    slices = table([[1.0, 2.0]])
    slices.columns = slices.columns[[0, 0]]
    with pytest.raises(ValueError, match="patient p0 comes several times"):
        median_intervals(slices)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 30, 31, 100])
def test_coverage_of_the_median(n: int) -> None:
    rng, runs = np.random.default_rng(0), 4000
    found = median_intervals(
        pd.DataFrame(rng.beta(8, 1.5, (runs, n))).rename_axis(index="entry", columns="patient")
    )
    truth = beta.median(8, 1.5)
    assert 0.93 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.98


@pytest.mark.slow
def test_coverage_is_near_what_it_claims() -> None:
    rng, truth, runs, hits = np.random.default_rng(0), 8 / 9.5, 2000, 0
    for _ in range(runs):
        interval = mean_intervals(table(rng.beta(8, 1.5, 30)), rng, resamples=999)
        hits += bool(interval.low[0] <= truth <= interval.high[0])
    # 30 patients of a skewed distribution: BCa is known to fall one or two points short of 95%.
    assert 0.92 <= hits / runs <= 0.965
