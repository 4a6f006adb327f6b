"""The signed-rank test: known answers of papers, scipy and R, and scipy as oracle."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import PermutationMethod, wilcoxon

from bench.stats.paired import smallest_p
from bench.stats.signed_rank import (
    ALTERNATIVES,
    Alternative,
    attained_level,
    nonzero_ranks,
    round_differences,
    signed_rank_p,
    signed_rank_rows,
)

# Height differences of cross- and self-fertilised corn, Darwin 1876; the example of scipy's documentation.
DARWIN = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], float)
# Depression scale before and after therapy, Hollander, Wolfe 1973, p. 29; the example of R's wilcox.test.
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
# C4.5 with tuned m minus C4.5 on 14 data sets, Demsar 2006, table 2.
DEMSAR = [0.005, -0.008, 0.017, 0.033, 0.006, -0.005, 0.007, 0, 0.063, 0, 0.022, 0.047, 0.009, 0.021]


def test_darwin() -> None:
    assert signed_rank_p(DARWIN) == pytest.approx(0.041259765625, abs=1e-12)
    assert signed_rank_p(DARWIN, "greater") == pytest.approx(0.0206298828125, abs=1e-12)


def test_depression_scale_of_r() -> None:
    d = BEFORE - AFTER
    assert signed_rank_p(d, "greater") == pytest.approx(0.01953, abs=5e-6)
    ranks = nonzero_ranks(np.round(d, 6)[None])[0]
    assert ranks[d > 0].sum() == 40


def test_demsar_s_ranks() -> None:
    d = np.array(DEMSAR)
    ranks = nonzero_ranks(d[None])[0]
    # The paper splits the ranks of the two zeros, 1.5 each, between the sides: R+ = 93, R- = 12.
    assert (ranks[d > 0].sum(), ranks[d < 0].sum()) == (93 - 1.5, 12 - 1.5)
    # T = 12 is below the critical value of 14 data sets, 21.
    assert signed_rank_p(d) < 0.05


def test_all_of_one_sign_gives_the_smallest_p() -> None:
    for n in range(1, 25):
        d = np.arange(1.0, n + 1)
        assert signed_rank_p(d) == pytest.approx(smallest_p(n))
        assert signed_rank_p(d, "greater") == pytest.approx(2.0**-n)
        assert signed_rank_p(d, "less") == 1.0
    assert smallest_p(5) == 0.0625
    assert smallest_p(6) == 0.03125


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9), st.sampled_from(ALTERNATIVES))
def test_ties_and_zeros_agree_with_all_sign_flips(d: list[int], alternative: Alternative) -> None:
    array = np.array(d, float)
    if not array.any():
        assert signed_rank_p(array, alternative) == 1.0
        return
    flips = PermutationMethod(n_resamples=2 ** len(d))
    peer = wilcoxon(array, zero_method="pratt", method=flips, alternative=alternative)
    assert signed_rank_p(array, alternative) == pytest.approx(peer.pvalue, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.integers(0, 10**6), st.sampled_from(ALTERNATIVES))
def test_without_ties_agrees_with_scipy_exact(n: int, seed: int, alternative: Alternative) -> None:
    rng = np.random.default_rng(seed)
    array = rng.permutation(np.arange(1, n + 1)) * rng.choice([-1.0, 1.0], n)
    peer = wilcoxon(array, method="exact", alternative=alternative)
    assert signed_rank_p(array, alternative) == pytest.approx(peer.pvalue, rel=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("decimals", [6, 1, 0])
def test_many_patients_use_the_normal_approximation(decimals: int, alternative: Alternative) -> None:
    """Rounded to whole numbers, nearly half of the differences are zero and the others are tied."""
    d = np.round(np.random.default_rng(0).normal(0.2, 0.7, 200), decimals)
    peer = wilcoxon(d, zero_method="pratt", method="asymptotic", alternative=alternative)
    assert signed_rank_p(d, alternative) == pytest.approx(peer.pvalue, rel=1e-9)


def test_exact_and_normal_meet() -> None:
    d = np.random.default_rng(1).normal(0.3, 1, 51)
    assert signed_rank_p(d[:50]) == pytest.approx(wilcoxon(d[:50], method="asymptotic").pvalue, abs=0.003)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_rows_are_the_single_tests(alternative: Alternative) -> None:
    rng = np.random.default_rng(2)
    d = rng.normal(0.2, 1, (12, 60))
    d[:4] = np.round(d[:4])
    d[4:8, 40:] = np.nan
    d[8] = 0.0
    d[9, 0] = np.nan
    found = signed_rank_rows(d, alternative)
    assert found == pytest.approx([signed_rank_p(row[~np.isnan(row)], alternative) for row in d])
    assert found[8] == 1.0


def test_a_row_without_differences_has_no_p() -> None:
    found = signed_rank_rows(np.array([[math.nan, math.nan], [1.0, math.nan]]))
    assert math.isnan(found[0])
    assert found[1] == 1.0
    assert math.isnan(signed_rank_rows(np.empty((1, 0)))[0])


def test_float_noise_does_not_break_ties() -> None:
    exact = np.array([0.1, 0.1, -0.1, 0.2, 0.3, 0.1, 0.0])
    noise = exact + np.array([1, -1, 2, -2, 1, 3, -1]) * 1e-12
    assert signed_rank_p(noise) == signed_rank_p(exact)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_sign_does_not_matter_and_p_is_a_probability(d: list[float]) -> None:
    array = np.array(d)
    p = signed_rank_p(array)
    assert p == pytest.approx(signed_rank_p(-array))
    assert 0 < p <= 1
    one_sided = signed_rank_p(array, "greater"), signed_rank_p(array, "less")
    assert signed_rank_p(-array, "less") == pytest.approx(one_sided[0])
    assert p == pytest.approx(min(1.0, 2 * min(one_sided)))


def test_the_level_that_few_patients_attain() -> None:
    # Tables of the signed-rank test: two-sided, at most 0.05.
    assert [attained_level(n, 0.05) for n in (5, 6, 7, 8)] == [0, 2 / 64, 6 / 128, 10 / 256]
    assert attained_level(8, 0.01) == 2 / 256
    assert attained_level(51, 0.05) == 0.05
    # A p-value of just alpha is not below it.
    assert attained_level(6, 2 / 64) == 0


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, math.nan]), np.ones((2, 2))])
def test_bad_differences(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one-dimensional, finite and not empty"):
        signed_rank_p(bad)


def test_an_unknown_alternative() -> None:
    with pytest.raises(ValueError, match="must be one of two-sided, greater, less, got 'larger'"):
        signed_rank_p(DARWIN, "larger")  # type: ignore[arg-type]


def test_huge_values_do_not_overflow_and_noise_is_rounded_off() -> None:
    d = np.array([1e308, -1e308, 3e307, 0.1 + 0.2 - 0.3, np.nan, 123456.12345678])
    found = round_differences(d)
    np.testing.assert_array_equal(found, [1e308, -1e308, 3e307, 0.0, np.nan, 123456.123457])
    assert signed_rank_p(np.array([1e308, 2e307, 3e305, 1e12, 5.0, 1e-3])) == 2 / 2**6
    # In absolute terms: whoever has values so small must scale them.
    assert signed_rank_p(np.full(8, 1e-8)) == 1.0
