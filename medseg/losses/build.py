"""From a component (name and options) to a loss."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medseg.components import CONSTRUCTION_ERRORS, all_options, component_keywords, config_type, one_line
from medseg.config import Component
from medseg.errors import ConfigError
from medseg.losses import LOSSES
from medseg.losses.base import LossConfig, SegmentationLoss

__all__ = ["LOSSES", "LossConfig", "SegmentationLoss", "build_loss", "resolve_options"]

_CONTEXT = ("out_channels", "class_frequencies", "config")


def build_loss(
    component: Component, out_channels: int, class_frequencies: Sequence[float] | None = None
) -> SegmentationLoss:
    """Builds a loss.

    A loss is a class. With a `Config` beside it (an attribute that subclasses `medseg.config.Config`) it is
    called as ``cls(out_channels=, config=Config(**options))``; without one as ``cls(**options)``, and with
    `out_channels` where the signature names it. `class_frequencies` is passed where the signature names it.
    Any `nn.Module` of (logits, target) will do, e.g. ``torch.nn:CrossEntropyLoss``; it is wrapped, keeps its
    `probabilities` if it has them, and gets deep supervision.

    Args:
        component: Registered name or ``module:Class``, and its options.
        out_channels: Channels of the logits: 1 for one foreground label, else one per class with background.
        class_frequencies: Share or count of each class in the training data, background first;
            ``weights: balanced`` needs it before the first evaluation.

    Returns:
        A module: ``forward(logits (B, C, H, W) or a list of them, target (B, H, W) int64)`` gives a scalar,
        ``probabilities(logits)`` float32 of the logits' shape.

    Raises:
        UnknownNameError: If the name is not known.
        RegistryError: If the class cannot be imported.
        ConfigError: If an option is unknown, invalid, or refused by the class.
    """
    target = LOSSES.load(component.name)
    context = {"out_channels": out_channels}
    own = config_type(target) is not None
    keywords = component_keywords(
        "loss",
        target,
        component.options,
        required=context if own else {},
        offered={"class_frequencies": class_frequencies, **({} if own else context)},
    )
    try:
        loss = target(**keywords)
    except CONSTRUCTION_ERRORS as error:
        raise ConfigError("loss", f"{component.name} cannot be built: {one_line(error)}") from error
    if not isinstance(loss, nn.Module):
        raise ConfigError("loss", f"{component.name} needs to make an nn.Module, got {type(loss).__name__}")
    return loss if isinstance(loss, SegmentationLoss) else _Adapted(loss, out_channels)


def resolve_options(component: Component) -> dict[str, Any]:
    """Returns the loss's options completed by its defaults, JSON-ready.

    Raises:
        UnknownNameError: If the name is not known.
        RegistryError: If the class cannot be imported.
        ConfigError: If an option is unknown or invalid.
    """
    return all_options("loss", LOSSES.load(component.name), component.options, _CONTEXT)


class _Adapted(SegmentationLoss):
    """Anyone's loss of (logits, class indices), with our checks, levels and precision.

    It gets the target as it came: whether it ignores a label, as torch's by `ignore_index`, is its business.
    MONAI's losses, which want a channel axis, get it as (B, 1, H, W). Over processes it is the mean of the losses
    of each process's images, since nobody knows what it sums.
    """

    bounded = False
    local = False

    def __init__(self, loss: nn.Module, out_channels: int):
        super().__init__(out_channels, LossConfig())
        self.loss = loss
        own = getattr(loss, "ignore_index", None)
        self.ignore_label = own if isinstance(own, int) else None
        self._channel_axis = type(loss).__module__.partition(".")[0] == "monai"

    def compute(self, logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        value: Tensor = self.loss(logits, target.unsqueeze(1) if self._channel_axis else target)
        return value

    def _separate(self, target: Tensor) -> tuple[Tensor, Tensor | None]:
        super()._separate(target)  # For its check of the range.
        return target, None

    def probabilities(self, logits: Tensor) -> Tensor:
        own: Callable[[Tensor], Tensor] | None = getattr(self.loss, "probabilities", None)
        if own is not None:
            return own(logits).float()
        # MONAI's losses are trained with a sigmoid per channel if they say so.
        return (
            torch.sigmoid(logits.float())
            if getattr(self.loss, "sigmoid", None) is True
            else super().probabilities(logits)
        )
