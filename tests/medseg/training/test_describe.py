"""Counts against closed forms; measured cost against what must at least be there."""

import math

import pytest
import torch

from medseg.config import Component
from medseg.errors import ModelError
from medseg.models import MODELS, build_model
from medseg.training.describe import describe_model
from medseg.training.divisor import find_size_divisor, odd_multiples
from medseg.training.dry_run import dry_run
from medseg.training.step_cost import measure_step

# Written to a file, so that the process that measures can import it.
SOURCE = '''
import torch
from torch import nn
from torch.nn import functional as F


class Layers(nn.Module):
    """A 3x3 convolution in two groups, stride 2, then a transposed one."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.down = nn.Conv2d(in_channels, 6, 3, stride=2, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(6, out_channels, 2, stride=2)

    def forward(self, image):
        return self.up(self.down(image))


class Attention(nn.Module):
    """Pixels that look at each other: one linear layer, then attention in `heads`."""

    def __init__(self, in_channels, out_channels, width=12, heads=3, number=False, packaged=False):
        super().__init__()
        self.heads, self.number, self.packaged = heads, number, packaged
        self.enter = nn.Linear(in_channels, width)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True) if packaged else None
        self.leave = nn.Linear(width, out_channels)
        self.leave.weight.requires_grad_(False)

    def forward(self, image):
        if self.number:
            float(image.sum())
        x = self.enter(image.flatten(2).transpose(1, 2))
        if self.packaged:
            x = self.attend(x, x, x, need_weights=False)[0]
        else:
            parts = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            x = F.scaled_dot_product_attention(parts, parts, parts).transpose(1, 2).flatten(2)
        return self.leave(x).transpose(1, 2).unflatten(2, image.shape[2:])


class Windows(nn.Conv2d):
    """Takes sides that `window` divides, and does not say so; at `most` pixels."""

    def __init__(self, in_channels, out_channels, window=1, most=10**9, declared=None):
        super().__init__(in_channels, out_channels, 1)
        self.window, self.most = window, most
        if declared:
            self.size_divisor = declared

    def forward(self, image):
        height, width = image.shape[-2:]
        if max(height, width) > self.most:
            raise ValueError("too large")
        x = super().forward(image)
        return F.pixel_shuffle(F.pixel_unshuffle(x, self.window), self.window)


class Wide(nn.Sequential):
    """Many weights, few activations."""

    def __init__(self, in_channels, out_channels, width=2000):
        print("hello")
        shrink = nn.AdaptiveAvgPool2d(1)
        layers = [nn.Conv2d(a, b, 1) for a, b in ((in_channels, width), (width, width), (width, out_channels))]
        super().__init__(shrink, *layers, nn.Upsample(size=(16, 16)))


class Failing(nn.Conv2d):
    """Can be built, cannot be trained."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 1)

    def forward(self, image):
        raise RuntimeError("out of luck")
'''


