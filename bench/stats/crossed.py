"""Intervals of means over patients and trainings: both are resampled, crossed.

An interval over patients says what the networks that were trained would do on other patients. This one says what
other trainings would do on other patients. McCullagh (2000), Resampling and exchangeable arrays, Bernoulli 6; Owen
(2007), The pigeonhole bootstrap, Ann Appl Stat 1.
"""

import numpy as np
from numpy.typing import NDArray

from bench.stats.aggregate import RunValues
from bench.stats.intervals import Intervals
from bench.stats.resample import LEVEL, check_bootstrap, draws, tails
from bench.stats.trainings import fold_factor

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RESAMPLES = 2000


def crossed_intervals(
    runs: RunValues,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    against: str | None = None,
) -> Intervals:
    """Bootstraps every entry's mean over patients and runs; percentile intervals.

    All entries see the same patients and runs in a resample. Of n patients n - 1 are drawn, likewise of runs: this
    makes the bootstrap's variance that of a mean (McCarthy, Snowden 1985), which matters for three seeds. Folds
    that test the same patients are drawn with all of their seeds, and count as alike as they are, because they share
    training cases: see `fold_factor`. If each tests its own, seeds are drawn within it.

    Fewer than about five runs hold too little of how trainings vary: the interval is then too narrow, see
    docs/statistics.md.

    Args:
        runs: Values by entry, run and patient; NaN is left out.
        rng: Source of the resampling.
        resamples: Number of bootstrap samples.
        level: Coverage that is aimed at.
        against: An entry: intervals of the differences to it, run by run and patient by patient, instead.

    Returns:
        Means over patients of their means over runs, by entry; method ``"crossed"``, ``"percentile"`` where there is
        one run only, and other trainings therefore are left out of account, or ``"none"`` below two patients.

    Raises:
        ValueError: If there is no patient, an argument is out of range, or `against` is no entry.
    """
    check_bootstrap(resamples, level, len(runs.patients))
    values = runs.values if against is None else runs.values - runs.values[_place(runs, against)]
    valid = ~np.isnan(values)
    by_run, stretch = _run_weights(runs, np.asarray(valid.any(axis=0)), rng, resamples)
    by_patient = _drawn(len(runs.patients), rng, resamples)
    method = "percentile" if by_run is None else "crossed"
    found = []
    for value, known in zip(np.where(valid, values, 0.0), valid, strict=True):
        mean = float(_means(value, known, np.ones((1, len(value))), np.ones((1, value.shape[1])))[0])
        if known.any(axis=0).sum() < 2:
            found.append((mean, np.nan, np.nan, "none"))
            continue
        drawn = _means(
            value, known, np.ones((resamples, len(value))) if by_run is None else by_run, by_patient
        )
        if stretch > 1:
            fixed = _means(value, known, np.ones((resamples, len(value))), by_patient)
            drawn = fixed + stretch * (drawn - fixed)
        low, high = np.nanquantile(drawn, tails(level))
        found.append((mean, float(low), float(high), method))
    means, lows, highs, methods = zip(*found, strict=True)
    return Intervals(np.array(means), np.array(lows), np.array(highs), methods)


def _place(runs: RunValues, entry: str) -> int:
    if entry not in runs.entries:
        raise ValueError(f"no entry {entry!r}; there are {', '.join(runs.entries)}")
    return runs.entries.index(entry)


def _means(value: Floats, known: Bools, by_run: Floats, by_patient: Floats) -> Floats:
    """Returns weighted means (resamples,) over patients of weighted means over runs.

    Args:
        value: Floats (runs, patients), 0 where not known.
        known: Which are there.
        by_run: Weights (resamples, runs).
        by_patient: Weights (resamples, patients).
    """
    total, number = by_run @ value, by_run @ known.astype(float)
    there = number > 0
    patients = np.divide(total, number, out=np.zeros(total.shape), where=there)
    weight = np.where(there, by_patient, 0.0).sum(axis=1)
    return np.asarray(
        np.divide(
            (patients * by_patient).sum(axis=1), weight, out=np.full(len(total), np.nan), where=weight > 0
        )
    )


def _run_weights(
    runs: RunValues, tested: Bools, rng: np.random.Generator, resamples: int
) -> tuple[Floats | None, float]:
    """Returns how much each run counts (resamples, runs), and by how much to stretch the runs' part of a mean.

    There are no weights where there is nothing to draw from.

    Args:
        runs: Whose runs.
        tested: Which patients each run tests (runs, patients).
        rng: Source of the resampling.
        resamples: Number of bootstrap samples.
    """
    fold = np.array([each for each, _ in runs.runs])
    folds = [np.flatnonzero(fold == each) for each in dict.fromkeys(fold.tolist())]
    same_patients = sum(tested[fold_runs].any(axis=0).astype(int) for fold_runs in folds)
    if len(folds) > 1 and np.max(same_patients) > 1:
        families, stretch = [folds], fold_factor(len(folds)) ** 0.5
    else:
        families = [[np.array([run]) for run in fold_runs] for fold_runs in folds]
        stretch = 1.0
    weights = np.ones((resamples, len(fold)))
    for family in families:
        drawn = _drawn(len(family), rng, resamples)
        for place, unit in enumerate(family):
            weights[:, unit] = drawn[:, [place]]
    return (weights if any(len(family) > 1 for family in families) else None), stretch


def _drawn(units: int, rng: np.random.Generator, resamples: int) -> Floats:
    """Returns how often each unit was drawn in one draw less than there are units; of one unit, once."""
    if units < 2:
        return np.ones((resamples, units))
    return np.concatenate(list(draws(units, rng, resamples, units - 1))).astype(float)
