"""Deep residual U-Net against its paper."""

import pytest
import torch
from torch.nn import functional as F

from medseg.models import count_parameters
from medseg.models.resunet import ResUNet, ResUNetConfig


def resunet(**options):
    return ResUNet(in_channels=1, out_channels=4, config=ResUNetConfig(**options))


PORT = {"shortcut": "3x3", "upsample": "transposed"}


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 8_222_724),
        ({"upsample": "bilinear"}, 8_222_724),
        (PORT, 13_040_900),  # that of github.com/rishikksh20/ResUnet with four classes
    ],
)
def test_parameters(options, parameters):
    with torch.device("meta"):
        assert count_parameters(resunet(**options)) == parameters


def test_names_of_weights_stay():
    """Saved weights of earlier versions load."""
    names = set(resunet(features=(2, 3, 4)).state_dict())
    assert len(names) == 102
    assert {
        "encode.0.shortcut.0.weight",
        "encode.2.residual.5.bias",
        "decode.1.shortcut.1.running_var",
    } <= names
    assert {name.partition(".")[0] for name in names} == {"encode", "decode", "head"}


@pytest.mark.parametrize("options", [{}, PORT])
def test_layers_follow_the_paper_by_hand(options):
    """The forward pass written out from the paper's table 1, and from the port, on the model's own tensors."""
    torch.manual_seed(0)
    model = resunet(features=(2, 3, 4), **options).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    weights = model.state_dict()

    def conv(x, name, stride=1, padding=1):
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding)

    def norm(x, name):
        mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def unit(x, name, stride=1, first=False):
        shortcut = conv(x, f"{name}.shortcut.0", stride, 1 if options else 0)
        if not (options and first):
            shortcut = norm(shortcut, f"{name}.shortcut.1")
        at = 0
        if not first:
            x, at = F.relu(norm(x, f"{name}.residual.0")), 2
        x = conv(x, f"{name}.residual.{at}", stride)
        x = conv(F.relu(norm(x, f"{name}.residual.{at + 1}")), f"{name}.residual.{at + 3}")
        return x + shortcut

    def enlarge(x, at):
        if not options:
            return F.interpolate(x, scale_factor=2)
        return F.conv_transpose2d(x, weights[f"enlarge.{at}.weight"], weights[f"enlarge.{at}.bias"], stride=2)

    images = torch.randn(2, 1, 16, 24)
    one = unit(images, "encode.0", first=True)
    two = unit(one, "encode.1", stride=2)
    bridge = unit(two, "encode.2", stride=2)
    up = unit(torch.cat((enlarge(bridge, 0), two), 1), "decode.0")
    up = unit(torch.cat((enlarge(up, 1), one), 1), "decode.1")
    torch.testing.assert_close(model(images), conv(up, "head", padding=0))


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = resunet(features=(4, 8, 16), dropout=0.5)
    images = torch.randn(2, 1, 16, 16)
    model.train()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