@pytest.fixture(scope="module", autouse=True)
def _module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    (folder / "tests_described.py").write_text(SOURCE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


def own(name, **options):
    return Component(name=f"tests_described:{name}", options=options)


def macs(component, size=(16, 24), channels=(2, 4)):
    return dry_run(component, *channels, size).macs


def test_convolutions_are_counted():
    pixels = 8 * 12
    assert macs(own("Layers")) == pixels * 6 * (2 // 2) * 9 + pixels * 6 * 4 * 4


@pytest.mark.parametrize("number", [False, True])
def test_linear_layers_and_attention_are_counted(number):
    """Also where a model needs numbers and runs on the CPU, whose fused kernels count for nothing."""
    pixels = 8 * 12
    component, ways = own("Attention", number=number), pixels * (2 * 12 + 12 * 4)
    run = dry_run(component, 2, 4, (8, 12))
    assert run.device == ("cpu" if number else "meta")
    assert run.macs == ways + 2 * pixels**2 * 12
    packaged = dry_run(own("Attention", number=number, packaged=True), 2, 4, (8, 12)).macs
    assert packaged == run.macs + pixels * 12 * 12 * 4


def unet_macs(features, size, channels, classes):
    """By hand: two 3x3 convolutions per block and level, 2x2 transposed ones between, 1x1 at the end."""
    pixels = [math.prod(side // 2**level for side in size) for level in range(len(features))]
    total = pixels[0] * features[0] * classes
    for level, width in enumerate(features):
        below = features[level - 1] if level else channels
        total += pixels[level] * 9 * width * (below + width)
        if level:
            total += pixels[level] * 4 * width * below
            total += pixels[level - 1] * 9 * below * (2 * below + below)
    return total


def test_a_unet_is_counted_as_by_hand():
    narrow = Component(name="unet", options={"features": [4, 10, 16]})
    assert macs(narrow, (32, 48), (3, 5)) == unet_macs([4, 10, 16], (32, 48), 3, 5)
    features = [64, 128, 256, 512, 1024]
    facts = describe_model(Component(name="unet"), 1, 4, (224, 224))
    assert facts.gmacs * 1e9 == pytest.approx(unet_macs(features, (224, 224), 1, 4))
    assert (facts.parameters, facts.trainable, facts.training_only) == (31_042_564, 31_042_564, 0)
    assert (facts.size_divisor, facts.declared) == (16, True)


@pytest.mark.parametrize("name", MODELS.names())
def test_counting_needs_no_weights(name):
    """Every model here can be built and run without computing anything, and is the same then."""
    component = Component(name=name, options=getattr(MODELS.load(name), "narrow", {}))
    run = dry_run(component, 1, 4, (64, 64))
    real = dry_run(component, 1, 4, (64, 64), ["cpu"])
    assert (run.device, real.device) == ("meta", "cpu")
    assert run.macs == real.macs > 0
    built = build_model(component, 1, 4, (64, 64))
    facts = describe_model(component, 1, 4, (64, 64))
    assert facts.parameters + facts.training_only == sum(p.numel() for p in built.parameters())


def test_frozen_parameters_are_told_apart():
    facts = describe_model(own("Attention"), 2, 4, (8, 8))
    assert facts.parameters - facts.trainable == 12 * 4


def test_a_size_that_does_not_fit_is_one_line():
    with pytest.raises(ModelError, match="needs image sides divisible by 16, got 200 x 224"):
        describe_model(Component(name="unet"), 1, 4, (200, 224))
    with pytest.raises(ModelError, match="Failing cannot take 1 x 8 x 8 images: out of luck"):
        describe_model(own("Failing"), 1, 4, (8, 8))


@pytest.mark.parametrize("window", [1, 2, 3, 8, 14, 32])
def test_a_divisor_that_is_not_declared_is_found(window):
    assert find_size_divisor(own("Windows", window=window), 1, 4, (2 * window, 4 * window)) == (window, False)


def test_a_declared_divisor_is_believed_and_none_is_none():
    assert find_size_divisor(own("Windows", window=2, declared=6), 1, 4, (12, 12)) == (6, True)
    assert find_size_divisor(own("Windows", window=4, most=16), 1, 4, (16, 16)) == (None, False)


@pytest.mark.parametrize(
    ("size", "divisor", "expected"),
    [((32, 48), 4, (36, 52)), ((64, 64), 16, (80, 112)), ((33, 49), 1, (33, 49)), ((5, 64), 64, (64, 192))],
)
def test_odd_multiples(size, divisor, expected):
    assert odd_multiples(size, divisor) == expected


def test_nothing_global_is_changed():
    before, fast = torch.random.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    dry_run(own("Attention", number=True, packaged=True), 2, 4, (8, 12))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert torch.empty(()).device.type == "cpu"


def test_the_cost_of_a_step_holds_weights_gradients_and_adam(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cost = measure_step(own("Wide"), 1, 4, (16, 16), batch=3)
    parameters = (1 + 1) * 2000 + (2000 + 1) * 2000 + (2000 + 1) * 4
    assert (cost.batch, cost.threads) == (3, 1) if cost.device == "cpu" else cost.batch == 3
    assert 3 <= cost.steps <= 10
    assert 0 < cost.seconds < 60
    # Weights, gradients and two moments of 4 bytes each, and little else: torch's buffers, a weight laid out anew.
    assert 16 * parameters <= cost.peak_memory_bytes < 2.5 * 16 * parameters


def test_a_step_that_fails_says_why():
    with pytest.raises(ModelError, match=r"one training step of .*Failing cannot be measured: out of luck"):
        measure_step(own("Failing"), 1, 4, (16, 16), batch=1)
