"""From a component (name and options) to a network."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.config import Component
from medseg.errors import ModelError
from medseg.models import MODELS
from medseg.models.fit import check_fit
from medseg.models.foreign import model_keywords, model_options
from medseg.models.outputs import normalise_outputs

__all__ = ["build_model", "check_fit", "count_parameters", "resolve_options"]


def build_model(
    component: Component, in_channels: int, out_channels: int, image_size: Sequence[int]
) -> nn.Module:
    """Builds a model with fresh weights, drawn from torch's global generator.

    A model is a class or a function. With a `Config` beside it (an attribute that subclasses
    `medseg.config.Config`) it is called as ``cls(in_channels=, out_channels=, config=Config(**options))``;
    without one, as ``cls(in_channels=, out_channels=, **options)`` or with other words for the channels, see
    `medseg.models.foreign`. The image size is passed where the signature names it.

    Args:
        component: Registered name, ``module:Class`` or ``library:Class``, and its options.
        in_channels: Channels of the images.
        out_channels: Channels of the logits: 1 for one foreground label, else one per class with background.
        image_size: Rows and columns of the images that the network will see.

    Returns:
        A module that maps float (B, in_channels, H, W) to logits (B, out_channels, H, W), in training mode
        possibly to a list of logits, full resolution first. Models from elsewhere are made to do so by
        `medseg.models.outputs`.

    Raises:
        UnknownNameError: If the name is not known.
        RegistryError: If the class cannot be imported.
        ConfigError: If an option is unknown or invalid; it names the option and the nearest known one.
        ModelError: If the class refuses its arguments, takes no channels, or does not make an `nn.Module`.
    """
    target = _target(component)
    keywords = model_keywords(target, component.options, in_channels, out_channels, image_size)
    try:
        model = target(**keywords)
    except CONSTRUCTION_ERRORS as error:
        raise ModelError(f"model {component.name} cannot be built: {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {component.name}: needs to make an nn.Module, got {type(model).__name__}")
    if type(model).__module__.partition(".")[0] != "medseg":
        normalise_outputs(model)
    return model


def resolve_options(component: Component) -> dict[str, Any]:
    """Returns the model's options completed by its defaults, JSON-ready.

    Raises:
        UnknownNameError: If the name is not known.
        RegistryError: If the class cannot be imported.
        ConfigError: If an option is unknown or invalid.
        ModelError: If it is no class or function, or takes no channels.
    """
    return model_options(_target(component), component.options)


def count_parameters(model: nn.Module, frozen: bool = False) -> int:
    """Returns the number of parameters of the network that predicts; shared tensors count once.

    Heads that deep supervision adds for training alone do not count; a model names such parts in `training_only`.

    Args:
        model: The network, on any device.
        frozen: Count also what training does not change.
    """
    skipped = tuple(f"{part}." for part in getattr(model, "training_only", ()))
    return sum(
        p.numel()
        for name, p in model.named_parameters()
        if (frozen or p.requires_grad) and not name.startswith(skipped)
    )


def _target(component: Component) -> Callable[..., Any]:
    target: Any = MODELS.load(component.name)
    if not callable(target):
        raise ModelError(f"model {component.name}: needs a class or function, got {type(target).__name__}")
    checked: Callable[..., Any] = target
    return checked
