"""Builds models and losses to see whether they fit a task: a subprocess, so that its caller needs no torch.

`python -m medseg.training.probe` reads a JSON list of requests from stdin. It writes an empty line to stdout once it
is ready, and then a line with a JSON answer for each request, in their order, as soon as it is known.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from medseg import losses, models
from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.config import Component
from medseg.errors import ConfigError, MedsegError
from medseg.models.sizes import fit_component

Request = Mapping[str, Any]
Answer = dict[str, Any]

# A plug-in may fail while it is imported, too.
FAILURES = (*CONSTRUCTION_ERRORS, SyntaxError, OSError)
LOSS_BATCH = 2
MANY_CHANNELS = 4


def answer(request: Request) -> Answer:
    """Builds what a request names.

    Args:
        request: `kind` (``"model"``, ``"loss"``, or ``"narrow"``: which options make a model tiny), `name`,
            `options`, `in_channels`, `out_channels`, `image_size` (rows, columns); of a loss also `levels`, the
            sizes of the logits of a model with deep supervision, full resolution first, or none.

    Returns:
        `ok`; `options` with the defaults filled in, of `narrow` only those to be written; `parameters`, the number of
        trainable ones; `levels`, of a model the sizes of its logits in training; `problems`, a list of `where` (a
        dotted path such as ``"model.features"``) and `message`.
    """
    kind = request["kind"]
    found: Answer = {"ok": False, "options": {}, "parameters": 0, "levels": [], "problems": []}
    try:
        component = Component(name=request["name"], options=request["options"])
        found |= KINDS[kind](component, request)
        json.dumps(found["options"], allow_nan=False)
    except ConfigError as error:
        found["problems"].append({"where": error.where, "message": error.message})
    except MedsegError as error:
        found["problems"].append({"where": kind, "message": str(error)})
    except ValidationError as error:
        found["problems"].append({"where": kind, "message": f"not a component: {one_line(error)}"})
    except FAILURES as error:
        message = f"{request['name']}: {type(error).__name__}: {one_line(error)}"
        found["problems"].append({"where": kind, "message": message})
    found["ok"] = not found["problems"]
    return found


def _model(component: Component, request: Request) -> Answer:
    options = models.resolve_options(component)
    fit = fit_component(
        component, int(request["in_channels"]), int(request["out_channels"]), request["image_size"]
    )
    return {"options": options, "parameters": fit.parameters, "levels": [list(size) for size in fit.levels]}


def _narrow(component: Component, request: Request) -> Answer:
    """Finds options that make a model tiny: its `narrow` over those given, or alone where they don't go together."""
    narrow = getattr(models.MODELS.load(component.name), "narrow", None)
    if not isinstance(narrow, dict):
        raise ConfigError("model", f"{component.name} has no options that make it narrow")
    together = {**component.options, **narrow}
    try:
        models.resolve_options(Component(name=component.name, options=together))
    except ConfigError:
        return {"options": dict(narrow)}
    return {"options": together}


def _loss(component: Component, request: Request) -> Answer:
    options = losses.resolve_options(component)
    channels, size = int(request["out_channels"]), tuple(request["image_size"])
    levels = [tuple(level) for level in request.get("levels") or [size]]
    _check_activation(component.name, options, channels)
    try:
        loss = _checked_loss(component, channels, levels)
    except CONSTRUCTION_ERRORS as error:
        raise ConfigError("loss", _hint(component, error, channels, levels)) from error
    return {"options": options, "parameters": models.count_parameters(loss)}


def _check_activation(name: str, options: Mapping[str, Any], channels: int) -> None:
    """Refuses losses that can take logits or probabilities, and would take logits for probabilities: MONAI's."""
    if not {"sigmoid", "softmax"} <= options.keys():
        return
    right = bool(options["sigmoid"] or (channels > 1 and options["softmax"]) or options.get("other_act"))
    if not right:
        wanted = "{to_onehot_y: true, softmax: true}" if channels > 1 else "{sigmoid: true}"
        raise ConfigError(
            "loss", f"{name} would take logits for probabilities: it needs the options {wanted}"
        )


