"""Augmented samples per second against batchgeneratorsv2 and MONAI, and the share of data in a training step.

All sides run in this process on one core, in turn, on the same images in memory: nnU-Net's default 2D set, batch 16,
256x224, one channel, four classes. Ours also gathers its batch at random from a float16 file that is memory-mapped.

    python benchmarks/data.py [--size 256 224] [--batch 16] [--batches 10] [--rounds 7] [--no-step]

The peers: pip install -e '.[benchmarks]'; batchgeneratorsv2 0.3.6 also imports scikit-image without declaring it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from peers import batchgenerators_side, monai_side
from torch import Tensor

from medseg.config import Component
from medseg.data.augment.apply import augment
from medseg.data.augment.config import AugmentConfig
from medseg.data.augment.draw import draw
from medseg.losses import build_loss
from medseg.models import build_model
from medseg.training.config import TrainConfig
from medseg.training.optimizer import make_optimizer

FLIPS = ("horizontal", "vertical")
CLASSES = 4
KINDS = {
    "rotation and scale": {"rotation_p": 1, "scale_p": 1},
    "elastic (not in the set)": {"elastic_p": 1},
    "flip (p 0.5 per axis)": {"flip_p": 0.5},
    "noise": {"noise_p": 1},
    "blur": {"blur_p": 1, "blur_channel_p": 1},
    "brightness": {"brightness_p": 1},
    "contrast": {"contrast_p": 1},
    "low resolution": {"low_resolution_p": 1, "low_resolution_channel_p": 1},
    "gamma": {"gamma_p": 1},
}


def main() -> None:
    """Prints samples per second of each side, what ours spends its time on, and the share of a training step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs=2, type=int, default=[256, 224])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=10, help="per side and round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-step", action="store_true", help="leave the training steps out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size = (arguments.size[0], arguments.size[1])
    images, labels = made_up(arguments.batch, size)
    print(f"nnU-Net's 2D set, batch {arguments.batch}, {size}, one core, {arguments.rounds} rounds")
    for title, always in (("with nnU-Net's probabilities", False), ("each kind on every sample", True)):
        strengths = every_time(AugmentConfig.nnunet()) if always else AugmentConfig.nnunet()
        with tempfile.TemporaryDirectory() as folder:
            gathered = gathering(Path(folder), arguments.batch, size, strengths)
            sides: dict[str, Callable[[], object]] = {
                "ours": ours(images, labels, strengths),
                "ours, gathered from float16": partial(next, gathered),
            }
            for name, side in (("batchgeneratorsv2", batchgenerators_side), ("MONAI", monai_side)):
                try:
                    sides |= side(images, labels, size, always)
                except ModuleNotFoundError as error:
                    hint = __doc__.splitlines()[-1]
                    print(f"{name} left out, '{error.name}' is not installed. {hint}", file=sys.stderr)
            print(f" {title}")
            compare(sides, arguments)
    print_kinds(images, labels, arguments)
    if not arguments.no_step:
        share([8, 16, 32, 64], (64, 64), batch=8, steps=40)
        share([32, 64, 128, 256, 512], size, batch=4, steps=3)


