"""What a suite may say: frozen, unknown keys refused.

In a file a plain name may stand for `{name: ...}`, see `bench.suite.load.normalise`.
Checks that span sections are in `bench.suite.check`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from medseg.config import Config

Axis = Literal["model", "loss"]
Sampler = Literal["tpe", "random"]
MAX_SEED = 2**32 - 1
AXES: tuple[Axis, ...] = ("model", "loss")


def same(first: Any, second: Any) -> bool:
    """Says whether two JSON values are equal; true and 1 are not, 1 and 1.0 are."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


class ParameterSpec(Config):
    """One dimension of a search space: a range (`low`, `high`), or `choices`."""

    low: int | float | None = Field(None, description="Smallest value; an int where both ends are.")
    high: int | float | None = Field(None, description="Largest value, included.")
    log: bool = Field(False, description="Search on a logarithmic scale.")
    step: int | float | None = Field(None, gt=0, description="Distance of neighbouring values.")
    choices: tuple[JsonValue, ...] | None = Field(None, description="The values to choose from.")
    when: dict[str, JsonValue] = Field(
        {}, description="Other parameters and the value, or list of values, for which this one is active."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "ParameterSpec":
        if self.choices is not None:
            given = [k for k in ("low", "high", "step") if getattr(self, k) is not None]
            if given or self.log:
                raise ValueError(f"choices leave no place for {', '.join(given) or 'log'}")
            if not self.choices:
                raise ValueError("choices must not be empty")
            return self
        if self.low is None or self.high is None:
            raise ValueError("needs low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"low must be less than high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low above 0, got {self.low}")
        if self.step is not None:
            self._check_step(self.low, self.high, self.step)
        return self

    def _check_step(self, low: float, high: float, step: float) -> None:
        if self.log:
            raise ValueError("a logarithmic range has no step")
        if isinstance(low, int) and isinstance(high, int) and not isinstance(step, int):
            raise ValueError(f"an integer range needs an integer step, got {step}")
        steps = (high - low) / step
        if abs(steps - round(steps)) > 1e-8:
            raise ValueError(f"step must divide high - low = {high - low:g}, got {step}")

    def conditions(self) -> dict[str, tuple[JsonValue, ...]]:
        """Returns `when` with each condition as a tuple of values."""
        return {
            name: tuple(values) if isinstance(values, list) else (values,)
            for name, values in self.when.items()
        }

    def contains(self, value: Any) -> bool:
        """Says whether a value lies in the range (on its grid), or is one of the choices."""
        if self.choices is not None:
            return any(same(value, choice) for choice in self.choices)
        if self.low is None or self.high is None or isinstance(value, bool):
            return False
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if not isinstance(value, int if whole else int | float) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-8

    def __str__(self) -> str:
        if self.choices is not None:
            return ", ".join("null" if choice is None else str(choice) for choice in self.choices)
        return f"{self.low} to {self.high}" + (f" in steps of {self.step}" if self.step else "")


Space = dict[str, ParameterSpec]
# None removes a parameter that `tune.space` has.
SpaceOverrides = dict[str, ParameterSpec | None]


class Resources(Config):
    """What one trial takes of a node."""

    cpus: int = Field(1, ge=1)
    gpus: float = Field(0, ge=0, description="A fraction below 1 packs several trials on one GPU.")
    processes: int = Field(1, ge=1, description="Training processes of one trial.")
    memory_gb: float = Field(2, gt=0)

    @model_validator(mode="after")
    def _whole_gpus(self) -> "Resources":
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus must be whole above 1, got {self.gpus:g}")
        return self

    def largest(self, others: Iterable["Resources"]) -> "Resources":
        """Returns what is enough for this and for each of the others."""
        needs = [self.model_dump(), *(other.model_dump() for other in others)]
        return Resources(**{name: max(need[name] for need in needs) for name in needs[0]})


class TaskEntry(Config):
    """A registered task. The other keys are fields of its `TaskSpec` that the suite overrides."""

    # Which keys there may be is checked with the task at hand, in `bench.suite.check`.
    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1)

    @property
    def overrides(self) -> dict[str, Any]:
        """Fields of the task that the suite sets."""
        return dict(self.model_extra or {})

    @property
    def title(self) -> str:
        """The name that tables and claims use."""
        return self.name


class LossEntry(Config):
    """A loss: registered name or `module:Class`."""

    name: str = Field(min_length=1)
    label: str = Field("", description="Name in tables; the loss's own by default.")
    options: dict[str, JsonValue] = Field({})
    space: SpaceOverrides = Field({})

    @property
    def title(self) -> str:
        """The name that tables, claims and searched choices use."""
        return self.label or self.name

    @field_validator("label")
    @classmethod
    def _one_line(cls, label: str) -> str:
        if label != label.strip() or not label.isprintable():
            raise ValueError(f"must be one line without blanks around it, got {label!r}")
        return label


class ModelEntry(LossEntry):
    """A model: registered name or `module:Class`, with what it overrides of the suite."""

    train: dict[str, JsonValue] = Field({})
    resources: dict[str, JsonValue] = Field({})


class BudgetSpec(Config):
    """What the tuning of each study may spend: exactly one of these."""

    trials: int | None = Field(None, ge=1)
    epochs: int | None = Field(None, ge=1)
    device_hours: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> "BudgetSpec":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of trials, epochs, device_hours, got {' and '.join(given) or 'none'}"
            )
        return self


