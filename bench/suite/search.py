"""What tuning may search, how, and with which budget: keys of `tune` and of search spaces."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, JsonValue, field_validator, model_validator

from medseg.config import Config

Cost = Literal["gmacs", "parameters", "peak_memory_mb", "device_s"]
COSTS: tuple[Cost, ...] = get_args(Cost)
MAX_SEED = 2**32 - 1


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

    @property
    def finite(self) -> bool:
        """Whether there is an end of values."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return self.choices is not None or self.step is not None or whole

    def __str__(self) -> str:
        if self.choices is not None:
            return ", ".join("null" if choice is None else str(choice) for choice in self.choices)
        return f"{self.low} to {self.high}" + (f" in steps of {self.step}" if self.step else "")


Space = dict[str, ParameterSpec]
# None removes a parameter that `tune.space` has.
SpaceOverrides = dict[str, ParameterSpec | None]


class _Named(Config):
    """A method by its name, with options that some of the methods have."""

    # By option: its default for each method that has it.
    defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    name: str

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for option, methods in self.defaults.items():
            if getattr(self, option) is not None and self.name not in methods:
                raise ValueError(f"{option} is an option of {' and '.join(methods)}, not of {self.name}")
        return self

    def option(self, name: str) -> Any:
        """Returns an option of this method, as written or by default; None where the method has no such one."""
        given = getattr(self, name)
        return self.defaults[name].get(self.name) if given is None else given

    def resolved(self) -> dict[str, Any]:
        """Returns the method's name and all of its options, as JSON values."""
        options = {option: self.option(option) for option, of in self.defaults.items() if self.name in of}
        return {"name": self.name, **options}


class SamplerSpec(_Named):
    """How the settings of a study are drawn."""

    defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "startup": {"tpe": 10},
        "population": {"cmaes": None, "nsga2": 10},
        "against": {"nsga2": "gmacs"},
    }

    name: Literal["tpe", "random", "grid", "cmaes", "nsga2"] = "tpe"
    startup: int | None = Field(
        None, ge=1, description="Trials drawn at random before tpe has enough scores."
    )
    population: int | None = Field(
        None, ge=4, description="Trials of a generation; of cmaes 4 + 3 ln(dimensions) by default."
    )
    against: Cost | None = Field(None, description="Cost that nsga2 lowers while it raises the score.")

    @property
    def blind(self) -> bool:
        """Whether no setting depends on any score."""
        return self.name in ("random", "grid")


class PrunerSpec(_Named):
    """Which tuning trials are ended early."""

    defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "min_epochs": {"asha": 1, "hyperband": 1, "median": 1},
        "reduction": {"asha": 4, "hyperband": 3},
        "startup": {"median": 5},
    }

    name: Literal["none", "asha", "median", "hyperband"] = "none"
    min_epochs: int | None = Field(None, ge=1, description="No trial is ended before this epoch.")
    reduction: int | None = Field(
        None, ge=2, description="One in so many goes on to so many times the epochs."
    )
    startup: int | None = Field(None, ge=1, description="Complete trials before the first is ended.")


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


class Constraints(Config):
    """Most that a setting may cost."""

    gmacs: float | None = Field(None, gt=0, description="10^9 multiply-accumulates per image.")
    parameters: float | None = Field(None, gt=0, description="Trainable parameters.")
    peak_memory_mb: float | None = Field(None, gt=0, description="Of the device, in training.")
    device_s: float | None = Field(None, gt=0, description="Seconds of a tuning trial.")

    @property
    def limits(self) -> dict[Cost, float]:
        """Returns those that are set."""
        return {name: most for name in COSTS if (most := getattr(self, name)) is not None}


class Tune(Config):
    """How settings are searched; the same for every study."""

    budget: BudgetSpec
    sampler: SamplerSpec = SamplerSpec()
    window: int = Field(
        4, ge=1, description="Trials of a study that may run at once when settings depend on earlier scores."
    )
    pruner: PrunerSpec = PrunerSpec()
    constraints: Constraints = Field(
        Constraints(), description="Most that a setting may cost; one that costs more is never chosen."
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Of the sampler and of every tuning trial.")
    fold: int = Field(0, ge=0, description="Fold on which tuning trials are scored.")
    epochs: int | None = Field(None, ge=1, description="Epochs of a tuning trial; train.epochs by default.")
    space: Space = Field({})

    @field_validator("sampler", "pruner", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("must be a name or a mapping, got null; leave the key out for the default")
        return {"name": value} if isinstance(value, str) else value
