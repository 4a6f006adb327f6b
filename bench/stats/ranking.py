"""Ranks of entries, and how sure they are: three schemes, bootstrapped over patients.

Wiesenfarth et al. (2021), Methods and open-source toolkit for analyzing and visualizing challenge results, Sci Rep
11:2369.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.stats.paired import Pairs
from bench.stats.resample import LEVEL, check_bootstrap, tails
from bench.stats.schemes import SCHEMES, Scheme, Scorer, average_ranks

__all__ = [
    "RESAMPLES",
    "SCHEMES",
    "RankBootstrap",
    "Scheme",
    "Table",
    "bootstrap_ranks",
    "overall",
    "rank",
]

Floats = NDArray[np.float64]

RESAMPLES = 1000

Table = tuple[pd.DataFrame, int, int]
"""Entries x patients, the sign (1: higher is better, -1: lower), and the decimals to round to."""


@dataclass(frozen=True, eq=False)
class RankBootstrap:
    """Ranks with their bootstrap distribution; elements in the order of `entries`.

    Args:
        entries: Names, in the order of the table.
        ranks: From 1; ties share the average.
        low: Lower ends of the percentile intervals of the ranks.
        high: Upper ends.
        probability: P(rank = j) (entries, j - 1); each row sums to 1. Who shares a rank shares its places evenly.
        tau: Kendall's tau-b of each bootstrap ranking with the full one (resamples,); NaN where one of them ties all.
        scores: What was ranked: ``mean``: the mean; ``rank``: the mean rank within patients; ``test``: the number of
            significant wins; of `overall`: the mean rank over tasks.
        score_low: Lower ends of the percentile intervals of the scores.
        score_high: Upper ends.
        scheme: How the ranks (within a task) were made.
        patients: Patients, in all tasks.
    """

    entries: tuple[str, ...]
    ranks: Floats
    low: Floats
    high: Floats
    probability: Floats
    tau: Floats
    scores: Floats
    score_low: Floats
    score_high: Floats
    scheme: Scheme
    patients: int


def rank(
    values: pd.DataFrame, sign: int, scheme: Scheme = "mean", decimals: int = 6, pairs: Pairs | None = None
) -> "pd.Series[float]":
    """Ranks entries; ties share the average rank, and who has no value comes last.

    - ``mean``: by the mean over patients, rounded (aggregate, then rank).
    - ``rank``: within each patient by rounded values, then by the mean of these ranks (rank, then aggregate). A
      patient of whom an entry has no value is left out of its mean rank; for the others there, it counts as tied.
    - ``test``: by the number of entries that it is significantly better than: one-sided signed-rank tests of all
      ordered pairs, Holm at 5%. Below six patients nothing is significant, and all share a rank.

    Args:
        values: Entries x patients as `per_patient` makes them; where labels may be absent, of all entries together.
        sign: 1 where higher is better, -1 where lower is.
        scheme: One of `SCHEMES`.
        decimals: Means (``mean``) or values (``rank``) are rounded to these first; tests have their own.
        pairs: What two entries are tested on (``test``), as in `bench.stats.paired.significance_map`.

    Returns:
        Ranks from 1, on the index of `values`.

    Raises:
        ValueError: If the table is not entries x patients or has no patient, or an argument is unknown.
    """
    scorer = Scorer.of(values, sign, scheme, decimals, pairs)
    return pd.Series(scorer.ranks(scorer.full())[0], values.index, name="rank")


def bootstrap_ranks(
    values: pd.DataFrame,
    sign: int,
    scheme: Scheme,
    decimals: int,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    pairs: Pairs | None = None,
) -> RankBootstrap:
    """Ranks entries again and again over resampled patients, all entries resampled together.

    Args:
        values: As in `rank`, as are sign, scheme and decimals.
        sign: 1 or -1.
        scheme: One of `SCHEMES`.
        decimals: Digits.
        rng: Source of the resampling.
        resamples: Number of bootstrap samples.
        level: Of the intervals.
        pairs: As in `rank`.

    Raises:
        ValueError: As in `rank`, or if `resamples` or `level` is out of range.
    """
    check_bootstrap(resamples, level, values.shape[1])
    scorer = Scorer.of(values, sign, scheme, decimals, pairs)
    scores = np.concatenate([scorer.full(), scorer.resampled(rng, resamples)])
    entries = tuple(map(str, values.index))
    return _summary(entries, scores, scorer.ranks(scores), scheme, values.shape[1], level)


def overall(
    tables: Mapping[str, Table],
    rng: np.random.Generator,
    scheme: Scheme = "mean",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    pairs: Mapping[str, Pairs] | None = None,
) -> RankBootstrap:
    """Ranks entries over tasks by their mean rank; patients are resampled within each task.

    The intervals say how sure the result is on these tasks. For other tasks, see `bench.stats.friedman`.

    Args:
        tables: By task; each with the same entries.
        rng: Source of the resampling.
        scheme: How ranks within a task are made.
        resamples: Number of bootstrap samples.
        level: Of the intervals.
        pairs: By task, as in `rank`.

    Returns:
        `scores` are the mean ranks, `ranks` the places by them.

    Raises:
        ValueError: If there is no task or a task lacks an entry; and as in `bootstrap_ranks`.
    """
    if not tables:
        raise ValueError("ranks over tasks need at least one task")
    entries = next(iter(tables.values()))[0].index
    ranks = np.zeros((resamples + 1, len(entries)))
    for task, (values, sign, decimals) in tables.items():
        if set(values.index) != set(entries):
            odd = sorted(map(str, set(values.index) ^ set(entries)))
            raise ValueError(
                f"ranks over tasks need every entry in each task; {task}: {', '.join(odd)} not in all"
            )
        check_bootstrap(resamples, level, values.shape[1])
        scorer = Scorer.of(values.loc[entries], sign, scheme, decimals, (pairs or {}).get(task))
        ranks += scorer.ranks(np.concatenate([scorer.full(), scorer.resampled(rng, resamples)]))
    ranks /= len(tables)
    patients = sum(values.shape[1] for values, _, _ in tables.values())
    return _summary(tuple(map(str, entries)), ranks, average_ranks(ranks, -1), scheme, patients, level)


def _summary(
    entries: tuple[str, ...], scores: Floats, ranks: Floats, scheme: Scheme, patients: int, level: float
) -> RankBootstrap:
    """Summarises scores and ranks (1 + resamples, entries), the full ones first."""
    ends = tails(level)
    # Ranks are steps: an interval ends at ranks that came up, not between them.
    low, high = np.quantile(ranks[1:], ends, axis=0, method="inverted_cdf")
    score_low, score_high = _quantiles(scores[1:], ends)
    return RankBootstrap(
        entries=entries,
        ranks=ranks[0],
        low=low,
        high=high,
        probability=_probability(ranks[1:]),
        tau=_tau(ranks[0], ranks[1:]),
        scores=scores[0],
        score_low=score_low,
        score_high=score_high,
        scheme=scheme,
        patients=patients,
    )


def _quantiles(scores: Floats, ends: tuple[float, float]) -> Floats:
    """Returns quantiles by entry, of the resamples in which it has a score; NaN where there is none."""
    found = np.full((len(ends), scores.shape[1]), np.nan)
    some = ~np.isnan(scores).all(axis=0)
    found[:, some] = np.nanquantile(scores[:, some], ends, axis=0)
    return found


def _probability(ranks: Floats) -> Floats:
    """Returns how often each entry took each place (entries, places); ties share their places."""
    resamples, entries = ranks.shape
    tied = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    first = np.rint(ranks - (tied - 1) / 2).astype(int) - 1
    steps = np.zeros((entries, entries + 1))
    rows = np.broadcast_to(np.arange(entries), ranks.shape)
    np.add.at(steps, (rows, first), 1 / tied)
    np.subtract.at(steps, (rows, first + tied), 1 / tied)
    return np.asarray(np.cumsum(steps, axis=1)[:, :-1] / resamples)


def _tau(full: Floats, ranks: Floats) -> Floats:
    """Returns Kendall's tau-b of each ranking with the full one."""
    first, second = np.triu_indices(len(full), 1)
    way = np.sign(full[first] - full[second])
    ways = np.sign(ranks[:, first] - ranks[:, second])
    scale = np.sqrt(np.abs(way).sum() * np.abs(ways).sum(axis=1))
    return np.asarray(np.divide(ways @ way, scale, out=np.full(len(ranks), np.nan), where=scale > 0))
