"""How much a plan is, as far as that is known before it runs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.plan.plan import Plan
from bench.plan.study import Study
from bench.words import plural

# What a trial takes, and the words for one and for several.
UNITS = {
    "processes": ("process", "processes"),
    "gpus": ("GPU", "GPUs"),
    "cpus": ("core", "cores"),
    "memory_gb": ("GB", "GB"),
}


@dataclass(frozen=True)
class Totals:
    """What one phase of a plan adds up to, where every trial runs to its end.

    Args:
        trials: Trials.
        epochs: Their epochs.
        steps: Optimiser steps of these.
        slices: Images or slices that the networks see in these, forward and backward.
        device_hours: What the studies may spend whose tuning is limited by time; it is not counted above.
    """

    trials: int
    epochs: int
    steps: int
    slices: int
    device_hours: float = 0.0

    def __str__(self) -> str:
        parts = []
        if self.trials or not self.device_hours:
            counts = {"trial": self.trials, "epoch": self.epochs, "step": self.steps, "slice": self.slices}
            parts.append(", ".join(plural(count, noun) for noun, count in counts.items()) + " seen")
        if self.device_hours:
            parts.append(f"{plural(self.device_hours, 'device hour')}, for as many trials as they last")
        return ", and ".join(parts)


def tuning_total(plan: Plan) -> Totals:
    """Returns what tuning adds up to; where the search chooses the model, of the one that takes the most."""
    by_time = [study for study in plan.studies if study.budget and study.budget.device_hours is not None]
    counted = [study for study in plan.studies if study.budget and study.budget.device_hours is None]
    hours = sum(study.budget.device_hours or 0.0 for study in by_time if study.budget)
    return _sum(((study, study.tune_total, study.tune_epochs) for study in counted), hours)


def final_total(plan: Plan) -> Totals:
    """Returns what the final trials add up to; where the search chooses the model, of the one that takes the most."""
    return _sum((study, study.final_total, study.final_epochs) for study in plan.studies)


def _sum(parts: Iterable[tuple[Study, int, int]], device_hours: float = 0.0) -> Totals:
    trials = epochs = steps = slices = 0
    for study, count, length in parts:
        settings = [model.train for model in study.models]
        trials += count
        epochs += count * length
        steps += count * length * max(train.steps_per_epoch for train in settings)
        slices += count * length * max(train.steps_per_epoch * train.batch_size for train in settings)
    return Totals(trials, epochs, steps, slices, device_hours)


def describe_totals(plan: Plan) -> list[str]:
    """Returns what a plan adds up to, a line for each phase, and what its trials take."""
    tuning, final = tuning_total(plan), final_total(plan)
    lines = [f"tuning: {tuning}"] if tuning.trials or tuning.device_hours else []
    return [*lines, f"final: {final}", f"a trial takes {_shape(plan.studies)}"]


def _shape(studies: Iterable[Study]) -> str:
    every = [study.resources for study in studies]
    ranges = {name: sorted({getattr(resources, name) for resources in every}) for name in UNITS}
    if ranges["processes"] == [1]:
        del ranges["processes"]
    return ", ".join(_span(values, *UNITS[name]) for name, values in ranges.items() if values != [0])


def _span(values: list[float], one: str, many: str) -> str:
    span = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
    return f"{span} {one if values == [1] else many}"
