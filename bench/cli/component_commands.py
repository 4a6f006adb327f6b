"""What `bench list`, `bench show` and `bench check` do. Torch is imported where a class has to be."""

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import Any, Literal

import click
from rich.console import Console
from rich.text import Text

from bench.cli.card import Option, options_of, paper_of, search_of, text_of
from bench.cli.catalogue import distribution, entries, licence, metric_text, registry_of
from bench.cli.commands import make_console
from bench.cli.component_report import say_loss, say_metric, say_model, say_result, say_task, say_verdict
from bench.errors import BenchError
from medseg.config import Component
from medseg.errors import ConfigError, MedsegError, UnknownNameError

Size = tuple[int, int]
FAILED = 1


class ComponentError(BenchError):
    """A model, loss, task or metric that the command line names cannot be used."""


def list_command(kind: str, as_json: bool) -> int:
    """Prints the names of one registry, what they are, and where they come from."""
    found = entries(kind)
    if as_json:
        _print_json([asdict(entry) for entry in found])
        return 0
    console = Console(soft_wrap=True)
    names = max((len(entry.name) for entry in found), default=0)
    origins = max((len(entry.origin) for entry in found), default=0)
    for entry in found:
        line = Text(f"{entry.name:{names}}  ")
        line.append(f"{entry.origin:{origins}}  ", style="dim")
        line.append(entry.summary or entry.path)
        line.append(f"  {entry.paper}" if entry.paper else "", style="dim")
        console.print(line, highlight=False)
    return 0


def show_model_command(
    name: str,
    options: Mapping[str, Any],
    channels: int,
    classes: int,
    size: Size,
    batch: int,
    measure: bool,
    as_json: bool,
) -> int:
    """Prints all that is to be known of a model before it is trained."""
    with _quietly("importing the model"):
        from medseg.models import MODELS, resolve_options
        from medseg.models.foreign import argument_names
        from medseg.training.describe import describe_model
        from medseg.training.step_cost import measure_step

        component = Component(name=name, options=dict(options))
        target = MODELS.load(name)
        known = {**component.options, **resolve_options(component)}
        context = tuple(filter(None, argument_names(target)))
    with _quietly("counting"):
        facts = describe_model(component, channels, classes, size)
    step = None
    if measure:
        with _quietly("measuring one training step"):
            step = measure_step(component, channels, classes, size, batch)
    card = _card("model", name, options_of(target, known, context))
    card |= {"channels": channels, "classes": classes, "size": list(size)} | asdict(facts)
    card["step"] = asdict(step) if step else None
    if as_json:
        _print_json(card)
    else:
        say_model(card, make_console())
    return 0


def show_loss_command(name: str, as_json: bool) -> int:
    """Prints a loss's formula, paper, options and search space."""
    with _quietly("importing the loss"):
        from medseg.losses import LOSSES, resolve_options

        target = LOSSES.load(name)
        resolved = resolve_options(Component(name=name))
    card = _card("loss", name, options_of(target, resolved, ("out_channels", "class_frequencies")))
    if as_json:
        _print_json(card)
    else:
        say_loss(card, make_console())
    return 0


def show_task_command(name: str, as_json: bool) -> int:
    """Prints a task as a suite would write it."""
    with _quietly("importing the task"):
        task = registry_of("tasks").load(name)
    if as_json:
        _print_json(task.model_dump(mode="json"))
    else:
        say_task(task.model_dump(mode="json", exclude_defaults=True), make_console())
    return 0


def show_metric_command(name: str, as_json: bool) -> int:
    """Prints a metric's definition."""
    with _quietly("importing the metric"):
        spec = registry_of("metrics").load(name)
    card = {
        "name": name,
        "title": spec.title,
        "text": metric_text(spec),
        "definition": spec.definition,
        "higher_is_better": spec.higher_is_better,
        "per_label": spec.per_label,
        "distance": spec.distance,
        "worst": spec.worst,
        # JSON has no word for infinity.
        "empty": {key: str(value) for key, value in asdict(spec.empty).items()} if spec.empty else None,
    }
    if as_json:
        _print_json(card)
    else:
        say_metric(card, make_console())
    return 0


def check_model_command(
    name: str,
    options: Mapping[str, Any],
    channels: int,
    classes: int,
    size: Size,
    narrow: bool,
    skip: Sequence[str],
    as_json: bool,
) -> int:
    """Runs the conformance suite on a model and prints the outcome of each check as soon as it is known."""
    with _quietly("importing the model"):
        from medseg.models import MODELS
        from medseg.training.conformance import CHECKS, Subject, run_check

        target = MODELS.load(name)
        component = Component(name=name, options={**(_narrow(name, target) if narrow else {}), **options})
        subject = Subject(component=component, in_channels=channels, out_channels=classes, image_size=size)
        subject.build()
        checks = _chosen(CHECKS, skip)
    console = make_console()
    results = []
    for check in checks:
        with _quietly(check):
            result = run_check(check, subject)
        results.append(result)
        if not as_json:
            say_result(result, max(map(len, CHECKS)), console)
    failed = sum(result.problem is not None for result in results)
    if as_json:
        shape = {"options": component.options, "channels": channels, "classes": classes, "size": list(size)}
        outcomes = [asdict(result) | {"ok": result.problem is None} for result in results]
        _print_json({"name": name, "ok": not failed, **shape, "checks": outcomes})
    else:
        say_verdict(name, failed, len(results), len(CHECKS) - len(checks), console)
    return FAILED if failed else 0


def _narrow(name: str, target: Any) -> dict[str, Any]:
    options = getattr(target, "narrow", None)
    if not isinstance(options, dict):
        raise ConfigError("", f"--narrow: {name} has no options that make it narrow, give some by --option")
    return dict(options)


def _chosen(checks: Collection[str], skip: Sequence[str]) -> list[str]:
    for name in skip:
        if name not in checks:
            raise UnknownNameError("check", name, checks)
    return [name for name in checks if name not in skip]


def _card(kind: Literal["model", "loss"], name: str, options: Sequence[Option]) -> dict[str, Any]:
    registry = registry_of("models" if kind == "model" else "losses")
    target, path = registry.load(name), registry.path(name)
    # A package may hand on what another one defines: the licence is that of the one who wrote it.
    origin = getattr(target, "__module__", None) or path
    return {
        "name": name,
        "class": path,
        "text": text_of(target),
        "paper": paper_of(target),
        "origin": distribution(origin),
        "licence": licence(origin),
        "options": [asdict(option) for option in options],
        "search": search_of(kind, target),
    }


@contextmanager
def _quietly(doing: str) -> Iterator[None]:
    """Says on a terminal what is being done; keeps what foreign code prints off standard output.

    Raises:
        ComponentError: For what `medseg` refuses.
    """
    console = Console(stderr=True)
    try:
        with console.status(doing), redirect_stdout(sys.stderr):
            yield
    except MedsegError as error:
        raise ComponentError(str(error)) from error


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=repr))
