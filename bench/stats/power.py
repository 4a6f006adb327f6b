"""What a comparison could have found.

All of it is for the two-sided signed-rank test over patients, reckoned as a paired t-test of fewer patients: for
normal differences the signed-rank test needs pi / 3 times as many (its asymptotic relative efficiency; Hodges,
Lehmann 1956, Ann Math Stat 27:324-335), as G*Power does it (Faul et al. 2007, Behavior Research Methods 39:175-191).
For differences with heavy tails it needs fewer than is said here. The level is the one that an exact test attains.
"""

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi, t

from bench.stats.paired import ALPHA, smallest_p
from bench.stats.signed_rank import Floats, attained_level

POWER = 0.8
EFFICIENCY = 3 / math.pi
NODES = 128
MOST = 1_000_000
"""Patients or seeds beyond which no number is named."""


def power_of(difference: float, d_sd: float, n: int, alpha: float = ALPHA) -> float:
    """Returns the chance that a difference of this size gives a p-value below `alpha`.

    Args:
        difference: True mean difference, in the metric's unit.
        d_sd: Standard deviation of the paired differences over patients.
        n: Patients.
        alpha: Level of the test; of one in a family see `holm_level`.

    Returns:
        Within 0..1; 0 where so many patients cannot give a p-value below `alpha`, NaN where `d_sd` is.

    Raises:
        ValueError: If `alpha` is not within 0..1 or `d_sd` is negative.
    """
    _check(d_sd, alpha)
    if math.isnan(d_sd) or math.isnan(difference):
        return math.nan
    level = attained_level(n, alpha)
    if level == 0:
        return 0.0
    if d_sd == 0:
        return float(difference != 0)
    return _power(abs(difference) / d_sd, n, level)


def minimum_detectable_difference(d_sd: float, n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Returns the smallest true mean difference that is found with a chance of `power`.

    Args:
        d_sd: Standard deviation of the paired differences over patients.
        n: Patients.
        alpha: Level of the test; of one in a family see `holm_level`.
        power: Chance to find it.

    Returns:
        A difference in the unit of `d_sd`; inf where so many patients cannot give a p-value below `alpha`, NaN where
        `d_sd` is.

    Raises:
        ValueError: As in `power_of`, or if `power` is not within `alpha`..1.
    """
    _check(d_sd, alpha, power)
    if math.isnan(d_sd):
        return math.nan
    effect = _standardised(n, alpha, power)
    return math.inf if math.isinf(effect) else d_sd * effect


@lru_cache(maxsize=1024)
def _standardised(n: int, alpha: float, power: float) -> float:
    """Returns the detectable difference in standard deviations of the paired differences; inf where none is."""
    level = attained_level(n, alpha)
    if level == 0:
        return math.inf
    high = 1.0
    while _power(high, n, level) < power:
        high *= 2
    return float(brentq(lambda effect: _power(effect, n, level) - power, 0.0, high, xtol=1e-12))


def _power(effect: float, n: int, alpha: float) -> float:
    """Returns the power of the two-sided t-test of ``EFFICIENCY * n`` patients.

    Where only differences of one sign in all patients are significant, their chance: exact for normal differences.
    """
    if alpha == smallest_p(n):
        return float(ndtr(effect) ** n + ndtr(-effect) ** n)
    effective = EFFICIENCY * n
    critical, shift = _critical(n, alpha), effect * math.sqrt(effective)
    spread, chance = _spreads(n)
    return float(chance @ (ndtr(shift - critical * spread) + ndtr(-shift - critical * spread)))


@lru_cache(maxsize=256)
def _critical(n: int, alpha: float) -> float:
    return float(t.isf(alpha / 2, EFFICIENCY * n - 1))


@lru_cache(maxsize=256)
def _spreads(n: int) -> tuple[Floats, Floats]:
    """Returns values of the estimated over the true standard deviation, and their chances, to integrate over.

    The noncentral t distribution by quadrature: scipy's has no number in parts of the range that is needed.
    """
    freedom = EFFICIENCY * n - 1
    low, high = np.asarray(chi.ppf([1e-13, 1 - 1e-13], freedom), float)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    at = (low + high + (high - low) * nodes) / 2
    chance = weights * np.exp(chi.logpdf(at, freedom))
    return at / math.sqrt(freedom), chance / chance.sum()


def _check(d_sd: float, alpha: float, power: float = POWER) -> None:
    if d_sd < 0 or not 0 < alpha < 1:
        raise ValueError(f"d_sd must not be negative, alpha within 0..1; got {d_sd}, {alpha}")
    if not alpha < power < 1:
        raise ValueError(f"power must be within alpha..1, got {power}")
