"""Bootstrap counts and means over them."""

import numpy as np
import pytest

from bench.stats.resample import check_bootstrap, draws, weighted_means


def test_counts_sum_to_the_draws_and_are_fair() -> None:
    (counts,) = draws(5, np.random.default_rng(0), 20_000)
    assert counts.shape == (20_000, 5)
    assert (counts.sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    # Binomial: 5 draws with chance 1/5.
    assert counts.var(axis=0) == pytest.approx(np.full(5, 0.8), abs=0.04)


def test_fewer_draws_than_units() -> None:
    (counts,) = draws(5, np.random.default_rng(0), 100, size=4)
    assert (counts.sum(axis=1) == 4).all()


def test_memory_does_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = draws(7, np.random.default_rng(3), 50)
    monkeypatch.setattr("bench.stats.resample.CHUNK", 30)
    parts = list(draws(7, np.random.default_rng(3), 50))
    assert [len(part) for part in parts] == [4] * 12 + [2]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_means_are_those_of_the_repeated_patients() -> None:
    values = np.array([[1.0, 2.0, 4.0], [np.nan, 3.0, 5.0], [np.nan] * 3])
    found = weighted_means(np.array([[1, 0, 2], [3, 0, 0], [2, 1, 0]]), values)
    np.testing.assert_allclose(found, [[3.0, 5.0, np.nan], [1.0, np.nan, np.nan], [4 / 3, 3.0, np.nan]])
    np.testing.assert_allclose(weighted_means(np.array([[1, 0, 2]]), values[:1]), [[3.0]])


@pytest.mark.parametrize(("resamples", "level"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_bad_arguments(resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="resamples must be at least 1, level within"):
        check_bootstrap(resamples, level, 3)
