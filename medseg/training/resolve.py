"""From names and overrides to a checked `TrialSpec`. Imports torch only once the names are known."""

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from medseg.config import Component
from medseg.data import Split
from medseg.errors import ConfigError, did_you_mean
from medseg.losses import LOSSES
from medseg.metrics import METRICS
from medseg.metrics.check_task import metric_problems
from medseg.models import MODELS
from medseg.tasks import TASKS, TaskSpec
from medseg.training.command_values import merged
from medseg.training.config import TrainConfig, TrialSpec

Model = TypeVar("Model", bound=BaseModel)

# These mappings are values, not sections: an override replaces them.
_WHOLE = frozenset({"labels"})
_LONGEST_VALUE = 60


def make_spec(
    task: str,
    model: str,
    loss: str,
    *,
    task_options: Mapping[str, Any] | None = None,
    model_options: Mapping[str, Any] | None = None,
    loss_options: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    phase: Literal["tune", "final"] = "final",
    fold: int = 0,
    seed: int = 0,
) -> TrialSpec:
    """Describes a trial as a suite would, and checks it: names, options, and that model and loss fit the task.

    Args:
        task: Registered name, or ``module:NAME`` of a `TaskSpec`.
        model: Registered name, ``library:Class`` or ``module:Class``.
        loss: Likewise.
        task_options: Fields of the task to override; mappings are merged.
        model_options: Options of the model.
        loss_options: Options of the loss.
        train: Fields of `TrainConfig`, and `recipe`.
        phase: ``"final"`` meets the test cases, ``"tune"`` does not.
        fold: Fold that validates.
        seed: Seed.

    Returns:
        The trial, all defaults filled in.

    Raises:
        MedsegError: If a name is not known, an option is not valid, or model or loss do not fit.
    """
    task_spec = _task(task, task_options or {})
    config = checked("train", TrainConfig, train or {})
    for registry, name in ((MODELS, model), (LOSSES, loss)):
        registry.path(name)
    # Torch comes in here.
    from medseg.training.trial import check_sizes

    if task_spec.split.file is None:
        _check_fold(task_spec, fold, task_spec.split.folds)
    size = config.patch_size or task_spec.image_size
    own_model = _component("model", model, model_options, task_spec, size)
    levels = own_model.pop("levels")
    own_loss = _component("loss", loss, loss_options, task_spec, size, levels if len(levels) > 1 else [])
    spec = TrialSpec(
        task=task_spec,
        model=Component(name=model, options=own_model["options"]),
        loss=Component(name=loss, options=own_loss["options"]),
        train=config,
        phase=phase,
        fold=fold,
        seed=seed,
    )
    check_sizes(spec)
    return spec


def check_fold(spec: TrialSpec, split: Split) -> None:
    """Refuses a fold that a split does not have.

    Raises:
        ConfigError: If so.
    """
    _check_fold(spec.task, spec.fold, len(split.folds))


def checked(where: str, model: type[Model], tree: Mapping[str, Any]) -> Model:
    """Validates values as they stand in YAML: lists are tuples, but text is no number and true is not 1.

    Args:
        where: First part of the dotted path in messages.
        model: What to make of them.
        tree: JSON values.

    Raises:
        ConfigError: For the first value that is unknown or invalid; the message counts the others.
    """
    try:
        return model.model_validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        problems: dict[tuple[str, ...], list[Any]] = {}
        for problem in error.errors(include_url=False, include_context=False):
            problems.setdefault(_written(problem["loc"], tree), []).append(problem)
        (path, first), *others = problems.items()
        more = f" (and {len(others)} more)" if others else ""
        raise ConfigError(".".join((where, *path)), _text(model, path, first) + more) from error


def _task(name: str, options: Mapping[str, Any]) -> TaskSpec:
    base: TaskSpec = TASKS.load(name)
    task = _overridden(base, name, options) if options else base
    for metric in task.metrics:
        METRICS.load(metric)
    if task.selection_metric not in task.metrics:
        raise ConfigError(
            "task.selection_metric",
            f"must be one of the task's metrics ({', '.join(task.metrics)}), got {task.selection_metric!r}",
        )
    for field, position, message in metric_problems(task):
        where = ("task", field) if position is None else ("task", field, str(position))
        raise ConfigError(".".join(where), message)
    return task


def _overridden(base: TaskSpec, name: str, options: Mapping[str, Any]) -> TaskSpec:
    if "phantom" in options and base.phantom is None:
        raise ConfigError("task.phantom", f"{name} is read from files: it has no phantom")
    return checked("task", TaskSpec, merged(base.model_dump(mode="json"), options, _WHOLE))


def _component(
    kind: str,
    name: str,
    options: Mapping[str, Any] | None,
    task: TaskSpec,
    size: tuple[int, int],
    levels: list[Any] | None = None,
) -> dict[str, Any]:
    from medseg.training.probe import answer

    request = {"kind": kind, "name": name, "options": dict(options or {}), "levels": levels or []}
    found = answer(
        {**request, "in_channels": task.channels, "out_channels": task.out_channels, "image_size": size}
    )
    for problem in found["problems"]:
        # A message about the whole component names it.
        raise ConfigError(problem["where"] if "." in problem["where"] else "", problem["message"])
    return found


def _check_fold(task: TaskSpec, fold: int, folds: int) -> None:
    if not 0 <= fold < folds:
        raise ConfigError("fold", f"must be less than the {folds} folds of {task.name}, got {fold}")


def _written(path: tuple[int | str, ...], tree: Any) -> tuple[str, ...]:
    """Returns the part of a path that the user wrote: without pydantic's names of alternatives."""
    for depth, step in enumerate(path):
        inside = (
            step in tree if isinstance(tree, Mapping) else isinstance(tree, list) and isinstance(step, int)
        )
        if not inside or (isinstance(tree, list) and int(step) >= len(tree)):
            return tuple(map(str, path[:depth]))
        tree = tree[step]
    return tuple(map(str, path))


def _text(model: type[BaseModel], path: tuple[str, ...], problems: list[Any]) -> str:
    first = problems[0]
    if first["type"] == "extra_forbidden":
        return f"unknown key '{path[-1]}'{did_you_mean(path[-1], _keys(model, path[:-1]))}"
    if first["type"] == "missing":
        return f"missing key '{first['loc'][-1]}'"
    texts = list(dict.fromkeys(problem["msg"] for problem in problems))
    if texts[0].startswith("Value error, "):
        return str(texts[0]).removeprefix("Value error, ")
    wanted = " or ".join(_plain(text) for text in texts)
    value = repr(first["input"])
    shown = value if len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 3]}..."
    return f"must be {wanted}, got {shown}"


def _plain(text: str) -> str:
    """Rewrites pydantic's message so that it follows `must be`, in the words of YAML."""
    for theirs, ours in (
        ("Input should be ", ""),
        ("a valid tuple", "a list"),
        ("a valid array", "a list"),
        ("a valid dictionary", "a mapping"),
        ("an object", "a mapping"),
        ("a valid string", "text"),
        ("a valid integer", "a whole number"),
        ("a valid number", "a number"),
        ("a valid boolean", "true or false"),
    ):
        text = text.replace(theirs, ours)
    return text


def _keys(model: type[BaseModel], path: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the keys that the mapping at a path may have."""
    for step in path:
        field = model.model_fields.get(step)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not below:
            return ()
        model = below[0]
    return tuple(model.model_fields)
