"""What every loss has in common: input checks, float32, ignored pixels, levels, class weights, probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from medseg.config import Config, search
from medseg.errors import ConfigError
from medseg.losses.levels import level_weights, resize_nearest


class LossConfig(Config):
    """Options that every loss has."""

    weights: tuple[float, ...] | Literal["balanced"] | None = Field(
        None,
        description="Weight per class, background first (two for one foreground label); 'balanced': inverse "
        "to the classes' frequencies in the training data, 1 on a perfectly balanced set; none: all 1.",
        json_schema_extra=search(choices=[None, "balanced"]),
    )
    ignore_label: int | None = Field(
        None, ge=0, le=255, description="Class index of pixels that do not count, e.g. 255; none: all count."
    )

    @field_validator("weights", mode="before")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if value is None or value == "balanced":
            return value
        numbers = isinstance(value, list | tuple) and all(
            isinstance(w, int | float) and not isinstance(w, bool) and isfinite(w) and w >= 0 for w in value
        )
        if not numbers or not any(value):
            raise ValueError(
                "weights must be numbers >= 0, one per class and not all 0, or 'balanced', or none"
            )
        return tuple(float(w) for w in value)


class SegmentationLoss(nn.Module, ABC):
    """A loss of (logits, class indices).

    Everything is computed from logits and in float32 (float64 stays float64), also under autocast. With one
    channel the logit is the foreground's, and classes are 0 and 1.

    Subclasses write `compute`, and declare where they differ: `activation`; `bounded`, that the loss is never
    negative and 0 for a right answer; `local`, that it does not depend on where pixels lie;
    `exact_across_processes`. Sums over the batch whose quotient or power is taken go through
    `medseg.losses.reduce`, which adds those of other processes. Whether `valid` is none depends on the options
    alone, so processes agree on it.

    Args:
        out_channels: Channels C of the logits: 1 for one foreground label, else one per class.
        config: Options.
        class_frequencies: Share or count of each class in the training data, background first; only
            ``weights: balanced`` needs it. Without it such a loss can be built but not evaluated.

    Raises:
        ConfigError: If weights and classes differ in number, or a class to balance never occurs.
    """

    Config: ClassVar[type[LossConfig]] = LossConfig
    paper: ClassVar[str] = ""
    activation: ClassVar[Literal["softmax", "sigmoid"]] = "softmax"
    bounded: ClassVar[bool] = True
    local: ClassVar[bool] = True
    config: LossConfig
    weights: Tensor | None

    def __init__(
        self, out_channels: int, config: LossConfig, class_frequencies: Sequence[float] | None = None
    ):
        super().__init__()
        self.out_channels = out_channels
        self.classes = max(out_channels, 2)
        self.config = config
        self.ignore_label = config.ignore_label
        self._unbalanced = config.weights == "balanced" and class_frequencies is None
        weights = _resolve_weights(config, self.classes, class_frequencies)
        tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", tensor, persistent=False)

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            logits: Float (B, C, H, W), any real numbers; or several of them, full resolution first, each next
                one at most as large (deep supervision). The target is then brought to each level's size by
                nearest neighbour, and levels count in proportion to their sides: 1, 1/2, 1/4, ... over their
                sum for halved sides, as in nnU-Net; see `level_weights`.
            target: Class indices (B, H, W), int64; `ignore_label` where a pixel does not count.

        Returns:
            Scalar, float32 (float64 for float64 logits); 0 where no pixel counts.

        Raises:
            ValueError: If a shape or type is wrong, or a class index is out of range (checked on the CPU
                only, since a GPU would have to wait).
            ConfigError: If ``weights: balanced`` has been given no frequencies.
        """
        levels = [logits] if isinstance(logits, Tensor) else list(logits)
        self._check(levels, target)
        counted, valid = self._separate(target)
        with torch.autocast(target.device.type, enabled=False):
            values = [self._level(level, counted, valid) for level in levels]
            if len(values) == 1:
                return values[0]
            sizes = [level.shape[2:] for level in levels]
            return torch.stack([w * v for w, v in zip(level_weights(sizes), values, strict=True)]).sum()

    @abstractmethod
    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        """Computes the loss of checked inputs.

        Args:
            logits: Float32 or float64 (B, C, H, W).
            target: Class indices (B, H, W), int64; 0 where a pixel does not count.
            valid: Bool (B, H, W), whether a pixel counts; none where all do.

        Returns:
            Scalar of the logits' type; 0 with a gradient of 0 where no pixel counts.
        """

    @property
    def exact_across_processes(self) -> bool:
        """Whether the mean over processes, under `across_processes`, is the loss of the whole batch."""
        return False

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turns logits into probabilities, float32 of the same shape (B, C, H, W).

        One channel: sigmoid. More: softmax, or a sigmoid per channel for the losses that are trained so.
        """
        if self.out_channels == 1 or self.activation == "sigmoid":
            return torch.sigmoid(logits.float())
        return torch.softmax(logits.float(), dim=1)

    def _level(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        precise = logits if logits.dtype == torch.float64 else logits.float()
        if logits.shape[2:] == target.shape[1:]:
            return self.compute(precise, target, valid)
        height, width = logits.shape[2:]
        smaller = None if valid is None else resize_nearest(valid, height, width)
        return self.compute(precise, resize_nearest(target, height, width), smaller)

    def _separate(self, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the target with 0 at ignored pixels, and which pixels count."""
        if self.ignore_label is None:
            self._check_range(target)
            return target, None
        ignored = target == self.ignore_label
        counted = target.masked_fill(ignored, 0)
        self._check_range(counted)
        return counted, ~ignored

    def _check(self, levels: Sequence[Tensor], target: Tensor) -> None:
        if not levels:
            raise ValueError("loss needs logits of at least one level, got an empty list")
        first = levels[0]
        fits = first.ndim == 4 and first.shape[1] == self.out_channels
        if not fits or target.shape != (first.shape[0], *first.shape[2:]):
            raise ValueError(
                f"loss needs logits (B, {self.out_channels}, H, W) and target (B, H, W), "
                f"got {tuple(first.shape)} and {tuple(target.shape)}"
            )
        for number, (above, level) in enumerate(pairwise(levels), start=2):
            same = level.ndim == 4 and level.shape[:2] == first.shape[:2]
            if not same or not all(0 < s <= a for s, a in zip(level.shape[2:], above.shape[2:], strict=True)):
                raise ValueError(
                    f"loss needs logits {tuple(above.shape)} or smaller images at level {number}, "
                    f"got {tuple(level.shape)}"
                )
        for level in levels:
            if not level.is_floating_point() or target.dtype != torch.int64:
                raise ValueError(
                    f"loss needs float logits and an int64 target, got {level.dtype} and {target.dtype}"
                )
        if self._unbalanced:
            raise ConfigError("loss.weights", "'balanced' needs the class frequencies of the training data")

    def _check_range(self, target: Tensor) -> None:
        if target.device.type != "cpu" or not target.numel():
            return
        low, high = (int(v) for v in torch.aminmax(target))
        if low < 0 or high >= self.classes:
            ignored = "" if self.ignore_label is None else f", or {self.ignore_label} where ignored"
            raise ValueError(f"loss needs class indices 0..{self.classes - 1}{ignored}, got {low}..{high}")


def _resolve_weights(
    config: LossConfig, classes: int, frequencies: Sequence[float] | None
) -> Sequence[float] | None:
    weights = config.weights
    if weights is None or (weights == "balanced" and frequencies is None):
        return None
    if weights != "balanced":
        if len(weights) != classes:
            raise ConfigError(
                "loss.weights", f"needs {classes} numbers, one per class with background, got {len(weights)}"
            )
        return weights
    assert frequencies is not None
    if len(frequencies) != classes or not all(isfinite(f) and f > 0 for f in frequencies):
        raise ConfigError(
            "loss.weights",
            f"'balanced' needs a frequency above 0 for each of {classes} classes, got {list(frequencies)}",
        )
    total = float(sum(frequencies))
    return [total / (classes * float(f)) for f in frequencies]
