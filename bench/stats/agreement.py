"""Agreement of two ways to measure the same quantity: bias and limits of agreement.

Bland, Altman (1986), Statistical methods for assessing agreement between two methods of clinical measurement,
Lancet 327(8476):307-310; (1999), Measuring agreement in method comparison studies, Stat Methods Med Res 8:135-160.
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

LEVEL = 0.95
LEAST_PAIRS = 3
"""Of two differences the standard deviation is known to a factor of 0.45 to 32 only, at 95%."""

Interval = tuple[float, float]
_NOTHING: Interval = (nan, nan)


@dataclass(frozen=True)
class Agreement:
    """How far measured values lie from reference values; all in their unit.

    Args:
        n: Pairs.
        bias: Mean of measured minus reference; NaN without pairs.
        sd: Standard deviation of the differences, of a single run; NaN, as all that follows, below `LEAST_PAIRS`.
        low: Lower limit of agreement: between the limits lie 95% of the differences, if these are normal.
        high: Upper limit of agreement.
        bias_interval: Confidence interval of the bias.
        low_interval: Of the lower limit.
        high_interval: Of the upper limit.
    """

    n: int
    bias: float = nan
    sd: float = nan
    low: float = nan
    high: float = nan
    bias_interval: Interval = _NOTHING
    low_interval: Interval = _NOTHING
    high_interval: Interval = _NOTHING

    @property
    def can_tell(self) -> bool:
        """Whether there are enough pairs for limits."""
        return self.n >= LEAST_PAIRS


def bland_altman(
    reference: ArrayLike,
    measured: ArrayLike,
    level: float = LEVEL,
    *,
    runs: ArrayLike | None = None,
    within: ArrayLike | None = None,
) -> Agreement:
    """Compares measured with reference values, pair by pair.

    With d = measured - reference of n independent pairs (one per patient), its mean and its SD s:

    - bias: mean(d), +- t s / sqrt(n);
    - limits of agreement: mean(d) +- z s, z = 1.96 at 95%;
    - of each limit: +- t s sqrt(1 / n + z^2 / (2 (n - 1))) (1999, section 2.2).

    t is the quantile of Student's t with n - 1 degrees of freedom. The first interval is exact for normal
    differences, the last approximate: at 95% it covers 92% with 5 pairs, 94% with 20 (20,000 simulated samples).

    Where a pair's difference is the mean of several runs, s is too small for what one run gives. With k runs a pair
    (their harmonic mean) and the pooled variance w within pairs, the limits take sqrt(s^2 + (1 - 1 / k) w) instead
    of s; the bias and its interval stay (1999, section 5.2).

    Args:
        reference: Values (n,), finite.
        measured: Values (n,) of the same things, finite; means over runs where there are several.
        level: Share of the differences between the limits, and confidence of the intervals.
        runs: How many runs each difference is the mean of (n,); by default one.
        within: Variance of each pair's differences over its runs, with runs - 1 (n,); of one run it is not looked at.

    Raises:
        ValueError: If the values are not equally long lists of finite numbers, `level` is out of range, or only one
            of `runs` and `within` is given.
    """
    first, second = np.asarray(reference, float), np.asarray(measured, float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"reference and measured must be lists of equal length, got shapes {first.shape} and {second.shape}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("reference and measured must be finite")
    if not 0 < level < 1:
        raise ValueError(f"level must be within 0..1, got {level}")
    d = second - first
    n = len(d)
    if n < LEAST_PAIRS:
        return Agreement(n, float(d.mean()) if n else nan)
    bias, of_mean = float(d.mean()), float(d.std(ddof=1))
    z, t = float(ndtri((1 + level) / 2)), float(stdtrit(n - 1, (1 + level) / 2))
    sd, error = _single_run(of_mean, n, runs, within)
    low, high = bias - z * sd, bias + z * sd
    of_bias, of_limit = t * of_mean / sqrt(n), t * sqrt(of_mean**2 / n + (z * error) ** 2)
    return Agreement(
        n=n,
        bias=bias,
        sd=sd,
        low=low,
        high=high,
        bias_interval=(bias - of_bias, bias + of_bias),
        low_interval=(low - of_limit, low + of_limit),
        high_interval=(high - of_limit, high + of_limit),
    )


def _single_run(
    of_mean: float, n: int, runs: ArrayLike | None, within: ArrayLike | None
) -> tuple[float, float]:
    """Returns the SD of a single run's differences and its standard error, given the SD of means over runs."""
    if (runs is None) != (within is None):
        raise ValueError("runs and within belong together: give both or none")
    between = of_mean**2
    if runs is None or within is None:
        return of_mean, of_mean / sqrt(2 * (n - 1))
    number, variance = np.asarray(runs, float), np.asarray(within, float)
    if number.shape != (n,) or variance.shape != (n,) or (number < 1).any():
        raise ValueError(f"runs and within must hold a value for each of {n} pairs, runs at least 1")
    repeated = number > 1
    freedom = float((number - 1).sum())
    if not freedom:
        return of_mean, of_mean / sqrt(2 * (n - 1))
    pooled = float(((number - 1)[repeated] * variance[repeated]).sum()) / freedom
    share = 1 - float((1 / number).mean())
    sd = sqrt(between + share * pooled)
    # Of a variance estimated with f degrees of freedom the variance is 2 variance^2 / f.
    error = sqrt(2 * between**2 / (n - 1) + 2 * (share * pooled) ** 2 / freedom)
    return sd, error / (2 * sd) if sd else 0.0
