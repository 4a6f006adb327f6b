"""Numbers of an entry: an estimate with its interval, what it costs, what tuning gained."""

import math
from dataclasses import dataclass

import pandas as pd

from bench.stats.intervals import Intervals
from bench.stats.paired import LEAST_PATIENTS


@dataclass(frozen=True)
class Estimate:
    """A number over patients with its interval, e.g. a mean; NaN where it does not exist."""

    mean: float
    low: float = math.nan
    high: float = math.nan


UNKNOWN = Estimate(math.nan)
LEAST_FOR_INTERVAL = LEAST_PATIENTS
"""Patients from which a 95% interval is told: as many as a test at 5% takes. That of two covers 50% at most."""


def estimates(found: Intervals, values: pd.DataFrame) -> list[Estimate]:
    """Returns means or medians with their intervals, without those of too few patients.

    Args:
        found: A row each of `values`.
        values: Rows x patients.
    """
    enough = values.notna().sum(axis=1) >= LEAST_FOR_INTERVAL
    return [
        Estimate(float(mean), *((float(low), float(high)) if sure else ()))
        for mean, low, high, sure in zip(found.mean, found.low, found.high, enough, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an entry costs; NaN where it is not known. Of one training: mean over complete final trials.

    Args:
        parameters: Trainable parameters; none if unknown.
        train_s: Seconds of training steps in one training.
        gmacs: Multiply-accumulates of one image, in 10^9.
        gpu_hours: Device hours of one training, all of its processes together.
        tune_hours: Device hours of the planned tuning trials, each once, as last run; failed ones, too.
        peak_memory_mb: Largest peak memory of a training, in MB.
        energy_j: Energy of one training, in J.
        case_s: Seconds to predict one test case; median.
        devices: Names of the devices; costs of unlike ones do not compare.
    """

    parameters: int | None = None
    train_s: float = math.nan
    gmacs: float = math.nan
    gpu_hours: float = math.nan
    tune_hours: float = math.nan
    peak_memory_mb: float = math.nan
    energy_j: float = math.nan
    case_s: float = math.nan
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What tuning gained over the default setting, on validation cases; higher is better, distances are negated.

    The tuned setting was chosen on the same cases: what it gains there is more than it will gain elsewhere.

    Args:
        default: Score of the default setting; NaN where its trial did not complete.
        tuned: Score of the best setting.
        difference: Tuned minus default, with the interval over validation patients where both were measured on the
            same.
        metric: Selection metric.
        n_trials: Tuning trials.
    """

    default: float
    tuned: float
    difference: Estimate
    metric: str
    n_trials: int
