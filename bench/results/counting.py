"""Which tuning trials of a study count, and which is the best of them: one rule for the engine and for tables."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LEAST_TRIAL_S = 1.0
"""A trial that fails at once costs this much of a budget in device time, so that a broken study ends."""


@dataclass(frozen=True)
class Limits:
    """What a study's tuning may spend, and what a setting may cost; none: no limit.

    Args:
        numbers: Trials with lower numbers than this count.
        epochs: Training epochs over all trials; the next trial must fit in whole.
        tune_epochs: Epochs of a whole trial.
        device_s: Seconds of device time over all trials; who begins before they are spent counts.
        most: Most that a setting may cost, by column of the trials table.
    """

    numbers: int | None = None
    epochs: int | None = None
    tune_epochs: int = 1
    device_s: float | None = None
    most: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """A tuning trial of the results store.

    Args:
        number: Within its study.
        status: Its status word.
        value: Its score, higher is better; none or NaN: it has none.
        epochs: After which it has a score, if it was pruned.
        cost: What is known of its cost, by column of the trials table.
    """

    number: int
    status: str
    value: float | None = None
    epochs: int = 0
    cost: Mapping[str, float] = field(default_factory=dict)


def charged_epochs(status: str, epochs: int, tune_epochs: int) -> int:
    """Returns what a trial counts in a budget of epochs: failing early buys nothing, being pruned does."""
    return min(max(epochs, 1), tune_epochs) if status == "pruned" else tune_epochs


def charged_s(device_s: float) -> float:
    """Returns what a trial counts in a budget of device time."""
    return max(device_s, LEAST_TRIAL_S)


def excess(cost: Mapping[Any, float], most: Mapping[Any, float]) -> dict[str, float]:
    """Returns by how much a trial breaks each of the limits, as a share of it; unknown costs break none."""
    return {name: cost[name] / limit - 1 for name, limit in most.items() if name in cost}


def counted(trials: Iterable[Tuned], limits: Limits) -> list[Tuned]:
    """Returns the trials that the budget pays for, in the order of their numbers.

    A number that is not among them drew the setting of another one, and was not trained.
    """
    found, epochs, seconds = [], 0, 0.0
    for trial in sorted(trials, key=lambda trial: trial.number):
        if limits.numbers is not None and trial.number >= limits.numbers:
            break
        if limits.epochs is not None and epochs + limits.tune_epochs > limits.epochs:
            break
        if limits.device_s is not None and seconds >= limits.device_s:
            break
        found.append(trial)
        epochs += charged_epochs(trial.status, trial.epochs, limits.tune_epochs)
        seconds += charged_s(trial.cost.get("device_s", 0.0))
    return found


def out_of_reach(trials: Iterable[Tuned], limits: Limits) -> str:
    """Says which limits keep every complete trial from being chosen, and what came next to them; else empty."""
    costs = [trial.cost for trial in counted(trials, limits) if trial.status == "complete"]
    broken = [{name for name, share in excess(cost, limits.most).items() if share > 0} for cost in costs]
    if not broken or not all(broken):
        return ""
    # Where no limit is broken by all of them, it is the limits together that none keeps to.
    names = set.intersection(*broken) or set.union(*broken)
    words = []
    for name in sorted(names):
        least = min(cost[name] for cost in costs if name in cost)
        words.append(f"{name} must be at most {limits.most[name]:,g}, the least seen is {least:,g}")
    return "; ".join(words)


def best_of(trials: Iterable[Tuned], limits: Limits) -> Tuned | None:
    """Returns the complete trial with the highest score, the lowest number of equals.

    One that the budget does not pay for, or that costs more than a setting may, does not count.
    """
    best = None
    for trial in counted(trials, limits):
        if trial.status != "complete" or trial.value is None or math.isnan(trial.value):
            continue
        if any(share > 0 for share in excess(trial.cost, limits.most).values()):
            continue
        if best is None or best.value is None or trial.value > best.value:
            best = trial
    return best
