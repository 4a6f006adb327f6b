"""Builds models and losses to see whether they fit a task: a subprocess, so that its caller needs no torch.

`python -m medseg.training.probe` reads a JSON list of requests from stdin. It writes an empty line to stdout once it
is ready, and then a line with a JSON answer for each request, in their order, as soon as it is known.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from medseg import losses, models
from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.config import Component
from medseg.errors import ConfigError, MedsegError

Request = Mapping[str, Any]
Answer = dict[str, Any]

# A plug-in may fail while it is imported, too.
FAILURES = (*CONSTRUCTION_ERRORS, SyntaxError, OSError)
LOSS_SHAPE = (2, 8, 8)


def answer(request: Request) -> Answer:
    """Builds what a request names.

    Args:
        request: `kind` (``"model"`` or ``"loss"``), `name`, `options`, `in_channels`, `out_channels`,
            `image_size` (rows, columns).

    Returns:
        `ok`; `options` with the defaults filled in; `parameters`, the number of trainable ones; `problems`, a
        list of `where` (a dotted path such as ``"model.features"``) and `message`.
    """
    kind = request["kind"]
    found: Answer = {"ok": False, "options": {}, "parameters": 0, "problems": []}
    try:
        component = Component(name=request["name"], options=request["options"])
        if kind == "model":
            found["options"], found["parameters"] = _model(component, request)
        else:
            found["options"], found["parameters"] = _loss(component, request)
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


def _model(component: Component, request: Request) -> tuple[dict[str, Any], int]:
    options = models.resolve_options(component)
    shape = (int(request["in_channels"]), int(request["out_channels"]), request["image_size"])
    model = models.build_model(component, *shape)
    models.check_fit(model, *shape)
    return options, models.count_parameters(model)


def _loss(component: Component, request: Request) -> tuple[dict[str, Any], int]:
    options = losses.resolve_options(component)
    channels = int(request["out_channels"])
    classes = max(2, channels)
    loss = losses.build_loss(component, channels, [1 / classes] * classes)
    _check_loss(component.name, loss, channels, classes)
    return options, models.count_parameters(loss)


def _check_loss(name: str, loss: nn.Module, channels: int, classes: int) -> None:
    """Computes a loss and its gradient once, on a few pixels that hold every class."""
    batch, height, width = LOSS_SHAPE
    logits = torch.zeros(batch, channels, height, width, requires_grad=True)
    target = (torch.arange(batch * height * width) % classes).reshape(LOSS_SHAPE)
    value = loss(logits, target)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        shape = list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ConfigError("loss", f"{name} must return one number, got {shape}")
    if not torch.isfinite(value):
        raise ConfigError("loss", f"{name} must be finite, got {value.item()} for logits of 0")
    if not value.requires_grad or torch.autograd.grad(value.sum(), logits, allow_unused=True)[0] is None:
        raise ConfigError("loss", f"{name} must depend on the logits, got no gradient")


def main() -> None:
    """Answers the requests on stdin."""
    # Modules that print while they are imported or built must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    with answers:
        answers.write("\n")
        for request in json.load(sys.stdin):
            answers.write(json.dumps(answer(request)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
