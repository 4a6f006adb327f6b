"""The optimisation: a resumable loop of steps and epochs."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from medseg.data import Prepared
from medseg.data.augment.apply import augment
from medseg.data.augment.draw import draw
from medseg.data.feed import Feed
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.outcome import DivergedError, Epoch, InterruptedTrialError
from medseg.training.sampling import SliceSampler, derive_seed
from medseg.training.schedule import learning_rate, plateau_drops

# Streams of randomness that must not coincide.
SAMPLE, AUGMENT, LAYERS = 1, 2, 3


@dataclass
class Progress:
    """Where a run stands; plain values, so that a checkpoint holds all of it."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    curves: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = -1
    wall_s: float = 0.0
    data_s: float = 0.0
    train_s: float = 0.0
    validation_s: float = 0.0


def make_accelerator(precision: str, use_cpu: bool) -> Accelerator:
    """Returns a fresh Accelerator; a reused worker may have had one of another precision."""
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision, cpu=use_cpu)


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Returns the optimiser that the settings name."""
    common: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), momentum=config.momentum, nesterov=config.momentum > 0, **common
        )
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), **common)


def memory_format(model: nn.Module, device: torch.device) -> torch.memory_format:
    """Returns channels_last, which is faster on CPUs (1.3 times here), except where it would crash.

    torch 2.13's CPU build writes past its buffers in the weight gradient of a strided 1x1 convolution of few
    channels in channels_last (15 -> 16 channels, batch 16, 64x64: segmentation fault).
    """
    if device.type == "cpu" and any(_crashes_in_channels_last(part) for part in model.modules()):
        return torch.contiguous_format
    return torch.channels_last


def _crashes_in_channels_last(part: nn.Module) -> bool:
    if not isinstance(part, nn.Conv2d):
        return False
    strided_1x1 = set(part.kernel_size) == {1} and max(part.stride) > 1
    return strided_1x1 and min(part.in_channels, part.out_channels) < 32


class Loop:
    """Trains a model; each step is a function of (seed, step), so that a continued run equals an unbroken one.

    Args:
        spec: The trial.
        model: Network, logits of shape (B, out_channels, H, W).
        loss: Loss of (logits, class indices).
        prepared: The task's prepared arrays.
        train_slices: Indices of the training slices.
        validate: Returns the validation score of the current weights; higher is better.
        accelerator: Places and casts.
    """

    def __init__(
        self,
        spec: TrialSpec,
        model: nn.Module,
        loss: nn.Module,
        prepared: Prepared,
        train_slices: Sequence[int],
        validate: Callable[[], float],
        accelerator: Accelerator,
    ):
        self.spec, self.config = spec, spec.train
        self.accelerator, self.validate = accelerator, validate
        slices = np.asarray(train_slices, dtype=np.int64)
        self.sampler = SliceSampler(
            slices,
            prepared.counts[slices, 1:] > 0,
            self.config.batch_size,
            self.config.foreground_share,
            derive_seed(spec.seed, SAMPLE),
        )
        self.feed = Feed(prepared, slices, self.sampler.batch, accelerator.device)
        self.memory_format = memory_format(model, accelerator.device)
        model = model.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.model, self.optimizer = accelerator.prepare(model, make_optimizer(model, self.config))
        self.loss = loss.to(accelerator.device)
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] = {}

    def weights(self) -> dict[str, Tensor]:
        """Returns the current weights by name."""
        state: dict[str, Tensor] = self.accelerator.unwrap_model(self.model).state_dict()
        return state

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Puts weights into the model."""
        self.accelerator.unwrap_model(self.model).load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        """Returns all that a continued run needs, as tensors and plain values."""
        return {
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best_weights,
            "progress": vars(self.progress) | {"losses": list(self.progress.losses)},
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` returned."""
        self.load_weights(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best_weights = state["best"]
        self.progress = Progress(**state["progress"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def epochs(self, should_stop: Callable[[], bool]) -> Iterator[Epoch]:
        """Runs what is left, one epoch at a time.

        Raises:
            DivergedError: If a loss is not finite.
            InterruptedTrialError: If `should_stop` says so; the progress so far is in `state()`.
        """
        while self.progress.step < self.config.epochs * self.config.steps_per_epoch:
            yield self._epoch(should_stop)

    def _epoch(self, should_stop: Callable[[], bool]) -> Epoch:
        progress, per_epoch = self.progress, self.config.steps_per_epoch
        started = time.perf_counter()
        self.model.train()
        pending: list[Tensor] = []
        rate = 0.0
        try:
            while len(progress.losses) + len(pending) < per_epoch:
                if should_stop():
                    raise InterruptedTrialError(f"stopped after step {progress.step}, checkpoint saved")
                rate = self._rate()
                pending.append(self._step(rate))
                progress.step += 1
        finally:
            # Losses stay on the device until here: reading one per step would stall a GPU.
            progress.losses += torch.stack(pending).float().tolist() if pending else []
            elapsed = time.perf_counter() - started
            progress.train_s += elapsed
            progress.wall_s += elapsed
        self._check_finite()
        return self._close_epoch(rate)

    def _close_epoch(self, rate: float) -> Epoch:
        progress = self.progress
        started = time.perf_counter()
        self.model.eval()
        score = self.validate()
        epoch = progress.step // self.config.steps_per_epoch
        if score > progress.best_score or not self.best_weights:
            progress.best_score, progress.best_epoch = score, epoch
            self.best_weights = {name: tensor.detach().clone() for name, tensor in self.weights().items()}
        elapsed = time.perf_counter() - started
        progress.validation_s += elapsed
        progress.wall_s += elapsed
        report = Epoch(
            epoch=epoch,
            step=progress.step,
            train_loss=float(np.mean(progress.losses)),
            learning_rate=rate,
            score=score,
            best_score=progress.best_score,
            wall_s=progress.wall_s,
        )
        curve = vars(report).copy()
        del curve["best_score"]
        progress.curves.append(curve)
        progress.losses = []
        return report

    def _rate(self) -> float:
        drops = 0
        if self.config.schedule == "plateau":
            drops = plateau_drops([row["score"] for row in self.progress.curves])
        return learning_rate(self.config, self.progress.step, drops)

    def _step(self, rate: float) -> Tensor:
        started = time.perf_counter()
        images, labels = self._batch()
        self.progress.data_s += time.perf_counter() - started
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derive_seed(self.spec.seed, LAYERS, self.progress.step))
        loss: Tensor = self.loss(self.model(images), labels)
        self.accelerator.backward(loss)
        if self.config.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _batch(self) -> tuple[Tensor, Tensor]:
        config, step = self.config, self.progress.step
        images, labels = self.feed.batch(step)
        rng = np.random.default_rng(derive_seed(self.spec.seed, AUGMENT, step))
        draws = draw(config.augment, self.spec.task.flips, config.batch_size, images.shape[1], rng)
        images, labels = augment(images, labels, draws)
        return images.contiguous(memory_format=self.memory_format), labels.long()

    def _check_finite(self) -> None:
        losses = np.asarray(self.progress.losses)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            raise DivergedError(self.progress.step - len(losses) + int(bad[0]))
