import pytest
import torch

from medseg.config import Component
from medseg.losses import build_loss


@pytest.fixture(scope="session")
def loss():
    """Builds a loss: ``loss("dice", channels, frequencies, batch=False)``."""

    def build(name, channels, frequencies=None, **options):
        return build_loss(Component(name=name, options=options), channels, frequencies)

    return build


@pytest.fixture(scope="session")
def batch():
    """Makes random logits (B, C, H, W) and a random target (B, H, W)."""

    def make(channels, size=(2, 4, 5), dtype=torch.float32, seed=0, scale=1.0):
        generator = torch.Generator().manual_seed(seed)
        logits = scale * torch.randn(size[0], channels, *size[1:], generator=generator, dtype=dtype)
        return logits, torch.randint(0, max(channels, 2), size, generator=generator)

    return make
