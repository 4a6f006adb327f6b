"""The optimiser that a setting names, and the average of the weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from medseg.training.config import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Returns the optimiser that the settings name; one kernel per step (`fused`) where torch has it."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    common: dict[str, Any] = {
        "lr": config.learning_rate,
        "weight_decay": config.weight_decay,
        "fused": all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters),
    }
    if config.optimizer == "sgd":
        sgd = torch.optim.SGD(parameters, momentum=config.momentum, nesterov=config.momentum > 0, **common)
        if config.momentum:
            # torch would leave it uninitialised if fp16's scaler skips the first step. Zero is what it starts from.
            for parameter in parameters:
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return sgd
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, betas=(config.beta1, config.beta2), **common)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Loads an optimiser's state, laid out in memory as its parameters are.

    Fused kernels walk through parameter and state side by side without looking at strides: in another layout
    (channels_last weights, state from a file) they would mix up elements in silence.
    """
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


class WeightAverage:
    """Exponential moving average of all weights and of the statistics of batch norms.

    Its memory grows to the decay, ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the first steps are
    forgotten; as TensorFlow's ExponentialMovingAverage. Whole numbers, such as counters, are copied.

    Args:
        weights: Weights by name, as of a state dict.
        decay: Share of the average that an update keeps in the long run.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float):
        self.decay = decay
        self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Moves the average towards the weights.

        Args:
            weights: Of the same names.
            step: How many updates there were before.
        """
        keep = min(self.decay, (1 + step) / (10 + step))
        names = [name for name, tensor in self.weights.items() if tensor.is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.weights[name] for name in names],
                [weights[name].detach() for name in names],
                1 - keep,
            )
            for name in self.weights.keys() - names:
                self.weights[name].copy_(weights[name])
