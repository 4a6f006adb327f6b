"""U-Net against its paper; against MONAI in test_parity.py."""

import math

import pytest
import torch

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
