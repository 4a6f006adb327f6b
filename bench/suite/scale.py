"""A suite as small as it gets: its models, losses and tasks on generated data, so that all of it runs in minutes."""

from collections.abc import Mapping
from math import inf
from typing import Any

from bench.suite.resolve import effective_space, task_spec
from bench.suite.schema import Final, LossEntry, ModelEntry, Resources, Suite, TaskEntry
from bench.suite.search import BudgetSpec, Tune
from medseg.tasks import TaskSpec

# Options of the models that declare tiny ones (`narrow`), by label: all that is to stand under `options`.
TinyOptions = Mapping[str, Mapping[str, Any]]

PATIENTS = 6
FOLDS = 2
TEST_SHARE = 0.34
SIDE = 64
PATCH = 32
TRIALS = 2
BATCH = 4
EPOCHS = 2
STEPS = 2
SETTINGS: Mapping[str, Any] = {
    "epochs": EPOCHS,
    "steps_per_epoch": STEPS,
    "validation_slices": 8,
    "compile": "off",
}
# Layouts that have a generator of their own, and the values of the labels that it draws.
GENERATED: Mapping[str, frozenset[int]] = {
    "acdc": frozenset({1, 2, 3}),
    "covid_radiography": frozenset({255}),
}
# A heart and what is around it.
HEART_MM = 153.6


def smoke(suite: Suite, tiny: TinyOptions) -> Suite:
    """Returns a suite that touches all that another one names, and costs next to nothing.

    Every model meets every task and every loss meets every task, in as few pairs as that takes. Data sets are
    generated, with the same labels; networks have the options that make them tiny, where they declare such; images,
    budgets, folds and seeds are few. Recipes, augmentation, search spaces, samplers, options of losses, and metrics
    stay. Claims go, since nothing could be claimed from this. The name differs, and with it the results folder.

    Where a model declares no tiny options, images keep their size, since it may need that.

    Args:
        suite: The suite.
        tiny: Options of the models that declare tiny ones.
    """
    small = all(model.title in tiny for model in suite.models)
    settings = {**SETTINGS, **({} if _searches(suite, "train.batch_size") else {"batch_size": BATCH})}
    gone = {model.title: _gone(suite, model, tiny, settings) for model in suite.models}
    return suite.model_copy(
        update={
            "suite": f"{suite.suite}-smoke",
            "description": f"Smoke run of {suite.suite}: generated data and tiny budgets, no evidence of anything.",
            "scale": "smoke",
            "design": "pairwise",
            "data": {},
            "tasks": tuple(_task(entry, small) for entry in suite.tasks),
            "models": tuple(
                _model(suite, model, tiny.get(model.title), settings, gone[model.title], small)
                for model in suite.models
            ),
            "losses": tuple(_loss(loss, set().union(*gone.values())) for loss in suite.losses),
            "train": {**_train(suite.train, small), **settings},
            "tune": suite.tune and _tune(suite.tune),
            "final": Final(folds=(suite.final.folds[0] % FOLDS,), seeds=suite.final.seeds[:1]),
            "resources": _resources(suite.resources.processes),
            "claims": (),
        }
    )


def _searches(suite: Suite, name: str) -> bool:
    layers: list[Mapping[str, Any]] = [entry.space for entry in (*suite.models, *suite.losses)]
    return any(name in layer for layer in (*layers, suite.tune.space if suite.tune else {}))


def _gone(suite: Suite, model: ModelEntry, tiny: TinyOptions, settings: Mapping[str, Any]) -> set[str]:
    """Returns what cannot be searched for a model any more: what is set, and what depends on that."""
    options = tiny.get(model.title, model.options)
    fixed = {f"train.{key}" for key in settings} | (
        {"train.micro_batch"} if "batch_size" in settings else set()
    )
    changed = {key for key, value in options.items() if model.options.get(key) != value}
    gone: set[str] = set()
    for loss in suite.losses:
        space = effective_space(suite, model, loss)
        gone |= {name for name in space if name in fixed or _option(name) in changed}
        gone |= {name for name, placed in space.items() if "fp16" in (placed.spec.choices or ())}
        while more := {name for name, placed in space.items() if placed.spec.when.keys() & gone} - gone:
            gone |= more
    return gone


