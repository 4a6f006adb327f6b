"""Power of paired comparisons: statsmodels as oracle, exact cases, and what few patients cannot find."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.power import TTestPower

from bench.stats.paired import holm_level
from bench.stats.power import (
    EFFICIENCY,
    minimum_detectable_difference,
    power_of,
)
from bench.stats.signed_rank import attained_level


@pytest.mark.parametrize("n", [10, 20, 50, 100, 700])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_agrees_with_statsmodels_at_the_level_that_is_attained(n: int, alpha: float) -> None:
    peer = TTestPower().solve_power(nobs=EFFICIENCY * n, alpha=attained_level(n, alpha), power=0.8)
    assert minimum_detectable_difference(1.0, n, alpha) == pytest.approx(peer, rel=5e-5)
    assert power_of(peer, 1.0, n, alpha) == pytest.approx(0.8, abs=1e-5)


def test_six_patients_must_all_agree() -> None:
    # Below 0.05 only if all six differences have one sign.
    assert power_of(1.5, 1.0, 6) == pytest.approx(norm.cdf(1.5) ** 6 + norm.cdf(-1.5) ** 6)
    found = minimum_detectable_difference(2.0, 6)
    assert norm.cdf(found / 2) ** 6 == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("n", "alpha"), [(0, 0.05), (1, 0.05), (5, 0.05), (6, 2 / 64), (8, 0.005)])
def test_too_few_patients_detect_nothing(n: int, alpha: float) -> None:
    assert math.isinf(minimum_detectable_difference(0.1, n, alpha))
    assert power_of(100.0, 0.1, n, alpha) == 0.0


def test_an_equal_entry_is_called_different_at_the_level() -> None:
    assert power_of(0.0, 1.0, 60) == pytest.approx(0.05)
    assert power_of(0.0, 1.0, 8) == pytest.approx(10 / 256)


@settings(max_examples=60, deadline=None)
@given(st.integers(12, 3000), st.floats(0.01, 10), st.sampled_from([0.05, 0.01, 0.05 / 39]))
def test_the_two_questions_agree(n: int, sd: float, alpha: float) -> None:
    difference = minimum_detectable_difference(sd, n, alpha)
    assert power_of(difference, sd, n, alpha) == pytest.approx(0.8, abs=1e-9)
    assert power_of(-difference, sd, n, alpha) == pytest.approx(0.8, abs=1e-9)


def test_more_of_anything_detects_less() -> None:
    found = [minimum_detectable_difference(0.1, n) for n in (6, 10, 20, 100, 10_000, 1_000_000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.1 * (1.959964 + 0.841621) / math.sqrt(EFFICIENCY * 1e6), rel=1e-5)
    assert minimum_detectable_difference(0.1, 20, power=0.9) > found[2]
    assert minimum_detectable_difference(0.1, 20, holm_level(10)) > found[2]


def test_differences_without_spread() -> None:
    assert minimum_detectable_difference(0.0, 10) == 0.0
    assert (power_of(0.1, 0.0, 10), power_of(0.0, 0.0, 10)) == (1.0, 0.0)
    # Five patients find nothing, whatever their spread.
    assert math.isinf(minimum_detectable_difference(0.0, 5))


def test_nan_stays_nan() -> None:
    nan = math.nan
    assert math.isnan(minimum_detectable_difference(nan, 10))
    assert math.isnan(power_of(0.1, nan, 10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_sd": -1.0}, "d_sd must not be negative"),
        ({"alpha": 0.0}, "alpha within 0..1"),
        ({"power": 0.04}, r"power must be within alpha..1, got 0.04"),
        ({"power": 1.0}, "power must be within"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        minimum_detectable_difference(**{"d_sd": 1.0, "n": 20, **options})  # type: ignore[arg-type]


def test_the_power_is_a_probability_that_rises() -> None:
    for n in (6, 9, 30, 400, 9000, 200_000):
        for alpha in (0.05, 0.001, 0.05 / 780):
            found = [power_of(effect, 1.0, n, alpha) for effect in np.geomspace(1e-4, 1e4, 40)]
            assert np.isfinite(found).all()
            assert all(b >= a - 1e-12 for a, b in pairwise(found))
            assert 0 <= found[0] <= found[-1] <= 1 + 1e-12
