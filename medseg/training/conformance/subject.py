"""A model under test, and what the checks share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medseg.config import Component
from medseg.models import build_model

# What a model may return in training: logits, or a list of them, full resolution first.
Output = Tensor | Sequence[Tensor]
Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model under test; small images and narrow options keep it fast.

    Args:
        component: Name and options.
        in_channels: Channels of the images.
        out_channels: Channels of the logits in the checks that don't vary them.
        image_size: Rows and columns, a size that the model takes.
        seed: Of weights and images.
        compile_backend: Of `torch.compile`. Where ``"inductor"`` finds no C++ compiler that works, ``"aot_eager"``
            is taken.
    """

    component: Component
    in_channels: int = 1
    out_channels: int = 4
    image_size: Size = (32, 48)
    seed: int = 0
    compile_backend: str = "inductor"

    def build(
        self,
        out_channels: int | None = None,
        seed: int | None = None,
        image_size: Size | None = None,
    ) -> nn.Module:
        """Builds the model with weights that depend on the seed only."""
        with seeded(self.seed if seed is None else seed):
            return build_model(
                self.component,
                self.in_channels,
                out_channels or self.out_channels,
                image_size or self.image_size,
            )

    def images(self, count: int = 2, size: Size | None = None) -> Tensor:
        """Returns standard normal images (count, in_channels, *size)."""
        generator = torch.Generator().manual_seed(self.seed + 1)
        return torch.randn((count, self.in_channels, *(size or self.image_size)), generator=generator)


def evaluate(model: nn.Module, images: Tensor) -> Tensor:
    """Returns the logits of a model in evaluation mode, without gradients."""
    with torch.no_grad():
        logits: Tensor = model.eval()(images)
    return logits


def backward(output: Output) -> None:
    """Sends a random gradient back through logits, or through all levels of them."""
    levels = [output] if isinstance(output, Tensor) else list(output)
    torch.autograd.backward(levels, [torch.randn_like(level) for level in levels])


def gap(value: Tensor, reference: Tensor) -> float:
    """Returns |value - reference| / |reference|, Euclidean."""
    size = torch.linalg.vector_norm(reference.double())
    return float(torch.linalg.vector_norm(value.double() - reference.double()) / size.clamp_min(1e-12))


def shown(size: Sequence[int]) -> str:
    """Returns rows and columns as text."""
    return f"{size[0]} x {size[1]}"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sets torch's generator, and puts it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
