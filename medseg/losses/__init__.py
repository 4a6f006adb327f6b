"""Losses: a table of names, and what builds them. Importing this imports no torch."""

from typing import TYPE_CHECKING, Any

from medseg.registry import Registry

if TYPE_CHECKING:
    from medseg.losses.base import LossConfig, SegmentationLoss
    from medseg.losses.build import build_loss, resolve_options

LOSSES = Registry(
    "loss",
    {
        "bce": "medseg.losses.cross_entropy:BCELoss",
        "bce_dice": "medseg.losses.compound:BCEDiceLoss",
        "ce": "medseg.losses.cross_entropy:CELoss",
        "ce_dice": "medseg.losses.compound:CEDiceLoss",
        "dice": "medseg.losses.dice:DiceLoss",
        "focal": "medseg.losses.focal:FocalLoss",
    },
    "medseg.losses",
)

__all__ = ["LOSSES", "LossConfig", "SegmentationLoss", "build_loss", "resolve_options"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from medseg.losses import build

        return getattr(build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
