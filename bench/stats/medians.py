"""The bootstrap distribution of a median, in closed form."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEGLIGIBLE = 1e-13
APART = 40
"""Two middle draws that lie j values apart have a chance of about exp(-j)."""


@cache
def median_distribution(n: int) -> tuple[Ints, Ints, Floats]:
    """Returns which values the median of a bootstrap sample of n sorted values is made of.

    Odd n: Efron (1979), Bootstrap methods, Ann Stat 7. Even n = 2 m: the two middle draws are the i-th and the j-th
    value, i < j, if m draws are at most the i-th, one of them equal, and m at least the j-th, one of them equal:
    C(n, m) (F_i^m - F_(i-1)^m) (G_j^m - G_(j+1)^m) with F_i = i / n, G_j = (n - j + 1) / n. Both are the i-th with
    what remains of P(the m-th smallest draw is the i-th).

    Args:
        n: Values, at least one.

    Returns:
        Places i and j from 0, and the probability that the median is (x_i + x_j) / 2; pairs that do not matter are
        left out.
    """
    half = (n + 1) // 2
    # P(at least half of n draws are among the lowest i values), i = 0 ... n.
    reached = bdtrc(half - 1, n, np.arange(n + 1) / n)
    alone = np.diff(reached)
    matter = np.flatnonzero(alone > NEGLIGIBLE)
    if n % 2:
        return matter, matter, alone[matter]
    i, j = matter[:, None], matter[:, None] + np.arange(1, APART + 1)
    inside = j < n
    ways = gammaln(n + 1) - 2 * gammaln(half + 1)
    apart = np.where(inside, np.exp(ways + _power(i, n) + _power(n - 1 - np.minimum(j, n - 1), n)), 0.0)
    same = alone[matter] - apart.sum(axis=1)
    lower, upper = np.broadcast_arrays(i, j)
    keep = apart > NEGLIGIBLE
    return (
        np.concatenate([matter, lower[keep]]),
        np.concatenate([matter, upper[keep]]),
        np.concatenate([np.maximum(same, 0.0), apart[keep]]),
    )


def _power(place: Ints, n: int) -> Floats:
    """Returns log(F^m - F'^m), F and F' the shares of values up to this place (from 0) and before it, m = n / 2."""
    last = place + 1
    m = n / 2
    return np.asarray(m * np.log(last / n) + np.log1p(-((place / last) ** m)), float)
