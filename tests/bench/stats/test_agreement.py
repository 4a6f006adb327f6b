"""Bias and limits of agreement against what Bland and Altman published."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.agreement import LEAST_PAIRS, bland_altman

# Bland, Altman (1986), table 1: peak expiratory flow rate in l/min of 17 subjects, first measurement with the Wright
# peak flow meter and with the mini meter.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

values = st.floats(-1e3, 1e3)
pairs = st.lists(st.tuples(values, values), min_size=LEAST_PAIRS, max_size=30)


def test_the_published_bias_and_spread() -> None:
    found = bland_altman(MINI, WRIGHT)
    assert found.n == 17
    assert found.can_tell
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # The paper takes 2 for 1.96: -79.7 and 75.5 l/min.
    assert found.bias - 2 * found.sd == pytest.approx(-79.7, abs=0.1)
    assert found.bias + 2 * found.sd == pytest.approx(75.5, abs=0.1)
    assert (found.low, found.high) == (pytest.approx(-78.1, abs=0.05), pytest.approx(73.9, abs=0.05))


def test_the_published_intervals() -> None:
    found = bland_altman(MINI, WRIGHT)
    assert found.bias_interval == pytest.approx((-22.0, 17.8), abs=0.1)
    # The paper has -114.3 to -45.1 and 40.9 to 110.1, with 2 SD and sqrt(3 s^2 / n): half-width 34.6.
    widths = [np.subtract(high, low) / 2 for low, high in (found.low_interval, found.high_interval)]
    assert widths == pytest.approx([34.6, 34.6], abs=0.3)
    assert np.mean(found.low_interval) == pytest.approx(found.low)
    assert np.mean(found.high_interval) == pytest.approx(found.high)


def test_the_interval_of_the_bias_is_that_of_a_paired_t_test() -> None:
    theirs = stats.ttest_rel(WRIGHT, MINI).confidence_interval(0.9)
    assert bland_altman(MINI, WRIGHT, level=0.9).bias_interval == pytest.approx((theirs.low, theirs.high))


def test_intervals_of_the_limits_cover_what_they_say() -> None:
    """Of samples of 50 normal differences, about 95% give an interval that holds the true limit."""
    rng = np.random.default_rng(0)
    truth = 1.0 - 1.959964 * 2.0
    found = [bland_altman(np.zeros(50), rng.normal(1.0, 2.0, 50)).low_interval for _ in range(2000)]
    assert np.mean([low <= truth <= high for low, high in found]) == pytest.approx(0.95, abs=0.015)


# Differences of three pairs over two runs each: means 2, 4 and 9, variances within 2, 8 and 2.
RUNS = np.array([[1.0, 3.0], [2.0, 6.0], [8.0, 10.0]])


def test_limits_of_means_over_runs_are_those_of_a_single_run() -> None:
    found = bland_altman(np.zeros(3), RUNS.mean(axis=1), runs=[2, 2, 2], within=RUNS.var(axis=1, ddof=1))
    means = bland_altman(np.zeros(3), RUNS.mean(axis=1))
    # var(2, 4, 9) = 13; half of the mean variance within, 4, comes on top.
    assert (means.sd**2, found.sd**2) == pytest.approx((13, 13 + 0.5 * 4))
    assert (found.bias, found.bias_interval) == (means.bias, means.bias_interval)
    assert found.high == pytest.approx(5 + 1.959964 * math.sqrt(15))
    # Var(s) = (2 * 13^2 / 2 + 2 * 2^2 / 3) / (4 * 15); t with two degrees of freedom.
    variance = 13 / 3 + 1.959964**2 * (2 * 13**2 / 2 + 2 * 2**2 / 3) / 60
    assert (found.high_interval[1] - found.high) == pytest.approx(4.302653 * math.sqrt(variance))


def test_unequal_runs_count_by_their_harmonic_mean() -> None:
    found = bland_altman(np.zeros(3), [2, 4, 9], runs=[1, 2, 4], within=[math.nan, 8.0, 2.0])
    # k: 3 / (1 + 1/2 + 1/4) = 12/7; within, by degrees of freedom: (1 * 8 + 3 * 2) / 4.
    assert found.sd**2 == pytest.approx(13 + (1 - 7 / 12) * 3.5)


def test_one_run_is_the_plain_case_and_runs_that_agree_add_nothing() -> None:
    plain = bland_altman(MINI, WRIGHT)
    assert bland_altman(MINI, WRIGHT, runs=np.ones(17), within=np.full(17, math.nan)) == plain
    same = bland_altman(MINI, WRIGHT, runs=np.full(17, 3), within=np.zeros(17))
    assert same.high_interval == pytest.approx(plain.high_interval)
    exact = bland_altman(MINI, MINI, runs=np.full(17, 3), within=np.zeros(17))
    assert exact.high_interval == (0, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"runs": [2, 2, 2]}, "belong together"),
        ({"runs": [2, 2], "within": [1, 1]}, "a value for each of 3 pairs"),
        ({"runs": [0, 2, 2], "within": [1, 1, 1]}, "runs at least 1"),
    ],
)
def test_runs_that_cannot_be_are_refused(given: dict[str, list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bland_altman([1, 2, 3], [1, 2, 4], **given)


def test_too_few_pairs_have_a_bias_and_no_limits() -> None:
    assert math.isnan(bland_altman([], []).bias)
    found = bland_altman([1.0, 2.0], [2.0, 5.0])
    assert (found.n, found.bias) == (2, 2.0)
    assert not found.can_tell
    assert all(math.isnan(value) for value in (found.sd, found.low, found.high, *found.bias_interval))


def test_perfect_agreement_has_no_width() -> None:
    found = bland_altman(WRIGHT, WRIGHT)
    assert (found.bias, found.sd, found.low, found.high) == (0, 0, 0, 0)
    assert found.bias_interval == found.low_interval == (0, 0)


@given(pairs)
def test_which_is_the_reference_only_turns_the_sign(drawn: list[tuple[float, float]]) -> None:
    reference, measured = zip(*drawn, strict=True)
    one, other = bland_altman(reference, measured), bland_altman(measured, reference)
    assert one.bias == pytest.approx(-other.bias)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.low_interval == pytest.approx(tuple(-end for end in reversed(other.high_interval)))


@given(pairs, values, st.floats(0.1, 10))
def test_a_common_shift_changes_nothing_and_a_unit_scales(
    drawn: list[tuple[float, float]], shift: float, scale: float
) -> None:
    reference, measured = np.array(drawn).T
    base = bland_altman(reference, measured)
    moved = bland_altman(scale * (reference + shift), scale * (measured + shift))
    assert (moved.bias, moved.sd) == pytest.approx((scale * base.bias, scale * base.sd), rel=1e-6, abs=1e-6)
    assert moved.high == pytest.approx(scale * base.high, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("reference", "measured", "level", "message"),
    [
        ([1, 2], [1, 2, 3], 0.95, r"equal length, got shapes \(2,\) and \(3,\)"),
        ([[1, 2]], [[1, 2]], 0.95, "must be lists of equal length"),
        ([1, 2, math.nan], [1, 2, 3], 0.95, "must be finite"),
        ([1, 2, 3], [1, 2, math.inf], 0.95, "must be finite"),
        ([1, 2, 3], [1, 2, 3], 95, r"level must be within 0\.\.1, got 95"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    reference: list[float], measured: list[float], level: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bland_altman(reference, measured, level)
