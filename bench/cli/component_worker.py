"""What `bench show` and `bench check` do with foreign code: a subprocess, since such code may end its process.

It takes a request as JSON from the command line and writes messages to standard output, one JSON object a line, each
as soon as it is known. What else writes there, by print or by file descriptor 1, goes to standard error.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from bench.cli.card import Option, options_of, paper_of, search_of, text_of
from bench.cli.catalogue import distribution, licence, registry_of
from medseg.config import Component
from medseg.errors import ConfigError, MedsegError, ModelError, UnknownNameError

Message = dict[str, Any]
Options = Mapping[str, Any]


def show_model(
    name: str, options: Options, channels: int, classes: int, size: Sequence[int], batch: int, measure: bool
) -> Iterator[Message]:
    """Yields a model's `card`."""
    yield {"doing": "importing the model"}
    from medseg.models import MODELS, resolve_options
    from medseg.models.foreign import argument_names
    from medseg.training.step_cost import measure_step

    component = Component(name=name, options=dict(options))
    target = MODELS.load(name)
    known = {**component.options, **resolve_options(component)}
    context = tuple(filter(None, argument_names(target)))
    yield {"doing": "counting"}
    facts = _facts(component, channels, classes, (size[0], size[1]))
    step = None
    if measure:
        yield {"doing": "measuring one training step"}
        step = measure_step(component, channels, classes, size, batch)
    card = _card("model", name, options_of(target, known, context))
    card |= {"channels": channels, "classes": classes, "size": list(size)} | facts
    yield {"card": card | {"step": asdict(step) if step else None}}


def show_loss(name: str, options: Options, classes: int) -> Iterator[Message]:
    """Yields a loss's `card`."""
    yield {"doing": "importing the loss"}
    from medseg.losses import LOSSES, build_loss, resolve_options

    component = Component(name=name, options=dict(options))
    target = LOSSES.load(name)
    known = {**component.options, **resolve_options(component)}
    if options:
        # What only the class itself refuses.
        yield {"doing": "building the loss"}
        build_loss(component, classes, [1 / max(2, classes)] * max(2, classes))
    yield {"card": _card("loss", name, options_of(target, known, ("out_channels", "class_frequencies")))}


def check_model(
    name: str,
    options: Options,
    channels: int,
    classes: int,
    size: Sequence[int],
    narrow: bool,
    skip: Sequence[str],
) -> Iterator[Message]:
    """Yields the `checks` with the options they run with, and then a `result` of each."""
    yield {"doing": "importing the model"}
    from medseg.models import MODELS
    from medseg.training.conformance import CHECKS, Subject, run_check

    target = MODELS.load(name)
    component = Component(name=name, options={**(_narrow(name, target) if narrow else {}), **options})
    checks = _chosen(CHECKS, skip)
    image_size = (size[0], size[1])
    subject = Subject(component=component, in_channels=channels, out_channels=classes, image_size=image_size)
    yield {"doing": "building the model"}
    subject.build()
    yield {"checks": checks, "skipped": len(CHECKS) - len(checks), "options": component.options}
    for check in checks:
        yield {"doing": check}
        yield {"result": asdict(run_check(check, subject))}


def _facts(component: Component, channels: int, classes: int, size: tuple[int, int]) -> dict[str, Any]:
    from medseg.models.sizes import fit_component
    from medseg.training.describe import describe_model

    try:
        return asdict(describe_model(component, channels, classes, size))
    except ModelError:
        # Says which sizes would fit, where it is the size.
        fit_component(component, channels, classes, size)
        raise


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
        "options": [{key: _plain(value) for key, value in asdict(option).items()} for option in options],
        "search": search_of(kind, target),
    }


def _plain(value: Any) -> Any:
    """Returns what JSON can hold; foreign defaults may be anything."""
    try:
        return json.loads(json.dumps(value, default=repr))
    except (TypeError, ValueError):
        return repr(value)


COMMANDS: dict[str, Callable[..., Iterator[Message]]] = {
    "show_model": show_model,
    "show_loss": show_loss,
    "check_model": check_model,
}


def main() -> None:
    """Does what the request in the last argument names; the last message is `refused` or `done`."""
    # Ctrl-C reaches the parent, too, and it says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    request = json.loads(sys.argv[-1])
    sys.path[:] = request["path"]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as messages:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        try:
            for message in COMMANDS[request["command"]](**request["arguments"]):
                messages.write(json.dumps(message, default=repr) + "\n")
                messages.flush()
            last: Message = {"done": True}
        except MedsegError as error:
            last = {"refused": str(error)}
        messages.write(json.dumps(last) + "\n")