class Tune(Config):
    """How settings are searched; the same for every study."""

    budget: BudgetSpec
    sampler: Sampler = "tpe"
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Of the sampler and of every tuning trial.")
    fold: int = Field(0, ge=0, description="Fold on which tuning trials are scored.")
    epochs: int | None = Field(None, ge=1, description="Epochs of a tuning trial; train.epochs by default.")
    space: Space = Field({})


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ValueError(f"must not repeat {twice[0]}")
    return values


class Final(Config):
    """Which final trials every study runs: each fold with each seed."""

    folds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = Field((0,), min_length=1)

    _folds = field_validator("folds", "seeds")(_distinct)


class Side(Config):
    """One side of a claim: labels of models, of losses, or of both."""

    model: str | tuple[str, ...] | None = None
    loss: str | tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _some(self) -> "Side":
        if not self.labels("model") and not self.labels("loss"):
            raise ValueError("needs model, loss, or both")
        return self

    def labels(self, axis: Axis) -> tuple[str, ...]:
        """Returns the labels of one axis that this side names."""
        value = getattr(self, axis)
        return () if value is None else (value,) if isinstance(value, str) else tuple(value)


class Claim(Config):
    """A hypothesis that is written down before the run: `better` beats `than` by more than `margin`."""

    id: str = Field(min_length=1)
    task: str
    better: Side
    than: Side
    metric: str = "dice"
    margin: float = Field(0.0, ge=0, description="Smallest difference that matters, in the metric's unit.")


class Suite(Config):
    """A benchmark: what is compared, on what, with which budget."""

    suite: str = Field(description="Name; results land in a folder of this name.")
    description: str = ""
    data: dict[str, str] = Field({}, description="Roots of data sets, relative to the suite's folder.")
    tasks: tuple[TaskEntry, ...] = Field(min_length=1)
    models: tuple[ModelEntry, ...] = Field(min_length=1)
    losses: tuple[LossEntry, ...] = Field(min_length=1)
    compare: tuple[Axis, ...] = Field(
        AXES, min_length=1, description="Axes that make an entry; of the others each study chooses its best."
    )
    train: dict[str, JsonValue] = Field({}, description="Base values: fields of TrainConfig.")
    tune: Tune | None = Field(None, description="None: default settings, no tuning.")
    final: Final = Final()
    resources: Resources = Resources()
    keep_predictions: bool = Field(
        False, description="Keep every final trial's predictions on the native grid."
    )
    claims: tuple[Claim, ...] = ()

    _compare = field_validator("compare")(_distinct)

    @field_validator("suite")
    @classmethod
    def _folder_name(cls, name: str) -> str:
        if (
            not name.strip("-")
            or not all(c.isdigit() or "a" <= c <= "z" or c == "-" for c in name)
            or not name.isascii()
        ):
            raise ValueError(f"must be of lower-case letters, digits and hyphens, got {name!r}")
        return name
