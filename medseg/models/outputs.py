"""What models return, brought into one form: logits, or in training levels of logits.

A forward hook does it, not a wrapper: the class, the names in the state dict and the attributes stay the model's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import ModelError

# torchvision's and transformers' words for the logits.
KEYS = ("out", "logits")


class OutputError(ModelError):
    """A model returns something else than logits, whatever the image size."""


def normalise_outputs(model: nn.Module) -> None:
    """Makes a model return what `normalised` makes of its outputs, from now on and in its copies."""
    model.register_forward_hook(_hook)


def normalised(output: Any, training: bool) -> Tensor | list[Tensor]:
    """Returns a model's output as logits.

    Args:
        output: A tensor (B, C, H, W); a list or tuple of such, each of another size; deep supervision stacked to
            (B, levels, C, H, W), the network's own output first; or a mapping with one of `KEYS` or of one item.
        training: Whether the model is in training mode.

    Returns:
        In training mode all levels, full resolution first, if there are several; else the finest one alone.
        Subclasses of `Tensor` become plain.

    Raises:
        OutputError: If it cannot be told what the logits are.
    """
    levels = _levels(output)
    return levels if training and len(levels) > 1 else levels[0]


def _hook(model: nn.Module, arguments: Any, output: Any) -> Any:
    if type(output) is Tensor and output.ndim == 4:
        return output
    try:
        return normalised(output, model.training)
    except OutputError as error:
        raise OutputError(f"{type(model).__name__} {error}") from error


def _levels(output: Any) -> list[Tensor]:
    if isinstance(output, Mapping):
        return _levels(_of_mapping(output))
    if isinstance(output, Tensor):
        plain = _plain(output)
        return list(plain.unbind(1)) if plain.ndim == 5 and plain.shape[1] else [plain]
    if isinstance(output, Sequence) and not isinstance(output, str):
        return _of_sequence([item for item in output if item is not None])
    raise OutputError(f"must return a tensor of logits, got {type(output).__name__}")


def _of_mapping(output: Mapping[Any, Any]) -> Any:
    for key in KEYS:
        if key in output:
            return output[key]
    if len(output) == 1:
        return next(iter(output.values()))
    keys = ", ".join(map(str, output))
    raise OutputError(f"must return logits as a tensor or under {' or '.join(map(repr, KEYS))}, got {keys}")


def _of_sequence(items: list[Any]) -> list[Tensor]:
    if len(items) == 1:
        return _levels(items[0])
    wrong = [item for item in items if not isinstance(item, Tensor) or item.ndim != 4]
    if wrong or not items:
        forms = ", ".join(map(_form, items)) or "nothing"
        raise OutputError(f"must return logits alone, got {forms}: a function of one's own can take its pick")
    levels = sorted(map(_plain, items), key=lambda level: level.shape[-2] * level.shape[-1], reverse=True)
    sizes = [tuple(level.shape[-2:]) for level in levels]
    if len(set(sizes)) < len(sizes):
        shown = ", ".join(f"{height} x {width}" for height, width in sizes)
        raise OutputError(
            f"must return one map of each size, got {shown}: which are the logits? Turn its deep supervision off, "
            "or choose in a function of one's own"
        )
    return levels


def _plain(tensor: Tensor) -> Tensor:
    return tensor if type(tensor) is Tensor else tensor.as_subclass(Tensor)


def _form(item: Any) -> str:
    return str(tuple(item.shape)) if isinstance(item, torch.Tensor) else type(item).__name__
