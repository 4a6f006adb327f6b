"""Wilcoxon's signed-rank test of many pairs in many bootstrap samples at once.

The same test as `bench.stats.signed_rank`: one-sided, zeros after Pratt, differences rounded. A bootstrap sample
holds patients several times, hence ties, and an exact distribution for each of 1,000 samples x 435 pairs would take
too long. Up to `EXACT_UP_TO` differences p is read off the exact distribution without ties, at the statistic
standardised by its tie-corrected variance: exact where there are no ties, and as small as exact p-values get where
all differences have one sign. Beyond, it is the normal approximation.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bench.stats.paired import ALPHA, LEAST_PATIENTS
from bench.stats.signed_rank import EXACT_UP_TO, round_differences

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BLOCK = 131_072
"""Pairs x resamples at a time: few enough for a core's cache."""


def significant_wins(gaps: Floats, counts: Ints, entries: int, alpha: float = ALPHA) -> Floats:
    """Counts in every bootstrap sample how many entries each entry is significantly better than.

    Args:
        gaps: Differences (pairs, patients), above zero where the first is better; NaN: not both have a value. Pairs
            are in the order of `numpy.triu_indices(entries, 1)`.
        counts: How often each patient was drawn (resamples, patients).
        entries: How many entries there are.
        alpha: Level; Holm over all ordered pairs.

    Returns:
        Wins (resamples, entries).
    """
    first, second = np.triu_indices(entries, 1)
    winners = np.eye(entries)[np.concatenate([first, second])]
    pairs = ResampledTests(gaps)
    step = max(1, BLOCK // max(1, len(first)))
    wins = []
    for start in range(0, len(counts), step):
        greater, less = pairs.p(counts[start : start + step])
        wins.append(holm_rejects(np.concatenate([greater, less], axis=1), alpha) @ winners)
    return np.concatenate(wins)


def holm_rejects(p: Floats, alpha: float) -> Floats:
    """Returns which of many families' hypotheses Holm's method rejects; NaN is not counted.

    Args:
        p: p-values (families, hypotheses).
        alpha: Level of each family.

    Returns:
        1 where rejected, else 0, of the same shape.
    """
    ordered = np.sort(p, axis=1)
    left = (~np.isnan(p)).sum(axis=1, keepdims=True) - np.arange(p.shape[1])
    # A column that always stops, so that there is a first one.
    stops = np.pad(~(ordered * left < alpha), ((0, 0), (0, 1)), constant_values=True)
    bounds = np.pad(ordered, ((0, 0), (1, 0)), constant_values=-1.0)
    bound = np.take_along_axis(bounds, stops.argmax(axis=1)[:, None], 1)
    return (p <= bound).astype(float)


class ResampledTests:
    """Tests of paired differences in bootstrap samples.

    Args:
        gaps: Differences (pairs, patients); NaN: the patient has not both values and is left out.
    """

    def __init__(self, gaps: Floats):
        self.d = round_differences(gaps)
        size, sign = np.abs(self.d), np.sign(np.nan_to_num(self.d))
        # Of equal sizes the positive ones come first; what is missing comes last.
        self.order = np.lexsort((-sign, size), axis=1)
        self.signs = np.take_along_axis(sign, self.order, 1).astype(np.int32)
        self.tied = _tied_groups(size)

    def p(self, counts: Ints) -> tuple[Floats, Floats]:
        """Tests in every bootstrap sample whether differences lie above zero, and whether below.

        Args:
            counts: How often each patient was drawn (resamples, patients).

        Returns:
            One-sided p-values (resamples, pairs) of being greater, and of being less; NaN below `LEAST_PATIENTS`.
        """
        # Patients first: what all resamples drew of a patient is then one block of memory.
        drawn = np.ascontiguousarray(counts.T)
        n, zeros = _drawn_of(~np.isnan(self.d), drawn), _drawn_of(self.d == 0, drawn)
        signed = self._ordered_sums(drawn.astype(np.int32))
        ties = _drawn_of(~np.isnan(self.d) & (self.d != 0), drawn**3 - drawn)
        for pair, members, starts in self.tied:
            of_group = drawn[members]
            positive = (self.d[pair, members] > 0)[:, None]
            ties[pair] -= (of_group**3 - of_group).sum(axis=0)
            together = np.add.reduceat(of_group, starts, axis=0)
            ties[pair] += (together**3 - together).sum(axis=0)
            # They share their ranks, which positive ones coming first does not.
            above = np.add.reduceat(of_group * positive, starts, axis=0)
            signed[pair] += (above * (together - above)).sum(axis=0)
        squares = (_pyramid(n) - _pyramid(zeros)) / 6 - ties / 12
        z = np.divide(signed, np.sqrt(squares), out=np.zeros(signed.shape), where=squares > 0)
        return upper_tail(z, n, zeros).T, upper_tail(-z, n, zeros).T

    def _ordered_sums(self, drawn: NDArray[np.int32]) -> Floats:
        """Returns the sum of positive minus that of negative ranks (pairs, resamples), as if nobody were tied.

        Who is drawn c times after b others has c ranks of mean (2 b + c + 1) / 2. Goes from patient to patient, over
        all pairs and resamples: several times as fast as cumulative sums pair by pair.
        """
        shape = (len(self.order), drawn.shape[1])
        total = np.zeros(shape, np.int64)
        doubled, part, share = np.ones(shape, np.int32), np.empty(shape, np.int32), np.empty(shape, np.int32)
        for place in range(self.order.shape[1]):
            np.take(drawn, self.order[:, place], axis=0, out=part, mode="clip")
            doubled += part
            np.multiply(part, doubled, out=share)
            doubled += part
            share *= self.signs[:, place, None]
            total += share
        return np.asarray(total / 2)


def upper_tail(z: Floats, n: Floats, zeros: Floats) -> Floats:
    """Returns one-sided p-values of standardised signed-rank sums.

    Args:
        z: Sum of signed ranks over its standard deviation.
        n: Differences, zeros included; on the shape of `z`, as are the zeros.
        zeros: Differences that are zero.
    """
    p = np.asarray(ndtr(-z))
    kinds = np.where(n <= EXACT_UP_TO, n * (EXACT_UP_TO + 1) + zeros, -1).astype(int)
    for kind in np.unique(kinds):
        if kind >= 0:
            of_kind = kinds == kind
            tail, spread = _null(*divmod(int(kind), EXACT_UP_TO + 1))
            place = np.ceil((z[of_kind] * spread + len(tail) - 1) / 2 - 0.5 - 1e-9)
            p[of_kind] = tail[np.clip(place, 0, len(tail) - 1).astype(int)]
    return np.where(n < LEAST_PATIENTS, np.nan, p)


@cache
def _null(n: int, zeros: int) -> tuple[Floats, float]:
    """Returns P(sum of positive ranks >= w) for w = 0, 1, ..., and the standard deviation of the signed sum."""
    ranks = np.arange(zeros + 1, n + 1)
    chance = np.ones(1)
    for rank in ranks:
        moved = np.concatenate([np.zeros(rank), chance])
        moved[: len(chance)] += chance
        chance = moved / 2
    return np.cumsum(chance[::-1])[::-1], float(np.sqrt((ranks**2).sum()))


def _drawn_of(which: Bools, counts: Ints) -> Floats:
    return np.asarray(which.astype(float) @ counts.astype(float))


def _pyramid(n: Floats) -> Floats:
    return n * (n + 1) * (2 * n + 1)


def _tied_groups(size: Floats) -> list[tuple[int, Ints, Ints]]:
    """Returns each pair whose differences have ties, its tied patients by size, and where each size starts."""
    groups = []
    ordered = np.sort(size, axis=1)
    for pair in np.flatnonzero(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any(axis=1)):
        levels, times = np.unique(size[pair], return_counts=True)
        tied = (times > 1) & (levels > 0)
        members = np.flatnonzero(np.isin(size[pair], levels[tied]))
        members = members[np.argsort(size[pair, members], kind="stable")]
        groups.append((int(pair), members, np.cumsum(times[tied]) - times[tied]))
    return groups
