"""The interval of a mean that stays strict at strict levels, whatever side the values are skewed to.

A bootstrap's quantiles far out, as a family of comparisons asks for them, rest on few resamples, and BCa corrects
skewness too little there. This is Student's t, transformed so that what skewness the values have is taken out: Hall
(1992), On the removal of skewness by transformation, J R Stat Soc B 54(1):221-228. Nothing is drawn.
"""

import math

import numpy as np
from scipy.special import stdtrit

from bench.stats.signed_rank import Floats

LEAST_FOR_SKEWNESS = 3


def skewed_interval(d: Floats, level: float) -> tuple[float, float]:
    """Returns the interval of a mean by Student's t corrected for skewness; NaN of fewer than two values.

    Args:
        d: Values, one per unit, (n,), finite.
        level: Coverage that is aimed at.

    Raises:
        ValueError: If the level is not within 0..1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be within 0..1, got {level}")
    n = len(d)
    if n < 2:
        return math.nan, math.nan
    mean, error = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(n)
    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    slant = _skewness(d) / math.sqrt(n)
    return mean - error * _back(quantile, slant), mean - error * _back(-quantile, slant)


def _skewness(d: Floats) -> float:
    """Returns the skewness, free of bias for normal values; 0 where too few or equal values have none."""
    n, centred = len(d), d - d.mean()
    spread = float((centred**2).mean())
    if n < LEAST_FOR_SKEWNESS or not spread:
        return 0.0
    return float((centred**3).mean() / spread**1.5) * math.sqrt(n * (n - 1)) / (n - 2)


def _back(quantile: float, slant: float) -> float:
    """Turns a quantile of the transformed statistic into one of Student's t: the inverse of Hall's cubic.

    The cubic is ``t + slant t^2 / 3 + slant^2 t^3 / 27 + slant / 6``, with skewness / sqrt(n) for slant; it rises
    everywhere.
    """
    if abs(slant) < 1e-9:
        return quantile
    return 3 / slant * float(np.cbrt(1 + slant * (quantile - slant / 6)) - 1)
