"""Bootstrap samples as counts: how often each patient was drawn.

A mean over a resample is then a product of matrices, and all rows of a table see the same patients.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
CHUNK = 4_000_000
"""Counts that are held in memory at once."""


def draws(
    units: int, rng: np.random.Generator, resamples: int, size: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Draws units with replacement, some resamples at a time; same generator, same draws whatever the memory.

    Args:
        units: Patients (or runs) to draw from.
        rng: Source of the draws.
        resamples: Number of bootstrap samples.
        size: Draws per sample; by default as many as there are units.

    Yields:
        Counts (some resamples, units); each row sums to `size`.
    """
    size = units if size is None else size
    step = max(1, CHUNK // max(units, size))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(units, size=(rows, size))
        flat = drawn + units * np.arange(rows)[:, None]
        yield np.bincount(flat.ravel(), minlength=rows * units).reshape(rows, units)


def check_bootstrap(resamples: int, level: float, patients: int) -> None:
    """Checks the arguments of a bootstrap.

    Raises:
        ValueError: If one is out of range.
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples must be at least 1, level within 0..1; got {resamples}, {level}")
    if not patients:
        raise ValueError("intervals need at least one patient")


def tails(level: float) -> tuple[float, float]:
    """Returns the quantiles at which a percentile interval ends; free of float noise, which would move its ends."""
    return round((1 - level) / 2, 12), round((1 + level) / 2, 12)


def weighted_means(counts: NDArray[np.int64], values: Floats) -> Floats:
    """Returns means (resamples, rows) of rows x patients over resamples; NaN where a resample has no value.

    Args:
        counts: Of `draws`.
        values: Floats (rows, patients); NaN is left out.
    """
    weights = counts.astype(float)
    valid = ~np.isnan(values)
    if valid.all():
        return np.asarray((weights @ values.T) / weights.sum(axis=1, keepdims=True))
    number = weights @ valid.T.astype(float)
    total = weights @ np.where(valid, values, 0.0).T
    return np.asarray(np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0))
