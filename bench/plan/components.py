"""Which models and losses a suite needs built, and what their answers mean."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.plan.parameter import put
from bench.plan.probe import Answer, Request, probe
from bench.suite.document import YamlPath
from bench.suite.findings import Finding, shown
from bench.suite.resolve import Placed, effective_space, network_sizes
from bench.suite.schema import LossEntry, ModelEntry, Suite
from medseg.tasks import TaskSpec

Kind = Literal["model", "loss"]
Size = tuple[int, int]
Sizes = tuple[Size, ...]


@dataclass(frozen=True)
class _Question:
    """A component on a task, as written or with one of its options at a value that the search may draw."""

    kind: Kind
    entry: LossEntry
    task: TaskSpec
    section: YamlPath
    request: Request
    # Path of the drawn option in the suite; none for the component as written.
    drawn: YamlPath | None = None
    # Model that a loss is tried with; none for a loss by itself.
    partner: str = ""


@dataclass(frozen=True)
class Components:
    """The answers about a suite's models and losses on its tasks, all of which fit."""

    _answers: Mapping[tuple[Kind, str, str], Answer]

    def of(self, kind: Kind, entry: LossEntry, task: TaskSpec) -> Answer:
        """Returns the answer about a component as written on a task."""
        return self._answers[kind, entry.title, task.name]


def check_components(
    suite: Suite, tasks: Mapping[int, TaskSpec], cache_dir: Path
) -> tuple[Components, list[Finding]]:
    """Builds every model and loss for every task, also at the ends of the ranges of its options.

    Models are built for the size that they see: `train.patch_size`, or the task's `image_size`. Losses are tried at
    each of these, and once more with each model that trains on several levels of logits.

    Args:
        suite: The suite.
        tasks: Its tasks with their overrides, by position.
        cache_dir: Folder of what can be made again.

    Returns:
        The answers, complete if nothing was found; and what does not fit.
    """
    questions = [question for task in tasks.values() for question in _questions(suite, task)]
    replies = probe([question.request for question in questions], cache_dir)
    answers: dict[tuple[Kind, str, str], Answer] = {}
    found: list[Finding] = []
    for question in questions:
        answer = replies[question.request.key]
        name = (question.kind, question.entry.title, question.task.name)
        if question.drawn is None:
            if name not in answers or not answer.ok:
                answers[name] = answer
            found += _wrong(question, answer)
        elif answers[name].ok:
            # Where the component as written does not fit, its variants say the same again.
            found += _wrong(question, answer)
    pairs = list(_pairs(questions, replies))
    replies |= probe([pair.request for pair in pairs], cache_dir)
    for pair in pairs:
        found += _wrong(pair, replies[pair.request.key])
    for task in tasks.values():
        found += _defaults(suite, task, answers)
    return Components(answers), list(dict.fromkeys(found))


def _questions(suite: Suite, task: TaskSpec) -> Iterator[_Question]:
    sizes = network_sizes(suite, task)
    for kind, section, entry in _entries(suite):
        for size in [sizes[entry.title]] if kind == "model" else dict.fromkeys(sizes.values()):
            yield from _questions_at(size, suite, task, kind, section, entry)


def _questions_at(
    size: Size, suite: Suite, task: TaskSpec, kind: Kind, section: YamlPath, entry: LossEntry
) -> Iterator[_Question]:
    options = deepcopy(entry.options)
    yield _Question(kind, entry, task, section, _request(kind, entry, options, task, size))
    for name, placed in _options(suite, kind, entry).items():
        for step, value in _samples(placed):
            changed = deepcopy(entry.options)
            put(changed, name.removeprefix(f"{kind}."), value)
            drawn = (*placed.path, *step)
            yield _Question(kind, entry, task, section, _request(kind, entry, changed, task, size), drawn)


def _pairs(questions: Sequence[_Question], replies: Mapping[str, Answer]) -> Iterator[_Question]:
    """Yields each loss that fits by itself with each form of deep supervision that a model on its task has."""
    fitting = [question for question in questions if replies[question.request.key].ok]
    forms: dict[tuple[str, Sizes], str] = {}
    for model in fitting:
        levels = replies[model.request.key].levels
        if model.kind == "model" and len(levels) > 1:
            forms.setdefault((model.task.name, levels), model.entry.title)
    for loss in fitting:
        for (task, levels), title in forms.items():
            if loss.kind == "loss" and loss.task.name == task and loss.request.image_size == levels[0]:
                yield replace(loss, request=replace(loss.request, levels=levels), partner=title)


def _entries(suite: Suite) -> Iterator[tuple[Kind, YamlPath, LossEntry]]:
    for index, model in enumerate(suite.models):
        yield "model", ("models", index), model
    for index, loss in enumerate(suite.losses):
        yield "loss", ("losses", index), loss


def _options(suite: Suite, kind: Kind, entry: LossEntry) -> dict[str, Placed]:
    """Returns the searched options of a component; of a pair's differing spaces the last one's."""
    found: dict[str, Placed] = {}
    for model in [entry] if kind == "model" else suite.models:
        for loss in [entry] if kind == "loss" else suite.losses:
            assert isinstance(model, ModelEntry)
            space = effective_space(suite, model, loss)
            found |= {name: placed for name, placed in space.items() if name.startswith(f"{kind}.")}
    return found


def _samples(placed: Placed) -> Iterator[tuple[YamlPath, Any]]:
    spec = placed.spec
    if spec.choices is not None:
        yield from ((("choices", index), choice) for index, choice in enumerate(spec.choices))
    else:
        yield ("low",), spec.low
        yield ("high",), spec.high


def _request(kind: Kind, entry: LossEntry, options: dict[str, Any], task: TaskSpec, size: Size) -> Request:
    return Request(kind, entry.name, options, task.channels, task.out_channels, size)


def _wrong(question: _Question, answer: Answer) -> Iterator[Finding]:
    for problem in answer.problems:
        steps = tuple(problem.where.split(".")[1:])
        place = question.drawn or (*question.section, *(("options", *steps) if steps else ()))
        partner = f" with the deep supervision of {question.partner}" if question.partner else ""
        rows, columns = size = question.request.image_size
        patches = f" in patches of {rows} x {columns}" if size != question.task.image_size else ""
        subject = f"{question.entry.title}{partner} on {question.task.name}{patches}"
        where = problem.where if steps else ""
        yield Finding(place, f"{subject}: {where + ': ' if where else ''}{problem.message}")


def _defaults(
    suite: Suite, task: TaskSpec, answers: Mapping[tuple[Kind, str, str], Answer]
) -> Iterator[Finding]:
    """The default setting is the first trial, so every searched option needs a default within its range."""
    for kind, _, entry in _entries(suite):
        answer = answers[kind, entry.title, task.name]
        if not answer.ok:
            continue
        for name, placed in _options(suite, kind, entry).items():
            try:
                default = default_option(answer.options, name)
            except KeyError:
                yield Finding(
                    placed.path,
                    f"{name} needs a default for {entry.title}, since the default setting is the first trial: "
                    "write it under options",
                )
                continue
            if not placed.spec.contains(default):
                yield Finding(
                    placed.path,
                    f"the space must hold the default {name} = {shown(default)} of {entry.title}, since the default "
                    f"setting is the first trial; it holds {placed.spec}",
                )


def default_option(options: Mapping[str, Any], name: str) -> Any:
    """Returns the value of `model.a.b` or `loss.a.b` among resolved options.

    Raises:
        KeyError: If there is none.
    """
    value: Any = options
    for step in name.split(".")[1:]:
        if not isinstance(value, Mapping):
            raise KeyError(name)
        value = value[step]
    return value
