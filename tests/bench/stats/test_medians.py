"""The closed-form bootstrap distribution of a median: every resample as oracle."""

from itertools import product

import numpy as np
import pytest

from bench.stats.medians import median_distribution


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_agrees_with_all_resamples(n: int) -> None:
    # Powers of two: each pair of values has a mean of its own.
    values = 2.0 ** np.arange(n)
    every = np.median(values[np.array(list(product(range(n), repeat=n)))], axis=1)
    medians, times = np.unique(every, return_counts=True)
    lower, upper, chance = median_distribution(n)
    ours = dict(zip(((values[lower] + values[upper]) / 2).tolist(), chance.tolist(), strict=True))
    assert ours == pytest.approx(dict(zip(medians.tolist(), (times / n**n).tolist(), strict=True)))


@pytest.mark.parametrize("n", [50, 51, 700, 3001, 20_000])
def test_is_a_distribution_around_the_middle(n: int) -> None:
    lower, upper, chance = median_distribution(n)
    assert chance.sum() == pytest.approx(1, abs=1e-8)
    assert (lower + upper) @ chance / 2 == pytest.approx((n - 1) / 2, abs=1e-6 * n)
    # Uniform values: the variance of a median of n is 1 / (4 n), as large samples have it.
    spread = (((lower + upper) / 2 - (n - 1) / 2) / n) ** 2 @ chance
    assert spread == pytest.approx(1 / (4 * n), rel=2 / np.sqrt(n))
    assert len(chance) < 150 * np.sqrt(n)
