"""What sections of a suite mean together: overrides put over what they override. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bench.suite.document import YamlPath
from bench.suite.schema import LossEntry, ModelEntry, Resources, Suite, TaskEntry
from bench.suite.search import ParameterSpec
from medseg.errors import RegistryError, UnknownNameError
from medseg.tasks import TASKS, TaskSpec
from medseg.training.config import TrainConfig

# These mappings are values, not sections: an override replaces them.
_WHOLE = {"labels"}
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Placed:
    """A parameter of a search space, and where in the suite it was written."""

    spec: ParameterSpec
    path: YamlPath


def validated(model: type[Model], tree: Mapping[str, Any]) -> Model:
    """Validates values as they stand in YAML: lists are tuples, but text is no number and true is not 1.

    Raises:
        pydantic.ValidationError: If they do not fit.
    """
    return model.model_validate_json(json.dumps(tree), strict=True)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tree of mappings with another one put over it."""
    tree = dict(base)
    for key, value in over.items():
        below = tree.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and key not in _WHOLE:
            tree[key] = merged(below, value)
        else:
            tree[key] = value
    return tree


def registered_task(name: str) -> TaskSpec:
    """Returns a task as it is registered.

    Raises:
        UnknownNameError: If there is none of that name.
        RegistryError: If it cannot be imported.
    """
    spec: TaskSpec = TASKS.load(name)
    return spec


def is_new(entry: TaskEntry) -> bool:
    """Says whether a suite defines a task itself: nobody registered the name, and it has a format."""
    return entry.name not in TASKS.names() and ":" not in entry.name and "format" in entry.overrides


def task_tree(entry: TaskEntry) -> dict[str, Any]:
    """Returns the fields of a task: as the suite defines it, or registered with the suite's overrides."""
    if is_new(entry):
        return {"name": entry.name, "dataset": entry.name, **entry.overrides}
    return merged(registered_task(entry.name).model_dump(mode="json"), entry.overrides)


def task_spec(entry: TaskEntry) -> TaskSpec:
    """Returns a task as the suite uses it.

    Raises:
        pydantic.ValidationError: If an override does not fit.
    """
    return validated(TaskSpec, task_tree(entry))


def known_tasks(suite: Suite) -> dict[int, TaskSpec]:
    """Returns the suite's tasks that exist and whose overrides are valid, by position."""
    tasks = {}
    for index, entry in enumerate(suite.tasks):
        try:
            tasks[index] = task_spec(entry)
        except (UnknownNameError, RegistryError, ValidationError):
            continue
    return tasks


def train_config(suite: Suite, model: ModelEntry | None = None) -> TrainConfig:
    """Returns the base training setting, of the suite or with one of its models.

    Raises:
        pydantic.ValidationError: If a value does not fit.
    """
    return validated(TrainConfig, merged(suite.train, model.train if model else {}))


def network_sizes(suite: Suite, task: TaskSpec) -> dict[str, tuple[int, int]]:
    """Returns the rows and columns that each model sees of a task, by the model's label.

    Raises:
        pydantic.ValidationError: If a value of `train` does not fit.
    """
    return {model.title: train_config(suite, model).patch_size or task.image_size for model in suite.models}


def resources(suite: Suite, model: ModelEntry) -> Resources:
    """Returns what a trial with a model takes of a node.

    Raises:
        pydantic.ValidationError: If an override does not fit.
    """
    return validated(Resources, merged(suite.resources.model_dump(), model.resources))


def effective_space(suite: Suite, model: ModelEntry, loss: LossEntry) -> dict[str, Placed]:
    """Returns the search space of a model with a loss, by dotted path, sorted.

    The model's own space is put over `tune.space`, the loss's over both; null removes a parameter.
    """
    if suite.tune is None:
        return {}
    layers: list[tuple[YamlPath, Mapping[str, ParameterSpec | None]]] = [
        (("tune", "space"), suite.tune.space),
        (("models", suite.models.index(model), "space"), model.space),
        (("losses", suite.losses.index(loss), "space"), loss.space),
    ]
    space: dict[str, Placed] = {}
    for prefix, layer in layers:
        for name, spec in layer.items():
            if spec is None:
                space.pop(name, None)
            else:
                space[name] = Placed(spec, (*prefix, name))
    return dict(sorted(space.items()))
