"""A study: one entry on one task, with its search space, its budget and its final trials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.plan.parameter import Parameter, Setting, default_setting, is_active, put
from bench.results.counting import Limits, excess
from bench.suite.schema import Resources
from bench.suite.search import Cost, PrunerSpec, SamplerSpec
from bench.words import plural
from medseg.config import Component
from medseg.tasks import TaskSpec
from medseg.training.config import TrainConfig, TrialSpec

__all__ = ["Budget", "Choice", "Parameter", "Setting", "Study", "is_active"]


@dataclass(frozen=True)
class Budget:
    """What the tuning of one study may spend; exactly one limit is set.

    Args:
        trials: Number of trials.
        epochs: Training epochs over all trials.
        device_hours: Hours of device time over all trials, failed ones included.
    """

    trials: int | None = None
    epochs: int | None = None
    device_hours: float | None = None

    def __post_init__(self) -> None:
        if sum(limit is not None for limit in (self.trials, self.epochs, self.device_hours)) != 1:
            raise ValueError(f"a budget needs exactly one of trials, epochs, device_hours, got {self!r}")

    def __str__(self) -> str:
        if self.trials is not None:
            return plural(self.trials, "trial")
        if self.epochs is not None:
            return plural(self.epochs, "epoch")
        return plural(self.device_hours or 0, "device hour")


@dataclass(frozen=True)
class Choice:
    """A model or a loss that a study trains with.

    Args:
        label: Its name in tables, claims and searched axes.
        component: Registered name and resolved options: what the user wrote over the defaults.
        train: Base training setting with it; of a loss, the suite's.
        parameters: Trainable parameters of a model; none for a loss.
    """

    label: str
    component: Component
    train: TrainConfig
    parameters: int | None = None


@dataclass(frozen=True)
class Study:
    """One entry on one task.

    Args:
        id: Hash of what defines the search: see `bench.plan.identity.study_id`.
        task: The task with the suite's overrides.
        entry: What the leaderboard ranks, e.g. `unet + dice`.
        models: The model, or the models where the search chooses; the first is the default.
        losses: The loss, or the losses where the search chooses; the first is the default.
        space: What tuning may change, parents before the parameters that depend on them.
        budget: What tuning may spend; none: no tuning.
        sampler: How settings are drawn.
        seed: Of the sampler and of every tuning trial.
        fold: Fold on which tuning trials are scored.
        tune_epochs: Epochs of a tuning trial.
        final_folds: Folds of the final trials.
        final_seeds: Seeds of the final trials.
        resources: What one trial takes of a node.
        window: Setting n is drawn from the scores of the trials up to n - window; so many can run at once.
        pruner: Which tuning trials are ended early.
        constraints: Most that a setting may cost.
        most_settings: Settings that the sampler has; none: any number.
    """

    id: str
    task: TaskSpec
    entry: str
    models: tuple[Choice, ...]
    losses: tuple[Choice, ...]
    space: tuple[Parameter, ...]
    budget: Budget | None
    sampler: SamplerSpec
    seed: int
    fold: int
    tune_epochs: int
    final_folds: tuple[int, ...]
    final_seeds: tuple[int, ...]
    resources: Resources
    window: int = 4
    pruner: PrunerSpec = field(default_factory=PrunerSpec)
    constraints: Mapping[Cost, float] = field(default_factory=dict)
    most_settings: int | None = None

    @property
    def tune_total(self) -> int:
        """Tuning trials that the budget pays for; a lower bound where `tune_limit` is none, 1 by device time."""
        if self.budget is None:
            return 0
        if self.budget.device_hours is not None:
            return 1
        paid = self.budget.trials or (self.budget.epochs or 0) // self.tune_epochs
        return paid if self.most_settings is None else min(paid, self.most_settings)

    @property
    def tune_limit(self) -> int | None:
        """Tuning trials with lower numbers than this count; none where it shows only when the budget is spent."""
        if self.budget is None or self.budget.trials is not None:
            return self.tune_total
        # A pruned trial leaves epochs to others.
        return self.tune_total if self.budget.epochs is not None and self.pruner.name == "none" else None

    @property
    def limits(self) -> Limits:
        """What decides which tuning trials count; see `bench.results.counting`."""
        budget, numbers = self.budget, self.tune_limit
        return Limits(
            numbers=numbers,
            epochs=budget.epochs if budget is not None and numbers is None else None,
            tune_epochs=self.tune_epochs,
            device_s=None if budget is None or budget.device_hours is None else budget.device_hours * 3600,
            most={str(name): most for name, most in self.constraints.items()},
        )

    @property
    def final_total(self) -> int:
        """Number of final trials."""
        return len(self.final_folds) * len(self.final_seeds)

    @property
    def final_epochs(self) -> int:
        """Epochs of a final trial: of the longest, where the models differ."""
        return max(model.train.epochs for model in self.models)

    def excess(self, cost: Mapping[Any, float]) -> dict[str, float]:
        """Returns by how much a trial breaks each of the constraints, as a share of the limit.

        Args:
            cost: What the trial cost. What is not known counts as if it were within the limit.

        Returns:
            ``cost / limit - 1`` by name: above 0 where the limit is broken.
        """
        return excess(cost, self.constraints)

    def default_setting(self) -> Setting:
        """Returns the setting that uses the suite's base values and the library's defaults."""
        return default_setting(self.space)

    def labels(self, setting: Mapping[str, Any]) -> tuple[str, str]:
        """Returns the labels of the model and of the loss that a setting means."""
        return self._chosen("model", setting).label, self._chosen("loss", setting).label

    def tune_spec(self, setting: Mapping[str, Any]) -> TrialSpec:
        """Returns the tuning trial with a setting.

        Args:
            setting: Values by parameter name; what it leaves out keeps the base value.

        Raises:
            ValueError: If the setting has a parameter that is not in the study's space.
        """
        spec = self._spec(setting)
        train = spec.train.model_copy(update={"epochs": self.tune_epochs})
        return spec.model_copy(update={"train": train, "fold": self.fold, "seed": self.seed})

    def final_specs(self, setting: Mapping[str, Any]) -> list[TrialSpec]:
        """Returns the final trials with a setting: every fold with every seed.

        Args:
            setting: Values by parameter name; what it leaves out keeps the base value.

        Raises:
            ValueError: If the setting has a parameter that is not in the study's space.
        """
        spec = self._spec(setting)
        return [
            spec.model_copy(update={"phase": "final", "fold": fold, "seed": seed})
            for fold in self.final_folds
            for seed in self.final_seeds
        ]

    def _spec(self, setting: Mapping[str, Any]) -> TrialSpec:
        values = self._values(setting)
        model, loss = self._chosen("model", setting), self._chosen("loss", setting)
        train = model.train.model_dump()
        for path, value in values["train"].items():
            put(train, path, value)
        return TrialSpec(
            task=self.task,
            model=_with_options(model.component, values["model"]),
            loss=_with_options(loss.component, values["loss"]),
            train=TrainConfig.model_validate(train),
            phase="tune",
        )

    def _chosen(self, axis: str, setting: Mapping[str, Any]) -> Choice:
        choices = self.models if axis == "model" else self.losses
        if axis not in setting:
            return choices[0]
        for choice in choices:
            if choice.label == setting[axis]:
                return choice
        known = ", ".join(choice.label for choice in choices)
        raise ValueError(f"setting: {axis} must be one of {known}, got {setting[axis]!r}")

    def _values(self, setting: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Returns values by part (train, model, loss) and path within it, e.g. `augment.noise`."""
        paths = {parameter.name: parameter.path for parameter in self.space}
        unknown = sorted(setting.keys() - paths.keys())
        if unknown:
            raise ValueError(f"setting: not in the space of study {self.entry}: {', '.join(unknown)}")
        values: dict[str, dict[str, Any]] = {"train": {}, "model": {}, "loss": {}}
        for name, value in setting.items():
            part, _, rest = paths[name].partition(".")
            if rest:
                values[part][rest] = value
        return values


def _with_options(component: Component, values: Mapping[str, Any]) -> Component:
    options = dict(component.options)
    for path, value in values.items():
        put(options, path, value)
    return component.model_copy(update={"options": options})
