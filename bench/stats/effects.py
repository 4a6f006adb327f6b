"""How large a paired difference is: mean and median difference, rank-biserial correlation, improvement."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from bench.stats.intervals import RESAMPLES, Intervals, mean_intervals, median_intervals
from bench.stats.resample import LEVEL
from bench.stats.signed_rank import round_differences

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """An effect with its interval; NaN where it does not exist."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How much one entry differs from another over the same patients.

    Args:
        n: Patients with a value of both.
        mean: Mean difference, first minus second, in the metric's unit; BCa interval.
        median: Median difference; percentile interval.
        rank_biserial: -1 to 1; above 0 the first entry is better, whether high or low values are.
        improvement: Probability that the first is better in a patient, 0 to 1.
    """

    n: int
    mean: Size
    median: Size
    rank_biserial: Size
    improvement: Size


def effects(
    gaps: pd.DataFrame,
    sign: int,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Effect]:
    """Measures differences of entries to another one, all from the same resamples.

    Args:
        gaps: Rows x patients: what each entry has more than that one, patient by patient; NaN where one of the two
            has no value. Axes are named as those of `per_patient`.
        sign: 1 where higher is better, -1 where lower is.
        rng: Source of the resampling.
        resamples: Number of bootstrap samples.
        level: Of the intervals.

    Returns:
        Effects by the names of the rows.

    Raises:
        ValueError: If the table is not entries x patients, has no patient, or an argument is out of range.
    """
    if sign not in (-1, 1):
        raise ValueError(f"sign must be 1 (higher is better) or -1, got {sign!r}")
    means = _sizes(mean_intervals(gaps, rng, resamples, level))
    medians = _sizes(median_intervals(gaps, level))
    better = sign * gaps.to_numpy(float)
    found = {}
    for name, mean, median, row in zip(gaps.index, means, medians, better, strict=True):
        d = row[~np.isnan(row)]
        found[str(name)] = Effect(
            n=len(d),
            mean=mean,
            median=median,
            rank_biserial=_rank_biserial(d, level),
            improvement=_improvement(d, level),
        )
    return found


def wilson(share: float, size: float, level: float = LEVEL) -> tuple[float, float]:
    """Returns the interval of a probability.

    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22. A bootstrap would be
    a point, that is certain, where all patients agree.

    Args:
        share: Estimate, 0 to 1.
        size: Independent draws that it rests on.
        level: Coverage that is aimed at.
    """
    z2 = float(ndtri((1 + level) / 2)) ** 2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = math.sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return max(0.0, centre - half), min(1.0, centre + half)


def _rank_biserial(d: Floats, level: float) -> Size:
    """Returns the matched-pairs rank-biserial correlation: the share of ranks that speak for, minus that against.

    Kerby (2014), The simple difference formula, Compr Psychol 3. As in the signed-rank test, zeros take part in the
    ranking (Pratt), and count for neither side. It is 2 P(d + d' > 0) - 1 of two patients; for the interval see
    `wilson`.
    """
    d, n = round_differences(d), len(d)
    if not n:
        return Size(math.nan)
    ranks = rankdata(np.abs(d))
    value = float((np.sign(d) * ranks).sum() / ranks.sum())
    if n < 2:
        return Size(value)
    share, variance = (1 + value) / 2, _pair_variance(d)
    # As many patients as would give a plain share this variance. A share of pairs has at most twice that of a plain
    # one (Hoeffding 1948); at the ends, where none is seen, it is taken to have.
    size = min(max(share * (1 - share) / variance, n / 2), n) if variance > 0 else n / 2
    low, high = wilson(share, size, level)
    return Size(value, 2 * low - 1, 2 * high - 1)


def _improvement(d: Floats, level: float) -> Size:
    """Returns how likely the first is better in a patient; ties count half."""
    d, n = round_differences(d), len(d)
    if not n:
        return Size(math.nan)
    share = float(((d > 0) + (d == 0) / 2).mean())
    return Size(share) if n < 2 else Size(share, *wilson(share, n, level))


def _pair_variance(d: Floats) -> float:
    """Returns the variance of the share of pairs of patients with d + d' > 0, by the jackknife."""
    n = len(d)
    ordered = np.sort(d)
    above, not_below = (n - np.searchsorted(ordered, -d, side=side) for side in ("right", "left"))
    others = (above + not_below - 1 - np.sign(d)) / 2 / (n - 1)
    return float(4 * others.var(ddof=1) / n)


def _sizes(found: Intervals) -> list[Size]:
    ends = zip(found.mean, found.low, found.high, strict=True)
    return [Size(float(value), float(low), float(high)) for value, low, high in ends]
