"""Every entry against the best of its task: paired differences, tests, how large, and how sure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pandas as pd

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL, Estimate
from bench.stats.aggregate import RunValues
from bench.stats.effects import Effect, effects
from bench.stats.intervals import RESAMPLES
from bench.stats.paired import LEAST_PATIENTS, PairedTest, compare
from bench.stats.resample import LEVEL
from bench.stats.skewed import skewed_interval
from bench.stats.trainings import MeanError, mean_error, mean_interval
from bench.stats.variance import Components, difference_components

LEAST_TRAININGS = 3
"""The variance of two trainings is a guess: an interval over them holds zero or not as it happens."""


@dataclass(frozen=True)
class AgainstBest:
    """Entries against the best.

    Args:
        best: Its name.
        alone: Values of all entries, entries x patients.
        pairs: By entry, its values and the best's as they are compared.
        tests: By entry, their tests.
        errors: By entry, the variance of the mean difference over patients and trainings; nothing where each entry
            was trained once, or patients are few.
        family: How many pairs of all these entries have patients enough for a p-value: any of them could be the
            comparison with the best.
        seed: Of the bootstrap.
        resamples: Bootstrap samples.
        trainings: Of each entry: below `LEAST_TRAININGS` nothing hangs on how they differ.
    """

    best: str
    alone: pd.DataFrame
    pairs: Mapping[str, pd.DataFrame]
    tests: Mapping[str, PairedTest]
    errors: Mapping[str, MeanError] = field(default_factory=dict)
    family: int = 0
    seed: int = 0
    resamples: int = RESAMPLES
    trainings: int = LEAST_TRAININGS

    @property
    def gaps(self) -> pd.DataFrame:
        """Each other entry minus the best, entries x patients."""
        rows = [pair.loc[name] - pair.loc[self.best] for name, pair in self.pairs.items()]
        names = pd.Index(list(self.pairs), name="entry")
        array = [row.reindex(self.alone.columns).to_numpy(float) for row in rows]
        return pd.DataFrame(array, names, self.alone.columns)

    @property
    def paired_absent(self) -> bool:
        """Whether a comparison counts labels that one of two entries rightly left out."""
        return any(not pair.equals(self.alone.loc[pair.index]) for pair in self.pairs.values())

    def effects(self, sign: int) -> dict[str, Effect]:
        """Returns, by entry, how large its difference to the best is; all from the same resamples."""
        if not self.pairs:
            return {}
        return effects(self.gaps, sign, np.random.default_rng(self.seed), self.resamples)

    def over_trainings(self, level: float = LEVEL) -> dict[str, Estimate]:
        """Returns, by entry, its difference to the best with the interval over patients and trainings.

        Where each entry was trained once nobody knows how much another training would change: there are none.
        """
        means = {name: self.tests[name].mean for name in self.errors}
        return {
            name: Estimate(means[name], *mean_interval(means[name], error, level))
            for name, error in self.errors.items()
        }

    def intervals(self, names: Sequence[str], level: float) -> dict[str, list[Estimate]]:
        """Returns, by entry, all intervals of its mean difference: over patients, then over trainings, too, if known.

        Those over patients are not the bootstrap's: its ends rest on few resamples at the level of a large family.

        Args:
            names: Entries.
            level: Coverage that is aimed at.
        """
        gaps = self.gaps
        found = {}
        for name in names:
            d = gaps.loc[name].dropna().to_numpy(float)
            found[name] = [Estimate(float(d.mean()), *skewed_interval(d, level))]
        for name, estimate in self.over_trainings(level).items() if self.trainings >= LEAST_TRAININGS else ():
            if name in found and not math.isnan(estimate.low):
                found[name].append(estimate)
        return found


def against_best(
    cells: TaskCells,
    metric: str,
    order: Sequence[str],
    alone: pd.DataFrame,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> AgainstBest:
    """Compares entries with the best.

    Args:
        cells: Test values of a task.
        metric: What is ranked by.
        order: Names of the entries, best first.
        alone: What `cells.patients` returns of the metric.
        seed: Of the bootstrap.
        resamples: Bootstrap samples.
    """
    best = order[0]
    pairs = {name: cells.together(metric, [name, best], alone) for name in order[1:]}
    return AgainstBest(
        best,
        alone,
        pairs,
        tests={name: compare(pair, name, best) for name, pair in pairs.items()},
        errors=_errors(cells, metric, best, list(pairs), int(alone.notna().sum(axis=1).min())),
        family=pairs_with_p(cells.together(metric, order, alone)),
        seed=seed,
        resamples=resamples,
        trainings=len(cells.ran),
    )


def pairs_with_p(values: pd.DataFrame) -> int:
    """Counts the pairs of entries that have patients enough for a p-value.

    Args:
        values: Entries x patients, of all entries together.
    """
    there = values.notna().to_numpy(float)
    shared = there @ there.T
    return int((shared[np.triu_indices(len(there), 1)] >= LEAST_PATIENTS).sum())


def _errors(
    cells: TaskCells, metric: str, best: str, others: Sequence[str], patients: int
) -> dict[str, MeanError]:
    if len(cells.ran) < 2 or patients < LEAST_FOR_INTERVAL:
        return {}
    # Of the very values that are tested: labels rightly left out count in both, or in neither.
    runs = {name: cells.runs_together(metric, [name, best]) for name in others}
    every = cells.runs_together(metric, [best, *others])
    return mean_errors({name: difference_components(pair, name, best) for name, pair in runs.items()}, every)


def mean_errors(components: Mapping[str, Components], runs: RunValues) -> dict[str, MeanError]:
    """Returns the variances of mean differences, the luck of trainings no smaller than it is in the average pair.

    Three trainings often estimate the luck of a pair as next to nothing, and among many pairs some are bound to:
    those would be found. The average rests on all entries' trainings, and has their degrees of freedom.

    Args:
        components: By entry, of its differences to the best.
        runs: Values of all entries.
    """
    pairs = [difference_components(runs, *pair) for pair in combinations(runs.entries, 2)]
    seed, fold = (_average([getattr(one, part) for one in pairs]) for part in ("seed", "fold"))
    found = {}
    for name, own in components.items():
        average = replace(own, seed=_known_as(own.seed, seed), fold=_known_as(own.fold, fold))
        errors = mean_error(own), mean_error(average, len(runs.entries) - 1)
        found[name] = errors[0] if not errors[0].trainings < errors[1].trainings else errors[1]
    return found


def _average(variances: Sequence[float]) -> float:
    known = [one for one in variances if not math.isnan(one)]
    return sum(known) / len(known) if known else 0.0


def _known_as(own: float, average: float) -> float:
    """Returns the average; what the runs cannot tell stays NaN."""
    return own if math.isnan(own) else average
