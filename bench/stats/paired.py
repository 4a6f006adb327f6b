"""Paired comparison of entries over the same patients, and the correction for several comparisons."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.stats.aggregate import check_patients
from bench.stats.signed_rank import (
    DECIMALS,
    EXACT_UP_TO,
    Alternative,
    Floats,
    signed_rank_p,
    signed_rank_rows,
)

__all__ = [
    "ALPHA", "Alternative", "DECIMALS", "EXACT_UP_TO", "LEAST_PATIENTS", "PairedTest", "Pairs", "compare",
    "differences", "holm", "holm_level", "one_per_patient", "paired_gaps", "significance_map", "signed_rank_p",
    "smallest_map_p", "smallest_p",
]  # fmt: skip

Pairs = Callable[[str, str], pd.DataFrame]
"""Returns the table that two entries are compared on, where it is not that of all; see `per_patient_together`."""

ALPHA = 0.05
LEAST_PATIENTS = 6
"""With five pairs a two-sided signed-rank test cannot go below p = 0.0625."""


@dataclass(frozen=True)
class PairedTest:
    """A two-sided signed-rank test of paired differences.

    Args:
        n: Patients with a value of both entries.
        p: p-value; NaN where the data cannot tell (fewer than six patients).
        smallest_p: Smallest p-value that so many patients can give.
        mean: Mean difference.
        median: Median difference.
        sd: Standard deviation of the differences; NaN of fewer than two.
    """

    n: int
    p: float
    smallest_p: float
    mean: float
    median: float
    sd: float = math.nan

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


def compare(values: pd.DataFrame, first: str, second: str) -> PairedTest:
    """Tests whether two entries differ, patient by patient.

    **It takes no sign: all numbers are of first minus second, above zero where the first is higher.** Whether that is
    better is for the caller to say; the test is two-sided.

    Args:
        values: Entries x patients as `per_patient` makes them.
        first: An entry.
        second: Another entry.

    Raises:
        ValueError: As in `differences`.
    """
    d = differences(values, first, second).to_numpy(float)
    if not len(d):
        return PairedTest(0, math.nan, 1.0, math.nan, math.nan)
    p = signed_rank_p(d) if len(d) >= LEAST_PATIENTS else math.nan
    sd = float(d.std(ddof=1)) if len(d) > 1 else math.nan
    return PairedTest(len(d), p, smallest_p(len(d)), float(d.mean()), float(np.median(d)), sd)


def one_per_patient(d: "pd.Series[float]") -> Floats:
    """Returns the numbers of differences that are known to be one per patient, as `differences` returns them.

    Raises:
        ValueError: If they are a bare array, are not by ``patient``, one comes twice, or one is not finite.
    """
    if not isinstance(d, pd.Series) or d.index.name != "patient":
        raise ValueError(
            "tests take one difference per patient, from differences(); got numbers of unknown origin"
        )
    if not d.index.is_unique:
        again = d.index[d.index.duplicated()][0]
        raise ValueError(f"one difference per patient is needed; patient {again} comes several times")
    found: Floats = np.asarray(d.to_numpy(float), np.float64)
    if not np.isfinite(found).all():
        raise ValueError("differences must be finite")
    return found


def smallest_p(n: int) -> float:
    """Returns the smallest two-sided p-value of an exact signed-rank test of n differences."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p_values: Sequence[float], alpha: float = ALPHA, family: int | None = None) -> list[float]:
    """Corrects the p-values of one declared family (Holm 1979); NaN stays NaN and is not counted.

    Args:
        p_values: Raw p-values.
        alpha: Level of the family.
        family: Tests in the family, where it is larger than what is given: the others count as not significant. So
            for comparisons with an entry that the same data made the best: the family is all pairs, see
            docs/statistics.md.

    Raises:
        ValueError: If the family is smaller than what is given.
    """
    raw = np.asarray(p_values, float)
    corrected = raw.copy()
    tested = ~np.isnan(raw)
    number = int(tested.sum())
    if family is not None and family < number:
        raise ValueError(f"a family of {family} tests cannot hold {number} p-values")
    if number:
        # Step down from the smallest; no p-value may be below that of an earlier step.
        order = np.flatnonzero(tested)[np.argsort(raw[tested], kind="stable")]
        steps = (family or number) - np.arange(number)
        corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps * raw[order]))
    return [float(p) for p in corrected]


def holm_level(comparisons: int, alpha: float = ALPHA) -> float:
    """Returns the level that a single comparison must meet in the worst case, the first of Holm's steps.

    It is what power and sample sizes of a family are reckoned with.

    Args:
        comparisons: Tests in the family.
        alpha: Level of the family.
    """
    return alpha / max(1, comparisons)


def significance_map(
    values: pd.DataFrame,
    sign: int,
    alpha: float = ALPHA,
    pairs: Pairs | None = None,
) -> pd.DataFrame:
    """Tests for every ordered pair of entries whether the first is better, one-sided, Holm over all of them.

    Wiesenfarth et al. (2021), Methods and open-source toolkit for analyzing and visualizing challenge results,
    Scientific Reports 11:2369.

    Args:
        values: Entries x patients as `per_patient` makes them.
        sign: 1 where more is better, -1 where less is.
        alpha: Level of the family.
        pairs: Returns the table to compare two entries on, where it is not `values`; see `per_patient_together`.

    Returns:
        p-values, entries x entries in the order of `values`: row better than column. NaN on the diagonal, and where
        a pair has too few patients for any two-sided p-value below `alpha`: those are not counted in the family.

    Raises:
        ValueError: As in `check_patients`, or if the sign is neither 1 nor -1.
    """
    check_patients(values)
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 (more is better) or -1, got {sign}")
    names = [str(name) for name in values.index]
    size = len(names)
    first, second = np.triu_indices(size, 1)
    p = np.full((size, size), np.nan)
    if len(first):
        d = paired_gaps(values, pairs) * sign
        enough = np.array([smallest_p(int(n)) < alpha for n in (~np.isnan(d)).sum(axis=1)])
        p[first, second] = np.where(enough, signed_rank_rows(d, "greater"), np.nan)
        p[second, first] = np.where(enough, signed_rank_rows(d, "less"), np.nan)
    corrected = np.reshape(holm(list(p.ravel()), alpha), (size, size))
    return pd.DataFrame(corrected, index=pd.Index(names, name="better"), columns=pd.Index(names, name="than"))


def smallest_map_p(entries: int, n: int) -> float:
    """Returns the smallest p-value in a significance map of so many entries over n patients."""
    return min(1.0, entries * (entries - 1) * 2.0**-n)


def paired_gaps(values: pd.DataFrame, pairs: Pairs | None = None) -> Floats:
    """Returns the differences of all pairs of entries, first minus second.

    Args:
        values: Entries x patients.
        pairs: As in `significance_map`.

    Returns:
        Floats (pairs, patients), pairs in the order of `numpy.triu_indices(entries, 1)`; NaN where a patient has not
        both values.
    """
    array, names = values.to_numpy(float), [str(name) for name in values.index]
    first, second = np.triu_indices(len(names), 1)
    if pairs is None:
        return np.asarray(array[first] - array[second])
    gaps = np.full((len(first), values.shape[1]), np.nan)
    for place, (i, j) in enumerate(zip(first, second, strict=True)):
        found = differences(pairs(names[i], names[j]), names[i], names[j])
        gaps[place] = found.reindex(values.columns).to_numpy(float)
    return gaps
