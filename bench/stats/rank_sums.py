"""Exact distribution of Friedman's statistic, over all orders of the ranks within each unit.

With few units neither the chi-squared nor the F distribution holds: by F, 19% of comparisons of three equal entries
over three tasks are significant at a nominal 5%.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = 1_000_000
"""Sums that are held at once; beyond, there is no exact answer."""

MOST_ENTRIES = 7
MOST_UNITS = 20


def exact_tail(ranks: Floats) -> float | None:
    """Returns the chance of rank sums that differ so much or more, if ranks within each unit are in random order.

    Args:
        ranks: Ranks of the entries within each unit (entries, units), tied ones averaged.

    Returns:
        p; None where there are too many orders to go through.
    """
    k, n = ranks.shape
    if k > MOST_ENTRIES or n > MOST_UNITS:
        return None
    doubled = np.rint(2 * ranks).astype(np.int64)
    observed = int((doubled.sum(axis=1) ** 2).sum())
    # Only how sums are spread matters, not whose they are: sorted sums stand for all their orders, and the first
    # unit needs no orders.
    sums: Ints = np.sort(doubled[:, :1].T, axis=1)
    chance: Floats = np.ones(1)
    base = 2 * k * n + 1
    powers = base ** np.arange(k, dtype=np.int64)
    for unit in doubled.T[1:]:
        orders, times = np.unique(np.array(list(permutations(unit))), axis=0, return_counts=True)
        if len(sums) * len(orders) > LARGEST:
            return None
        every = np.sort((sums[:, None] + orders[None]).reshape(-1, k), axis=1)
        weight = (chance[:, None] * (times / times.sum())).ravel()
        _, first, place = np.unique(every @ powers, return_index=True, return_inverse=True)
        sums = np.asarray(every[first], np.int64)
        chance = np.asarray(np.bincount(place, weights=weight), float)
    return float(min(1.0, chance[(sums**2).sum(axis=1) >= observed].sum()))
