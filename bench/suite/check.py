"""Checks that span sections of a suite: names, labels, folds, overrides, search spaces, claims."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pydantic import ValidationError

from bench.suite import resolve
from bench.suite.check_processes import check_processes
from bench.suite.check_space import check_spaces
from bench.suite.check_train import check_train
from bench.suite.check_tune import check_tune
from bench.suite.document import YamlPath
from bench.suite.findings import Finding, dotted, invalid
from bench.suite.schema import AXES, LEAST_TASKS, Claim, LossEntry, Resources, Suite, TaskEntry
from medseg.errors import RegistryError, UnknownNameError, did_you_mean
from medseg.losses import LOSSES
from medseg.metrics import METRICS
from medseg.metrics.check_task import metric_problems
from medseg.metrics.spec import MetricSpec
from medseg.models import MODELS
from medseg.registry import Registry
from medseg.tasks import TASKS, TaskSpec


def check_suite(suite: Suite) -> list[Finding]:
    """Returns everything that is wrong with a suite whose sections are each valid."""
    checks: tuple[Callable[[Suite], Iterator[Finding]], ...] = (
        _names,
        _overrides,
        check_train,
        _data,
        _tuning,
        check_tune,
        _claims,
        check_spaces,
        check_processes,
    )
    found = [finding for check in checks for finding in check(suite)]
    return list(dict.fromkeys(found))


def _names(suite: Suite) -> Iterator[Finding]:
    sections: tuple[tuple[str, Registry, Sequence[TaskEntry | LossEntry]], ...] = (
        ("tasks", TASKS, suite.tasks),
        ("models", MODELS, suite.models),
        ("losses", LOSSES, suite.losses),
    )
    for section, registry, entries in sections:
        seen: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if not (isinstance(entry, TaskEntry) and resolve.is_new(entry)):
                yield from _unknown(registry, entry.name, (section, index, "name"))
            title = entry.title
            if title in seen:
                hint = "" if section == "tasks" else "; give one of them another label"
                yield Finding(
                    (section, index),
                    f"{section}: '{title}' is listed twice, first as number {seen[title] + 1}{hint}",
                )
            seen.setdefault(title, index)


def _unknown(registry: Registry, name: str, path: YamlPath) -> Iterator[Finding]:
    try:
        target = registry.path(name)
        if registry is METRICS and not target.startswith("medseg."):
            # Models and losses are imported in a process of their own, and tasks by `resolve`.
            registry.load(name)
    except (UnknownNameError, RegistryError) as error:
        hint = "; a task of your own needs format, labels and image_size" if registry is TASKS else ""
        yield Finding(path, f"{error}{hint}")


def _overrides(suite: Suite) -> Iterator[Finding]:
    for index, entry in enumerate(suite.tasks):
        prefix: YamlPath = ("tasks", index)
        try:
            base = None if resolve.is_new(entry) else resolve.registered_task(entry.name)
        except UnknownNameError:
            continue
        except RegistryError as error:
            yield Finding(prefix, str(error))
            continue
        made = suite.scale == "smoke" or (base is not None and base.phantom is not None)
        if "phantom" in entry.overrides and not made:
            yield Finding((*prefix, "phantom"), f"{entry.name} is read from files: it has no phantom", True)
            continue
        for finding in invalid(TaskSpec, resolve.task_tree(entry), entry.overrides, prefix):
            # A rule between tolerances and labels is reported for the whole task.
            about = "tolerance_mm" in entry.overrides and f"{dotted(prefix)}: tolerance_mm " in finding.text
            yield replace(finding, path=(*prefix, "tolerance_mm")) if about else finding
    for index, task in resolve.known_tasks(suite).items():
        for number, metric in enumerate(task.metrics):
            yield from _unknown(METRICS, metric, ("tasks", index, "metrics", number))
        if task.selection_metric not in task.metrics:
            yield Finding(
                ("tasks", index, "selection_metric"),
                f"selection_metric must be one of the task's metrics ({', '.join(task.metrics)}), "
                f"got {task.selection_metric!r}",
            )
        for problem in metric_problems(task):
            place: YamlPath = () if problem.position is None else (problem.position,)
            yield Finding(("tasks", index, problem.field, *place), problem.message)
    for index, model in enumerate(suite.models):
        tree = resolve.merged(suite.resources.model_dump(), model.resources)
        yield from invalid(Resources, tree, model.resources, ("models", index, "resources"))


def _data(suite: Suite) -> Iterator[Finding]:
    known = {task.dataset for task in resolve.known_tasks(suite).values()}
    # A task of one's own that is wrong elsewhere has its data set all the same.
    known |= {
        str(entry.overrides.get("dataset", entry.name)) for entry in suite.tasks if resolve.is_new(entry)
    }
    for name in TASKS.names():
        try:
            known.add(resolve.registered_task(name).dataset)
        except RegistryError:
            continue
    for name in suite.data:
        if name not in known:
            yield Finding(
                ("data", name), f"unknown data set '{name}'{did_you_mean(name, sorted(known))}", True
            )


def _tuning(suite: Suite) -> Iterator[Finding]:
    tune = suite.tune
    for task in resolve.known_tasks(suite).values():
        if task.split.file is not None:
            # How many folds it has is known once the file is read, in `bench.plan.make`.
            continue
        folds = task.split.folds
        places: list[tuple[YamlPath, int]] = [
            (("final", "folds", number), fold) for number, fold in enumerate(suite.final.folds)
        ]
        if tune:
            places.append((("tune", "fold"), tune.fold))
        for path, fold in places:
            if fold >= folds:
                yield Finding(path, f"fold must be less than the {folds} folds of {task.name}, got {fold}")
    for axis, entries in zip(AXES, (suite.models, suite.losses), strict=True):
        if axis not in suite.compare and len(entries) > 1 and tune is None:
            yield Finding(
                ("compare",),
                f"compare leaves out {axis}, so that each study chooses one of {len(entries)}: "
                "that needs a tune section",
            )
    if tune and tune.budget.epochs is not None:
        try:
            epochs = tune.epochs or max(resolve.train_config(suite, m).epochs for m in suite.models)
        except ValidationError:
            return
        if tune.budget.epochs < epochs:
            yield Finding(
                ("tune", "budget", "epochs"),
                f"a budget of {tune.budget.epochs} epochs does not pay for one tuning trial of {epochs}",
            )


def _claims(suite: Suite) -> Iterator[Finding]:
    tasks = {task.name: task for task in resolve.known_tasks(suite).values()}
    names = [entry.name for entry in suite.tasks]
    if suite.claims and suite.design != "full":
        yield Finding(
            ("design",), f"claims need design full, in which every entry meets every task, got {suite.design}"
        )
    seen: set[str] = set()
    for index, claim in enumerate(suite.claims):
        prefix: YamlPath = ("claims", index)
        if claim.id in seen:
            yield Finding((*prefix, "id"), f"claim '{claim.id}' is listed twice")
        seen.add(claim.id)
        yield from _claimed_tasks(claim, names, prefix)
        unknown = list(_unknown(METRICS, claim.metric, (*prefix, "metric")))
        yield from unknown
        measured = {name: tasks[name].metrics for name in claim.tasks(names) if name in tasks}
        without = [name for name, metrics in measured.items() if claim.metric not in metrics]
        if not unknown and without:
            known = ", ".join(measured[without[0]])
            yield Finding(
                (*prefix, "metric"), f"{without[0]} does not measure {claim.metric}; it measures {known}"
            )
        elif not unknown and not _ranked(claim.metric):
            yield Finding(
                (*prefix, "metric"), f"{claim.metric} is only reported, never claimed by: name another metric"
            )
        elif not unknown:
            yield from _claimed_sizes(claim, prefix)
        yield from _sides(suite, index)


def _claimed_tasks(claim: Claim, names: Sequence[str], prefix: YamlPath) -> Iterator[Finding]:
    tasks = claim.tasks(names)
    for name in tasks:
        if name not in names:
            yield Finding((*prefix, "task"), f"the suite has no task '{name}'{did_you_mean(name, names)}")
    if claim.unit == "task" and len(tasks) < LEAST_TASKS:
        yield Finding(
            (*prefix, "unit"),
            f"a claim over tasks needs at least {LEAST_TASKS} tasks, got {len(tasks)}: fewer give no p below 0.05",
        )


def _claimed_sizes(claim: Claim, prefix: YamlPath) -> Iterator[Finding]:
    """Yields which sizes no difference can have: the claim's answer would be known before it is run."""
    spec: MetricSpec = METRICS.load(claim.metric)
    for key, size in (("margin", claim.margin), ("equivalence", claim.equivalence)):
        if size is not None and size >= spec.span:
            yield Finding(
                (*prefix, key),
                f"claim '{claim.id}': values of {claim.metric} differ by at most {spec.span:g}, got {key} {size:g}",
            )


