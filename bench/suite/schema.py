"""What a suite may say: frozen, unknown keys refused.

In a file a plain name may stand for `{name: ...}`, see `bench.suite.load.normalise`.
Checks that span sections are in `bench.suite.check`.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from bench.suite.search import MAX_SEED, SpaceOverrides, Tune
from medseg.config import Config

Axis = Literal["model", "loss"]
AXES: tuple[Axis, ...] = ("model", "loss")
ALL_TASKS = "all"
"""What a claim says instead of the names of all tasks."""
LEAST_TASKS = 6
"""A claim over tasks needs them: with five units a two-sided signed-rank test cannot go below p = 0.0625."""


class Resources(Config):
    """What one trial takes of a node, or of several where it has several processes."""

    cpus: int = Field(1, ge=1)
    gpus: float = Field(0, ge=0, description="A fraction below 1 packs several trials on one GPU.")
    processes: int = Field(
        1, ge=1, description="Training processes of one trial, each with an equal part of it."
    )
    memory_gb: float = Field(2, gt=0)
    hardware: str | None = Field(
        None,
        min_length=1,
        description="Where it may run: a GPU's kind, e.g. A100, or a node's label `hardware`.",
    )

    @model_validator(mode="after")
    def _whole_gpus(self) -> "Resources":
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus must be whole above 1, got {self.gpus:g}")
        return self

    @model_validator(mode="after")
    def _equal_parts(self) -> "Resources":
        if self.cpus % self.processes:
            raise ValueError(f"cpus must be a multiple of the {self.processes} processes, got {self.cpus}")
        if self.processes > 1 and self.gpus not in (0, self.processes):
            raise ValueError(
                f"gpus must be 0, or one for each of the {self.processes} processes, got {self.gpus:g}"
            )
        return self

    def largest(self, others: Iterable["Resources"]) -> "Resources":
        """Returns what is enough for this and for each of the others, on the first hardware that is asked for."""
        needs = [self.model_dump(), *(other.model_dump() for other in others)]
        kinds = [kind for need in needs if (kind := need.pop("hardware")) is not None]
        largest = {name: max(need[name] for need in needs) for name in needs[0]}
        processes = largest["processes"]
        largest["cpus"] = -(-largest["cpus"] // processes) * processes
        if processes > 1 and largest["gpus"]:
            largest["gpus"] = processes
        return Resources(**largest, hardware=kinds[0] if kinds else None)


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
    task: str | tuple[str, ...] = Field(description="A task, a list of tasks, or all.")
    better: Side
    than: Side
    metric: str = "dice"
    margin: float = Field(0.0, ge=0, description="Smallest difference that matters, in the metric's unit.")
    equivalence: float | None = Field(
        None,
        gt=0,
        description="Smaller differences, either way, are practically equivalent; by default the margin.",
    )
    unit: Literal["patient", "task"] = Field(
        "patient",
        description="patient: the claim must hold on each of its tasks. task: it must hold over tasks, each of which "
        "counts as one.",
    )

    @field_validator("task")
    @classmethod
    def _some_tasks(cls, task: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not task:
            raise ValueError("must name a task")
        return task if isinstance(task, str) else _distinct(task)

    def tasks(self, known: Sequence[str]) -> tuple[str, ...]:
        """Returns the names of its tasks.

        Args:
            known: Those of the suite.
        """
        if isinstance(self.task, str):
            return tuple(known) if self.task == ALL_TASKS else (self.task,)
        return self.task

    def resolved(self) -> dict[str, Any]:
        """Returns it as JSON values, as results keep it."""
        # What came later is left out where it says nothing: an older suite has the same claim.
        return self.model_dump(
            mode="json", exclude_none=True, exclude={"unit"} if self.unit == "patient" else None
        )

    def identity(self) -> dict[str, Any]:
        """Returns what is promised, as JSON values; keys that came later only where they say something."""
        found = self.model_dump(mode="json")
        if len(self.tasks(())) == 1:
            found["task"] = self.tasks(())[0]
        later = {"equivalence": None, "unit": "patient"}
        return {key: value for key, value in found.items() if key not in later or value != later[key]}


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
    design: Literal["full", "pairwise"] = Field(
        "full",
        description="full: every model with every loss on every task. pairwise: as few of these as it takes that "
        "whichever two of a model, a loss and a task meet.",
    )
    train: dict[str, JsonValue] = Field({}, description="Base values: fields of TrainConfig.")
    tune: Tune | None = Field(None, description="None: default settings, no tuning.")
    final: Final = Final()
    resources: Resources = Resources()
    keep_predictions: bool = Field(
        False, description="Keep every final trial's predictions on the native grid."
    )
    claims: tuple[Claim, ...] = ()
    scale: Literal["full", "smoke"] = Field(
        "full", description="smoke: made small by `bench.suite.scale`; it is not written in a file."
    )

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
