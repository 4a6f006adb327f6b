"""How models that know nothing of this project are called: which of their arguments are the task's."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from medseg.components import all_options, component_keywords, config_type, parameters_of
from medseg.errors import ConfigError, ModelError

# What people call the channels of the images, of the logits, and the image's size; the first that is named counts.
IN_CHANNELS = (
    "in_channels",
    "in_chans",
    "in_ch",
    "input_channels",
    "n_channels",
    "n_input_channels",
    "input_nc",
    "img_ch",
    "num_channels",
)
OUT_CHANNELS = (
    "out_channels",
    "out_chans",
    "out_ch",
    "output_channels",
    "output_nc",
    "output_ch",
    "classes",
    "num_classes",
    "n_classes",
    "nb_classes",
    "num_labels",
)
MOST_CHANNELS = 16
IMAGE_SIZE = ("image_size", "img_size", "input_image_size", "input_size")

# Networks for volumes and for images in one class are meant for images here. A trial that downloads its first
# weights would depend on the network and on someone else's file.
PRESETS: Mapping[str, Any] = {"spatial_dims": 2, "encoder_weights": None, "weights_backbone": None}


def model_keywords(
    target: Callable[..., Any],
    options: Mapping[str, Any],
    in_channels: int,
    out_channels: int,
    image_size: Sequence[int],
) -> dict[str, Any]:
    """Returns the keywords that a model is called with.

    Args:
        target: Class or function. With a `Config` beside it the names are `in_channels`, `out_channels` and
            `image_size`, else the first of `IN_CHANNELS`, `OUT_CHANNELS` and `IMAGE_SIZE` that it names.
        options: What the user wrote; it wins over `PRESETS` and over the image size, not over the channels.
        in_channels: Channels of the images.
        out_channels: Channels of the logits.
        image_size: Rows and columns.

    Raises:
        ConfigError: If an option is unknown, invalid, missing, or not the user's to set.
        ModelError: If nothing takes the channels.
    """
    size = (int(image_size[0]), int(image_size[1]))
    if config_type(target) is not None:
        required = {"in_channels": in_channels, "out_channels": out_channels}
        return component_keywords("model", target, options, required, {"image_size": size})
    images, logits, sized = argument_names(target)
    _refuse(target, options)
    presets = {**PRESETS, **({sized: _size(target, sized, size)} if sized else {})}
    required = {images: in_channels, logits: out_channels}
    return component_keywords("model", target, options, required, {}, presets)


def model_options(target: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a model's options completed by its defaults, JSON-ready; see `medseg.components.all_options`.

    Raises:
        ConfigError: If an option is unknown or invalid.
        ModelError: If nothing takes the channels.
    """
    if config_type(target) is not None:
        return all_options("model", target, options, ())
    images, logits, sized = argument_names(target)
    context = tuple(filter(None, (images, logits, sized)))
    return all_options("model", target, options, context, PRESETS)


def argument_names(target: Callable[..., Any]) -> tuple[str, str, str | None]:
    """Returns the names by which a class takes the images' channels, the logits' channels and the image size.

    Raises:
        ModelError: If it takes no channels; the message lists the names that would do.
    """
    named, anything = parameters_of(target)
    images = _first([name for name in named if not _looks_like_a_width(named[name])], IN_CHANNELS)
    logits = _first(named, OUT_CHANNELS)
    for found, known, what in (
        (images, IN_CHANNELS, "channels of the images"),
        (logits, OUT_CHANNELS, "channels of the logits"),
    ):
        if found is None and not anything:
            name = getattr(target, "__name__", type(target).__name__)
            raise ModelError(
                f"{name} needs an argument for the {what}, one of {', '.join(known)}; "
                f"it takes {', '.join(named) or 'none'}. A function of one's own around it will do"
            )
    return images or IN_CHANNELS[0], logits or OUT_CHANNELS[0], _first(named, IMAGE_SIZE)


def takes_image_size(target: Callable[..., Any], options: Mapping[str, Any]) -> bool:
    """Says whether a model is made for the task's image size: it names it, and the user did not set it."""
    named, _ = parameters_of(target)
    if config_type(target) is not None:
        return "image_size" in named
    sized = _first(named, IMAGE_SIZE)
    return sized is not None and sized not in options


def _looks_like_a_width(parameter: inspect.Parameter) -> bool:
    """No image has as many channels by default: `num_channels=64` is how wide a network is."""
    return isinstance(parameter.default, int) and parameter.default > MOST_CHANNELS


def _first(named: Iterable[str], known: Iterable[str]) -> str | None:
    names = set(named)
    return next((name for name in known if name in names), None)


def _size(target: Callable[..., Any], name: str, size: tuple[int, int]) -> int | tuple[int, int]:
    """One number where that is the default's form and the image is square, else rows and columns."""
    default = parameters_of(target)[0][name].default
    one = isinstance(default, int) and not isinstance(default, bool)
    return size[0] if one and size[0] == size[1] else size


def _refuse(target: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuses another word for the channels, which the class does not even know, and networks for volumes."""
    named, anything = parameters_of(target)
    for name in options:
        if name in (*IN_CHANNELS, *OUT_CHANNELS) and name not in named and not anything:
            raise ConfigError(f"model.{name}", "is set by the task and cannot be an option")
    dimensions = options.get("spatial_dims", 2)
    if "spatial_dims" in named and dimensions != 2:
        raise ConfigError("model.spatial_dims", f"must be 2, since images are 2-D, got {dimensions!r}")
