"""Where a run stands, and when it is to be given up. Imports no torch."""

import math
from dataclasses import dataclass, field

import numpy as np

from medseg.training.outcome import DivergedError

LEAST_FALL = 0.01


@dataclass
class Progress:
    """Where a run stands; plain values, so that a checkpoint holds all of it.

    Args:
        step: Optimiser steps done.
        losses: Of the steps of the current epoch.
        curves: One row per epoch.
        best_score: Of validation so far.
        best_epoch: When that was, from 1.
        constant_epochs: Epochs in a row, up to now, whose validation cases were all predicted as one class each.
        micro_batch: Slices per forward pass and process.
        elapsed_s: Since the trial began, set-up and evaluation included, without the time between its parts.
        wall_s: Of it, in the loop, validation included.
        data_s: Of it, in getting and augmenting batches.
        train_s: Of it, in training steps, data included.
        validation_s: Of it, in validation.
        energy_j: Of the devices, as far as a driver tells.
        peak_memory_mb: Highest so far.
        notes: What was decided and what happened, in words.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    curves: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = -1
    constant_epochs: int = 0
    micro_batch: int = 0
    elapsed_s: float = 0.0
    wall_s: float = 0.0
    data_s: float = 0.0
    train_s: float = 0.0
    validation_s: float = 0.0
    energy_j: float | None = None
    peak_memory_mb: float = 0.0
    notes: list[str] = field(default_factory=list)

    def check_finite(self) -> None:
        """Looks at the losses of the current epoch.

        Raises:
            DivergedError: If one is NaN or infinite, with its step.
        """
        losses = np.asarray(self.losses)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            step = self.step - len(losses) + int(bad[0])
            raise DivergedError(step, f"the loss is not finite at step {step}")

    def check_learning(self, patience: int | None) -> None:
        """Looks at the epochs so far.

        A network that predicts one class everywhere may still find its way out while its loss falls, if slowly.

        Raises:
            DivergedError: If all validation cases were predicted as one class each for `patience` epochs, and the
                loss fell by less than 1% over them.
        """
        if patience is None or self.constant_epochs < patience:
            return
        before, now = self.curves[-patience]["train_loss"], self.curves[-1]["train_loss"]
        if now > before - LEAST_FALL * abs(before):
            raise DivergedError(
                self.step,
                f"no learning: for {patience} epochs up to step {self.step} every validation case was predicted as "
                f"one class, and the loss went from {before:.4g} to {now:.4g}",
            )
