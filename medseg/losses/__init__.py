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
        "boundary": "medseg.losses.boundary:BoundaryLoss",
        "bce_dice": "medseg.losses.compound:BCEDiceLoss",
        "ce": "medseg.losses.cross_entropy:CELoss",
        "ce_dice": "medseg.losses.compound:CEDiceLoss",
        "dice": "medseg.losses.dice:DiceLoss",
        "dice_focal": "medseg.losses.compound:DiceFocalLoss",
        "focal": "medseg.losses.focal:FocalLoss",
        "focal_tversky": "medseg.losses.tversky:FocalTverskyLoss",
        "generalised_dice": "medseg.losses.dice:GeneralisedDiceLoss",
        "lovasz": "medseg.losses.lovasz:LovaszLoss",
        "topk_ce": "medseg.losses.cross_entropy:TopKCELoss",
        "tversky": "medseg.losses.tversky:TverskyLoss",
    },
    "medseg.losses",
)

__all__ = ["LOSSES", "LossConfig", "SegmentationLoss", "build_loss", "resolve_options"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from medseg.losses import build

        return getattr(build, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
