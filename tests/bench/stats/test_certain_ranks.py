"""Places between which true ranks lie: worked examples, a plain bootstrap as oracle, and simulations."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bench.stats.certain_ranks import certain_ranks
from bench.stats.resample import draws


def table(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        values,
        pd.Index([f"e{i}" for i in range(len(values))], name="entry"),
        pd.Index([f"p{i}" for i in range(values.shape[1])], name="patient"),
    )


def places(values: np.ndarray, sign: int = 1, resamples: int = 499) -> list[tuple[int, int]]:
    found = certain_ranks(table(values), sign, np.random.default_rng(0), resamples=resamples)
    return list(zip(found["low"].tolist(), found["high"].tolist(), strict=True))


def noisy(*means: float, patients: int = 30, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, patients) + np.array(means)[:, None] + rng.normal(0, 0.1, (len(means), patients))


def test_who_is_surely_better_and_who_is_worse() -> None:
    values = noisy(0.0, 1.0, 0.0, -1.0)
    assert places(values) == [(2, 3), (1, 1), (2, 3), (4, 4)]
    assert places(values, -1) == [(2, 3), (4, 4), (2, 3), (1, 1)]
    assert places(-values, -1) == places(values)
    assert places(values[:1]) == [(1, 1)]


def test_equal_differences_are_certain_and_equal_values_are_not() -> None:
    hard = np.linspace(0.7, 0.9, 8)
    assert places(np.stack([hard, hard - 0.1, hard - 0.1 + 1e-16])) == [(1, 1), (2, 3), (2, 3)]


def test_few_patients_narrow_nothing() -> None:
    values = noisy(0.0, 1.0, patients=5)
    assert places(values) == [(1, 2), (1, 2)]
    values = noisy(0.0, 1.0, 1.0, patients=30)
    values[1, 5:] = np.nan
    # The second has five patients; the others are compared as ever.
    assert places(values) == [(2, 3), (1, 3), (1, 2)]


def plainly(values: np.ndarray, resamples: int) -> tuple[np.ndarray, float]:
    """Returns t of all pairs, and what the largest of a plain bootstrap stays below."""
    first, second = np.triu_indices(len(values), 1)
    d, n = values[first] - values[second], values.shape[1]

    def t(sample: np.ndarray, mean: np.ndarray | float) -> np.ndarray:
        return np.asarray((sample.mean(axis=1) - mean) / (sample.std(axis=1, ddof=1) / np.sqrt(n)))

    counts = np.concatenate(list(draws(n, np.random.default_rng(0), resamples)))
    largest = [np.abs(t(d[:, np.repeat(np.arange(n), row)], d.mean(axis=1))).max() for row in counts]
    return t(d, 0.0), float(np.quantile(largest, 0.95, method="higher"))


def test_it_is_the_largest_studentised_difference_of_a_plain_bootstrap() -> None:
    values = noisy(0.0, 0.06, 0.13, 0.4, patients=25)
    seen, bar = plainly(values, 400)
    better = np.zeros((4, 4), bool)
    first, second = np.triu_indices(4, 1)
    better[first, second], better[second, first] = seen > bar, -seen > bar
    expected = [(1 + int(better[:, i].sum()), 4 - int(better[i].sum())) for i in range(4)]
    assert expected == [(3, 4), (2, 4), (2, 3), (1, 1)]
    assert places(values, resamples=400) == expected


def test_what_is_found_lowers_the_bar_for_the_others() -> None:
    """Two entries closer than what one step over all pairs finds, and eight far away."""
    values = noisy(0.0, 0.096, *range(5, 13), seed=3)
    seen, bar = plainly(values, 999)
    assert -seen[0] < bar < 1.1 * -seen[0]
    assert places(values, resamples=999)[:2] == [(10, 10), (9, 9)]


def test_bad_arguments() -> None:
    values = table(noisy(0.0, 1.0))
    with pytest.raises(ValueError, match="sign must be 1"):
        certain_ranks(values, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="level within"):
        certain_ranks(values, 1, np.random.default_rng(0), alpha=1.5)
    slices = values.set_axis(pd.Index(["p0"] * 30, name="patient"), axis=1)
    with pytest.raises(ValueError, match="patient p0 comes several times"):
        certain_ranks(slices, 1, np.random.default_rng(0))


def one_fails_rarely(rng: np.random.Generator, entries: int, patients: int) -> np.ndarray:
    """All have the same mean; the last one's errors are rare and large, so that differences to it are skewed."""
    values = rng.normal(0.8, 0.05, patients) + rng.normal(0, 0.01, (entries, patients))
    values[-1] += 0.02 - rng.exponential(0.02, patients)
    return values


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, entries, patients: rng.normal(0, 1, (entries, patients)),
        lambda rng, entries, patients: -rng.exponential(1, (entries, patients)),
        one_fails_rarely,
    ],
    ids=["normal", "all skewed", "one skewed"],
)
@pytest.mark.parametrize(("entries", "patients"), [(3, 8), (3, 30), (3, 100), (10, 30), (10, 100)])
def test_entries_of_equal_mean_are_rarely_parted(
    entries: int, patients: int, draw: Callable[[np.random.Generator, int, int], np.ndarray]
) -> None:
    """Whatever their shape: tests of ranks part those of the last kind in 11% of tables of 100 patients."""
    rng, wrong, times = np.random.default_rng(0), 0, 400
    for _ in range(times):
        found = certain_ranks(table(draw(rng, entries, patients)), 1, rng, resamples=299)
        wrong += bool(((found["low"] > 1) | (found["high"] < entries)).any())
    assert wrong / times <= 0.08
