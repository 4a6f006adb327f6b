"""The ResNet of hybrid vision transformers, trap by trap, and against timm's."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medseg.models import count_parameters
from medseg.models.resnetv2 import Bottleneck, ResNetV2, StandardisedConv2d


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return randomised(ResNetV2(3, (2, 1, 1), width=8, groups=4))


def randomised(model):
    """Gives norms scales and shifts that matter."""
    for part in model.modules():
        if isinstance(part, nn.GroupNorm):
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0, 0.2)
    return model


def test_parameters():
    with torch.device("meta"):
        model = ResNetV2(3, (3, 4, 9), width=64, groups=32)
    assert count_parameters(model) == 11_894_848
    assert [len(stage) for stage in model.stages] == [3, 4, 9]


def test_kernels_have_mean_0_and_variance_1():
    torch.manual_seed(0)
    convolution = StandardisedConv2d(8, 4, 3)
    nn.init.normal_(convolution.weight, mean=3, std=2)
    kernels = convolution.standardised().flatten(1)
    torch.testing.assert_close(kernels.mean(1), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(kernels.var(1, correction=0), torch.ones(4), atol=1e-5, rtol=0)
    images = torch.randn(1, 8, 5, 5)
    expected = F.conv2d(images, kernels.reshape(4, 8, 3, 3), padding=1)
    torch.testing.assert_close(convolution(images), expected)


def test_eps_of_weight_standardisation_and_its_variance_is_biased():
    convolution = StandardisedConv2d(2, 1, 1)
    with torch.no_grad():
        convolution.weight[0, :, 0, 0] = math.sqrt(1e-5) * torch.tensor([1.0, -1.0])
    # The variance over both, not over one of them, is 1e-5, as much as eps: w / sqrt(1e-5 + 1e-5).
    torch.testing.assert_close(
        convolution.standardised().flatten(), torch.tensor([math.sqrt(0.5), -math.sqrt(0.5)])
    )


def test_group_norms():
    with torch.device("meta"):
        model = ResNetV2(3, (3, 4, 9), width=64, groups=32)
    shortcuts = {name: part for name, part in model.named_modules() if name.endswith("shortcut_norm")}
    assert list(shortcuts) == [f"stages.{stage}.0.shortcut_norm" for stage in range(3)]
    assert [(part.num_groups, part.num_channels) for part in shortcuts.values()] == [
        (256, 256),
        (512, 512),
        (1024, 1024),
    ]
    others = [
        part
        for name, part in model.named_modules()
        if isinstance(part, nn.GroupNorm) and name not in shortcuts
    ]
    assert len(others) == 1 + 3 * 16
    assert {part.num_groups for part in others} == {32}
    assert {part.eps for part in others} == {1e-6}
    assert {part.eps for part in shortcuts.values()} == {1e-5}


@pytest.mark.parametrize(("size", "pooled"), [(224, 55), (256, 63)])
def test_the_unpadded_pool_leaves_a_row_out(size, pooled):
    seen = []
    with torch.device("meta"):
        model = ResNetV2(3, (3, 4, 9), width=64, groups=32)
        model.stages[0].register_forward_hook(lambda stage, given, result: seen.append(result.shape))
        deepest, skips = model(torch.empty(1, 3, size, size))
    assert seen == [(1, 256, pooled, pooled)]
    side = size // 16
    assert deepest.shape == (1, 1024, side, side)
    assert [skip.shape for skip in skips] == [
        (1, 512, 2 * side, 2 * side),
        (1, 256, 4 * side, 4 * side),
        (1, 64, 8 * side, 8 * side),
    ]


def test_that_skip_alone_is_padded_with_zeros(backbone):
    torch.manual_seed(1)
    images = torch.randn(2, 3, 32, 48)
    deepest, (eighth, quarter, half) = backbone(images)
    pooled = F.max_pool2d(half, 3, stride=2)
    assert pooled.shape[-2:] == (7, 11)
    first = backbone.stages[0](pooled)
    assert quarter.shape[-2:] == (8, 12)
    assert torch.equal(quarter[..., :7, :11], first)
    assert quarter[..., 7, :].abs().max() == quarter[..., 11].abs().max() == 0
    assert first[..., -1, :].max() > 0
    assert torch.equal(eighth, backbone.stages[1](first))
    assert torch.equal(deepest, backbone.stages[2](eighth))
    stem = F.conv2d(images, backbone.stem_conv.standardised(), stride=2, padding=3)
    stem = F.group_norm(stem, 4, backbone.stem_norm.weight, backbone.stem_norm.bias, 1e-6)
    torch.testing.assert_close(half, stem.relu())


def test_bottleneck_by_its_formula():
    torch.manual_seed(0)
    unit = randomised(Bottleneck(8, 16, stride=2, groups=2))
    images = torch.randn(2, 8, 7, 6)

    def norm(x, part, groups, eps):
        grouped = x.unflatten(1, (groups, -1)).flatten(2)
        variance, mean = torch.var_mean(grouped, dim=2, correction=0, keepdim=True)
        x = ((grouped - mean) / (variance + eps).sqrt()).reshape(x.shape)
        return x * part.weight[:, None, None] + part.bias[:, None, None]

    x = norm(F.conv2d(images, unit.conv1.standardised()), unit.norm1, 2, 1e-6).relu()
    x = norm(F.conv2d(x, unit.conv2.standardised(), stride=2, padding=1), unit.norm2, 2, 1e-6).relu()
    x = norm(F.conv2d(x, unit.conv3.standardised()), unit.norm3, 2, 1e-6)
    # The stride is on the shortcut's convolution too, and each of its channels is a group.
    shortcut = norm(
        F.conv2d(images, unit.shortcut_conv.standardised(), stride=2), unit.shortcut_norm, 16, 1e-5
    )
    torch.testing.assert_close(unit(images), (x + shortcut).relu())


def test_no_strided_1x1_convolutions(backbone):
    """torch 2.13's CPU build crashes on them in channels_last."""
    strided = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and max(m.stride) > 1]
    assert {m.kernel_size for m in strided} == {(7, 7), (3, 3)}


def test_parity_with_timm(torchvision_ops):
    """timm pads its pool, and its norms differ in eps and groups; set alike, units and stem agree."""
    from timm.layers import StdConv2d
    from timm.models.resnetv2 import ResNetV2 as Theirs

    torch.manual_seed(0)
    theirs = Theirs(
        layers=(2, 1, 1),
        channels=(128, 256, 512),
        stem_chs=32,
        num_classes=0,
        global_pool="",
        preact=False,
        stem_type="",
        conv_layer=partial(StdConv2d, eps=1e-5),
    )
    ours = ResNetV2(3, (2, 1, 1), width=32, groups=32)
    randomised(theirs)
    weights = {}
    for name, part in theirs.named_modules():
        if isinstance(part, nn.GroupNorm):
            shortcut = "downsample" in name
            part.eps, part.num_groups = (1e-5, part.num_channels) if shortcut else (1e-6, 32)
    for name, tensor in theirs.state_dict().items():
        ours_name = name.replace("stem.", "stem_").replace(".blocks", "").replace("downsample.", "shortcut_")
        weights[ours_name] = tensor
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, 64, 96)
    _, skips = ours(images)
    torch.testing.assert_close(skips[-1], theirs.stem.norm(theirs.stem.conv(images)), rtol=1e-5, atol=1e-5)
    x = torch.randn(2, 32, 15, 23)
    for mine, other in zip(ours.stages, theirs.stages, strict=True):
        expected = other(x)
        torch.testing.assert_close(mine(x), expected, rtol=1e-4, atol=1e-5)
        x = expected
