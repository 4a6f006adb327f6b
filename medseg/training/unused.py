"""Parameters that get no gradient: several processes that train together must know of them."""

from collections.abc import Sequence

import torch

from medseg.components import CONSTRUCTION_ERRORS
from medseg.config import Component
from medseg.errors import MedsegError
from medseg.models import build_model


def may_leave_unused(
    component: Component, in_channels: int, out_channels: int, image_size: Sequence[int]
) -> bool:
    """Says whether a training step may leave parameters without a gradient, by a step that computes shapes only.

    True where it cannot be known: the model needs numbers. Leaves the global random state as it was.

    Args:
        component: Name and options of the model.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        image_size: Rows and columns.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            model = build_model(component, in_channels, out_channels, image_size).train()
            found = model(torch.zeros(2, in_channels, int(image_size[0]), int(image_size[1])))
            levels = found if isinstance(found, list | tuple) else [found]
            torch.stack([level.float().sum() for level in levels]).sum().backward()  # type: ignore[no-untyped-call]
    except (MedsegError, *CONSTRUCTION_ERRORS):
        return True
    return any(part.requires_grad and part.grad is None for part in model.parameters())
