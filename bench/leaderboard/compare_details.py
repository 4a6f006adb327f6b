"""What else can be said of a difference: other tests of it, what it scatters by, what it would take to show it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.leaderboard.answers import Question
from bench.leaderboard.compare_verdicts import Measured
from bench.leaderboard.comparison import Details, Difference
from bench.leaderboard.estimate import LEAST_FOR_INTERVAL, UNKNOWN, Estimate
from bench.leaderboard.outlook import Outlook, outlook
from bench.leaderboard.side_by_side import A, B
from bench.stats.aggregate import RunValues
from bench.stats.bayes import LEAST_FOLDS, Rope, correlated_t, signed_rank_rope
from bench.stats.crossed import crossed_intervals
from bench.stats.permutation import sign_flip_p
from bench.stats.resample import LEVEL


@dataclass(frozen=True)
class Draws:
    """What randomness is used.

    Args:
        seed: Of each question: the same question gives the same numbers.
        resamples: Bootstrap samples.
    """

    seed: int
    resamples: int

    @property
    def rng(self) -> np.random.Generator:
        """A new generator."""
        return np.random.default_rng(self.seed)


def detailed(one: Measured, row: Difference, rope: float | None, draws: Draws) -> Details:
    """Returns what else is known of a judged difference.

    Args:
        one: The difference as it was measured.
        row: Its verdict.
        rope: Differences up to it do not matter, in the metric's unit; none: not asked.
        draws: Seed and size of what is random.
    """
    gap, sign, runs = one.oriented, row.facts.sign, one.runs
    return Details(
        sign_flip_p=sign_flip_p(gap.d, draws.rng),
        rope=rope,
        by_patients=None if rope is None else signed_rank_rope(gap.d, rope, draws.rng),
        by_folds=_by_folds(one.by_fold, rope or 0.0, sign),
        resampled=_resampled(runs, draws),
        components=gap.components,
        shares=gap.components.shares,
        outlook=_outlook(one, row, draws),
    )


def _by_folds(runs: RunValues | None, rope: float, sign: int) -> Rope | None:
    """Returns the correlated t-test of B against A; none where folds are few, or share patients."""
    if runs is None:
        return None
    folds = np.array([fold for fold, _ in runs.runs])
    known: NDArray[np.bool_] = np.asarray(np.isfinite(runs.values).any(axis=0))
    met = np.stack([known[folds == fold].any(axis=0) for fold in np.unique(folds)])
    if len(met) < LEAST_FOLDS or met.sum(axis=0).max() > 1:
        return None
    return correlated_t(runs, B, A, rope, sign)


def _resampled(runs: RunValues, draws: Draws) -> Estimate:
    """Returns B minus A with the bootstrap interval over patients and trainings; unknown of one training."""
    shared: NDArray[np.bool_] = np.asarray(np.isfinite(runs.values).all(axis=0))
    if shared.any(axis=0).sum() < LEAST_FOR_INTERVAL:
        return UNKNOWN
    found = crossed_intervals(runs, draws.rng, draws.resamples, LEVEL, A)
    place = runs.entries.index(B)
    if found.method[place] != "crossed":
        return UNKNOWN
    return Estimate(float(found.mean[place]), float(found.low[place]), float(found.high[place]))


def _outlook(one: Measured, row: Difference, draws: Draws) -> Outlook | None:
    """Returns what it would take to show that B is better or worse, where that is open."""
    if (
        row.verdict not in ("no difference shown", "cannot tell")
        or one.waits
        or math.isnan(row.difference.mean)
    ):
        return None
    gap = one.oriented
    return outlook(gap, Question(), gap.interval(LEVEL, draws.seed, draws.resamples), row.family)
