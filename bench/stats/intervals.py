"""Confidence intervals of means and medians: bootstrap over patients, all rows resampled together.

Efron (1987), Better Bootstrap Confidence Intervals, JASA 82(397). Patients and runs: see `bench.stats.crossed`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bench.stats.aggregate import check_patients
from bench.stats.medians import median_distribution
from bench.stats.resample import LEVEL, check_bootstrap, draws, tails, weighted_means

Floats = NDArray[np.float64]

RESAMPLES = 9999


@dataclass(frozen=True)
class Intervals:
    """Means or medians with their intervals, one element per row of the input.

    Args:
        mean: Means over patients; of `median_intervals` the medians.
        low: Lower ends; NaN where fewer than two patients have a value.
        high: Upper ends.
        method: ``"bca"``; ``"percentile"``, also where BCa is undefined; ``"crossed"`` of patients and runs; or
            ``"none"``.
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
    check_bootstrap(resamples, level, values.shape[1])
    array = values.to_numpy(float)
    valid = ~np.isnan(array)
    # Distances from a value of the row, then from the mean: exactly zero where all values are equal.
    start = array[np.arange(len(array)), valid.argmax(axis=1)]
    offset = array - start[:, None]
    shift = _means(offset, valid)
    centred = offset - shift[:, None]
    mean = start + shift
    boot = np.concatenate([weighted_means(c, centred) for c in draws(values.shape[1], rng, resamples)])
    ends = [_ends(boot[:, i], centred[i, valid[i]], level) for i in range(len(array))]
    return Intervals(
        mean=mean,
        low=mean + np.array([low for low, _, _ in ends]),
        high=mean + np.array([high for _, high, _ in ends]),
        method=tuple(method for _, _, method in ends),
    )


def median_intervals(values: pd.DataFrame, level: float = LEVEL) -> Intervals:
    """Returns the percentile bootstrap interval of every row's median over patients.

    The bootstrap distribution of a median is known in closed form: nothing is drawn, and nothing depends on a seed.
    It is the limit of infinitely many resamples of the patients that have a value.

    Args:
        values: Rows x patients as `per_patient` makes them; NaN is left out.
        level: Coverage that is aimed at.

    Raises:
        ValueError: As in `mean_intervals`.
    """
    check_patients(values)
    check_bootstrap(1, level, values.shape[1])
    rows = [np.sort(row[~np.isnan(row)]) for row in values.to_numpy(float)]
    middle = [float(np.median(row)) if len(row) else np.nan for row in rows]
    ends = [_median_ends(row, level) for row in rows]
    return Intervals(
        mean=np.array(middle),
        low=np.array([low for low, _, _ in ends]),
        high=np.array([high for _, high, _ in ends]),
        method=tuple(method for _, _, method in ends),
    )


def _median_ends(ordered: Floats, level: float) -> tuple[float, float, str]:
    """Returns the ends and the method."""
    if len(ordered) < 2:
        return np.nan, np.nan, "none"
    lower, upper, chance = median_distribution(len(ordered))
    medians = (ordered[lower] + ordered[upper]) / 2
    order = np.argsort(medians)
    places = np.searchsorted(np.cumsum(chance[order]), tails(level))
    low, high = medians[order][np.minimum(places, len(order) - 1)]
    return float(low), float(high), "percentile"


def _means(array: Floats, valid: NDArray[np.bool_]) -> Floats:
    number = valid.sum(axis=1)
    means = np.full(len(array), np.nan)
    np.divide(np.where(valid, array, 0.0).sum(axis=1), number, out=means, where=number > 0)
    return means


def _ends(boot: Floats, centred: Floats, level: float) -> tuple[float, float, str]:
    """Returns the ends relative to the mean, and the method."""
    if len(centred) < 2:
        return np.nan, np.nan, "none"
    boot = boot[~np.isnan(boot)]
    wanted, method = np.array(tails(level)), "percentile"
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
