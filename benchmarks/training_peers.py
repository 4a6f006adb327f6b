"""Our training against MONAI's, on the same network, batch, loss and kinds of augmentation. Imported by training.py.

MONAI's way is a CacheDataset of dictionary transforms without metadata, its loaders, and a plain loop as in its
tutorials or its SupervisedTrainer. How many workers, how many threads for the main process beside them, and whether a
thread loads instead (MONAI's ThreadDataLoader, on a GPU with cache and transforms there) is what turns out fastest.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from typing import Any

import torch
from monai_set import fast_monai_set
from torch import nn
from torch.utils.data import RandomSampler
from training_setup import (
    Bench,
    Side,
    Work,
    endless,
    fresh_model,
    in_turn,
    make_loop,
    phantom,
    phantom_arrays,
    print_table,
    rate,
    ratio,
    timed,
    whole_epochs,
    work,
)

from medseg.training.config import TrialSpec

SETTLE_S = 0.5

warnings.filterwarnings("ignore", module="monai")


@dataclass(frozen=True)
class Loading:
    """How MONAI's side loads.

    Args:
        workers: Processes that augment; none: the main one.
        threads: Torch threads of the main process.
        thread: A thread of the main process augments instead, on the device.
    """

    workers: int
    threads: int
    thread: bool = False

    def __str__(self) -> str:
        """E.g. ``1 worker, 2 threads``."""
        who = "ThreadDataLoader" if self.thread else f"{self.workers} workers"
        return f"{who}, {self.threads} threads"


def compare_monai(bench: Bench) -> None:
    """Prints both sides for MONAI's BasicUNet and for our U-Net."""
    if find_spec("monai") is None:
        print("\nmonai left out: it is not installed; pip install -e '.[benchmarks]'")
        return
    if find_spec("ignite") is None:
        print("\nSupervisedTrainer left out: pytorch-ignite is not installed; pip install -e '.[benchmarks]'")
    works = [
        work("monai:BasicUNet", (32, 32, 64, 128, 256, 32), 128, 8),
        work("unet", (16, 32, 64, 128, 256), 128, 8),
        work("unet", (8, 16, 32, 64), 64, 8),
    ]
    if bench.quick:
        works = [work("monai:BasicUNet", (4, 4, 8, 8, 8, 4), 32, 2), work("unet", (4, 8), 32, 2)]
    print_table(
        f"Our training against MONAI {version('monai')}: Adam, cross-entropy + Dice, nnU-Net's augmentation, "
        "no clipping (samples/s; bar: ratio >= 1.5)",
        ["network", "MONAI's loop", "MONAI", "ours", "ratio", "loaded by"],
        (row for one in works for row in _rows(one, bench)),
    )


def _rows(one: Work, bench: Bench) -> Iterator[list[object]]:
    spec = endless(
        phantom(one.size),
        one.model,
        batch_size=one.batch,
        steps_per_epoch=bench.steps,
        precision=bench.precision,
        clip_norm=None,
        compile="off",
    )
    peer = _Peer(spec, bench)
    sides: dict[str, Side] = {"ours": _with_threads(bench.cores, whole_epochs(peer.loop))}
    sides |= {name: _with_threads(peer.loading.threads, side) for name, side in peer.sides().items()}
    seconds = in_turn(sides, bench, SETTLE_S)
    samples = bench.steps * one.batch
    ours = seconds.pop("ours")
    for name, times in seconds.items():
        yield [one, name, rate(samples, times), rate(samples, ours), ratio(times, ours), peer.loading]


def _with_threads(threads: int, side: Side) -> Side:
    def run() -> None:
        torch.set_num_threads(threads)
        side()

    return run


class _Round:
    """So many batches of an endless stream, as a data set that ignite can go through again and again."""

    def __init__(self, batches: Iterator[Any], steps: int):
        self._batches, self._steps = batches, steps

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Any]:
        return islice(self._batches, self._steps)


