"""From a component (name and options) to a network, and whether it fits a task."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medseg.components import CONSTRUCTION_ERRORS, all_options, component_keywords, one_line
from medseg.config import Component
from medseg.errors import ModelError
from medseg.models import MODELS

_CONTEXT = ("in_channels", "out_channels", "image_size", "config")


def build_model(
    component: Component, in_channels: int, out_channels: int, image_size: Sequence[int]
) -> nn.Module:
    """Builds a model with fresh weights, drawn from torch's global generator.

    A model is a class. With a `Config` beside it (an attribute that subclasses `medseg.config.Config`) it is
    called as ``cls(in_channels=, out_channels=, config=Config(**options))``; without one, as
    ``cls(in_channels=, out_channels=, **options)``. `image_size` is passed where the signature names it.

    Args:
        component: Registered name or ``module:Class``, and its options.
        in_channels: Channels of the images.
        out_channels: Channels of the logits: 1 for one foreground label, else one per class with background.
        image_size: Rows and columns of the images that the network will see.

    Returns:
        A module that maps float (B, in_channels, H, W) to logits (B, out_channels, H, W).

    Raises:
        UnknownNameError: If the name is not known.
        RegistryError: If the class cannot be imported.
        ConfigError: If an option is unknown or invalid; it names the option and the nearest known one.
        ModelError: If the class refuses its arguments, or does not make an `nn.Module`.
    """
    target = MODELS.load(component.name)
    if not callable(target):
        raise ModelError(f"model {component.name}: needs a class or function, got {type(target).__name__}")
    keywords = component_keywords(
        "model",
        target,
        component.options,
        required={"in_channels": in_channels, "out_channels": out_channels},
        offered={"image_size": (int(image_size[0]), int(image_size[1]))},
    )
    try:
        model = target(**keywords)
    except CONSTRUCTION_ERRORS as error:
        raise ModelError(f"model {component.name} cannot be built: {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {component.name}: needs to make an nn.Module, got {type(model).__name__}")
    return model


def resolve_options(component: Component) -> dict[str, Any]:
    """Returns the model's options completed by its defaults, JSON-ready.

    Raises:
        UnknownNameError: If the name is not known.
        RegistryError: If the class cannot be imported.
        ConfigError: If an option is unknown or invalid.
    """
    return all_options("model", MODELS.load(component.name), component.options, _CONTEXT)


def count_parameters(model: nn.Module) -> int:
    """Returns the number of trainable parameters; shared tensors count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def check_fit(model: nn.Module, in_channels: int, out_channels: int, image_size: Sequence[int]) -> None:
    """Checks that a model maps images of a task to its logits; leaves the model as it was.

    The forward pass runs on the meta device, which computes shapes only. A model that cannot do that runs for
    real with one image.

    Args:
        model: The model, on any device.
        in_channels: Channels of the images.
        out_channels: Channels that the logits must have.
        image_size: Rows and columns of the images.

    Raises:
        ModelError: If the image size or the channels do not fit, or the output is not the contract's.
    """
    name = type(model).__name__
    height, width = int(image_size[0]), int(image_size[1])
    shape = (2, in_channels, height, width)
    divisor = getattr(model, "size_divisor", 1)
    try:
        with _evaluating(model):
            output = _trace(model, shape)
    except ModelError:
        raise
    except CONSTRUCTION_ERRORS as error:
        if isinstance(divisor, int) and (height % divisor or width % divisor):
            raise ModelError(
                f"{name} needs image sides divisible by {divisor}, got {height} x {width}"
            ) from error
        raise ModelError(
            f"{name} cannot take {in_channels} x {height} x {width} images: {one_line(error)}"
        ) from error
    expected = (2, out_channels, height, width)
    if not isinstance(output, Tensor):
        raise ModelError(f"{name} must return a tensor of logits, got {type(output).__name__}")
    if tuple(output.shape) != expected:
        raise ModelError(
            f"{name} must map {_shape(shape)} to {_shape(expected)}, got {_shape(tuple(output.shape))}"
        )
    if not output.is_floating_point():
        raise ModelError(f"{name} must return float logits, got {output.dtype}")


def _trace(model: nn.Module, shape: tuple[int, ...]) -> Any:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    meta = {key: value.detach().to("meta") for key, value in tensors.items()}
    with torch.no_grad():
        try:
            return functional_call(model, meta, (torch.empty(shape, device="meta"),))
        except ModelError:
            raise
        except CONSTRUCTION_ERRORS:
            # Either the model is at fault, and then it fails here too, or an operator has no meta kernel.
            device = next(iter(tensors.values())).device if tensors else torch.device("cpu")
            return model(torch.zeros(shape, device=device))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(side) for side in shape) + ")"
