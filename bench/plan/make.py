"""From a suite to a plan: find the data, build the models once, expand the studies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import DataMissingError, Location, SuiteError
from bench.plan.check_search import check_search
from bench.plan.components import Components, check_components
from bench.plan.design import pairwise
from bench.plan.grid import count_settings
from bench.plan.identity import external_source, study_id
from bench.plan.plan import Plan, PlannedData, plan_hash
from bench.plan.space import build_space
from bench.plan.study import Budget, Choice, Study
from bench.suite.document import YamlPath
from bench.suite.load import LoadedSuite
from bench.suite.resolve import effective_space, resources, task_spec, train_config
from bench.suite.schema import LossEntry, ModelEntry, Suite
from bench.suite.search import PrunerSpec, SamplerSpec, Tune
from medseg.config import Component
from medseg.data import index_dataset, make_split, resolve_root
from medseg.errors import DataError, did_you_mean
from medseg.losses import LOSSES
from medseg.metrics import METRICS
from medseg.models import MODELS
from medseg.tasks import TASKS, TaskSpec

Problem = tuple[Location | None, str]
Watch = Callable[[str, int, int], None]
Entry = TypeVar("Entry")


def make_plan(
    loaded: LoadedSuite,
    roots: Mapping[str, Path],
    cache_dir: Path,
    watch: Watch = lambda task, done, total: None,
    begin: Callable[[], None] = lambda: None,
) -> Plan:
    """Finds the data, checks that every model and loss fits, and expands the suite into studies.

    Args:
        loaded: The suite.
        roots: Roots of data sets from the command line. They win over MEDSEG_DATA, which wins over the suite.
        cache_dir: Folder of what can be made again: phantoms, hashes of files, answers about models.
        watch: Told how many files of a task's data set are looked at, of how many.
        begin: Called once all data are there and models are left to check, to begin what takes long.

    Returns:
        The plan. It depends on the suite, the data and the code, and on nothing else.

    Raises:
        DataMissingError: If data are missing or unfit, and nothing else is wrong; says how to give them.
        SuiteError: If the suite cannot be run as it stands. Both hold every problem found, each with its place.
    """
    suite = loaded.suite
    tasks = {index: task_spec(entry) for index, entry in enumerate(suite.tasks)}
    problems: list[Problem] = [(None, text) for text in _unknown_roots(list(tasks.values()), roots)]
    data, missing = _find_data(loaded, tasks, roots, cache_dir, watch)
    if not (problems or missing):
        begin()
    components, found = check_components(suite, tasks, cache_dir)
    problems += [(loaded.locate(finding.path), finding.text) for finding in found]
    if problems:
        raise SuiteError(sorted(problems + missing, key=_order))
    if missing:
        raise DataMissingError("\n".join(f"{place}: {text}" for place, text in missing))
    studies = tuple(
        study for task in tasks.values() for study in _studies(suite, data[task.name], components)
    )
    unfit = dict.fromkeys(finding for study in studies for finding in check_search(study))
    problems = [(loaded.locate(finding.path), finding.text) for finding in unfit]
    problems += _twins(loaded, studies)
    if problems:
        raise SuiteError(problems)
    return Plan(suite, studies, data, plan_hash(suite, studies))


def _unknown_roots(tasks: Sequence[TaskSpec], roots: Mapping[str, Path]) -> Iterator[str]:
    known = {task.dataset for task in tasks} | {task.dataset for task in TASKS.loadable().values()}
    for name in roots:
        if name not in known:
            yield f"--data {name}: unknown data set{did_you_mean(name, sorted(known))}"


def _find_data(
    loaded: LoadedSuite,
    tasks: Mapping[int, TaskSpec],
    roots: Mapping[str, Path],
    cache_dir: Path,
    watch: Watch,
) -> tuple[dict[str, PlannedData], list[Problem]]:
    suite, beside = loaded.suite, loaded.folder
    where = loaded.roots(roots)
    data: dict[str, PlannedData] = {}
    missing: list[Problem] = []
    for index, task in tasks.items():
        try:
            root = resolve_root(task, where, cache_dir)
            dataset = index_dataset(task, root, cache_dir, partial(watch, task.name), beside)
            split = make_split(task, dataset, beside)
        except DataError as error:
            missing.append((loaded.locate(("tasks", index)), str(error)))
            continue
        missing += [
            (loaded.locate(place), text) for place, text in _absent_folds(suite, task, len(split.folds))
        ]
        data[task.name] = PlannedData(
            spec=task,
            root=root,
            beside=beside,
            fingerprint=dataset.fingerprint,
            split=split,
            cases=len(dataset.cases),
            patients=len(dataset.patients),
            notes=dataset.notes,
            patients_from=dataset.patients_from,
        )
    return data, missing


def _absent_folds(suite: Suite, task: TaskSpec, folds: int) -> Iterator[tuple[YamlPath, str]]:
    """Folds that a published split does not have; others are checked before the data are read."""
    places: list[tuple[YamlPath, int]] = [
        (("final", "folds", number), fold) for number, fold in enumerate(suite.final.folds)
    ]
    if suite.tune:
        places.append((("tune", "fold"), suite.tune.fold))
    for place, fold in places:
        if fold >= folds:
            yield place, f"fold must be less than the {folds} folds of {task.name}, got {fold}"


def _studies(suite: Suite, data: PlannedData, components: Components) -> Iterator[Study]:
    models = _groups(suite.models, "model" in suite.compare)
    losses = _groups(suite.losses, "loss" in suite.compare)
    here = [entry.name for entry in suite.tasks].index(data.spec.name)
    meeting = pairwise(len(models), len(losses), len(suite.tasks)) if suite.design == "pairwise" else None
    for (first, some_models), (second, some_losses) in product(enumerate(models), enumerate(losses)):
        if meeting is not None and (first, second, here) not in meeting:
            continue
        yield _study(suite, data, some_models, some_losses, components)


def _groups(entries: Sequence[Entry], compared: bool) -> list[list[Entry]]:
    """Each entry by itself where they are compared, else all of them to choose from."""
    return [[entry] for entry in entries] if compared else [list(entries)]


def _study(
    suite: Suite,
    data: PlannedData,
    models: Sequence[ModelEntry],
    losses: Sequence[LossEntry],
    components: Components,
) -> Study:
    task, tune = data.spec, suite.tune
    some_models = tuple(_model(suite, task, model, components) for model in models)
    some_losses = tuple(_loss(suite, task, loss, components) for loss in losses)
    spaces = {
        (model.title, loss.title): effective_space(suite, model, loss)
        for model, loss in product(models, losses)
    }
    space = build_space(some_models, some_losses, spaces)
    base: dict[str, Any] = {
        "models": [[m.component.model_dump(), m.train.model_dump()] for m in some_models],
        "losses": [loss.component.model_dump() for loss in some_losses],
    }
    sources = _external_sources(task, some_models, some_losses)
    if sources:
        base["sources"] = sources
    seed, fold = (tune.seed, tune.fold) if tune else (0, 0)
    epochs = (tune.epochs if tune else None) or max(model.train.epochs for model in some_models)
    search = {**_search(tune), "seed": seed, "fold": fold, "epochs": epochs} if tune else None
    return Study(
        id=study_id(task, data.fingerprint, data.split.hash, base, space, search),
        task=task,
        entry=_entry(suite, some_models, some_losses),
        models=some_models,
        losses=some_losses,
        space=space,
        budget=Budget(**tune.budget.model_dump()) if tune else None,
        sampler=tune.sampler if tune else SamplerSpec(),
        seed=seed,
        fold=fold,
        tune_epochs=epochs,
        final_folds=suite.final.folds,
        final_seeds=suite.final.seeds,
        resources=resources(suite, models[0]).largest(resources(suite, model) for model in models),
        window=tune.window if tune else 1,
        pruner=tune.pruner if tune else PrunerSpec(),
        constraints=tune.constraints.limits if tune else {},
        most_settings=count_settings(space) if tune and tune.sampler.name == "grid" else None,
    )


def _search(tune: Tune) -> dict[str, Any]:
    """Returns what of the search changes settings or which of them is best; what is not used is left out."""
    sampler = tune.sampler.resolved()
    search: dict[str, Any] = {"sampler": sampler.pop("name"), **sampler}
    if not tune.sampler.blind:
        search["window"] = tune.window
    if tune.pruner.name != "none":
        search["pruner"] = tune.pruner.resolved()
    if tune.constraints.limits:
        search["constraints"] = tune.constraints.limits
    return search


def _external_sources(task: TaskSpec, models: Sequence[Choice], losses: Sequence[Choice]) -> list[str]:
    """Hashes of components from elsewhere: another version of one makes another study."""
    paths = [MODELS.path(model.component.name) for model in models]
    paths += [LOSSES.path(loss.component.name) for loss in losses]
    paths.append(METRICS.path(task.selection_metric))
    return [source for path in paths if (source := external_source(path))]


def _twins(loaded: LoadedSuite, studies: Sequence[Study]) -> Iterator[Problem]:
    """Entries that differ in nothing but their label."""
    seen: dict[str, Study] = {}
    for study in studies:
        first = seen.setdefault(study.id, study)
        if first is not study:
            axis = "models" if first.models[0].label != study.models[0].label else "losses"
            yield (
                loaded.locate((axis,)),
                f"{first.entry} and {study.entry} on {study.task.name} are the same but for their labels",
            )


def _entry(suite: Suite, models: Sequence[Choice], losses: Sequence[Choice]) -> str:
    compared = {"model": models[0].label, "loss": losses[0].label}
    return " + ".join(label for axis, label in compared.items() if axis in suite.compare)


def _model(suite: Suite, task: TaskSpec, entry: ModelEntry, components: Components) -> Choice:
    answer = components.of("model", entry, task)
    component = Component(name=entry.name, options=answer.options)
    return Choice(entry.title, component, train_config(suite, entry), answer.parameters)


def _loss(suite: Suite, task: TaskSpec, entry: LossEntry, components: Components) -> Choice:
    answer = components.of("loss", entry, task)
    return Choice(entry.title, Component(name=entry.name, options=answer.options), train_config(suite))


def _order(problem: Problem) -> tuple[int, int]:
    place = problem[0]
    return (place.line, place.column) if place else (0, 0)
