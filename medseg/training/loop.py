"""The optimisation: a resumable loop of steps and epochs."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from medseg.data import Prepared
from medseg.training.agree import ENDS, agree, wish_to_end
from medseg.training.batches import Batches
from medseg.training.config import TrialSpec
from medseg.training.instance_norm import speed_up_instance_norm
from medseg.training.optimizer import WeightAverage, make_optimizer, restore_optimizer
from medseg.training.outcome import DivergedError, Epoch, Validation
from medseg.training.placement import compiles, memory_format, set_up_device
from medseg.training.processes import Processes
from medseg.training.progress import Progress
from medseg.training.sampling import LAYERS, derive_seed
from medseg.training.schedule import learning_rate, plateau_drops
from medseg.training.stopwatch import Stopwatch
from medseg.training.sync_norm import synchronise_batch_norm

# Several processes ask one another only so often whether to stop or save: an answer makes all of them wait.
MEET_EVERY = 10
# Columns of a learning curve.
CURVE = ("epoch", "step", "train_loss", "learning_rate", "score", "wall_s")


class Loop:
    """Trains a model; each step is a function of (seed, step), so that a continued run equals an unbroken one.

    Args:
        spec: The trial.
        model: Network, logits of shape (B, out_channels, H, W).
        loss: Loss of (logits, class indices).
        prepared: The task's prepared arrays.
        train_slices: Indices of the training slices.
        validate: Scores the weights that the model holds when it is called.
        accelerator: Places and casts.
        save_is_due: Asked between steps.
        save: Called in all processes between two steps, when it is due in one of them; `state` is whole then.

    Raises:
        ConfigError: If the batch cannot be shared out among the processes.
    """

    def __init__(
        self,
        spec: TrialSpec,
        model: nn.Module,
        loss: nn.Module,
        prepared: Prepared,
        train_slices: Sequence[int],
        validate: Callable[[], Validation],
        accelerator: Accelerator,
        save_is_due: Callable[[], bool] = lambda: False,
        save: Callable[[], None] = lambda: None,
    ):
        self.spec, self.config = spec, spec.train
        self.accelerator, self.validate = accelerator, validate
        self.save_is_due, self.save = save_is_due, save
        self.processes = Processes(accelerator, self.config.batch_size)
        set_up_device(accelerator.device)
        self.memory_format = memory_format(model, accelerator.device, self.config.precision)
        self.batches = Batches(
            spec, prepared, train_slices, accelerator.device, self.processes.rows, self.memory_format
        )
        model = speed_up_instance_norm(model)
        model = model.to(device=accelerator.device, memory_format=self.memory_format)  # type: ignore[call-overload]
        if self.processes.count > 1:
            model = synchronise_batch_norm(model)
        self.model, self.optimizer = accelerator.prepare(model, make_optimizer(model, self.config))
        # Predicts, too: a wrapper for several processes would meet the others at every forward pass.
        self.module: nn.Module = accelerator.unwrap_model(self.model)
        self.compiled = compiles(self.config, accelerator.device)
        self._forward = torch.compile(self.model) if self.compiled else self.model
        self.loss = loss.to(accelerator.device)
        self.progress = Progress(micro_batch=self._largest(self.processes.count))
        self.best_weights: dict[str, Tensor] = {}
        self.average: WeightAverage | None = None
        if self.config.ema_decay is not None:
            self.average = WeightAverage(self.weights(), self.config.ema_decay)
        self._stopwatch = Stopwatch(accelerator.device)
        self._pending: list[Tensor] = []
        self._since = time.perf_counter()

    def weights(self) -> dict[str, Tensor]:
        """Returns the weights by name, as they are trained."""
        state: dict[str, Tensor] = self.module.state_dict()
        return state

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Puts weights into the model."""
        self.module.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        """Returns all that a continued run needs, as tensors and plain values."""
        return {
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights if self.average else {},
            "best": self.best_weights,
            "progress": {**vars(self.progress), "losses": list(self.progress.losses)},
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            "processes": self.processes.count,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `state` returned."""
        self.load_weights(state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        if self.average is not None:
            for name, tensor in state["average"].items():
                self.average.weights[name].copy_(tensor)
        self.best_weights = state["best"]
        self.progress = Progress(**state["progress"])
        if self.progress.micro_batch == self._largest(state.get("processes", self.processes.count)):
            # Memory never ran out; other processes, if there are, have other shares.
            self.progress.micro_batch = self._largest(self.processes.count)
        self.progress.micro_batch = min(self.progress.micro_batch, self.processes.own)
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _largest(self, processes: int) -> int:
        """Returns how many slices a process takes at once while memory lasts."""
        share = self.config.batch_size // processes
        return min(self.config.micro_batch or share, share)

    def epochs(self, should_stop: Callable[[], bool]) -> Iterator[Epoch]:
        """Runs what is left, one epoch at a time.

        Raises:
            DivergedError: If a loss is not finite, or nothing is learned.
            InterruptedTrialError: If `should_stop` says so; the progress so far is in `state()`.
        """
        # An epoch whose validation was interrupted still has its losses.
        while self.progress.step < self.config.epochs * self.config.steps_per_epoch or self.progress.losses:
            yield self._epoch(should_stop)

    def flush(self) -> None:
        """Brings losses and times from the device; until then they stay there, since a GPU would have to wait."""
        progress = self.progress
        if self._pending:
            losses = self.processes.mean(torch.stack(self._pending).float())
            self._pending.clear()
            progress.losses += losses.tolist()
        elapsed, self._since = time.perf_counter() - self._since, time.perf_counter()
        progress.train_s += elapsed
        progress.wall_s += elapsed
        progress.data_s += self._stopwatch.seconds()

    def _epoch(self, should_stop: Callable[[], bool]) -> Epoch:
        progress = self.progress
        self._since = time.perf_counter()
        self.model.train()
        try:
            while len(progress.losses) + len(self._pending) < self.config.steps_per_epoch:
                self._between_steps(should_stop)
                self._pending.append(self._step(self._rate(progress.step)))
                progress.step += 1
            self.flush()
        except ENDS:
            # All processes end here together. After any other error this one must not wait for the others.
            self.flush()
            raise
        finally:
            self._pending.clear()
        progress.check_finite()
        return self._close_epoch()

    def _between_steps(self, should_stop: Callable[[], bool]) -> None:
        """Ends where that is wanted, else keeps the state where that is due: in all processes at the same step."""
        step = self.progress.step
        if self.processes.count > 1 and step % MEET_EVERY and step % self.config.steps_per_epoch:
            return
        wish = wish_to_end(should_stop, f"stopped after step {step}, checkpoint saved")
        (due,) = agree(self.processes, wish, self.save_is_due())
        if due:
            self.flush()
            self.save()
            self._since = time.perf_counter()

    def _close_epoch(self) -> Epoch:
        progress, config = self.progress, self.config
        started = time.perf_counter()
        with self.evaluated_weights() as weights:
            self._check_weights(weights)
            found = self.validate()
            epoch = progress.step // config.steps_per_epoch
            if found.score > progress.best_score or not self.best_weights:
                progress.best_score, progress.best_epoch = found.score, epoch
                self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        progress.constant_epochs = progress.constant_epochs + 1 if found.constant else 0
        elapsed = time.perf_counter() - started
        progress.validation_s += elapsed
        progress.wall_s += elapsed
        report = Epoch(
            epoch=epoch,
            step=progress.step,
            train_loss=float(np.mean(progress.losses)),
            learning_rate=self._rate(progress.step - 1),
            score=found.score,
            best_score=progress.best_score,
            wall_s=progress.wall_s,
            samples_per_s=progress.step * config.batch_size / progress.train_s,
        )
        progress.curves.append({name: getattr(report, name) for name in CURVE})
        progress.losses = []
        progress.check_learning(config.stalled_epochs)
        return report

    def _check_weights(self, weights: dict[str, Tensor]) -> None:
        """Looks at what is about to be kept: the loss of the last step was that of the weights before it."""
        floats = [tensor for tensor in weights.values() if tensor.is_floating_point() and tensor.numel()]
        if not bool(torch.stack([torch.isfinite(tensor).all() for tensor in floats]).all()):
            step = self.progress.step
            raise DivergedError(step - 1, f"weights are not finite after step {step - 1}")

    @contextmanager
    def evaluated_weights(self) -> Iterator[dict[str, Tensor]]:
        """Puts the weights into the model that are validated and kept: the average, if there is one."""
        self.model.eval()
        own = self.weights()
        if self.average is None:
            yield own
            return
        kept = {name: tensor.clone() for name, tensor in own.items()}
        self.load_weights(self.average.weights)
        try:
            yield self.average.weights
        finally:
            self.load_weights(kept)

    def _rate(self, step: int) -> float:
        drops = 0
        if self.config.schedule == "plateau":
            scores = [row["score"] for row in self.progress.curves]
            drops = plateau_drops(scores, self.config.plateau_patience)
        return learning_rate(self.config, step, drops)

    def _step(self, rate: float) -> Tensor:
        step = self.progress.step
        with self._stopwatch.running():
            images, labels = self.batches.batch(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(
            derive_seed(self.spec.seed, LAYERS, step, *[self.processes.rank] * (self.processes.rank > 0))
        )
        loss = self._gradients(images, labels)
        if self.config.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.weights(), step)
        return loss

    def _gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Adds up the gradients of the batch, a micro-batch at a time, and returns its loss."""
        total = len(images)
        parts = -(-total // self.progress.micro_batch)
        losses = []
        for number in range(parts):
            # Every so-manieth: the last rows of a batch are those drawn for rare labels.
            part, last = slice(number, None, parts), number == parts - 1
            with self._unsynchronised(last), self.processes.sharing():
                loss: Tensor = self.loss(self._forward(self._laid_out(images[part])), labels[part])
                if parts > 1:
                    loss = loss * (len(labels[part]) / total)
                self.accelerator.backward(loss)
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=self.memory_format)

    def _unsynchronised(self, last: bool) -> AbstractContextManager[Any]:
        """Returns the context in which gradients stay in their process, except those of the last micro-batch."""
        if last or self.processes.count == 1:
            return nullcontext()
        context: AbstractContextManager[Any] = self.accelerator.no_sync(self.model)
        return context
