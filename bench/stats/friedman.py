"""Whether several entries differ at all, over tasks or patients: mean ranks and critical differences.

Friedman (1937), JASA 32(200):675-701; Iman, Davenport (1980), Communications in Statistics 9(6):571-595; Nemenyi
(1963), Distribution-free multiple comparisons, Princeton. Put together as in Demsar (2006), Statistical comparisons
of classifiers over multiple data sets, JMLR 7:1-30.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import chi2, f, friedmanchisquare, rankdata, studentized_range

from bench.stats.aggregate import check_patients
from bench.stats.paired import ALPHA
from bench.stats.rank_sums import exact_tail
from bench.stats.signed_rank import DECIMALS, Floats, round_differences

UNITS = ("patient", "task")
LEAST_ENTRIES = 3
LEAST_UNITS = 2


@dataclass(frozen=True, eq=False)
class Friedman:
    """Mean ranks of entries, and the test whether they differ.

    Args:
        n: Units: patients of a task, or tasks, that have a value of every entry.
        k: Entries.
        chi2: Friedman's statistic, corrected for ties; NaN, as all that follows but the mean ranks, with fewer than
            three entries or two units.
        p: Its p-value by the chi-squared distribution with k - 1 degrees of freedom, for comparison with other work;
            too large with few units.
        f: Iman and Davenport's statistic; inf where all units agree.
        f_p: The p-value to report. Exact over all orders of the ranks where these can be gone through, up to 20 units
            of a few entries; else by the F distribution with k - 1 and (k - 1)(n - 1) degrees of freedom. One is as
            good as the other for both statistics: each rises with the other.
        mean_ranks: Mean rank by entry, best first; 1 is best.
        critical_difference: Of two mean ranks, Nemenyi.
        alpha: Level of the critical difference.
        smallest_p: Smallest p-value that so many units can give: the chance that all agree, k! ** (1 - n). No p-value
            is below.
        left_out: Units without a value of every entry.
        exact: Whether `f_p` is exact.
    """

    n: int
    k: int
    chi2: float
    p: float
    f: float
    f_p: float
    mean_ranks: "pd.Series[float]"
    critical_difference: float
    alpha: float = ALPHA
    smallest_p: float = 1.0
    left_out: tuple[str, ...] = ()
    exact: bool = False

    @property
    def can_tell(self) -> bool:
        """Whether any p-value below the level is possible."""
        return not math.isnan(self.f_p) and self.smallest_p < self.alpha


def friedman(
    values: pd.DataFrame, sign: int | Mapping[str, int], alpha: float = ALPHA, decimals: int = DECIMALS
) -> Friedman:
    """Tests whether entries differ, by their ranks within each unit.

    With mean ranks R_j of k entries over n units, ``chi2 = 12 n / (k (k + 1)) sum_j (R_j - (k + 1) / 2)^2``, divided
    by 1 - sum (t^3 - t) / (n (k^3 - k)) for ties of t entries, and ``F = (n - 1) chi2 / (n (k - 1) - chi2)``.

    Args:
        values: Entries x patients as `per_patient` makes them, or entries x tasks with each task's mean: index
            ``entry``, columns ``patient`` or ``task``. Units with a NaN are left out.
        sign: 1 where more is better, -1 where less is; over tasks it may be given by task.
        alpha: Level of the critical difference.
        decimals: Values are rounded to these before ranking.

    Raises:
        ValueError: If the table is not entries x patients or entries x tasks, or a sign is neither 1 nor -1.
    """
    units = _units(values)
    whole = units.loc[:, units.notna().all()]
    scores = round_differences(whole.to_numpy(float) * _signs(whole, sign), decimals)
    ranks = rankdata(-scores, axis=0)
    k, n = ranks.shape
    means = ranks.mean(axis=1) if n else np.full(k, np.nan)
    mean_ranks = pd.Series(means, index=units.index, name="mean_rank").sort_values(kind="stable")
    left_out = tuple(str(name) for name in units.columns[units.isna().any()])
    if k < LEAST_ENTRIES or n < LEAST_UNITS:
        nan = math.nan
        return Friedman(n, k, nan, nan, nan, nan, mean_ranks, nan, alpha, left_out=left_out)
    least = math.exp(max(-700.0, (1 - n) * math.lgamma(k + 1)))
    statistic, ratio = _statistics(scores, ranks)
    tail = exact_tail(ranks)
    return Friedman(
        n=n,
        k=k,
        chi2=statistic,
        p=max(least, float(chi2.sf(statistic, k - 1))),
        f=ratio,
        f_p=max(least, float(f.sf(ratio, k - 1, (k - 1) * (n - 1)))) if tail is None else tail,
        mean_ranks=mean_ranks,
        critical_difference=critical_difference(k, n, alpha),
        alpha=alpha,
        smallest_p=least,
        left_out=left_out,
        exact=tail is not None,
    )


def _statistics(scores: Floats, ranks: Floats) -> tuple[float, float]:
    """Returns Friedman's and Iman and Davenport's statistic."""
    k, n = ranks.shape
    if (ranks == ranks[0]).all():
        return 0.0, 0.0
    statistic = float(friedmanchisquare(*scores).statistic)
    rest = n * (k - 1) - statistic
    return statistic, (n - 1) * statistic / rest if rest > 1e-9 * n * k else math.inf


def critical_difference(k: int, n: int, alpha: float = ALPHA) -> float:
    """Returns by how much mean ranks of two of k entries over n units must differ: ``q sqrt(k (k + 1) / (6 n))``.

    q is the quantile of the studentized range over sqrt(2), Demsar's table 5.
    """
    return _quantile(k, alpha) * math.sqrt(k * (k + 1) / (6 * n))


def nemenyi(found: Friedman) -> pd.DataFrame:
    """Returns p-values of all pairs of entries, entries x entries, 1 on the diagonal; NaN where nothing was tested.

    A pair's p-value depends on which other entries there are (Benavoli, Corani, Mangili 2016, JMLR 17(5)). It is made
    for the critical difference diagram; answers about two entries come from their own paired test.

    Args:
        found: Result of `friedman`.
    """
    names, ranks = found.mean_ranks.index, found.mean_ranks.to_numpy(float)
    if math.isnan(found.critical_difference):
        return pd.DataFrame(np.nan, index=names, columns=names)
    error = math.sqrt(found.k * (found.k + 1) / (6 * found.n))
    distance = np.abs(ranks[:, None] - ranks[None]) / error * math.sqrt(2)
    p = np.clip(studentized_range.sf(distance, found.k, np.inf), 0.0, 1.0)
    np.fill_diagonal(p, 1.0)
    return pd.DataFrame(p, index=names, columns=names)


def cliques(mean_ranks: "pd.Series[float]", cd: float) -> list[tuple[str, ...]]:
    """Returns the bars of a critical difference diagram: groups of entries that are not separated.

    Args:
        mean_ranks: Mean rank by entry.
        cd: Critical difference.

    Returns:
        Groups of two or more entries, best first, whose mean ranks lie within `cd`; none lies within another.
    """
    order = mean_ranks.sort_values(kind="stable")
    names, ranks = [str(name) for name in order.index], order.to_numpy(float)
    groups: list[tuple[str, ...]] = []
    reached = 0
    for start in range(len(names)):
        # Rounding must not separate what differs by just the critical difference.
        end = int((ranks <= ranks[start] + cd + 1e-9).sum())
        if end - start >= 2 and end > reached:
            groups.append(tuple(names[start:end]))
        reached = max(reached, end)
    return groups


def _units(values: pd.DataFrame) -> pd.DataFrame:
    if values.columns.name not in UNITS:
        raise ValueError(
            f"friedman takes entries x patients or entries x tasks, got {values.index.name} x {values.columns.name}"
        )
    # A table of tasks must hold one value per entry and task just so.
    check_patients(values.rename_axis(columns="patient"))
    return values


def _signs(values: pd.DataFrame, sign: int | Mapping[str, int]) -> Floats:
    every = [sign if isinstance(sign, int) else sign[str(name)] for name in values.columns]
    if any(one not in (1, -1) for one in every):
        raise ValueError(f"sign must be 1 (more is better) or -1, got {sign}")
    return np.array(every, float)


@lru_cache(maxsize=256)
def _quantile(k: int, alpha: float) -> float:
    return float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
