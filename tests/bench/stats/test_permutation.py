"""Sign flips: Fisher's own example, all flips by hand, and refusals."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.permutation import sign_flip_p

# Fisher 1935, section 21: in 863 of 32,768 sign flips Darwin's plants differ by as much or more.
DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]


def by_patient(d: "list[float] | np.ndarray") -> pd.Series:
    return pd.Series(np.asarray(d, float), index=pd.RangeIndex(len(d), name="patient"))


def p_of(d: "list[float] | np.ndarray", *args: object, **options: object) -> float:
    return sign_flip_p(by_patient(d), np.random.default_rng(0), *args, **options)  # type: ignore[arg-type]


def test_fisher() -> None:
    assert p_of(DARWIN, "greater", flips=2**15) == pytest.approx(863 / 2**15)
    assert p_of(DARWIN, flips=2**15) == pytest.approx(2 * 863 / 2**15)
    assert p_of(DARWIN) == pytest.approx(2 * 863 / 2**15, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=6, max_size=8))
def test_all_flips_by_hand(d: list[int]) -> None:
    means = [np.mean(np.array(signs) * d) for signs in product((-1, 1), repeat=len(d))]
    greater = np.mean(np.array(means) >= np.mean(d) - 1e-9)
    less = np.mean(np.array(means) <= np.mean(d) + 1e-9)
    assert p_of(d, "greater") == pytest.approx(greater)
    assert p_of(d, "less") == pytest.approx(less)
    assert p_of(d) == pytest.approx(min(1.0, 2 * min(greater, less)))


def test_one_large_difference_counts_for_more_than_in_ranks() -> None:
    d = [-1.0] * 7 + [20.0]
    # The mean is positive because of one patient: half of all flips are as far.
    assert p_of(d) == 1.0
    assert p_of([1.0] * 8) == 2 / 2**8


def test_random_flips_never_give_zero() -> None:
    assert p_of(np.ones(40), flips=99) == pytest.approx(2 / 100)
    assert p_of(np.ones(40), "greater", flips=99) == pytest.approx(1 / 100)


def test_float_noise_and_equal_entries_give_one() -> None:
    assert p_of([1e-12] * 20) == 1.0
    assert p_of(np.zeros(8)) == 1.0


def test_the_same_generator_gives_the_same_number() -> None:
    d = np.random.default_rng(3).normal(0.3, 1, 40)
    assert p_of(d) == p_of(d)


def test_too_few_patients_cannot_tell() -> None:
    assert math.isnan(p_of([1.0] * 5))
    assert p_of([1.0] * 6) == 2 / 2**6


def test_refusals() -> None:
    with pytest.raises(ValueError, match="unknown origin"):
        sign_flip_p(np.ones(600), np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be one of two-sided, greater, less, got 'more'"):
        p_of([1.0] * 6, "more")
    with pytest.raises(ValueError, match="flips must be at least 1, got 0"):
        p_of([1.0] * 6, flips=0)
