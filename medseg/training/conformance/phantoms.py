"""Four generated heart slices that any model must be able to learn by heart."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medseg.data.phantom.stack import Stack, draw_stack, paint_surroundings, render
from medseg.training.conformance.subject import Size

# Pathology group and phase, from end-diastole to end-systole, of each slice: hearts that look unlike each other.
HEARTS = (("NOR", 0.0), ("DCM", 1.0), ("HCM", 0.0), ("RV", 1.0))
# Of the slice, from 0 at the base to 1 at the apex.
HEIGHT = 0.35


def phantom_slices(
    in_channels: int, out_channels: int, image_size: Size, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draws a slice through both ventricles of four patients, in short-axis view.

    Args:
        in_channels: Channels of the images; all show the same.
        out_channels: 1 or 2: the whole heart is one label; 3: RV, and LV with its wall; more: RV, wall, LV.
        image_size: Rows and columns that the field of view is squeezed into.
        seed: Of patients and noise.

    Returns:
        Images, float32 (4, in_channels, H, W), each of mean 0 and standard deviation 1; class indices, int64
        (4, H, W).
    """
    images, labels = [], []
    for number, (group, systole) in enumerate(HEARTS):
        rng = np.random.default_rng((seed, number))
        stack = _one_slice(draw_stack(rng, group))
        image, label = render(rng, stack, paint_surroundings(stack), systole)
        images.append(_squeezed(image[0], image_size, mode="bilinear", antialias=True))
        labels.append(_squeezed(label[0], image_size, mode="nearest-exact").long())
    planes = torch.stack(images)
    planes = planes - planes.mean(dim=(1, 2), keepdim=True)
    planes = planes / planes.std(dim=(1, 2), keepdim=True)
    return planes.unsqueeze(1).repeat(1, in_channels, 1, 1), torch.stack(labels).clamp_max(
        max(out_channels, 2) - 1
    )


def _one_slice(stack: Stack) -> Stack:
    """Returns an acquisition of one slice instead of all, at `HEIGHT`."""
    _, rows, columns = stack.shape
    return replace(stack, shape=(1, rows, columns), top_mm=-HEIGHT * stack.heart.length_mm * stack.heart.size)


def _squeezed(plane: np.ndarray, size: Size, **how: object) -> Tensor:
    tensor = torch.from_numpy(np.asarray(plane, dtype=np.float32))
    found: Tensor = F.interpolate(tensor[None, None], size, **how)[0, 0]  # type: ignore[arg-type]
    return found
