"""Refusals of image sizes say which sizes would fit."""

import sys

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import ConfigError, ModelError
from medseg.models.outputs import OutputError
from medseg.models.sizes import Fit, fit_component


class Patches(nn.Module):
    """Cuts images into patches, counts pixels in training only, and knows its size if it is told."""

    def __init__(self, in_channels, out_channels, patch=7, image_size=None, declare=False, square=False):
        super().__init__()
        self.patch, self.square = patch, square
        if declare:
            self.size_divisor = patch
        self.down = nn.Conv2d(in_channels, 4, patch, stride=patch)
        self.norm = nn.InstanceNorm2d(4)
        self.up = nn.ConvTranspose2d(4, out_channels, patch, stride=patch)

    def forward(self, image):
        if self.square and image.shape[2] != image.shape[3]:
            raise ValueError("squares only.")
        return self.up(self.norm(self.down(image)))


class Sized(Patches):
    """Refuses to be built for a size that its patches don't divide."""

    def __init__(self, in_channels, out_channels, image_size, patch=7):
        if any(side % patch for side in image_size):
            raise ValueError("image_size must be divisible by the patch")
        super().__init__(in_channels, out_channels, patch)
        steps = [linear.item() for linear in torch.linspace(0, 1, 2, device="cpu")]  # as drop paths are drawn
        self.position = nn.Parameter(torch.full((4, *(side // patch for side in image_size)), steps[0]))

    def forward(self, image):
        return self.up(self.norm(self.down(image) + self.position))


class Worded(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, image):
        return "logits"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_sizes", sys.modules[__name__])


def fit(name, size, **options):
    return fit_component(Component(name=name, options=options), 1, 4, size)


def test_a_model_that_fits():
    count = 7 * 7 * 4 + 4 + 7 * 7 * 16 + 4
    assert fit("tests_sizes:Patches", (28, 28)) == Fit(parameters=count, levels=((28, 28),))


@pytest.mark.parametrize(
    ("name", "size", "options", "message"),
    [
        (
            "unet",
            (100, 96),
            {"features": [1, 1, 1, 1, 1]},
            "unet with 4 poolings needs image sides divisible by 16, got 100 x 96; 96 x 96 or 112 x 96 would fit",
        ),
        (
            "tests_sizes:Patches",
            (24, 28),
            {},
            "tests_sizes:Patches needs image sides divisible by 7, got 24 x 28; 21 x 28 or 28 x 28 would fit",
        ),
        (
            "tests_sizes:Patches",
            (40, 100),
            {"patch": 32},
            "tests_sizes:Patches needs image sides divisible by 32, got 40 x 100; 32 x 96 or 64 x 128 would fit",
        ),
        (
            "tests_sizes:Sized",
            (30, 30),
            {},
            "tests_sizes:Sized needs image sides divisible by 7, got 30 x 30; 28 x 28 or 35 x 35 would fit",
        ),
        (
            "tests_sizes:Patches",
            (7, 7),
            {},
            "Patches cannot take 1 x 7 x 7 images: Expected more than 1 spatial element when training, got input "
            "size torch.Size([2, 4, 1, 1]); 14 x 14 would fit",
        ),
        (
            "tests_sizes:Patches",
            (30, 25),
            {"patch": 11, "declare": True},
            "tests_sizes:Patches needs image sides divisible by 11, got 30 x 25; 22 x 22 or 33 x 33 would fit",
        ),
    ],
)
def test_what_would_fit_is_said(name, size, options, message):
    with pytest.raises(ModelError) as caught:
        fit(name, size, **options)
    assert str(caught.value) == message


def test_the_sizes_that_are_offered_do_fit():
    for size in ((21, 28), (28, 28)):
        fit("tests_sizes:Patches", size)
    for size in ((32, 96), (64, 128)):
        fit("tests_sizes:Patches", size, patch=32)


def test_a_model_for_squares_is_offered_a_square():
    with pytest.raises(ModelError, match=r"squares only; (\d+) x \1 would fit$"):
        fit("tests_sizes:Patches", (64, 96), patch=4, square=True)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("tests_sizes:Worded", {}, OutputError, r"^Worded must return a tensor of logits, got str$"),
        ("torch.nn:Conv2d", {"kernel_size": 1, "groups": 3}, ModelError, r"cannot be built: "),
        ("unet", {"features": [0, 1]}, ConfigError, r"^model\.features\.0: "),
    ],
)
def test_what_no_size_mends_is_not_blamed_on_it(name, options, error, message):
    with pytest.raises(error, match=message) as caught:
        fit(name, (30, 30), **options)
    assert "would fit" not in str(caught.value)


def test_the_search_draws_nothing_from_the_global_generator():
    state = torch.get_rng_state()
    with pytest.raises(ModelError, match="28 x 28"):
        fit("tests_sizes:Sized", (30, 30))
    assert torch.equal(torch.get_rng_state(), state)
