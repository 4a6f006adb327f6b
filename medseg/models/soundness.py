"""Whether what a model returns can be trained on: finite logits, no probabilities, with a gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from medseg.errors import ModelError
from medseg.models.fit import in_mode

BATCH = 2
# Weights are made large and random: logits then leave 0 to 1, whatever they start at, and probabilities cannot.
SCALE, NOISE = 4.0, 0.5


def check_numbers(model: nn.Module, in_channels: int, image_size: Sequence[int], name: str) -> None:
    """Runs a model for real, on two images of noise, with its own weights and with large random ones.

    Leaves the model and the global random state as they were.

    Args:
        model: A model that `check_fit` has accepted, with weights on the CPU.
        in_channels: Channels of the images.
        image_size: Rows and columns.
        name: What to call it in messages.

    Raises:
        ModelError: If logits are not finite, are probabilities in evaluation or in training, or no gradient
            reaches a parameter.
    """
    with torch.random.fork_rng(devices=[]), _restored(model):
        torch.manual_seed(0)
        images = torch.randn(BATCH, in_channels, int(image_size[0]), int(image_size[1]))
        bounded = {training: _bounded(model, images, training, name) for training in (False, True)}
        _check_gradient(model, images, name)
        with torch.no_grad():
            for parameter in filter(torch.is_floating_point, model.parameters()):
                parameter.mul_(SCALE).add_(torch.randn_like(parameter), alpha=NOISE)
        for training in (False, True):
            if bounded[training] and _are_probabilities(_levels(model, images, training)):
                raise ModelError(
                    f"{name} must return logits, but returns probabilities {_mode(training)}: values from 0 to 1 "
                    "whatever its weights are. Leave out the last sigmoid or softmax"
                )


def _bounded(model: nn.Module, images: Tensor, training: bool, name: str) -> bool:
    with torch.no_grad():
        levels = _levels(model, images, training)
    if not all(bool(level.isfinite().all()) for level in levels):
        raise ModelError(f"{name} must return finite logits, got NaN or infinity {_mode(training)}")
    return _are_probabilities(levels)


def _check_gradient(model: nn.Module, images: Tensor, name: str) -> None:
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ModelError(f"{name} has no trainable parameters")
    with torch.enable_grad():
        levels = _levels(model, images, training=True)
        total = sum((level.square().sum() for level in levels), torch.zeros(()))
        found = total.requires_grad and torch.autograd.grad(total, trainable, allow_unused=True)
    if not found or all(gradient is None for gradient in found):
        raise ModelError(f"{name} cannot be trained: no gradient reaches its parameters")


def _levels(model: nn.Module, images: Tensor, training: bool) -> list[Tensor]:
    with in_mode(model, training):
        output = model(images)
    return [output] if isinstance(output, Tensor) else list(output)


@contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    """Puts parameters and buffers back afterwards."""
    tensors = [*model.parameters(), *model.buffers()]
    kept = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)


def _mode(training: bool) -> str:
    return "in training" if training else "in evaluation"


def _are_probabilities(levels: Sequence[Tensor]) -> bool:
    return all(bool(((level >= 0) & (level <= 1)).all()) for level in levels)
