"""Whether a model maps a task's images to its logits, in evaluation and in training."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medseg.components import CONSTRUCTION_ERRORS, one_line
from medseg.errors import ModelError
from medseg.models.outputs import OutputError

Sizes = tuple[tuple[int, int], ...]
# A single image would be refused by batch norm where it sees one pixel, which batches of training seldom are.
BATCH = 2
_VOLUMETRIC = (nn.Conv3d, nn.ConvTranspose3d)


def check_fit(model: nn.Module, in_channels: int, out_channels: int, image_size: Sequence[int]) -> Sizes:
    """Checks that a model maps images of a task to its logits; leaves the model as it was.

    The forward passes run on the meta device, which computes shapes only. A model that cannot do that runs for
    real with two images.

    Args:
        model: The model, on any device.
        in_channels: Channels of the images.
        out_channels: Channels that the logits must have.
        image_size: Rows and columns of the images.

    Returns:
        Rows and columns of each level of logits in training mode, full resolution first; one for a model
        without deep supervision.

    Raises:
        ModelError: If the image size or the channels do not fit, or the output is not the contract's.
    """
    height, width = int(image_size[0]), int(image_size[1])
    shape = (BATCH, in_channels, height, width)
    evaluated, trained = _outputs(model, shape)
    _check_map(model, evaluated, shape, (BATCH, out_channels, height, width))
    levels = trained if isinstance(trained, list) and trained else [trained]
    for index, level in enumerate(levels):
        rows, columns = _sides(level) if index else (height, width)
        expected = (BATCH, out_channels, min(rows, height), min(columns, width))
        _check_map(model, level, shape, expected, f" in training (level {index + 1})")
    return tuple(map(_sides, levels))


def _outputs(model: nn.Module, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Returns what a model makes of images of a shape, in evaluation and in training mode."""
    name, (_, in_channels, height, width) = type(model).__name__, shape
    divisor = getattr(model, "size_divisor", 1)
    try:
        return _trace(_copied(model), shape, training=False), _trace(_copied(model), shape, training=True)
    except ModelError:
        raise
    except CONSTRUCTION_ERRORS as error:
        if isinstance(divisor, int) and (height % divisor or width % divisor):
            raise ModelError(
                f"{name} needs image sides divisible by {divisor}, got {height} x {width}"
            ) from error
        if any(isinstance(part, _VOLUMETRIC) for part in model.modules()):
            raise OutputError(
                f"{name} is made for volumes (it has 3-D convolutions), but a task's images are 2-D"
            ) from error
        raise ModelError(
            f"{name} cannot take {in_channels} x {height} x {width} images: {one_line(error)}"
        ) from error


def _check_map(
    model: nn.Module, output: Any, shape: tuple[int, ...], expected: tuple[int, ...], when: str = ""
) -> None:
    name = type(model).__name__
    if not isinstance(output, Tensor):
        raise OutputError(f"{name} must return a tensor of logits{when}, got {type(output).__name__}")
    if tuple(output.shape) != expected:
        only_sides = tuple(output.shape[:-2]) == expected[:-2]
        raise (ModelError if only_sides else OutputError)(
            f"{name} must map {_shape(shape)} to {_shape(expected)}{when}, got {_shape(tuple(output.shape))}"
        )
    if not output.is_floating_point():
        raise OutputError(f"{name} must return float logits{when}, got {output.dtype}")


def _sides(level: Any) -> tuple[int, int]:
    sides = tuple(level.shape[-2:]) if isinstance(level, Tensor) else ()
    return (sides[0], sides[1]) if len(sides) == 2 else (0, 0)


def _copied(model: nn.Module) -> nn.Module:
    """Returns a copy, since a model may keep tensors of what it saw; the model itself if it cannot be copied."""
    try:
        return copy.deepcopy(model)
    except CONSTRUCTION_ERRORS:
        return model


def _trace(model: nn.Module, shape: tuple[int, ...], training: bool) -> Any:
    with in_mode(model, training), torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            return _call(
                model, _tensors(model, lambda tensor: tensor.to("meta")), torch.empty(shape, device="meta")
            )
        except ModelError:
            raise
        except CONSTRUCTION_ERRORS:
            # Either the model is at fault, and then it fails here too, or an operator has no meta kernel.
            copies = _tensors(model, torch.clone)
            device = next(iter(copies.values())).device if copies else torch.device("cpu")
            return _call(model, copies, torch.zeros(shape, device=device))


def _call(model: nn.Module, tensors: dict[str, Tensor], images: Tensor) -> Any:
    return functional_call(model, tensors, (images,), tie_weights=False)


def _tensors(model: nn.Module, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Returns changed parameters and buffers; each module's once, since `functional_call` loses those named twice."""
    changed: dict[int, Tensor] = {}
    found: dict[str, Tensor] = {}
    for prefix, module in model.named_modules():
        own = (*module.named_parameters(prefix, recurse=False), *module.named_buffers(prefix, recurse=False))
        for name, tensor in own:
            if id(tensor) not in changed:
                changed[id(tensor)] = change(tensor.detach())
            found[name] = changed[id(tensor)]
    return found


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Puts a model into training or evaluation mode, and each of its modules back afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(side) for side in shape) + ")"