def _checked_loss(component: Component, channels: int, levels: Sequence[tuple[int, ...]]) -> nn.Module:
    """Builds a loss and computes it and its gradient once, on images that hold every class."""
    name, classes = component.name, max(2, channels)
    loss = losses.build_loss(component, channels, [1 / classes] * classes)
    logits = [torch.zeros(LOSS_BATCH, channels, *level, requires_grad=True) for level in levels]
    shape = (LOSS_BATCH, *levels[0])
    target = (torch.arange(math.prod(shape)) % classes).reshape(shape)
    value = loss(logits if len(levels) > 1 else logits[0], target)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        got = list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ConfigError("loss", f"{name} must return one number, got {got}")
    if not torch.isfinite(value):
        raise ConfigError("loss", f"{name} must be finite, got {value.item()} for logits of 0")
    slope = torch.autograd.grad(value.sum(), logits[0], allow_unused=True)[0] if value.requires_grad else None
    if slope is None or not slope.any():
        raise ConfigError("loss", f"{name} must depend on the logits, got no gradient for logits of 0")
    if len(levels) == 1:
        _check_direction(name, loss, target, channels)
    return loss


def _check_direction(name: str, loss: nn.Module, target: torch.Tensor, channels: int) -> None:
    """Refuses losses that take their input for anything but logits.

    Right answers, ever surer, must end at a lowest value, and surely wrong ones must cost more than unsurely wrong
    ones. A loss of probabilities sees no difference beyond 0 and 1, one of log-probabilities falls without end, and
    one that compares images with those beside them has no lowest value there.
    """
    if channels == 1:
        right = (2 * target - 1).unsqueeze(1).float()
    else:
        right = 2 * nn.functional.one_hot(target, channels).movedim(-1, 1).float() - 1
    with torch.no_grad():
        none, sure, surer, mistaken, wrong = (float(loss(k * right, target)) for k in (0, 20, 40, -1, -20))
    least = 1e-3 * max(abs(none), abs(mistaken), 1e-6)
    if abs(surer - sure) > least or not sure + least < none or not mistaken + least < wrong:
        raise ConfigError(
            "loss",
            f"{name} must be a loss of logits and class indices: it makes {none:.3g}, {sure:.3g}, {surer:.3g} of "
            f"right answers with logits of 0, 20, 40, and {mistaken:.3g}, {wrong:.3g} of wrong ones with 1, 20",
        )


def _hint(component: Component, error: Exception, channels: int, levels: Sequence[tuple[int, ...]]) -> str:
    """Says why a loss failed, and what would do."""
    problem = f"{component.name}: {type(error).__name__}: {one_line(error)}"
    if len(levels) > 1:
        return f"{problem}; a model without deep supervision would do, or another loss"
    if channels == 1:
        try:
            _checked_loss(component, MANY_CHANNELS, levels)
        except (MedsegError, *CONSTRUCTION_ERRORS):
            pass
        else:
            return (
                f"{component.name} needs a channel per class, but the model's one channel of a task with one label "
                f"is its logit ({one_line(error)}); bce, ce or dice take it"
            )
    return (
        f"{problem}; a loss is called with logits (B, {channels}, H, W) and class indices (B, H, W), one that wants "
        "them otherwise needs a class of one's own around it"
    )


KINDS: Mapping[str, Callable[[Component, Request], Answer]] = {
    "model": _model,
    "loss": _loss,
    "narrow": _narrow,
}


def main() -> None:
    """Answers the requests on stdin."""
    # Modules that print while they are imported or built must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    with answers:
        answers.write("\n")
        answers.flush()
        for request in json.load(sys.stdin):
            answers.write(json.dumps(answer(request)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
