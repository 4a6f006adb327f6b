"""What can be said of a model before it is trained: its size, its cost, the image sizes that it takes."""

from dataclasses import dataclass

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.config import Component
from medseg.errors import ModelError
from medseg.models import count_parameters
from medseg.training.divisor import Size, find_size_divisor
from medseg.training.dry_run import dry_run


@dataclass(frozen=True)
class ModelFacts:
    """A model in numbers.

    Args:
        parameters: Those of the network that predicts; shared tensors count once.
        trainable: Those of them that training changes.
        training_only: Further ones, of heads that only deep supervision uses.
        gmacs: 10^9 multiply-accumulates of convolutions, linear layers and attention for one image in evaluation.
        size_divisor: What image sides must be multiples of; none where that is no number up to 896.
        declared: Whether the model says so itself, by an attribute `size_divisor`; else it was found by trying.
    """

    parameters: int
    trainable: int
    training_only: int
    gmacs: float
    size_divisor: int | None
    declared: bool


def describe_model(component: Component, in_channels: int, out_channels: int, image_size: Size) -> ModelFacts:
    """Counts a model's parameters and multiplications, without weights and without computing where that can be.

    Args:
        component: The model.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        image_size: Rows and columns of the images.

    Raises:
        MedsegError: If the model cannot be built, or does not take such images.
    """
    try:
        run = dry_run(component, in_channels, out_channels, image_size)
        divisor, declared = find_size_divisor(component, in_channels, out_channels, image_size)
    except CONSTRUCTION_ERRORS as error:
        height, width = image_size
        raise ModelError(
            f"{component.name} cannot take {in_channels} x {height} x {width} images: {one_line(error)}"
        ) from error
    parameters = count_parameters(run.model, frozen=True)
    return ModelFacts(
        parameters=parameters,
        trainable=count_parameters(run.model),
        training_only=sum(p.numel() for p in run.model.parameters()) - parameters,
        gmacs=run.macs / 1e9,
        size_divisor=divisor,
        declared=declared,
    )
