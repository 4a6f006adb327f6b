"""Metrics as MONAI and surface-distance compute them, from masks made when first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import monai.metrics as monai
import numpy as np
import surface_distance
import torch
from metrics_cases import TOLERANCE_MM, Volume
from numpy.typing import NDArray
from torch import Tensor

Masks = list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]
Values = NDArray[np.float64]
AT_ONCE = 8
"""Labels that MONAI gets at once; it makes float32 copies of their masks."""


@dataclass
class Inputs:
    """A volume in the shapes that libraries want; what is asked for is made once."""

    volume: Volume

    @cached_property
    def stacks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Masks of reference and prediction, (labels, Z, Y, X)."""
        found = np.empty((2, self.volume.count, *self.volume.reference.shape), dtype=np.bool_)
        for side, array in zip(found, (self.volume.reference, self.volume.prediction), strict=True):
            for index, mask in enumerate(side, start=1):
                np.equal(array, index, out=mask)
        return found[0], found[1]

    @property
    def masks(self) -> Masks:
        """Reference and prediction of each label."""
        return list(zip(*self.stacks, strict=True))

    @property
    def tensors(self) -> list[tuple[Tensor, Tensor]]:
        """Prediction and reference, (1, labels, Z, Y, X) bool; labels in batches."""
        ours, theirs = (torch.from_numpy(stack).unsqueeze(0) for stack in self.stacks)
        return list(zip(theirs.split(AT_ONCE, dim=1), ours.split(AT_ONCE, dim=1), strict=True))

    @cached_property
    def indices(self) -> tuple[Tensor, Tensor]:
        """Prediction and reference as class indices, (1, Z, Y, X) int64."""
        return (
            torch.from_numpy(self.volume.prediction[None].astype(np.int64)),
            torch.from_numpy(self.volume.reference[None].astype(np.int64)),
        )


Function = Callable[[Inputs], Values]


def _monai(function: Callable[..., Tensor], **options: Any) -> Function:
    def run(inputs: Inputs) -> Values:
        parts = [
            function(p, y, include_background=True, **_filled(options, inputs, p)) for p, y in inputs.tensors
        ]
        return torch.cat(parts, dim=1)[0].double().numpy()

    return run


def _filled(options: dict[str, Any], inputs: Inputs, tensor: Tensor) -> dict[str, Any]:
    filled = dict(options)
    if "spacing" in filled:
        filled["spacing"] = inputs.volume.spacing
    if "class_thresholds" in filled:
        filled["class_thresholds"] = [TOLERANCE_MM] * tensor.shape[1]
    return filled


def _monai_masd(inputs: Inputs) -> Values:
    """MONAI has the directed means only."""
    function, spacing = monai.compute_average_surface_distance, inputs.volume.spacing
    parts = [
        (
            function(p, y, include_background=True, spacing=spacing)
            + function(y, p, include_background=True, spacing=spacing)
        )
        / 2
        for p, y in inputs.tensors
    ]
    return torch.cat(parts, dim=1)[0].double().numpy()


def _monai_rate(name: str) -> Function:
    def run(inputs: Inputs) -> Values:
        parts = []
        for p, y in inputs.tensors:
            matrix = monai.get_confusion_matrix(p.to(torch.uint8), y.to(torch.uint8), include_background=True)
            parts.append(monai.compute_confusion_matrix_metric(name, matrix)[0])
        return torch.cat(parts).double().numpy()

    return run


MONAI: dict[str, Function] = {
    "dice": _monai(monai.compute_dice),
    "iou": _monai(monai.compute_iou),
    "sensitivity": _monai_rate("sensitivity"),
    "precision": _monai_rate("precision"),
    "hd": _monai(monai.compute_hausdorff_distance, spacing=None),
    "hd95": _monai(monai.compute_hausdorff_distance, percentile=95, spacing=None),
    "assd": _monai(monai.compute_average_surface_distance, symmetric=True, spacing=None),
    "masd": _monai_masd,
    "nsd": _monai(monai.compute_surface_dice, class_thresholds=None, spacing=None, use_subvoxels=True),
}


def per_label(function: Callable[..., float], spacing: str | None = None) -> Function:
    """Returns what measures each label's two masks, with the spacing under its own word."""

    def run(inputs: Inputs) -> Values:
        options = {spacing: inputs.volume.spacing} if spacing else {}
        return np.array([function(ours, theirs, **options) for ours, theirs in inputs.masks], dtype=float)

    return run


def surface_distance_set(inputs: Inputs) -> dict[str, Values]:
    """Returns what surface-distance offers, its distances found once per label; of ours it has Dice and NSD.

    NaN where a mask is empty, which it does not survive.
    """
    names = ("dice", "hd", "hd95", "mean", "nsd")
    return dict(zip(names, np.array([_of_label(*pair, inputs) for pair in inputs.masks]).T, strict=True))


def _of_label(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], inputs: Inputs) -> list[float]:
    if not (ours.any() and theirs.any()):  # it fails on NumPy 2
        return [np.nan] * 5
    distances = surface_distance.compute_surface_distances(ours, theirs, inputs.volume.spacing)
    return [
        surface_distance.compute_dice_coefficient(ours, theirs),
        surface_distance.compute_robust_hausdorff(distances, 100),
        surface_distance.compute_robust_hausdorff(distances, 95),
        float(np.mean(surface_distance.compute_average_surface_distance(distances))),
        surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM),
    ]


def _surface(measure: Callable[[Any], float]) -> Function:
    def run(inputs: Inputs) -> Values:
        return np.array(
            [
                measure(surface_distance.compute_surface_distances(*pair, inputs.volume.spacing))
                for pair in inputs.masks
            ]
        )

    return run


SURFACE_DISTANCE: dict[str, Function] = {
    "dice": per_label(surface_distance.compute_dice_coefficient),
    "hd": _surface(lambda d: surface_distance.compute_robust_hausdorff(d, 100)),
    "hd95": _surface(lambda d: surface_distance.compute_robust_hausdorff(d, 95)),
    "assd": _surface(lambda d: float(np.mean(surface_distance.compute_average_surface_distance(d)))),
    "nsd": _surface(lambda d: surface_distance.compute_surface_dice_at_tolerance(d, TOLERANCE_MM)),
}
