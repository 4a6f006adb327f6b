"""What an entry costs, from its trials."""

import math

import pandas as pd

from bench.leaderboard.entries import Entry
from bench.leaderboard.estimate import Cost
from bench.results.select import newest_per_trial

SECONDS_PER_HOUR = 3600.0


def cost_of(entry: Entry) -> Cost:
    """Returns what an entry costs; NaN or none where its trials do not tell."""
    done = entry.finals[entry.finals["status"] == "complete"]
    sizes = _known(done, "parameters")
    # Each trial of the plan once: earlier attempts, and what an upgrade ran again, are the same tuning once more.
    tuning = newest_per_trial(entry.tuning) if len(entry.tuning) else entry.tuning
    return Cost(
        parameters=int(sizes.max()) if len(sizes) else None,
        train_s=_mean(done, "train_s"),
        gmacs=_mean(done, "gmacs"),
        gpu_hours=_mean(done, "device_s") / SECONDS_PER_HOUR,
        tune_hours=float(_known(tuning, "device_s").sum()) / SECONDS_PER_HOUR if len(tuning) else math.nan,
        peak_memory_mb=_largest(done, "peak_memory_mb"),
        energy_j=_mean(done, "energy_j"),
        case_s=_median(done, "case_s"),
        devices=tuple(sorted({str(name) for name in _column(done, "device")})),
    )


def _column(trials: pd.DataFrame, name: str) -> "pd.Series[float]":
    """Returns a column; empty where the table has none: predictions of unknown origin cost nothing known."""
    return trials[name] if name in trials.columns else pd.Series(dtype=float)


def _known(trials: pd.DataFrame, name: str) -> "pd.Series[float]":
    return _column(trials, name).dropna().astype(float)


def _mean(trials: pd.DataFrame, name: str) -> float:
    return float(_known(trials, name).mean())


def _median(trials: pd.DataFrame, name: str) -> float:
    return float(_known(trials, name).median())


def _largest(trials: pd.DataFrame, name: str) -> float:
    return float(_known(trials, name).max())
