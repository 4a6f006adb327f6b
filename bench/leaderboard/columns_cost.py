"""Columns of what an entry costs, and of what tuning gained."""

from collections.abc import Callable
from functools import partial

from bench.leaderboard.column import Column, estimated, known, plain
from bench.leaderboard.costs import SECONDS_PER_HOUR
from bench.leaderboard.estimate import UNKNOWN, Estimate
from bench.leaderboard.formats import NOTHING, amount, count_text, duration, number_or_none, short_duration
from bench.leaderboard.table import EntryRow

GAIN_DECIMALS = 3


def _cost(key: str, title: str, write: Callable[[float], str], presets: tuple[str, ...], keep: int) -> Column:
    """Returns a column of one of the numbers of `Cost`."""

    def of(row: EntryRow) -> float:
        return float(getattr(row.cost, key))

    return plain(
        key, title, lambda row: known(of(row), write), lambda row: number_or_none(of(row)), presets, keep
    )


def _hours(hours: float) -> str:
    return duration(hours * SECONDS_PER_HOUR)


def _parameters(row: EntryRow) -> str:
    return NOTHING if row.cost.parameters is None else count_text(row.cost.parameters)


def _gain(row: EntryRow) -> Estimate:
    return UNKNOWN if row.gain is None else row.gain.difference


def _score(row: EntryRow, which: str) -> float:
    return UNKNOWN.mean if row.gain is None else float(getattr(row.gain, which))


def _validation(key: str, title: str, which: str) -> Column:
    of = partial(_score, which=which)
    return plain(
        key,
        title,
        lambda row: known(of(row), f"{{:.{GAIN_DECIMALS}f}}".format),
        lambda row: number_or_none(of(row)),
        ("tuning",),
        3,
    )


COSTS = (
    plain("parameters", "params", _parameters, lambda row: row.cost.parameters, ("default", "cost"), 4),
    _cost("gmacs", "GMACs", amount, ("cost",), 4),
    _cost("gpu_hours", "train", _hours, ("default", "cost"), 4),
    _cost("train_s", "steps", duration, ("cost",), 2),
    _cost("case_s", "per case", short_duration, ("default", "cost"), 3),
    _cost("peak_memory_mb", "memory", partial(amount, unit="MB"), ("cost",), 3),
    _cost("energy_j", "energy", partial(amount, unit="J"), ("cost",), 3),
    _cost("tune_hours", "tuning", _hours, ("cost", "tuning"), 3),
)
TUNING = (
    _validation("default_score", "default", "default"),
    _validation("tuned_score", "tuned", "tuned"),
    estimated("gain", "gain", _gain, GAIN_DECIMALS, ("tuning",), 4, signed=True),
    plain(
        "tune_trials",
        "trials",
        lambda row: NOTHING if row.gain is None else str(row.gain.n_trials),
        lambda row: None if row.gain is None else row.gain.n_trials,
        ("tuning",),
        2,
    ),
)
