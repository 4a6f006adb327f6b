"""Checks of search spaces: paths that exist, values that fit, conditions that can hold."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bench.suite import resolve
from bench.suite.document import YamlPath
from bench.suite.findings import Finding, findings, shown
from bench.suite.resolve import Placed
from bench.suite.schema import AXES, ParameterSpec, Suite
from medseg.errors import did_you_mean
from medseg.training.config import TrainConfig

PARTS = ("train", "model", "loss")


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
            except ValidationError:
                train = None
            for name, placed in space.items():
                yield from _conditions(name, placed, space)
                if train is not None and name in train_fields():
                    yield from _values(name, placed, train)
            yield from _cycles(space)


def train_fields() -> tuple[str, ...]:
    """Returns the dotted paths of what `train.*` can search: every field but the sections and the epochs."""
    return tuple(f"train.{name}" for name in _leaves(TrainConfig) if name != "epochs")


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
    elif name == "train.epochs":
        yield Finding(
            path,
            "train.epochs cannot be searched: it is the budget's unit; set tune.epochs or train.epochs",
            True,
        )
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
        yield Finding(
            placed.path,
            f"the space must hold the default {name} = {shown(default)}, since the default setting is the first "
            f"trial; it holds {spec}",
        )


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
