"""Paired comparison of two entries over the same patients.

Wilcoxon (1945); zeros after Pratt (1959): they take part in the ranking, then are dropped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

from bench.stats.aggregate import check_patients

ALPHA = 0.05
LEAST_PATIENTS = 6
"""With five pairs a two-sided signed-rank test cannot go below p = 0.0625."""

EXACT_UP_TO = 50
DECIMALS = 6
"""Differences are rounded to these before ranking, so that float noise does not break ties."""


@dataclass(frozen=True)
class PairedTest:
    """A two-sided signed-rank test of paired differences.

    Args:
        n: Patients with a value of both entries.
        p: p-value; NaN where the data cannot tell (fewer than six patients).
        smallest_p: Smallest p-value that so many patients can give.
        mean: Mean difference.
        median: Median difference.
    """

    n: int
    p: float
    smallest_p: float
    mean: float
    median: float

    @property
    def can_tell(self) -> bool:
        """Whether there is a p-value."""
        return not math.isnan(self.p)


def differences(values: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Returns `first` minus `second` per patient; patients without a value of both are left out.

    Args:
        values: Entries x patients as `per_patient` makes them.
        first: An entry.
        second: Another entry.

    Raises:
        ValueError: If the table does not hold one value per entry and patient, or lacks an entry.
    """
    check_patients(values)
    for entry in (first, second):
        if entry not in values.index:
            raise ValueError(f"no entry {entry!r}; there are {', '.join(map(str, values.index))}")
    array = values.to_numpy(float)
    gap = array[values.index == first][0] - array[values.index == second][0]
    return pd.Series(gap, index=values.columns, name=f"{first} - {second}").dropna()


def compare(values: pd.DataFrame, first: str, second: str, margin: float = 0.0) -> PairedTest:
    """Tests whether two entries differ, patient by patient.

    Args:
        values: Entries x patients as `per_patient` makes them.
        first: An entry.
        second: Another entry.
        margin: Difference under the null hypothesis.

    Raises:
        ValueError: As in `differences`.
    """
    d = differences(values, first, second).to_numpy(float)
    if not len(d):
        return PairedTest(0, math.nan, 1.0, math.nan, math.nan)
    p = signed_rank_p(d - margin) if len(d) >= LEAST_PATIENTS else math.nan
    return PairedTest(len(d), p, smallest_p(len(d)), float(d.mean()), float(np.median(d)))


def signed_rank_p(d: NDArray[np.float64]) -> float:
    """Returns the two-sided p-value of Wilcoxon's signed-rank test.

    Exact over all sign flips up to 50 differences, also with ties and zeros: the same number as
    `scipy.stats.wilcoxon(..., zero_method="pratt", method=PermutationMethod())` with all flips, which takes
    minutes for 20 differences. Beyond that scipy's normal approximation.

    Args:
        d: Differences (n,), finite.

    Raises:
        ValueError: If there is none or one is not finite.
    """
    if d.ndim != 1 or not len(d) or not np.isfinite(d).all():
        raise ValueError(f"differences must be one-dimensional, finite and not empty, got {d!r}")
    rounded = np.round(d, DECIMALS)
    if not rounded.any():
        return 1.0
    if len(rounded) > EXACT_UP_TO:
        return float(wilcoxon(rounded, zero_method="pratt", method="approx").pvalue)
    return _exact_p(rounded)


def smallest_p(n: int) -> float:
    """Returns the smallest two-sided p-value of an exact signed-rank test of n differences."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """Corrects the p-values of one declared family (Holm 1979); NaN stays NaN and is not counted.

    Args:
        p_values: Raw p-values.
        alpha: Level of the family.
    """
    # Imported here: it takes longer than all the rest of this package.
    from statsmodels.stats.multitest import multipletests

    raw = np.asarray(p_values, float)
    corrected = raw.copy()
    tested = ~np.isnan(raw)
    if tested.any():
        corrected[tested] = multipletests(raw[tested], alpha=alpha, method="holm")[1]
    return [float(p) for p in corrected]


def _exact_p(d: NDArray[np.float64]) -> float:
    # Tied ranks are halves; doubled they are whole, and the sum of the positive ones can be counted up.
    doubled = np.rint(2 * rankdata(np.abs(d))).astype(int)
    positive = int(doubled[d > 0].sum())
    ranks = doubled[d != 0]
    chance = np.zeros(int(ranks.sum()) + 1)
    chance[0] = 1.0
    for rank in ranks:
        moved = np.zeros_like(chance)
        moved[rank:] = chance[: len(chance) - rank]
        chance = (chance + moved) / 2
    lower, upper = chance[: positive + 1].sum(), chance[positive:].sum()
    return float(min(1.0, 2 * min(lower, upper)))
