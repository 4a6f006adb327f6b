"""What the training benchmarks share: loops, bare steps, rounds in turn and tables. Imported by training*.py."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medseg.config import Component
from medseg.data import Prepared, cache_dir
from medseg.data.augment.config import AugmentConfig
from medseg.losses import build_loss
from medseg.models import build_model
from medseg.tasks import TASKS, TaskSpec
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.instance_norm import speed_up_instance_norm
from medseg.training.loop import Loop
from medseg.training.optimizer import make_optimizer
from medseg.training.outcome import Validation
from medseg.training.processes import make_accelerator
from medseg.training.trial import open_data

LOSS = Component(name="ce_dice")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FIELD_MM = 64 * 2.4  # side of the images of phantom-cardiac

Side = Callable[[], object]


@dataclass(frozen=True)
class Bench:
    """What the command line says.

    Args:
        device: Where both sides train.
        cores: CPU cores for each side, its helpers included.
        rounds: Rounds that count; a warm-up goes before them.
        steps: Training steps per round and side.
        precision: Of both sides, where it is not what is compared.
        quick: Tiny networks, only to see that everything runs.
    """

    device: torch.device
    cores: int
    rounds: int
    steps: int
    precision: str
    quick: bool


@dataclass(frozen=True)
class Work:
    """A network, the side of its square images, and its batch."""

    model: Component
    size: int
    batch: int

    def __str__(self) -> str:
        """E.g. ``unet 8..64, 64x64, batch 8``."""
        features = self.model.options["features"]
        widths = f"{features[0]}..{max(features)}"
        return f"{self.model.name} {widths}, {self.size}x{self.size}, batch {self.batch}"


def work(model: str, features: Sequence[int], size: int, batch: int) -> Work:
    """Returns the work of a network with these widths."""
    return Work(Component(name=model, options={"features": list(features)}), size, batch)


def facts(bench: Bench, packages: Iterable[str]) -> str:
    """Returns one line on the machine, threads and versions."""
    cuda = bench.device.type == "cuda"
    device = torch.cuda.get_device_name(bench.device) if cuda else _processor()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    threads = f"{bench.cores} cores, {torch.get_num_threads()} torch threads"
    rounds = f"medians of {bench.rounds} rounds of {bench.steps} steps, {bench.precision}"
    return f"{device}; {threads}; {versions}; {rounds}" + (" (QUICK: not a measurement)" * bench.quick)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, no GPU"


def keep_to(cores: int) -> None:
    """Limits this process, and all that it starts, to so many cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    torch.set_num_threads(cores)


def phantom(size: int) -> TaskSpec:
    """Returns the generated cardiac task at another resolution of the same field of view."""
    spacing = FIELD_MM / size
    change = {"image_size": (size, size), "spacing_mm": (spacing, spacing)}
    return TASKS.load("phantom-cardiac").model_copy(update=change)


def phantom_arrays(size: int) -> Prepared:
    """Returns its arrays; generated on first use."""
    return open_data(phantom(size), None, cache_dir()).prepared


def endless(task: TaskSpec, model: Component, **train: Any) -> TrialSpec:
    """Returns a trial that does not end by itself, with nnU-Net's augmentation unless told otherwise."""
    settings = {"epochs": 10**6, "stalled_epochs": None, "augment": AugmentConfig.nnunet()} | train
    return TrialSpec(
        task=task, model=model, loss=LOSS, train=TrainConfig.model_validate(settings), phase="tune"
    )


def make_loop(spec: TrialSpec, prepared: Prepared, device: torch.device) -> Loop:
    """Returns our training on all slices; its validation costs nothing."""
    return Loop(
        spec,
        fresh_model(spec),
        build_loss(spec.loss, spec.task.out_channels),
        prepared,
        range(len(prepared.images)),
        lambda: Validation(0.0),
        make_accelerator(spec.train.precision, use_cpu=device.type == "cpu"),
    )


def fresh_model(spec: TrialSpec) -> nn.Module:
    """Returns the trial's network with new weights."""
    return build_model(spec.model, spec.task.channels, spec.task.out_channels, spec.network_size)


def whole_epochs(loop: Loop) -> Side:
    """Returns what trains one epoch of a loop."""
    epochs = loop.epochs(lambda: False)
    return lambda: next(epochs)


def bare_step(
    spec: TrialSpec,
    device: torch.device,
    layout: torch.memory_format,
    clip_norm: float | None = None,
    compiled: bool = False,
) -> Side:
    """Returns what trains one step of the trial's network on a random tensor, and does nothing else."""
    task, precision = spec.task, spec.train.precision
    model = speed_up_instance_norm(fresh_model(spec)).to(device=device, memory_format=layout)
    optimizer = make_optimizer(model, spec.train)
    forward = torch.compile(model) if compiled else model
    loss = build_loss(spec.loss, task.out_channels).to(device)
    images = torch.randn(spec.train.batch_size, task.channels, *spec.network_size, device=device)
    images = images.contiguous(memory_format=layout)
    labels = torch.randint(0, task.classes, (spec.train.batch_size, *spec.network_size), device=device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def step() -> None:
        with torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"):
            logits = forward(images)
        scaler.scale(loss(logits, labels)).backward()
        if clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    return step


def repeat(step: Side, count: int) -> Side:
    """Returns what does something so many times."""

    def run() -> None:
        for _ in range(count):
            step()

    return run


def in_turn(sides: Mapping[str, Side], bench: Bench, settle_s: float = 0.0) -> dict[str, list[float]]:
    """Returns the seconds of each side's rounds; the sides take turns, and a warm-up is left out.

    Args:
        sides: What takes a round, by name.
        bench: How many rounds, and where.
        settle_s: Pause before each round, in which helpers of the last one fill their queues and fall asleep.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(bench.rounds + 1):
        for name, side in sides.items():
            time.sleep(settle_s)
            seconds[name].append(timed(side, bench.device))
    return {name: times[1:] for name, times in seconds.items()}


def timed(side: Side, device: torch.device) -> float:
    """Returns the seconds that something takes, the device's queue included."""
    synchronise(device)
    started = time.perf_counter()
    side()
    synchronise(device)
    return time.perf_counter() - started


def synchronise(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratio(slower: Sequence[float], faster: Sequence[float]) -> str:
    """Returns the median, and the range, of how many times as long one side took as the other in the same round."""
    pairs = [a / b for a, b in zip(slower, faster, strict=True)]
    return f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"


def rate(samples: float, seconds: Sequence[float]) -> str:
    """Returns the median of samples per second."""
    return f"{samples / statistics.median(seconds):.1f}"


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a Markdown table."""
    print(f"\n### {title}\n")
    for line in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(map(str, line)) + " |", flush=True)
