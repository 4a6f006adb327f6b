"""Confidence intervals of means: bootstrap over patients, all rows resampled together.

Efron (1987), Better Bootstrap Confidence Intervals, JASA 82(397).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bench.stats.aggregate import check_patients

Floats = NDArray[np.float64]

RESAMPLES = 9999
LEVEL = 0.95
CHUNK = 4_000_000
"""Counts that are held in memory at once."""


@dataclass(frozen=True)
class Intervals:
    """Means with their intervals, one element per row of the input.

    Args:
        mean: Means over patients.
        low: Lower ends; NaN where fewer than two patients have a value.
        high: Upper ends.
        method: ``"bca"``, ``"percentile"`` where BCa is undefined, or ``"none"``.
    """

    mean: Floats
    low: Floats
    high: Floats
    method: tuple[str, ...]


def mean_intervals(
    values: pd.DataFrame,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Intervals:
    """Bootstraps the mean of every row over patients.

    All rows see the same resampled patients, so that intervals of entries and of their differences agree.
    BCa; percentile where BCa is undefined: all values equal, or the mean beyond all resamples.

    Args:
        values: Rows x patients as `per_patient` makes them; NaN is left out.
        rng: Source of the resampling; the same state gives the same intervals.
        resamples: Number of bootstrap samples.
        level: Coverage that is aimed at.

    Raises:
        ValueError: If the table is not entries x patients, has no patients, or `resamples` or `level` is out
            of range.
    """
    check_patients(values)
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples must be at least 1, level within 0..1; got {resamples}, {level}")
    if not values.shape[1]:
        raise ValueError("intervals need at least one patient")
    array = values.to_numpy(float)
    valid = ~np.isnan(array)
    # Distances from a value of the row, then from the mean: exactly zero where all values are equal.
    start = array[np.arange(len(array)), valid.argmax(axis=1)]
    offset = array - start[:, None]
    shift = _means(offset, valid)
    centred = np.where(valid, offset - shift[:, None], 0.0)
    mean = start + shift
    boot = _resampled_means(centred, valid, rng, resamples)
    ends = [_ends(boot[:, i], centred[i, valid[i]], level) for i in range(len(array))]
    return Intervals(
        mean=mean,
        low=mean + np.array([low for low, _, _ in ends]),
        high=mean + np.array([high for _, high, _ in ends]),
        method=tuple(method for _, _, method in ends),
    )


def _means(array: Floats, valid: NDArray[np.bool_]) -> Floats:
    number = valid.sum(axis=1)
    means = np.full(len(array), np.nan)
    np.divide(np.where(valid, array, 0.0).sum(axis=1), number, out=means, where=number > 0)
    return means


def _resampled_means(
    centred: Floats, valid: NDArray[np.bool_], rng: np.random.Generator, resamples: int
) -> Floats:
    """Returns means (resamples, rows); NaN where a resample holds no value of a row."""
    patients = centred.shape[1]
    step = max(1, CHUNK // patients)
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(patients, size=(size, patients))
        # How often each patient was drawn; the mean of a resample is then a product of matrices.
        flat = drawn + patients * np.arange(size)[:, None]
        counts = np.bincount(flat.ravel(), minlength=size * patients).reshape(size, patients).astype(float)
        number = counts @ valid.T.astype(float)
        total = counts @ centred.T
        parts.append(np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0))
    return np.concatenate(parts)


def _ends(boot: Floats, centred: Floats, level: float) -> tuple[float, float, str]:
    """Returns the ends relative to the mean, and the method."""
    if len(centred) < 2:
        return np.nan, np.nan, "none"
    boot = boot[~np.isnan(boot)]
    tail = (1 - level) / 2
    wanted, method = np.array([tail, 1 - tail]), "percentile"
    corrected = _corrected(boot, centred, ndtri(wanted))
    if corrected is not None:
        wanted, method = corrected, "bca"
    low, high = np.quantile(boot, wanted)
    return float(low), float(high), method


def _corrected(boot: Floats, centred: Floats, normal: Floats) -> Floats | None:
    """Returns the quantiles that BCa reads off instead of the nominal ones."""
    scale = np.abs(centred).max()
    if scale == 0:
        return None
    # A resample that reproduces the mean must count as a tie in spite of rounding.
    tie = 1e-12 * scale
    below = (np.mean(boot < -tie) + np.mean(boot <= tie)) / 2
    if not 0 < below < 1:
        return None
    bias = ndtri(below)
    # Jackknife means relative to their own mean are -centred / (n - 1); the factor cancels.
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    shifted = bias + normal
    stretch = 1 - acceleration * shifted
    if (stretch <= 0).any():
        return None
    corrected: Floats = ndtr(bias + shifted / stretch)
    return corrected
