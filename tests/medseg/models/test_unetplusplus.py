"""U-Net++ against its paper; against MONAI in test_parity.py."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medseg.errors import ModelError
from medseg.models import count_parameters
from medseg.models.unetplusplus import UNetPlusPlus

FIRST_CODE = {"norm": "none", "activation": "elu", "dropout": 0.5, "deep_supervision": False}


def unetplusplus(out_channels=4, **options):
    return UNetPlusPlus(in_channels=1, out_channels=out_channels, config=UNetPlusPlus.Config(**options))


@pytest.mark.parametrize(
    ("out_channels", "options", "parameters"),
    [
        (4, {}, 9_049_392),
        (4, {"deep_supervision": False}, 9_048_996),
        (4, {"inference": "fast"}, 9_048_996),
        (1, FIRST_CODE, 9_041_601),  # as the authors' model.py states
    ],
)
def test_parameters(out_channels, options, parameters):
    with torch.device("meta"):
        assert count_parameters(unetplusplus(out_channels, **options)) == parameters


@pytest.mark.parametrize("options", [{}, FIRST_CODE])
def test_nodes_follow_the_paper_by_hand(options):
    """Equation 1 written out for three levels, layer by layer, on the model's own tensors."""
    torch.manual_seed(0)
    model = unetplusplus(**{"features": (2, 3, 4), **options})
    images = torch.randn(2, 1, 16, 24)
    model.train()(images)  # moves running statistics
    weights = model.eval().state_dict()

    def block(name, *inputs):
        x = torch.cat(inputs, dim=1)
        for at in (0, 4):
            x = F.conv2d(x, weights[f"node.{name}.{at}.weight"], weights[f"node.{name}.{at}.bias"], padding=1)
            if options:
                x = F.elu(x)
            else:
                norm = f"node.{name}.{at + 1}"
                mean, var = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
                x = F.relu(F.batch_norm(x, mean, var, weights[f"{norm}.weight"], weights[f"{norm}.bias"]))
        return x

    def up(name, x):
        return F.conv_transpose2d(x, weights[f"up.{name}.weight"], weights[f"up.{name}.bias"], stride=2)

    def head(at, x):
        return F.conv2d(x, weights[f"heads.{at}.weight"], weights[f"heads.{at}.bias"])

    x00 = block("0_0", images)
    x10 = block("1_0", F.max_pool2d(x00, 2))
    x20 = block("2_0", F.max_pool2d(x10, 2))
    x01 = block("0_1", x00, up("0_1", x10))
    x11 = block("1_1", x10, up("1_1", x20))
    x02 = block("0_2", x00, x01, up("0_2", x11))
    expected = head(0, x02) if options else (head(0, x02) + head(1, x01)) / 2
    torch.testing.assert_close(model(images), expected)


def test_levels_are_the_deepest_node_first_and_evaluation_is_their_mean_or_the_first():
    torch.manual_seed(0)
    model, images = unetplusplus(features=(2, 3, 4, 5), norm="none"), torch.randn(2, 1, 16, 24)
    levels = model.train()(images)
    assert [tuple(level.shape) for level in levels] == [(2, 4, 16, 24)] * 3
    fast = unetplusplus(features=(2, 3, 4, 5), norm="none", inference="fast")
    fast.load_state_dict(model.state_dict())
    assert len(fast.train()(images)) == 3
    torch.testing.assert_close(model.eval()(images), sum(levels) / 3)
    torch.testing.assert_close(fast.eval()(images), levels[0])
    # Only the deepest node reads the deepest level.
    levels[0].sum().backward()
    assert model.node["3_0"][0].weight.grad.any()
    model.zero_grad()
    levels = model.train()(images)
    levels[1].sum().backward()
    assert model.node["3_0"][0].weight.grad is None


def test_without_deep_supervision_one_tensor():
    model = unetplusplus(features=(2, 3, 4), deep_supervision=False)
    assert model.train()(torch.randn(2, 1, 8, 8)).shape == (2, 4, 8, 8)


def test_the_authors_first_code_drops_out_after_each_convolution():
    model = unetplusplus(**{**FIRST_CODE, "features": (2, 3)})
    kinds = [type(part) for part in model.node["0_1"]]
    assert kinds == [nn.Conv2d, nn.Identity, nn.ELU, nn.Dropout] * 2
    images = torch.randn(1, 1, 8, 8)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))


def test_up_channels_are_one_per_level():
    with pytest.raises(ValueError, match=r"up_channels needs 2 numbers.* for 3 features, got 1"):
        UNetPlusPlus.Config(features=(2, 4, 8), up_channels=(2,))


def test_sizes_are_refused():
    with pytest.raises(
        ModelError, match=r"^unetplusplus with 2 poolings needs image sides divisible by 4, got 16 x 18$"
    ):
        unetplusplus(features=(2, 3, 4))(torch.zeros(1, 1, 16, 18))