def _option(name: str) -> str | None:
    part, *rest = name.split(".")
    return rest[0] if part == "model" and rest else None


def _task(entry: TaskEntry, small: bool) -> TaskEntry:
    task = task_spec(entry)
    own = task.channels == 1 and set(task.labels.values()) <= GENERATED.get(task.format, frozenset())
    split = task.split.model_dump(mode="json")
    overrides = {
        **entry.overrides,
        "phantom": {"patients": PATIENTS, "seed": 0},
        "format": task.format if own else "folder",
        "groups": None,
        "patient_pattern": None,
        "file_spacing_mm": None,
        "split": {**split, "test": _test(task, own), "folds": FOLDS, "file": None},
        **(_grid(task, HEART_MM if own and task.format == "acdc" else inf) if small else {}),
    }
    return TaskEntry(name=entry.name, **overrides)


def _test(task: TaskSpec, own: bool) -> str | float:
    """Returns who is tested on: as the task says, but that few patients leave enough to train on."""
    if isinstance(task.split.test, float):
        return min(task.split.test, TEST_SHARE)
    # Chests have no official test part.
    return TEST_SHARE if own and task.format == "covid_radiography" else "official"


def _grid(task: TaskSpec, most_mm: float) -> dict[str, Any]:
    """Returns fewer pixels for the same field of view, at most so wide."""
    size = [min(side, SIDE) for side in task.image_size]
    if task.spacing_mm is None:
        return {"image_size": size}
    fields = [
        min(side * spacing, most_mm) for side, spacing in zip(task.image_size, task.spacing_mm, strict=True)
    ]
    return {
        "image_size": size,
        "spacing_mm": [field / side for field, side in zip(fields, size, strict=True)],
    }


def _model(
    suite: Suite,
    entry: ModelEntry,
    options: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    gone: set[str],
    small: bool,
) -> ModelEntry:
    space = {name: spec for name, spec in entry.space.items() if name not in gone}
    shared = suite.tune.space.keys() if suite.tune else set()
    train = {key: value for key, value in entry.train.items() if key not in settings}
    processes = entry.resources.get("processes", suite.resources.processes)
    return entry.model_copy(
        update={
            "options": entry.options if options is None else dict(options),
            "space": {**space, **dict.fromkeys(sorted(gone & shared))},
            "train": _train(train, small),
            "resources": {} if processes == suite.resources.processes else _resources(processes).model_dump(),
        }
    )


def _loss(entry: LossEntry, gone: set[str]) -> LossEntry:
    return entry.model_copy(update={"space": {k: v for k, v in entry.space.items() if k not in gone}})


def _train(given: Mapping[str, Any], small: bool) -> dict[str, Any]:
    """Returns settings that fit a CPU and small images."""
    train = dict(given)
    if train.get("patch_size") is not None and small:
        train["patch_size"] = [PATCH, PATCH]
    if train.get("micro_batch") is not None:
        train["micro_batch"] = 1 if train["micro_batch"] == 1 else 2
    if train.get("precision") == "fp16":
        train["precision"] = "bf16"
    return train


def _tune(tune: Tune) -> Tune:
    epochs = None if tune.epochs is None else min(tune.epochs, EPOCHS)
    by_epochs = tune.budget.epochs is not None
    budget = BudgetSpec(epochs=TRIALS * (epochs or EPOCHS)) if by_epochs else BudgetSpec(trials=TRIALS)
    # The second trial is to come from the sampler, not from its start-up.
    sampler = tune.sampler.model_copy(update={"startup": 1} if tune.sampler.name == "tpe" else {})
    changes = {"budget": budget, "sampler": sampler, "window": 1, "fold": tune.fold % FOLDS, "epochs": epochs}
    return tune.model_copy(update=changes)


def _resources(processes: Any) -> Resources:
    count = min(int(processes), 2)
    return Resources(cpus=count, processes=count, memory_gb=count)