def made_up(count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Returns normalised noise with rings of four classes in it: float32 (B, 1, H, W) and uint8 (B, H, W)."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in size), indexing="ij")
    rings = (4 - 6 * torch.hypot(rows, columns)).clamp(0, CLASSES - 1).to(torch.uint8)
    labels = rings.repeat(count, 1, 1)
    return torch.randn(count, 1, *size, generator=generator) + labels[:, None].float(), labels


def every_time(strengths: AugmentConfig) -> AugmentConfig:
    """Returns the same strengths, each on every sample; mirrors, and what has no share in the set, excepted."""
    chances = {name for name in AugmentConfig.model_fields if name.endswith("_p")} - {"flip_p", "elastic_p"}
    return strengths.model_copy(update=dict.fromkeys(chances, 1.0))


def ours(images: Tensor, labels: Tensor, strengths: AugmentConfig) -> Callable[[], object]:
    """Returns what augments the batch with fresh draws."""
    rng = np.random.default_rng(0)
    return lambda: augment(images, labels, draw(strengths, FLIPS, len(images), 1, rng))


def gathering(
    folder: Path, batch: int, size: tuple[int, int], strengths: AugmentConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields augmented batches of random slices of a memory-mapped file of 512."""
    images, labels = made_up(512, size)
    np.save(folder / "images.npy", images.half().numpy())
    np.save(folder / "labels.npy", labels.numpy())
    images_map, labels_map = (np.load(folder / name, mmap_mode="r") for name in ("images.npy", "labels.npy"))
    rng = np.random.default_rng(0)
    while True:
        chosen = rng.integers(len(images_map), size=batch)
        drawn = draw(strengths, FLIPS, batch, 1, rng)
        yield augment(torch.from_numpy(images_map[chosen]), torch.from_numpy(labels_map[chosen]), drawn)


def compare(sides: dict[str, Callable[[], object]], arguments: argparse.Namespace) -> None:
    """Times the sides in turn, the first round as warm-up, and prints medians over the rounds."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds + 1):
        for name, side in sides.items():
            times[name].append(timed(side, arguments.batches))
    samples = arguments.batch * arguments.batches
    rates = {name: [samples / seconds for seconds in times[name][1:]] for name in sides}
    first = statistics.median(rates["ours"])
    for name, rate in rates.items():
        middle = statistics.median(rate)
        print(
            f"  {name:36s} {middle:7.0f}/s ({min(rate):.0f} to {max(rate):.0f}), "
            f"ours is {first / middle:5.1f} times as fast"
        )


def print_kinds(images: Tensor, labels: Tensor, arguments: argparse.Namespace) -> None:
    """Prints what each kind costs a sample that gets it."""
    off = AugmentConfig.nnunet().model_copy(
        update={name: 0.0 for name in AugmentConfig.model_fields if name.endswith("_p")}
    )
    settings = {"draws and copies alone": {}} | KINDS
    sides = {name: ours(images, labels, off.model_copy(update=change)) for name, change in settings.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds + 1):
        for name, side in sides.items():
            times[name].append(timed(side, arguments.batches) / arguments.batches / arguments.batch * 1e6)
    base = statistics.median(times["draws and copies alone"][1:])
    print("microseconds per sample that gets it")
    for name, measured in times.items():
        cost = statistics.median(measured[1:])
        print(f"  {name:36s} {cost if not settings[name] else cost - base:7.0f}")


def share(features: list[int], size: tuple[int, int], batch: int, steps: int) -> None:
    """Prints the share of gathering and augmenting, at the default strengths, in a U-Net's training step."""
    model = build_model(Component(name="unet", options={"features": features}), 1, CLASSES, size)
    model = model.to(memory_format=torch.channels_last)
    loss, optimizer = build_loss(Component(name="ce_dice"), CLASSES), make_optimizer(model, TrainConfig())
    data_s, step_s = [], []
    with tempfile.TemporaryDirectory() as folder:
        batches = gathering(Path(folder), batch, size, AugmentConfig())
        for _ in range(steps + 1):
            started = time.perf_counter()
            images, labels = next(batches)
            images, targets = images.contiguous(memory_format=torch.channels_last), labels.long()
            data_s.append(time.perf_counter() - started)
            loss(model(images), targets).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step_s.append(time.perf_counter() - started)
    data, step = statistics.median(data_s[1:]), statistics.median(step_s[1:])
    print(
        f"U-Net {features}, {size}, batch {batch}: step {step * 1e3:.0f} ms, data {data * 1e3:.1f} ms, "
        f"share {data / step:.1%}"
    )


def timed(work: Callable[[], object], count: int) -> float:
    """Returns the seconds that so many calls take."""
    started = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