def _ranked(metric: str) -> bool:
    spec: MetricSpec = METRICS.load(metric)
    return spec.ranked and not spec.left_out_if_failed


def _sides(suite: Suite, index: int) -> Iterator[Finding]:
    claim = suite.claims[index]
    titles: dict[str, Sequence[str]] = {
        "model": [entry.title for entry in suite.models],
        "loss": [entry.title for entry in suite.losses],
    }
    for side in ("better", "than"):
        for axis in AXES:
            path: YamlPath = ("claims", index, side, axis)
            labels = getattr(claim, side).labels(axis)
            if labels and axis not in suite.compare:
                yield Finding(path, f"{axis} is not in compare: it is chosen by tuning, not compared")
            for label in labels:
                if label not in titles[axis]:
                    hint = did_you_mean(label, titles[axis])
                    yield Finding(path, f"the suite has no {axis} '{label}'{hint}")
    if all(_meet(claim.better.labels(axis), claim.than.labels(axis)) for axis in AXES):
        yield Finding(
            ("claims", index),
            f"claim '{claim.id}' compares an entry with itself: its sides must name the same axis "
            f"({' or '.join(AXES)}), with no label in common",
        )


def _meet(better: Sequence[str], than: Sequence[str]) -> bool:
    """Says whether an entry may have a label of either side; a side without labels has all."""
    return not better or not than or bool(set(better) & set(than))
