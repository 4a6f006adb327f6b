"""Bayesian comparison with a region of practical equivalence (ROPE): worse, as good as equal, or better.

Benavoli, Corani, Mangili, Zaffalon, Ruggeri (2014), A Bayesian Wilcoxon signed-rank test based on the Dirichlet
process, ICML; Corani, Benavoli (2015), A Bayesian approach for comparing cross-validated algorithms, Machine Learning
100:285-304; Benavoli et al. (2017), Time for a change: a tutorial for comparing multiple classifiers through Bayesian
analysis, JMLR 18(77).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

from bench.stats.aggregate import RunValues
from bench.stats.paired import LEAST_PATIENTS, one_per_patient
from bench.stats.signed_rank import DECIMALS, Floats

DRAWS = 20_000
PRIOR = 0.5
CHUNK = 2_000_000
HUGE = 1e15
LEAST_FOLDS = 3


@dataclass(frozen=True)
class Rope:
    """Posterior probabilities of three answers; they sum to one, or are NaN where the data cannot tell.

    Args:
        worse: Of a difference below minus the rope.
        equivalent: Of one within.
        better: Of one above.
        n: Patients, or folds.
    """

    worse: float
    equivalent: float
    better: float
    n: int = 0

    @property
    def can_tell(self) -> bool:
        """Whether there are probabilities."""
        return not math.isnan(self.better)


def signed_rank_rope(
    d: "pd.Series[float]", rope: float, rng: np.random.Generator, draws: int = DRAWS, prior: float = PRIOR
) -> Rope:
    """Returns how probable it is that differences lie mostly below, within and above the rope.

    The Bayesian signed-rank test: the distribution of differences is a Dirichlet process, whose prior is a
    pseudo-patient of weight `prior` with difference zero. Of each draw of the patients' weights w it is seen where
    most of ``sum_ij w_i w_j [(d_i + d_j) / 2 in region]`` lies; the probabilities are shares of draws. What lies on
    the rope's edge is within.

    It speaks of patients, not of the mean: where differences scatter beyond the rope, no number of patients makes two
    entries equivalent, though their means be equal.

    Args:
        d: Differences by patient, from `differences`. **They have no sign of their own: positive is read as better.**
            Where lower values are better, as of distances, negate them first.
        rope: Half-width in the metric's unit, above zero: differences up to it do not matter.
        rng: Source of the draws.
        draws: How many; the probabilities have a standard error of at most ``0.5 / sqrt(draws)``.
        prior: Weight of the pseudo-patient.

    Returns:
        The probabilities; NaN with fewer than six patients.

    Raises:
        ValueError: As in `one_per_patient`, or if `rope`, `draws` or `prior` is not above zero.
    """
    array = one_per_patient(d)
    if not (rope > 0 and draws > 0 and prior > 0):
        raise ValueError(f"rope, draws and prior must be above zero, got {rope}, {draws}, {prior}")
    if len(array) < LEAST_PATIENTS:
        return Rope(math.nan, math.nan, math.nan, len(array))
    # Whole numbers, so that what lies on the edge does so; huge ones must not overflow.
    scale = 10.0**DECIMALS
    points = np.rint(np.append(array, 0.0).clip(-HUGE, HUGE) * scale)
    order = np.argsort(points, kind="stable")
    points, edge = points[order], np.rint(2 * rope * scale)
    alpha = np.append(np.ones(len(array)), prior)[order]
    # The mean of point i and another lies above the rope from the point `above` on, and below it before `below`.
    above = np.searchsorted(points, edge - points, side="right")
    below = np.searchsorted(points, -edge - points, side="left")
    wins = np.zeros(3)
    step = max(1, CHUNK // len(points))
    for start in range(0, draws, step):
        weights = rng.dirichlet(alpha, min(step, draws - start))
        wins += _most(weights, above, below)
    worse, equivalent, better = (float(share) for share in wins / draws)
    return Rope(worse, equivalent, better, len(array))


def _most(weights: Floats, above: NDArray[np.intp], below: NDArray[np.intp]) -> Floats:
    """Counts draws in which most of the pairs' weight is worse, equivalent, better."""
    up_to = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    better = (weights * (up_to[:, -1:] - up_to[:, above])).sum(axis=1)
    worse = (weights * up_to[:, below]).sum(axis=1)
    parts = np.stack([worse, 1 - worse - better, better])
    return np.bincount(parts.argmax(axis=0), minlength=3).astype(float)


def correlated_t(
    runs: RunValues, first: str, second: str, rope: float, sign: int = 1, test_share: float | None = None
) -> Rope:
    """Returns how probable it is that `first` is worse, as good as equal, or better, from folds of cross-validation.

    Folds share most of their training patients, so that their results are not independent. The posterior of the mean
    difference is Student's t with folds - 1 degrees of freedom, around the mean over folds, with the variance
    ``(1 / folds + share / (1 - share)) s^2`` (Nadeau, Bengio 2003, Machine Learning 52:239-281). Seeds are averaged
    within a fold first: they share all of its patients.

    Args:
        runs: Values by entry, run and patient; each fold tests other patients.
        first: An entry.
        second: Another entry.
        rope: Half-width in the metric's unit; 0: none.
        sign: 1 where more is better, -1 where less is.
        test_share: Share of the patients that a fold tests; by default 1 / folds.

    Returns:
        The probabilities; NaN with fewer than three folds.

    Raises:
        ValueError: If there is no such entry, a patient is tested by several folds (then patients are compared, see
            `compare`), or `rope`, `sign` or `test_share` is out of range.
    """
    for entry in (first, second):
        if entry not in runs.entries:
            raise ValueError(f"no entry {entry!r}; there are {', '.join(runs.entries)}")
    if rope < 0 or sign not in (1, -1) or not (test_share is None or 0 < test_share < 1):
        raise ValueError(
            f"rope must not be negative, sign 1 or -1, test_share within 0..1; got {rope}, {sign}, {test_share}"
        )
    d = fold_differences(runs, first, second).to_numpy(float) * sign
    n = len(d)
    if n < LEAST_FOLDS:
        return Rope(math.nan, math.nan, math.nan, n)
    share = 1 / n if test_share is None else test_share
    mean = float(d.mean())
    spread = math.sqrt(float(d.var(ddof=1)) * (1 / n + share / (1 - share)))
    if spread == 0:
        return Rope(float(mean < -rope), float(abs(mean) <= rope), float(mean > rope), n)
    worse, better = (float(t.cdf((-rope + turn * mean) / spread, n - 1)) for turn in (-1, 1))
    return Rope(worse, max(0.0, 1 - worse - better), better, n)


def fold_differences(runs: RunValues, first: str, second: str) -> "pd.Series[float]":
    """Returns the mean difference of each fold, over its patients, whose seeds are averaged first.

    Raises:
        ValueError: If a patient is tested by several folds.
    """
    gap = runs.values[runs.entries.index(first)] - runs.values[runs.entries.index(second)]
    frame = pd.DataFrame(
        gap, index=pd.Index([fold for fold, _ in runs.runs], name="fold"), columns=runs.patients
    )
    by_fold = frame.groupby(level="fold").mean()
    shared = by_fold.notna().sum() > 1
    if shared.any():
        raise ValueError(
            f"folds of a cross-validation test other patients each; {shared.idxmax()} is tested by several: "
            "compare over patients instead"
        )
    return by_fold.mean(axis=1).dropna()
