"""Does a difference hold for the methods, or only for the networks that were trained? Patients and trainings crossed.

A mean over patients and runs has errors of two kinds: other patients, and other trainings of the same entries. The
interval is that of readers and cases in diagnostic imaging, with trainings for readers: Obuchowski, Rockette (1995),
Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests, Commun Stat Simul Comput
24(2):285-308; degrees of freedom after Satterthwaite (1946), as in Hillis (2007), A comparison of denominator degrees
of freedom methods for multiple observer ROC analysis, Stat Med 26(3):596-619.
"""

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import nct

from bench.stats.variance import Components


@dataclass(frozen=True)
class MeanError:
    """Variance of a mean over patients and runs, in the metric's unit squared; NaN where there was one run only.

    Args:
        patients: Part that more patients make smaller.
        trainings: Part that more trainings make smaller, and patients do not.
        freedom: Degrees of freedom of their sum.
    """

    patients: float
    trainings: float
    freedom: float

    @property
    def total(self) -> float:
        """Variance of the mean."""
        return self.patients + self.trainings

    @property
    def training_share(self) -> float:
        """Share of the trainings, 0..1; NaN where unknown or nothing varies."""
        return self.trainings / self.total if self.total > 0 else math.nan


UNKNOWN = MeanError(math.nan, math.nan, math.nan)


def mean_error(components: Components, pooled: int = 1) -> MeanError:
    """Returns the variance of the mean of all values that the components were estimated from.

    Args:
        components: Of the paired differences of two entries, from `difference_components`.
        pooled: Over how many independent pairs the parts of the trainings were averaged: so many times the degrees of
            freedom.
    """
    seed, fold, residual = components.seed, components.fold, components.residual
    n, runs, folds = components.n_patients, components.n_runs, components.n_folds
    if (
        n < 2
        or math.isnan(components.patient)
        or math.isnan(residual)
        or (math.isnan(seed) and math.isnan(fold))
    ):
        return UNKNOWN
    # Where each fold tests other patients, a patient has the runs of one fold only.
    each = runs / folds if folds > 1 and math.isnan(fold) else runs
    patients = (components.patient + residual / each) / n
    by_fold = folds > 1 and not math.isnan(fold)
    between = _known(fold) / folds
    trainings = _known(seed) / runs + (between * fold_factor(folds) if by_fold else 0.0)
    if not trainings:
        return MeanError(patients, 0.0, n - 1.0)
    left = residual / (n * runs)
    outer = (folds if by_fold else runs) - 1 if by_fold or folds == 1 else runs - folds
    if outer < 1:
        return UNKNOWN
    outer *= pooled
    squares = patients**2 / (n - 1) + (trainings + left) ** 2 / outer + left**2 / ((n - 1) * outer)
    return MeanError(patients, trainings, (patients + trainings) ** 2 / squares)


def fold_factor(folds: int) -> float:
    """Returns by how much the variance of a mean over folds is larger than if they were independent.

    With a correlation r of their training luck folds differ by (1 - r) of its variance only, and their mean has
    (1 - r) / folds + r of it: ``1 + folds r / (1 - r)`` times as much as it seems. After Nadeau, Bengio (2003) r is
    the share of the cases that a fold leaves out, one in as many as there are folds. Of a split with more folds than
    were trained that is too much, which is on the safe side.

    Args:
        folds: How many there are, at least two.
    """
    return 1 + folds / (folds - 1)


def mean_interval(mean: float, error: MeanError, level: float) -> tuple[float, float]:
    """Returns the t interval of a mean over patients and trainings; NaN where the error is not known.

    Args:
        mean: The mean.
        error: Of `mean_error`.
        level: Coverage that is aimed at.
    """
    if math.isnan(error.total):
        return math.nan, math.nan
    half = float(stdtrit(error.freedom, (1 + level) / 2)) * math.sqrt(error.total)
    return mean - half, mean + half


def mean_power(difference: float, error: MeanError, alpha: float) -> float:
    """Returns the chance that the interval of a mean leaves out zero, on the side of its true value.

    Args:
        difference: True mean.
        error: Of `mean_error`; NaN gives NaN.
        alpha: One minus the interval's level.
    """
    if math.isnan(error.total):
        return math.nan
    if not error.total:
        return float(difference != 0)
    critical = float(stdtrit(error.freedom, 1 - alpha / 2))
    return float(nct.sf(critical, error.freedom, abs(difference) / math.sqrt(error.total)))


def detectable_mean(error: MeanError, alpha: float, power: float) -> float:
    """Returns the smallest true mean whose interval leaves out zero with a chance of `power`; NaN where unknown.

    Args:
        error: Of `mean_error`.
        alpha: One minus the interval's level.
        power: Chance to find it.
    """
    if math.isnan(error.total) or not error.total:
        return error.total
    high = math.sqrt(error.total)
    while mean_power(high, error, alpha) < power:
        high *= 2
    return float(brentq(lambda mean: mean_power(mean, error, alpha) - power, 0.0, high))


def _known(variance: float) -> float:
    return 0.0 if math.isnan(variance) else variance
