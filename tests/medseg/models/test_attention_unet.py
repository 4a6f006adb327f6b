"""Attention U-Net against its paper; against MONAI in test_parity.py."""

import pytest
import torch
from torch.nn import functional as F

from medseg.errors import ModelError
from medseg.models import count_parameters
from medseg.models.attention_unet import AttentionGate, AttentionUNet


def attention_unet(**options):
    return AttentionUNet(in_channels=1, out_channels=3, config=AttentionUNet.Config(**options))


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 32_427_415),
        ({"deep_supervision": "losses"}, 32_427_347),
        ({"deep_supervision": None}, 32_423_751),
        ({"variant": "monai", "deep_supervision": None}, 31_739_380),
    ],
)
def test_parameters(options, parameters):
    with torch.device("meta"):
        model = AttentionUNet(in_channels=1, out_channels=4, config=AttentionUNet.Config(**options))
        # With several losses, the heads of the coarser levels serve training alone.
        losses = options.get("deep_supervision") == "losses"
        assert count_parameters(model) == (32_423_751 if losses else parameters)
        assert sum(p.numel() for p in model.parameters()) == parameters


def test_gate_follows_the_paper_by_hand():
    """Equations 1 and 2, one pixel of the coarse grid after the other, then interpolated."""
    torch.manual_seed(0)
    gate = AttentionGate(skip_channels=2, signal_channels=3, inner_channels=4, stride=2)
    skip, signal = torch.randn(1, 2, 6, 8), torch.randn(1, 3, 3, 4)
    of_skip, of_signal, psi = (part[0].weight[..., 0, 0] for part in (gate.skip, gate.signal, gate.psi))
    attention = torch.empty(1, 1, 3, 4)
    for row in range(3):
        for column in range(4):
            here = of_skip @ skip[0, :, 2 * row, 2 * column] + of_signal @ signal[0, :, row, column]
            inner = torch.clamp_min(here + gate.signal[0].bias, 0)
            attention[0, 0, row, column] = torch.sigmoid(psi[0] @ inner + gate.psi[0].bias)
    assert gate.skip[0].bias is None
    expected = skip * F.interpolate(attention, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(gate(skip, signal), expected)


def test_gates_start_nearly_open():
    torch.manual_seed(0)
    model = attention_unet(features=(16, 32, 64)).eval()
    seen = []
    for gate in model.gate:
        gate.register_forward_hook(lambda _, inputs, out: seen.append((out / inputs[0]).nanmean().item()))
    model(torch.randn(1, 1, 32, 32))
    assert len(seen) == 1
    assert 0.85 < seen[0] < 1


@pytest.mark.parametrize("deep_supervision", ["merged", "losses", None])
def test_layers_follow_the_paper_by_hand(deep_supervision):
    """Deepest gate fed by the bottom, no gate at full resolution, skip first, bilinear enlarging."""
    torch.manual_seed(0)
    model = attention_unet(features=(2, 3, 4), deep_supervision=deep_supervision)
    images = torch.randn(2, 1, 16, 24)
    model.train()(images)  # moves running statistics
    model.eval()

    def enlarge(x, factor=2):
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    with torch.no_grad():
        one = model.contract[0](images)
        two = model.contract[1](F.max_pool2d(one, 2))
        bottom = model.contract[2](F.max_pool2d(two, 2))
        up_two = model.expand[0](torch.cat((model.gate[0](two, bottom), enlarge(bottom)), dim=1))
        up_one = model.expand[1](torch.cat((one, enlarge(up_two)), dim=1))
        expected = model.heads[0](up_one)
        if deep_supervision == "merged":
            expected = model.merge(torch.cat((expected, enlarge(model.heads[1](up_two))), dim=1))
        torch.testing.assert_close(model(images), expected)
    assert len(model.gate) == 1


def test_losses_of_their_own_need_a_list_in_training():
    torch.manual_seed(0)
    model, images = (
        attention_unet(features=(2, 3, 4, 5), deep_supervision="losses"),
        torch.randn(2, 1, 16, 24),
    )
    levels = model.train()(images)
    assert [tuple(level.shape) for level in levels] == [(2, 3, 16, 24), (2, 3, 8, 12), (2, 3, 4, 6)]
    assert model.eval()(images).shape == (2, 3, 16, 24)


@pytest.mark.parametrize("variant", ["oktay", "monai"])
def test_dropout_acts_in_training_only(variant):
    torch.manual_seed(0)
    model = attention_unet(features=(4, 8, 16), dropout=0.5, variant=variant)
    images = torch.randn(2, 1, 16, 16)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))


def test_sizes_are_refused():
    with pytest.raises(
        ModelError, match=r"^attention_unet with 2 poolings needs image sides divisible by 4, got 16 x 18$"
    ):
        attention_unet(features=(2, 3, 4))(torch.zeros(1, 1, 16, 18))