class _Peer:
    """MONAI's side, loading in the way that is fastest here."""

    def __init__(self, spec: TrialSpec, bench: Bench):
        self.spec, self.bench = spec, bench
        prepared = phantom_arrays(spec.task.image_size[0])
        self.loop = make_loop(spec, prepared, bench.device)
        images, labels = (torch.tensor(array[:]) for array in (prepared.images, prepared.labels))
        self.items = [{"image": i.float(), "label": m[None]} for i, m in zip(images, labels, strict=True)]
        self.loading = min(self._ways(), key=self._seconds)
        torch.set_num_threads(self.loading.threads)
        self.batches = self._batches(self.loading)

    def _ways(self) -> list[Loading]:
        cores = self.bench.cores
        most = [0, 1] if self.bench.quick else [0, 1, 2, 4, 8, 16]
        workers = [n for n in most if n <= cores]
        pairs = {(n, threads) for n in workers for threads in (cores, max(1, cores - n))}
        return [*(Loading(*pair) for pair in sorted(pairs)), Loading(0, cores, thread=True)]

    def _seconds(self, way: Loading) -> float:
        """Takes a round this way, after a warm-up; a way that fails here is no way."""
        side = _with_threads(way.threads, self._plain(self._batches(way)))
        try:
            side()
            return timed(side, self.bench.device)
        except RuntimeError as error:
            print(f"MONAI, {way}: left out, {str(error).splitlines()[0]}", file=sys.stderr)
            return math.inf

    def sides(self) -> dict[str, Side]:
        """Returns a round of each of MONAI's loops."""
        found = {
            "plain": self._plain(self.batches),
            "plain, with our layout and fused Adam": self._plain(self.batches, tuned=True),
        }
        if find_spec("ignite") is not None:
            found["SupervisedTrainer"] = self._supervised()
        return found

    def _plain(self, batches: Iterator[Any], tuned: bool = False) -> Side:
        """Returns the loop of MONAI's tutorials, with losses kept on the device."""
        layout = self.loop.memory_format if tuned else torch.contiguous_format
        device, precision = self.bench.device, self.bench.precision
        model, optimizer, loss = self._parts(layout, fused=tuned)
        kind = {"bf16": torch.bfloat16}.get(precision, torch.float16)
        scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

        def run() -> None:
            model.train()
            kept = []
            for _ in range(self.bench.steps):
                batch = next(batches)
                images = batch["image"].to(device, memory_format=layout, non_blocking=True)
                labels = batch["label"].to(device, non_blocking=True)
                optimizer.zero_grad()
                with torch.autocast(device.type, kind, enabled=precision != "fp32"):
                    value = loss(model(images), labels)
                scaler.scale(value).backward()
                scaler.step(optimizer)
                scaler.update()
                kept.append(value.detach())
            torch.stack(kept).tolist()

        return run

    def _supervised(self) -> Side:
        from monai.engines import SupervisedTrainer

        model, optimizer, loss = self._parts(torch.contiguous_format, fused=False)
        bf16 = {"dtype": torch.bfloat16} if self.bench.precision == "bf16" else {}
        trainer = SupervisedTrainer(
            device=self.bench.device,
            max_epochs=1,
            train_data_loader=_Round(self.batches, self.bench.steps),
            network=model,
            optimizer=optimizer,
            loss_function=loss,
            amp=self.bench.precision != "fp32" and self.bench.device.type == "cuda",
            amp_kwargs=bf16,
            decollate=False,
            optim_set_to_none=True,
        )
        return trainer.run

    def _parts(
        self, layout: torch.memory_format, fused: bool
    ) -> tuple[nn.Module, torch.optim.Optimizer, Callable[..., torch.Tensor]]:
        from monai.losses import DiceCELoss

        model = fresh_model(self.spec).to(device=self.bench.device, memory_format=layout)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused or None)
        loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
        return model, optimizer, loss

    def _batches(self, way: Loading) -> Iterator[Any]:
        from monai.data import CacheDataset, DataLoader, ThreadDataLoader

        cuda = self.bench.device.type == "cuda"
        there = self.bench.device if way.thread else torch.device("cpu")
        transforms = fast_monai_set(self.spec.task.image_size, there)
        data = CacheDataset(self.items, transforms, progress=False, num_workers=None)
        loader = ThreadDataLoader if way.thread else DataLoader
        return iter(
            loader(
                data,
                batch_size=self.spec.train.batch_size,
                sampler=RandomSampler(data, replacement=True, num_samples=2**40),
                num_workers=way.workers,
                pin_memory=cuda and not way.thread,
            )
        )
