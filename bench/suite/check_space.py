"""Checks of search spaces: paths that exist, values that fit, conditions that can hold."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bench.suite import resolve
from bench.suite.check_train import NEEDS_GPU
from bench.suite.document import YamlPath
from bench.suite.findings import Finding, findings, shown
from bench.suite.resolve import Placed
from bench.suite.schema import AXES, Suite
from bench.suite.search import ParameterSpec
from medseg.errors import did_you_mean
from medseg.training.config import TrainConfig

PARTS = ("train", "model", "loss")
UNSEARCHED = {
    "train.epochs": "it is the budget's unit; set tune.epochs or train.epochs",
    "train.recipe": "it is short for base values; search those, or list the model twice, each with its recipe and "
    "label",
    "train.patch_size": "models are built for one size before anything starts; list the model twice, each with its "
    "patch_size and label",
}


def check_spaces(suite: Suite) -> Iterator[Finding]:
    """Yields what is wrong with the search space of any model with any loss."""
    if suite.tune is None:
        return
    for name, path in _written(suite):
        yield from _path(name, path)
    searched = any(
        axis not in suite.compare and len(entries) > 1
        for axis, entries in zip(AXES, (suite.models, suite.losses), strict=True)
    )
    for model in suite.models:
        for loss in suite.losses:
            space = resolve.effective_space(suite, model, loss)
            if not space and not searched:
                yield Finding(
                    ("tune",), f"nothing to tune for {model.title} with {loss.title}: its space is empty"
                )
            try:
                train = resolve.train_config(suite, model)
                gpus = resolve.resources(suite, model).gpus
            except ValidationError:
                train, gpus = None, 1.0
            for name, placed in space.items():
                yield from _conditions(name, placed, space)
                if train is not None and name in train_fields():
                    yield from _values(name, placed, train)
            yield from _together(space)
            if not gpus and "train.precision" in space:
                yield from _without_gpu(space["train.precision"])
            yield from _cycles(space)


def train_fields() -> tuple[str, ...]:
    """Returns the dotted paths of what `train.*` can search: every field but the sections and `UNSEARCHED`."""
    names = (f"train.{name}" for name in _leaves(TrainConfig))
    return tuple(name for name in names if name not in UNSEARCHED)


def _leaves(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (f"{name}.{inner}" for inner in _leaves(kind))
        else:
            yield name


def _written(suite: Suite) -> Iterator[tuple[str, YamlPath]]:
    assert suite.tune is not None
    yield from ((name, ("tune", "space", name)) for name in suite.tune.space)
    for section, entries in (("models", suite.models), ("losses", suite.losses)):
        for index, entry in enumerate(entries):
            yield from ((name, (section, index, "space", name)) for name in entry.space)
            for name, spec in entry.space.items():
                if spec is None and name not in suite.tune.space:
                    yield f"-{name}", (section, index, "space", name)


def _path(name: str, path: YamlPath) -> Iterator[Finding]:
    part, _, rest = name.partition(".")
    if name.startswith("-"):
        yield Finding(path, f"null removes '{name[1:]}' from tune.space, which does not have it", True)
    elif name in UNSEARCHED:
        yield Finding(path, f"{name} cannot be searched: {UNSEARCHED[name]}", True)
    elif part not in PARTS or not all(name.split(".")) or not rest:
        known = ", ".join(f"{part}.*" for part in PARTS)
        hint = did_you_mean(name, train_fields()).split(" (")[0]
        yield Finding(path, f"a space path must be one of {known}, got '{name}'{hint}", True)
    elif part == "train" and name not in train_fields():
        yield Finding(path, f"unknown hyper-parameter '{name}'{did_you_mean(name, train_fields())}", True)


def _values(name: str, placed: Placed, train: TrainConfig) -> Iterator[Finding]:
    """Each value that can be drawn must be a valid training setting, the default among them."""
    spec = placed.spec
    inner = name.removeprefix("train.").split(".")
    for key, value in _samples(spec):
        tree: Any = value
        for step in reversed(inner):
            tree = {step: tree}
        whole = resolve.merged(train.model_dump(mode="json"), tree)
        try:
            resolve.validated(TrainConfig, whole)
        except ValidationError as error:
            for finding in findings(error, TrainConfig, whole, ("train",)):
                yield Finding((*placed.path, *key), finding.text)
    default: Any = train.model_dump(mode="json")
    for step in inner:
        default = default[step]
    if not spec.contains(default):
        hint = "" if default is not None else f"; set {name} under train:, or search choices with null"
        yield Finding(
            placed.path,
            f"the space must hold the default {name} = {shown(default)}, since the default setting is the first "
            f"trial; it holds {spec}{hint}",
        )


def _together(space: Mapping[str, Placed]) -> Iterator[Finding]:
    """Searched apart, each value of one must go with each of the other."""
    micro, batch = (space.get(f"train.{name}") for name in ("micro_batch", "batch_size"))
    if micro is None or batch is None:
        return
    largest, smallest = (
        [value for _, value in _samples(placed.spec) if isinstance(value, int | float)]
        for placed in (micro, batch)
    )
    if largest and smallest and max(largest) > min(smallest):
        yield Finding(
            micro.path,
            f"train.micro_batch must be at most train.batch_size, but up to {max(largest)} and down to "
            f"{min(smallest)} may be drawn together",
        )


def _without_gpu(placed: Placed) -> Iterator[Finding]:
    for index, choice in enumerate(placed.spec.choices or ()):
        if choice == "fp16":
            yield Finding((*placed.path, "choices", index), f"train.{NEEDS_GPU}")


def _samples(spec: ParameterSpec) -> Iterator[tuple[YamlPath, Any]]:
    if spec.choices is not None:
        yield from ((("choices", index), choice) for index, choice in enumerate(spec.choices))
    else:
        yield ("low",), spec.low
        yield ("high",), spec.high


def _conditions(name: str, placed: Placed, space: Mapping[str, Placed]) -> Iterator[Finding]:
    for other, values in placed.spec.conditions().items():
        path = (*placed.path, "when", other)
        if other not in space:
            hint = did_you_mean(other, sorted(space.keys() - {name}))
            yield Finding(path, f"{name}: when refers to '{other}', which is not in the space{hint}", True)
            continue
        if not values:
            yield Finding(path, f"{name}: when needs at least one value of {other}")
        for value in values:
            if not space[other].spec.contains(value):
                holds = space[other].spec
                yield Finding(
                    path, f"{name}: when needs values that {other} can take ({holds}), got {shown(value)}"
                )


def _cycles(space: Mapping[str, Placed]) -> Iterator[Finding]:
    for start in space:
        trail, names = [start], set(space[start].spec.when)
        while names:
            if start in names:
                yield Finding(
                    (*space[start].path, "when"),
                    f"{start}: when goes in a circle: {' -> '.join(trail)}",
                    True,
                )
                break
            trail += sorted(names - set(trail))
            names = {below for name in names if name in space for below in space[name].spec.when} - (
                set(trail) - {start}
            )
