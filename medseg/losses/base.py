"""What every loss has in common: input checks, float32, class weights, probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isfinite
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from medseg.config import Config
from medseg.errors import ConfigError


class LossConfig(Config):
    """Options that every loss has."""

    weights: tuple[float, ...] | Literal["balanced"] | None = Field(
        None,
        description="Weight per class, background first (two for one foreground label); 'balanced': inverse "
        "to the classes' frequencies in the training data, 1 on a perfectly balanced set; none: all 1.",
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

    Args:
        out_channels: Channels C of the logits: 1 for one foreground label, else one per class.
        config: Options.
        class_frequencies: Share or count of each class in the training data, background first; only
            ``weights: balanced`` needs it. Without it such a loss can be built but not evaluated.

    Raises:
        ConfigError: If weights and classes differ in number, or a class to balance never occurs.
    """

    Config: ClassVar[type[LossConfig]] = LossConfig
    activation: ClassVar[Literal["softmax", "sigmoid"]] = "softmax"
    weights: Tensor | None

    def __init__(
        self, out_channels: int, config: LossConfig, class_frequencies: Sequence[float] | None = None
    ):
        super().__init__()
        self.out_channels = out_channels
        self.classes = max(out_channels, 2)
        self._unbalanced = config.weights == "balanced" and class_frequencies is None
        weights = _resolve_weights(config, self.classes, class_frequencies)
        tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", tensor, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            logits: Float (B, C, H, W), any real numbers.
            target: Class indices (B, H, W), int64.

        Returns:
            Scalar, float32 (float64 for float64 logits).

        Raises:
            ValueError: If a shape or type is wrong, or a class index is out of range (checked on the CPU
                only, since a GPU would have to wait).
            ConfigError: If ``weights: balanced`` has been given no frequencies.
        """
        self._check(logits, target)
        with torch.autocast(logits.device.type, enabled=False):
            precise = logits if logits.dtype == torch.float64 else logits.float()
            return self.compute(precise, target)

    @abstractmethod
    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """Computes the loss of checked inputs; logits are float32 or float64."""

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turns logits into probabilities, float32 of the same shape (B, C, H, W).

        One channel: sigmoid. More: softmax, or a sigmoid per channel for the losses that are trained so.
        """
        if self.out_channels == 1 or self.activation == "sigmoid":
            return torch.sigmoid(logits.float())
        return torch.softmax(logits.float(), dim=1)

    def _check(self, logits: Tensor, target: Tensor) -> None:
        fits = logits.ndim == 4 and logits.shape[1] == self.out_channels
        if not fits or target.shape != (logits.shape[0], *logits.shape[2:]):
            raise ValueError(
                f"loss needs logits (B, {self.out_channels}, H, W) and target (B, H, W), "
                f"got {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        if not logits.is_floating_point() or target.dtype != torch.int64:
            raise ValueError(
                f"loss needs float logits and an int64 target, got {logits.dtype} and {target.dtype}"
            )
        if target.device.type == "cpu" and target.numel():
            low, high = (int(v) for v in torch.aminmax(target))
            if low < 0 or high >= self.classes:
                raise ValueError(f"loss needs class indices 0..{self.classes - 1}, got {low}..{high}")
        if self._unbalanced:
            raise ConfigError("loss.weights", "'balanced' needs the class frequencies of the training data")


def one_hot(target: Tensor, like: Tensor) -> Tensor:
    """Returns class indices (B, H, W) as 0/1 of shape and dtype of `like` (B, C, H, W).

    With one channel that channel is class 1.
    """
    if like.shape[1] == 1:
        return target.unsqueeze(1).to(like.dtype)
    return torch.zeros_like(like).scatter_(1, target.unsqueeze(1), 1)


def weighted_mean(per_pixel: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Averages a value per pixel (B, H, W), each pixel counting as much as its class's weight.

    0 where all pixels have weight 0.
    """
    if weights is None:
        return per_pixel.mean()
    each = weights.to(per_pixel.dtype)[target]
    return (each * per_pixel).sum() / _not_zero(each.sum())


def weighted_mean_of_classes(per_class: Tensor, weights: Tensor | None) -> Tensor:
    """Averages values (..., C) over everything, each class counting as much as its weight."""
    if weights is None:
        return per_class.mean()
    each = weights.to(per_class.dtype)
    return ((per_class * each).sum(dim=-1) / _not_zero(each.sum())).mean()


def _not_zero(total: Tensor) -> Tensor:
    return total.clamp_min(torch.finfo(total.dtype).tiny)


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
