"""The interval of a mean that is corrected for skewness."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import skew, t

from bench.stats.signed_rank import signed_rank_p
from bench.stats.skewed import skewed_interval


@pytest.mark.parametrize("level", [0.95, 0.9975])
def test_without_skewness_it_is_student_s(level: float) -> None:
    d = np.array([-3.0, -1.0, 0.0, 1.0, 3.0]) + 0.5
    half = t.ppf((1 + level) / 2, 4) * d.std(ddof=1) / math.sqrt(5)
    assert skewed_interval(d, level) == pytest.approx((0.5 - half, 0.5 + half))


@pytest.mark.parametrize("level", [0.9, 0.95, 0.9975])
def test_its_ends_are_where_hall_s_cubic_meets_the_quantiles(level: float) -> None:
    d = np.random.default_rng(0).exponential(1, 25)
    mean, error, slant = d.mean(), d.std(ddof=1) / 5, skew(d, bias=False) / 5
    quantile = t.ppf((1 + level) / 2, 24)

    def cubic(truth: float) -> float:
        x = (mean - truth) / error
        return float(x + slant * x**2 / 3 + slant**2 * x**3 / 27 + slant / 6)

    low = brentq(lambda truth: cubic(truth) - quantile, mean - 50, mean + 50)
    high = brentq(lambda truth: cubic(truth) + quantile, mean - 50, mean + 50)
    assert skewed_interval(d, level) == pytest.approx((low, high))
    # The long tail may hold more than was seen of it.
    assert high - mean > mean - low


def test_it_turns_with_its_values() -> None:
    d = np.random.default_rng(1).lognormal(0, 1, 12)
    low, high = skewed_interval(d, 0.95)
    assert skewed_interval(-d, 0.95) == pytest.approx((-high, -low))
    assert skewed_interval(3 * d + 2, 0.95) == pytest.approx((3 * low + 2, 3 * high + 2))


def test_values_that_tell_little() -> None:
    assert all(map(math.isnan, skewed_interval(np.array([1.0]), 0.95)))
    assert skewed_interval(np.full(7, 0.25), 0.95) == (0.25, 0.25)
    low, high = skewed_interval(np.array([0.0, 1.0]), 0.95)
    assert (low + high) / 2 == pytest.approx(0.5)
    with pytest.raises(ValueError, match="level must be within"):
        skewed_interval(np.arange(3.0), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("comparisons", [1, 20])
@pytest.mark.parametrize(("kind", "times"), [("normal", 1.5), ("exponential", 4), ("lognormal", 9)])
def test_how_often_a_mean_is_said_to_lie_beyond_its_true_value(
    kind: str, times: float, comparisons: int
) -> None:
    """On one side, of 30 values: so many times the nominal share at most; together with the test, too."""
    rng, alone, together, size = np.random.default_rng(2), 0, 0, 6000
    tail = 0.025 / comparisons
    for _ in range(size):
        d = {
            "normal": lambda: rng.normal(0, 1, 30),
            "exponential": lambda: rng.exponential(1, 30) - 1,
            "lognormal": lambda: rng.lognormal(0, 1, 30) - math.exp(0.5),
        }[kind]()
        beyond = skewed_interval(d, 1 - 2 * tail)[1] < 0
        alone += beyond
        together += beyond and signed_rank_p(d, "less") < tail
    assert alone / size < times * tail + 2 * math.sqrt(times * tail / size)
    assert together <= alone
