"""U-Net against its paper and MONAI."""

import math

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from medseg.models import count_parameters
from medseg.models.unet import UNet, UNetConfig


def unet(in_channels=1, out_channels=4, **options):
    return UNet(in_channels=in_channels, out_channels=out_channels, config=UNetConfig(**options))


@pytest.mark.parametrize(("conv_bias", "parameters"), [(True, 31_042_564), (False, 31_036_676)])
def test_parameters(conv_bias, parameters):
    with torch.device("meta"):
        assert count_parameters(unet(conv_bias=conv_bias)) == parameters


@pytest.mark.parametrize("length", [2, 3, 6])
def test_any_number_of_levels(length):
    model = unet(features=range(1, length + 1))
    assert model.size_divisor == 2 ** (length - 1)
    side = model.size_divisor
    assert model.eval()(torch.zeros(1, 1, side, 2 * side)).shape == (1, 4, side, 2 * side)


def test_weights_start_as_the_paper_says():
    torch.manual_seed(0)
    model = unet(features=(32, 64))
    convolution = model.contract[1][3]
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)
    assert convolution.bias.abs().max() == 0
    assert model.up[0].weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.02)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = unet(features=(4, 8, 16), dropout=0.5)
    images = torch.randn(2, 1, 16, 16)
    model.train()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_padding_mode_and_order_change_the_function_but_not_the_parameters():
    torch.manual_seed(0)
    plain = unet(features=(2, 4)).eval()
    images = torch.randn(1, 1, 8, 8)
    for options in ({"padding_mode": "reflect"}, {"concat": "up_first"}):
        other = unet(features=(2, 4), **options).eval()
        other.load_state_dict(plain.state_dict())
        assert not torch.allclose(other(images), plain(images))


def test_up_channels_are_one_per_up_convolution():
    with pytest.raises(ValueError, match=r"up_channels needs 2 numbers.* for 3 features, got 1"):
        UNetConfig(features=(2, 4, 8), up_channels=(2,))


@pytest.mark.parametrize("conv_bias", [True, False])
def test_parity_with_monai(conv_bias):
    """MONAI's top up-convolution keeps its channels; otherwise the networks are one and the same."""
    torch.manual_seed(0)
    f = (4, 8, 16, 32, 64)
    theirs = BasicUNet(
        spatial_dims=2,
        in_channels=2,
        out_channels=3,
        features=(*f, f[0]),
        act="relu",
        norm="batch",
        bias=conv_bias,
    )
    ours = unet(2, 3, features=f, up_channels=(f[1], f[1], f[2], f[3]), conv_bias=conv_bias)
    _transplant(theirs, ours)
    images = torch.randn(2, 2, 32, 48)
    for training in (True, False):  # training first: evaluation then meets moved running statistics
        expected, result = theirs.train(training)(images), ours.train(training)(images)
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


def _transplant(source: nn.Module, target: nn.Module) -> None:
    """Moves every layer's tensors in the order of the layers: both networks list theirs as they run."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    theirs = [m for m in source.modules() if isinstance(m, kinds)]
    up, blocks = iter(target.up), iter(target.expand)
    ours = [m for m in target.contract.modules() if isinstance(m, kinds)]
    for _ in target.up:
        ours += [next(up), *(m for m in next(blocks).modules() if isinstance(m, kinds))]
    ours.append(target.head)
    assert [type(m) for m in ours] == [type(m) for m in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        mine.load_state_dict(other.state_dict())
