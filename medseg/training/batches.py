"""What each step trains on: its slices, where patches are cut, how they are augmented. A function of (seed, step)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medseg.data import Prepared
from medseg.data.augment.apply import augment
from medseg.data.augment.draw import Draws, draw
from medseg.data.feed import Feed
from medseg.data.patch import ANY_FOREGROUND, augment_patches, draw_windows
from medseg.training.config import TrialSpec
from medseg.training.sampling import AUGMENT, PATCH, SAMPLE, SliceSampler, derive_seed


class Batches:
    """Gives this process's rows of the effective batch of each step.

    All random numbers are drawn for the whole batch, so that a batch does not depend on how many processes share it.

    Args:
        spec: The trial.
        prepared: The task's prepared arrays.
        train_slices: Indices of the training slices.
        device: Where batches go.
        rows: Rows of the effective batch that this process takes.
        memory_format: Of the images.
    """

    def __init__(
        self,
        spec: TrialSpec,
        prepared: Prepared,
        train_slices: Sequence[int],
        device: torch.device,
        rows: slice,
        memory_format: torch.memory_format,
    ):
        self._spec, self._rows, self._memory_format = spec, rows, memory_format
        self._all_labels = prepared.labels
        slices = np.asarray(train_slices, dtype=np.int64)
        config = spec.train
        self._sampler = SliceSampler(
            slices,
            prepared.counts[slices, 1:] > 0,
            config.batch_size,
            config.foreground_share,
            derive_seed(spec.seed, SAMPLE),
        )
        self._feed = Feed(prepared, slices, lambda step: self._sampler.batch(step)[rows], device)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Returns images, float32 (b, C, H, W), and class indices, int64 (b, H, W), on the device.

        Args:
            step: From 0.
        """
        spec, config = self._spec, self._spec.train
        images, labels = self._feed.batch(step)
        rng = np.random.default_rng(derive_seed(spec.seed, AUGMENT, step))
        draws = draw(config.augment, spec.task.flips, config.batch_size, images.shape[1], rng).take(
            self._rows
        )
        if spec.network_size == spec.task.image_size:
            images, labels = augment(images, labels, draws)
        else:
            images, labels = self._patches(images, labels, draws, step)
        return images.contiguous(memory_format=self._memory_format), labels.long()

    def _patches(self, images: Tensor, labels: Tensor, draws: Draws, step: int) -> tuple[Tensor, Tensor]:
        """Augments patches with a margin around them, so that what turns into them is image."""
        patch = self._spec.network_size
        strengths, rows = self._spec.train.augment, self._rows
        slices, wanted = self._sampler.draw(step)
        if not self._sampler.forced:
            # Where each slice holds each label, what is forced is where to look.
            forced = round(self._spec.train.foreground_share * len(slices))
            wanted[len(slices) - forced :] = ANY_FOREGROUND
        rng = np.random.default_rng(derive_seed(self._spec.seed, PATCH, step))
        corners = draw_windows(self._all_labels, slices, wanted, patch, rng)[rows]
        return augment_patches(images, labels, corners, patch, strengths, draws)

    def close(self) -> None:
        """Stops reading ahead and frees what lives on the device."""
        self._feed.close()
