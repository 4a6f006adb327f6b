"""The difference of two sides, patient by patient, with what it rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.leaderboard.cells import TaskCells
from bench.leaderboard.entries import Entry
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL, UNKNOWN, Estimate
from bench.results.schema import UNDECIDED
from bench.stats.aggregate import RunValues
from bench.stats.effects import Effect, Size, effects
from bench.stats.intervals import RESAMPLES, mean_intervals
from bench.stats.skewed import skewed_interval
from bench.stats.trainings import MeanError, mean_error, mean_interval
from bench.stats.variance import Components, difference_components

CODE_DIGITS = 8
FIRST, SECOND = "first", "second"
NO_COMPONENTS = Components(math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Contrast:
    """One side minus the other, unit by unit.

    Args:
        d: Differences by patient, or by task; those without a value of both sides are left out.
        components: Variances of the differences run by run; unknown where tasks are the units.
    """

    d: "pd.Series[float]"
    components: Components = NO_COMPONENTS

    @property
    def array(self) -> NDArray[np.float64]:
        """The differences, (n,)."""
        return np.asarray(self.d.to_numpy(float), np.float64)

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.d)

    @property
    def mean(self) -> float:
        """Mean difference; NaN of no units."""
        return float(self.array.mean()) if self.n else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of the differences; NaN of fewer than two."""
        return float(self.array.std(ddof=1)) if self.n > 1 else math.nan

    @property
    def seeds(self) -> float:
        """Seeds per fold, on average; NaN where runs are not known."""
        return self.components.n_runs / self.components.n_folds if self.components.n_folds else math.nan

    @property
    def error(self) -> MeanError:
        """Variance of the mean over patients and trainings."""
        return mean_error(self.components)

    def effect(self, sign: int, seed: int, resamples: int = RESAMPLES) -> Effect | None:
        """Returns how large the difference is, with 95% intervals; none of no units.

        Args:
            sign: 1 where a positive difference is better, else -1.
            seed: Of the bootstrap.
            resamples: Bootstrap samples.
        """
        if not self.n:
            return None
        found = effects(self._row(), sign, np.random.default_rng(seed), resamples)[FIRST]
        if self.n >= LEAST_FOR_INTERVAL:
            return found
        return replace(
            found,
            mean=_alone(found.mean),
            median=_alone(found.median),
            rank_biserial=_alone(found.rank_biserial),
            improvement=_alone(found.improvement),
        )

    def interval(self, level: float, seed: int, resamples: int = RESAMPLES) -> Estimate:
        """Returns the mean with its bootstrap interval over units; no ends of few units."""
        if self.n < LEAST_FOR_INTERVAL:
            return Estimate(self.mean)
        found = mean_intervals(self._row(), np.random.default_rng(seed), resamples, level)
        return Estimate(self.mean, float(found.low[0]), float(found.high[0]))

    def strict(self, level: float) -> Estimate:
        """Returns the mean with an interval that is as strict as it says at any level; no ends of few units."""
        if self.n < LEAST_FOR_INTERVAL:
            return Estimate(self.mean)
        return Estimate(self.mean, *skewed_interval(self.array, level))

    def over_trainings(self, level: float) -> Estimate:
        """Returns the mean with its interval over units and trainings.

        There are no ends where units are few, or each entry was trained once.
        """
        if self.n < LEAST_FOR_INTERVAL:
            return Estimate(self.mean)
        return Estimate(self.mean, *mean_interval(self.mean, self.error, level))

    def _row(self) -> pd.DataFrame:
        # Where tasks are the units, they take the patients' place.
        index, columns = pd.Index([FIRST], name="entry"), self.d.index.rename("patient")
        return pd.DataFrame(self.array[None], index, columns)


def contrast(
    cells: TaskCells, metric: str, first: Sequence[str], second: Sequence[str], sign: int
) -> Contrast:
    """Subtracts the mean of some entries from that of others, patient by patient.

    Args:
        cells: Test values of a task.
        metric: What is compared.
        first: Names of entries.
        second: Names of the others.
        sign: 1, or -1 to turn the difference around.

    Raises:
        ResultsError: If the metric was not measured.
    """
    alone, runs = cells.patients(metric), side_runs(cells, metric, first, second)
    together = cells.together(metric, [*first, *second], alone)
    # A patient without a value of one of the entries would make the side another one.
    sides = [together.loc[list(names)].mean(axis=0, skipna=False) for names in (first, second)]
    d = ((sides[0] - sides[1]) * sign).dropna()
    return Contrast(d, difference_components(runs, FIRST, SECOND))


def side_runs(cells: TaskCells, metric: str, first: Sequence[str], second: Sequence[str]) -> RunValues:
    """Returns the values of two sides run by run: of what `contrast` compares, not yet averaged.

    Args:
        cells: Test values of a task.
        metric: What is compared.
        first: Names of entries; the side is called `FIRST`.
        second: Names of the others; `SECOND`.

    Raises:
        ResultsError: If the metric was not measured.
    """
    runs = cells.runs_together(metric, [*first, *second])
    rows = [[runs.entries.index(name) for name in names] for names in (first, second)]
    by_run = np.stack([runs.values[places].mean(axis=0) for places in rows])
    return RunValues((FIRST, SECOND), runs.runs, runs.patients, by_run)


def over_tasks(parts: Sequence[tuple[str, Contrast]]) -> Contrast:
    """Returns the contrast whose units are tasks: each counts its mean difference."""
    means = {task: part.mean for task, part in parts if part.n}
    return Contrast(pd.Series(means, dtype=float).rename_axis("task"))


def estimate(size: Size | None) -> Estimate:
    """Returns an effect's size as tables hold it."""
    return UNKNOWN if size is None else Estimate(size.value, size.low, size.high)


def _alone(size: Size) -> Size:
    """Returns a size without its interval."""
    return Size(size.value)


def unfinished(entries: Sequence[Entry], runs: Sequence[tuple[int, int]]) -> list[str]:
    """Says which entries still wait for final trials: an answer before these are in is one of several looks.

    Args:
        entries: Those that are compared.
        runs: Folds and seeds that each of them must have.
    """
    found = []
    for entry in entries:
        if entry.finals.empty:
            continue
        left = set(runs) - decided_runs(entry)
        if left:
            found.append(f"{entry.name}: {len(left)} of {len(runs)} final trials to come")
    return found


def decided_runs(entry: Entry) -> set[tuple[int, int]]:
    """Returns folds and seeds of an entry's final trials that have a result, be it a failure."""
    decided = entry.finals[~entry.finals["status"].isin(UNDECIDED)]
    return {(int(fold), int(seed)) for fold, seed in zip(decided["fold"], decided["seed"], strict=True)}


def unlike_code(entries: Sequence[Entry]) -> str:
    """Says which code made which entries, where it is not the same fold by fold and seed by seed; else nothing."""
    made: dict[tuple[int, int], dict[str, list[str]]] = {}
    for entry in entries:
        done = entry.finals[entry.finals["status"] == "complete"] if len(entry.finals) else entry.finals
        for row in done.to_dict("records"):
            made.setdefault((row["fold"], row["seed"]), {}).setdefault(row["code"], []).append(entry.name)
    unlike = [codes for codes in made.values() if len(codes) > 1]
    if not unlike:
        return ""
    who: dict[str, dict[str, None]] = {}
    for codes in unlike:
        for code, names in codes.items():
            who.setdefault(code, {}).update(dict.fromkeys(names))
    return "; ".join(f"{', '.join(names)} by code {code[:CODE_DIGITS]}" for code, names in who.items())
