"""Time and memory of one training step as measured here, in a process of its own.

`python -m medseg.training.step_cost` reads a request as JSON from stdin and writes its answer as JSON to stdout.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.config import Component
from medseg.errors import MedsegError, ModelError
from medseg.losses import build_loss
from medseg.models import build_model
from medseg.training.config import TrainConfig
from medseg.training.instance_norm import speed_up_instance_norm
from medseg.training.monitor import peak_bytes, reset_peak
from medseg.training.optimizer import make_optimizer
from medseg.training.placement import memory_format

WARM_UP_STEPS, FEWEST_STEPS, MOST_STEPS = 1, 3, 10
ENOUGH_S = 15.0
FAILURES = (MedsegError, MemoryError, *CONSTRUCTION_ERRORS)


@dataclass(frozen=True)
class StepCost:
    """What one training step takes: forward, backward and Adam in float32, with the loss `ce_dice`.

    Args:
        seconds: Median of several steps, after a warm-up.
        peak_memory_bytes: Most memory that weights, gradients, Adam's state and activations took together. On a
            CPU: growth of the process's resident memory. On a GPU: what torch allocated.
        batch: Images per step.
        device: ``"cpu"``, or the GPU's name.
        threads: Of torch on the CPU.
        steps: How many the median is of.
    """

    seconds: float
    peak_memory_bytes: int
    batch: int
    device: str
    threads: int
    steps: int


def measure_step(
    component: Component, in_channels: int, out_channels: int, image_size: Sequence[int], batch: int
) -> StepCost:
    """Measures a training step on a GPU if there is one, else on the CPU.

    Args:
        component: The model.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        image_size: Rows and columns.
        batch: Images per step.

    Raises:
        ModelError: If the step fails; the message is the first line of why.
    """
    request = {
        "component": component.model_dump(mode="json"),
        "shape": [in_channels, out_channels, list(image_size)],
        "batch": batch,
    }
    done = subprocess.run(
        [sys.executable, "-m", "medseg.training.step_cost"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    lines = done.stdout.splitlines()
    answer = json.loads(lines[-1]) if lines else {"error": _last_words(done)}
    if "error" in answer:
        raise ModelError(f"one training step of {component.name} cannot be measured: {answer['error']}")
    return StepCost(**answer)


def main() -> None:
    """Answers the request on stdin."""
    # What a model prints while it is imported or built must not end up in the answer.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        request = json.load(sys.stdin)
        in_channels, out_channels, image_size = request["shape"]
        component = Component.model_validate(request["component"])
        try:
            cost = _measure(component, in_channels, out_channels, image_size, request["batch"])
            found: dict[str, Any] = asdict(cost)
        except FAILURES as error:
            found = {"error": one_line(error)}
        answer.write(json.dumps(found) + "\n")


def _measure(
    component: Component, in_channels: int, out_channels: int, image_size: Sequence[int], batch: int
) -> StepCost:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    height, width = image_size
    images = torch.randn(batch, in_channels, height, width, device=device)
    labels = torch.randint(max(2, out_channels), (batch, height, width), device=device)
    loss = build_loss(Component(name="ce_dice"), out_channels).to(device)
    _take_a_step(nn.Conv2d(in_channels, out_channels, 3, padding=1).to(device), loss, images, labels)
    reset_peak(device)
    before = peak_bytes(device)
    model = build_model(component, in_channels, out_channels, image_size).to(device).train()
    layout = memory_format(model, device)
    model = speed_up_instance_norm(model).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, TrainConfig())
    times = _times(model, loss, optimizer, images.contiguous(memory_format=layout), labels)
    return StepCost(
        seconds=median(times),
        peak_memory_bytes=peak_bytes(device) - before,
        batch=batch,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        steps=len(times),
    )


def _take_a_step(model: nn.Module, loss: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Trains a little: the first step of a process loads code, which is not the model's memory."""
    loss(model(images), labels).backward()
    torch.optim.Adam(model.parameters()).step()


def _times(
    model: nn.Module, loss: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> list[float]:
    times: list[float] = []
    started = perf_counter()
    while len(times) < WARM_UP_STEPS + FEWEST_STEPS or (
        perf_counter() - started < ENOUGH_S and len(times) < WARM_UP_STEPS + MOST_STEPS
    ):
        before = perf_counter()
        loss(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        times.append(perf_counter() - before)
    return times[WARM_UP_STEPS:]


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    return f"the process ended with status {done.returncode}" + (f": {lines[-1]}" if lines else "")


if __name__ == "__main__":
    main()
