"""Wilcoxon's signed-rank test: exact with ties and zeros, or many tests at once by the normal approximation.

Wilcoxon (1945), Individual comparisons by ranking methods, Biometrics Bulletin 1(6):80-83; zeros after Pratt (1959),
Remarks on zeros and ties in the Wilcoxon signed rank procedures, JASA 54(287):655-667: they take part in the ranking,
then are dropped.

These functions work on numbers and do not know whose they are. What compares entries, in `bench.stats.paired`, takes
tables of one value per entry and patient only.
"""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]
ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)

EXACT_UP_TO = 50
DECIMALS = 6
"""Differences are rounded to these before ranking, so that float noise does not break ties.

In absolute terms, whatever the unit: metrics are shares, millimetres and millilitres here. Differences of the order
of 1e-6 or below count as equal; values in a unit that makes them so small must be scaled first.
"""
LARGEST = 1e9
"""From this size on a float holds fewer decimals than that, and rounding might overflow: they stay as they are."""


def round_differences(d: Floats, decimals: int = DECIMALS) -> Floats:
    """Rounds differences, or values; NaN and huge ones stay as they are.

    Args:
        d: Numbers of any shape.
        decimals: Digits.
    """
    rounded: Floats = np.array(d, float)
    small = np.abs(rounded) < LARGEST
    rounded[small] = np.round(rounded[small], decimals)
    return rounded


def signed_rank_p(d: Floats, alternative: Alternative = "two-sided") -> float:
    """Returns the p-value of Wilcoxon's signed-rank test.

    Exact over all sign flips up to 50 differences, also with ties and zeros: the same number as
    `scipy.stats.wilcoxon(..., zero_method="pratt", method=PermutationMethod())` with all flips, which takes
    minutes for 20 differences. Beyond that the normal approximation, as scipy's.

    Args:
        d: Differences (n,), finite.
        alternative: ``greater``: differences tend to be positive; ``less``: negative.

    Raises:
        ValueError: If there is none, one is not finite, or the alternative is not known.
    """
    if d.ndim != 1 or not len(d) or not np.isfinite(d).all():
        raise ValueError(f"differences must be one-dimensional, finite and not empty, got {d!r}")
    return float(signed_rank_rows(d[None], alternative)[0])


def signed_rank_rows(d: Floats, alternative: Alternative = "two-sided") -> Floats:
    """Returns the p-value of each row's signed-rank test, as `signed_rank_p`.

    Args:
        d: Differences, tests x patients; NaN is left out.
        alternative: As in `signed_rank_p`.

    Returns:
        Floats (tests,); 1 where all differences are zero, NaN where there is none.

    Raises:
        ValueError: If the alternative is not known.
    """
    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}")
    rounded = round_differences(d)
    number = (~np.isnan(rounded)).sum(axis=1)
    ranks = nonzero_ranks(rounded)
    positive = np.where(rounded > 0, ranks, 0.0).sum(axis=1)
    p = _normal_p(ranks, positive, alternative)
    for row in np.flatnonzero((number <= EXACT_UP_TO) & ranks.any(axis=1)):
        p[row] = _exact_p(ranks[row], positive[row], alternative)
    return np.where(number > 0, p, np.nan)


def nonzero_ranks(rounded: Floats) -> Floats:
    """Returns ranks of absolute differences in each row, tied ones averaged; 0 where a difference is 0 or NaN.

    Args:
        rounded: Differences, tests x patients, rounded; zeros take part in the ranking (Pratt).
    """
    size = np.abs(rounded)
    # What is missing ranks last and so moves nobody.
    ranks = rankdata(np.where(np.isnan(size), np.inf, size), axis=1) if size.size else size
    return np.where(size > 0, ranks, 0.0)


def _normal_p(ranks: Floats, positive: Floats, alternative: Alternative) -> Floats:
    # Each rank is positive with chance 1/2: mean r / 2 and variance r^2 / 4, whatever the ties.
    spread = np.sqrt((ranks**2).sum(axis=1)) / 2
    distance = positive - ranks.sum(axis=1) / 2
    z = np.divide(distance, spread, out=np.zeros(len(ranks)), where=spread > 0)
    tails = {"two-sided": 2 * ndtr(-np.abs(z)), "greater": ndtr(-z), "less": ndtr(z)}
    p = tails[alternative]
    return np.where(spread > 0, p, 1.0)


def _exact_p(ranks: Floats, positive: float, alternative: Alternative) -> float:
    # Tied ranks are halves; doubled they are whole, and the sum of the positive ones can be counted up.
    doubled = np.sort(np.rint(2 * ranks[ranks > 0]).astype(int))
    up_to = _cumulative(tuple(doubled.tolist()))
    # The distribution is symmetric: at least s is as likely as at most total - s.
    observed, total = round(2 * positive), len(up_to) - 1
    greater, less = float(up_to[total - observed]), float(up_to[observed])
    if alternative == "two-sided":
        return min(1.0, 2 * min(greater, less))
    return min(1.0, greater if alternative == "greater" else less)


def attained_level(n: int, alpha: float) -> float:
    """Returns how often the exact two-sided test of n differences without ties gives p below `alpha` by chance.

    An exact test of few differences knows few p-values: of six the only one below 0.05 is 0.031.

    Returns:
        Within 0..alpha; 0 where there is no such p-value; `alpha` where the normal approximation is used.
    """
    if n > EXACT_UP_TO:
        return alpha
    both = 2 * _cumulative(tuple(range(2, 2 * n + 1, 2)))
    return float(both[both < alpha].max(initial=0.0))


@lru_cache(maxsize=256)
def _cumulative(doubled: tuple[int, ...]) -> Floats:
    """Returns the chance that the sum of the positive ranks is at most 0, 1, ..., from whole ranks."""
    chance = np.zeros(sum(doubled) + 1)
    chance[0] = 1.0
    top = 0
    for rank in doubled:
        moved = chance[: top + 1].copy()
        top += rank
        chance[rank : top + 1] += moved
        chance[: top + 1] /= 2
    return np.asarray(np.cumsum(chance))
