"""What `bench list`, `bench show` and `bench check` do. Models and losses are imported in a subprocess."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from time import perf_counter
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from bench.cli.catalogue import entries, metric_card, registry_of
from bench.cli.commands import make_console
from bench.cli.component_child import ComponentError, EndedError, attend
from bench.cli.component_report import (
    NOT_TRIED,
    CheckResult,
    say_loss,
    say_metric,
    say_model,
    say_result,
    say_task,
    say_verdict,
)
from bench.cli.recipe import recipe_card, say_recipe
from medseg.errors import MedsegError

Size = tuple[int, int]
FAILED = 1


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
    shape = {"channels": channels, "classes": classes, "size": size}
    card = _card("show_model", name=name, options=options, **shape, batch=batch, measure=measure)
    if as_json:
        _print_json(card)
    else:
        say_model(card, make_console())
    return 0


def show_loss_command(name: str, options: Mapping[str, Any], classes: int, as_json: bool) -> int:
    """Prints a loss's formula, paper, options and search space."""
    card = _card("show_loss", name=name, options=options, classes=classes)
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
    card = metric_card(name, spec)
    if as_json:
        _print_json(card)
    else:
        say_metric(card, make_console())
    return 0


def show_recipe_command(name: str, as_json: bool) -> int:
    """Prints what a recipe sets, and every hyper-parameter of training."""
    with _quietly("reading the recipe"):
        card = recipe_card(name)
    if as_json:
        _print_json(card)
    else:
        say_recipe(card, make_console())
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
    shape = {"channels": channels, "classes": classes, "size": list(size)}
    console = make_console()
    known: dict[str, Any] = {}
    results: list[CheckResult] = []
    for result in _results(known, name=name, options=options, **shape, narrow=narrow, skip=skip):
        results.append(result)
        if not as_json:
            say_result(result, max(map(len, known["checks"])), console)
    failed = sum(result.problem is not None for result in results)
    untried = sum(result.problem == NOT_TRIED for result in results)
    if as_json:
        outcomes = [vars(result) | {"ok": result.problem is None} for result in results]
        _print_json(
            {"name": name, "ok": not failed, "options": known["options"], **shape, "checks": outcomes}
        )
    else:
        say_verdict(name, failed - untried, len(results) - untried, untried, known["skipped"], console)
    return FAILED if failed else 0


def _results(known: dict[str, Any], **arguments: Any) -> Iterator[CheckResult]:
    """Yields the outcome of each check; puts what they are and run with into `known` before.

    Raises:
        ComponentError: If the model cannot be imported or built.
    """
    tried: list[str] = []
    started = perf_counter()
    try:
        for message in attend("check_model", **arguments):
            if "checks" in message:
                known |= message
            elif "result" in message:
                yield CheckResult(**message["result"])
            elif known:
                tried.append(message["doing"])
                started = perf_counter()
    except EndedError as error:
        if not tried:
            raise
        yield CheckResult(tried[-1], error.problem, perf_counter() - started)
        for name in known["checks"][len(tried) :]:
            yield CheckResult(name, NOT_TRIED, 0.0)


def _card(command: str, **arguments: Any) -> dict[str, Any]:
    cards = [message["card"] for message in attend(command, **arguments) if "card" in message]
    card: dict[str, Any] = cards[-1]
    return card


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
