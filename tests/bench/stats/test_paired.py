"""Paired tests: known answers, scipy as oracle, and refusals."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import PermutationMethod, wilcoxon

from bench.stats.paired import compare, differences, holm, signed_rank_p, smallest_p

# Height differences of cross- and self-fertilised corn, Darwin 1876; the example of scipy's documentation.
DARWIN = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], float)


def table(**rows: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.rename_axis(index="entry").rename_axis(columns="patient")


def test_darwin() -> None:
    assert signed_rank_p(DARWIN) == pytest.approx(0.041259765625, abs=1e-12)


def test_all_of_one_sign_gives_the_smallest_p() -> None:
    for n in range(1, 25):
        assert signed_rank_p(np.arange(1.0, n + 1)) == pytest.approx(smallest_p(n))
    assert smallest_p(5) == 0.0625
    assert smallest_p(6) == 0.03125


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_ties_and_zeros_agree_with_all_sign_flips(d: list[int]) -> None:
    array = np.array(d, float)
    if not array.any():
        assert signed_rank_p(array) == 1.0
        return
    peer = wilcoxon(array, zero_method="pratt", method=PermutationMethod(n_resamples=2 ** len(d)))
    assert signed_rank_p(array) == pytest.approx(peer.pvalue, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.integers(0, 10**6))
def test_without_ties_agrees_with_scipy_exact(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.permutation(np.arange(1, n + 1)) * rng.choice([-1.0, 1.0], n)
    assert signed_rank_p(array) == pytest.approx(wilcoxon(array, method="exact").pvalue, rel=1e-9)


def test_many_patients_use_the_normal_approximation() -> None:
    d = np.random.default_rng(0).normal(0.3, 1, 200)
    peer = wilcoxon(np.round(d, 6), zero_method="pratt", method="approx").pvalue
    assert signed_rank_p(d) == pytest.approx(peer)


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


def test_compare_pairs_by_patient() -> None:
    rng = np.random.default_rng(0)
    patient = rng.random(12)
    values = table(a=list(patient + 0.01), b=list(patient))
    found = compare(values, "a", "b")
    # The same shift in every patient: certain, though the entries' ranges overlap almost wholly.
    assert found.p == pytest.approx(smallest_p(12))
    assert (found.mean, found.median, found.n) == (pytest.approx(0.01), pytest.approx(0.01), 12)
    assert compare(values, "a", "b", margin=0.01).p == 1.0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_too_few_patients_cannot_tell(n: int) -> None:
    found = compare(table(a=[1.0] * n, b=[0.0] * n), "a", "b")
    assert not found.can_tell
    assert math.isnan(found.p)
    assert found.smallest_p == 2.0 ** (1 - n)
    assert found.mean == 1.0
    assert compare(table(a=[1.0] * 6, b=[0.0] * 6), "a", "b").can_tell


def test_patients_without_both_values_are_left_out() -> None:
    values = table(a=[1.0, math.nan, 3.0], b=[0.5, 1.0, math.nan])
    assert differences(values, "a", "b").to_dict() == {0: 0.5}
    nobody = compare(table(a=[math.nan], b=[1.0]), "a", "b")
    assert (nobody.n, nobody.can_tell) == (0, False)


def test_unknown_entry_and_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="no entry 'c'; there are a, b"):
        differences(table(a=[1.0], b=[1.0]), "a", "c")
    slices = table(a=[1.0, 2.0], b=[1.0, 2.0])
    slices.columns = pd.Index(["p1", "p1"], name="patient")
    with pytest.raises(ValueError, match="patient p1 comes several times"):
        compare(slices, "a", "b")


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, math.nan]), np.ones((2, 2))])
def test_bad_differences(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one-dimensional, finite and not empty"):
        signed_rank_p(bad)


def test_holm() -> None:
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1, never falling.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    found = holm([math.nan, 0.02, 0.04])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.04, 0.04])


@pytest.mark.slow
def test_false_alarms_stay_at_the_nominal_level() -> None:
    rng = np.random.default_rng(0)
    alarms = np.mean([signed_rank_p(rng.laplace(0, 1, 12)) < 0.05 for _ in range(4000)])
    assert 0.035 <= alarms <= 0.055
