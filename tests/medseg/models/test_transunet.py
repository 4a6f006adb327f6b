"""TransUNet: counts, shapes, options, and the network by hand. Parity with its authors: benchmarks/."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from medseg.config import Component
from medseg.errors import ConfigError, ModelError
from medseg.models import build_model, check_fit, count_parameters, resolve_options
from medseg.models.transunet import PRESETS, TransUNet, TransUNetConfig
from medseg.models.vit import resample_grid


def transunet(in_channels=1, out_channels=4, image_size=(224, 224), **options):
    return TransUNet(in_channels, out_channels, TransUNetConfig(**options), image_size)


def narrow(in_channels=1, out_channels=4, image_size=(32, 48), **options):
    return transunet(in_channels, out_channels, image_size, **{**TransUNet.narrow, "dropout": 0.0, **options})


def enliven(model):
    """Gives norms, running statistics and positions values that matter."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name or ".1." in name or name == "position_embedding":
                if "running_var" in name:
                    tensor.uniform_(0.5, 2)
                elif tensor.is_floating_point():
                    tensor.add_(0.3 * torch.randn_like(tensor))
    return model


@pytest.mark.parametrize(
    ("size", "positions", "total"), [(224, 150_528, 105_276_356), (256, 196_608, 105_322_436)]
)
def test_parameters_and_shapes(size, positions, total):
    with torch.device("meta"):
        model = transunet(image_size=(size, size)).eval()
        assert count_parameters(model) == total
        parts = {name: count_parameters(part) for name, part in model.named_children()}
        assert parts == {
            "resnet": 11_894_848,
            "patch_embedding": 787_200,
            "dropout": 0,
            "encoder": 85_056_000,
            "decoder": 7_387_200,
            "head": 580,
        }
        assert model.position_embedding.numel() == positions
        assert model(torch.empty(1, 1, size, size)).shape == (1, 4, size, size)
        # The number of tensors that the authors' model has; counters of batches left aside.
        assert sum("num_batches_tracked" not in name for name in model.state_dict()) == 401  # and the grid


def test_channels_of_the_decoder():
    with torch.device("meta"):
        decoder = transunet().decoder
    assert decoder.bridge[0].weight.shape == (512, 768, 3, 3)
    assert [(stage[0][0].in_channels, stage[1][0].out_channels) for stage in decoder.stages] == [
        (512 + 512, 256),
        (256 + 256, 128),
        (128 + 64, 64),
        (64, 16),
    ]


def test_the_small_preset():
    with torch.device("meta"):
        assert count_parameters(transunet(preset="small")) == 3_344_164


def by_hand(model, images, heads=2, groups=2):
    """The network as the paper and its authors' code describe it, from the weights alone; one unit per stage."""
    weights = model.state_dict()

    def convolve(x, name, **keywords):
        kernels = weights[f"{name}.weight"]
        variance, mean = torch.var_mean(kernels, dim=(1, 2, 3), correction=0, keepdim=True)
        return F.conv2d(x, (kernels - mean) / torch.sqrt(variance + 1e-5), **keywords)

    def group(x, name, number, eps):
        return F.group_norm(x, number, weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    def unit(x, name, stride):
        shortcut = convolve(x, f"{name}.shortcut_conv", stride=stride)
        shortcut = group(shortcut, f"{name}.shortcut_norm", shortcut.shape[1], 1e-5)
        x = F.relu(group(convolve(x, f"{name}.conv1"), f"{name}.norm1", groups, 1e-6))
        x = F.relu(
            group(convolve(x, f"{name}.conv2", stride=stride, padding=1), f"{name}.norm2", groups, 1e-6)
        )
        return F.relu(group(convolve(x, f"{name}.conv3"), f"{name}.norm3", groups, 1e-6) + shortcut)

    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def block(x, name):
        y = norm(x, f"{name}.attention_norm")
        query, key, value = (
            linear(y, f"{name}.attention.{part}").unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]), dim=-1) @ value
        x = x + linear(mixed.transpose(1, 2).flatten(2), f"{name}.attention.out")
        return x + linear(F.gelu(linear(norm(x, f"{name}.mlp_norm"), f"{name}.mlp.fc1")), f"{name}.mlp.fc2")

    def convolution(x, name):
        x = F.conv2d(x, weights[f"{name}.0.weight"], padding=1)
        statistics = (
            weights[f"{name}.1.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return F.relu(F.batch_norm(x, *statistics))

    half = convolve(images.expand(-1, 3, -1, -1), "resnet.stem_conv", stride=2, padding=3)
    half = F.relu(group(half, "resnet.stem_norm", groups, 1e-6))
    quarter = unit(F.max_pool2d(half, 3, 2), "resnet.stages.0.0", 1)
    eighth = unit(quarter, "resnet.stages.1.0", 2)
    x = unit(eighth, "resnet.stages.2.0", 2)
    x = F.conv2d(x, weights["patch_embedding.weight"], weights["patch_embedding.bias"])
    grid = x.shape[-2:]
    x = x.flatten(2).mT + weights["position_embedding"]
    x = norm(block(block(x, "encoder.blocks.0"), "encoder.blocks.1"), "encoder.norm")
    x = convolution(x.mT.unflatten(2, grid), "decoder.bridge")
    for stage, skip in enumerate((eighth, F.pad(quarter, (0, 1, 0, 1)), half, None)):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = x if skip is None else torch.cat((x, skip), dim=1)
        x = convolution(convolution(x, f"decoder.stages.{stage}.0"), f"decoder.stages.{stage}.1")
    return F.conv2d(x, weights["head.weight"], weights["head.bias"], padding=1)


def test_the_network_by_hand():
    torch.manual_seed(0)
    model = enliven(narrow()).eval()
    images = torch.randn(2, 1, 32, 48)
    expected = by_hand(model, images)
    assert expected.std() > 0.05
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_reaches_every_parameter():
    torch.manual_seed(0)
    model = narrow()
    logits = model(torch.randn(2, 1, 32, 48))
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
        # Softmax does not see a constant added to all scores of a query: what is there is rounding.
        if not name.endswith("key.bias"):
            assert parameter.grad.abs().max() > 1e-7, name


def test_an_image_of_one_channel_is_repeated_to_three():
    torch.manual_seed(0)
    one, three = narrow(1).eval(), narrow(3).eval()
    three.load_state_dict(one.state_dict())
    image = torch.randn(1, 1, 32, 48)
    torch.testing.assert_close(one(image), three(image.expand(-1, 3, -1, -1)))
    assert narrow(2).resnet.stem_conv.in_channels == 2
    assert narrow(2)(torch.randn(2, 2, 32, 48)).shape == (2, 4, 32, 48)


def test_positions_are_interpolated_to_other_sizes():
    torch.manual_seed(0)
    model = enliven(narrow(image_size=(64, 32))).eval()
    other = narrow(image_size=(32, 96)).eval()
    weights = dict(model.state_dict())
    weights["position_embedding"] = resample_grid(weights["position_embedding"], (4, 2), (2, 6))
    other.load_state_dict(weights)
    image = torch.randn(1, 1, 32, 96)
    assert model(image).shape == (1, 4, 32, 96)
    torch.testing.assert_close(model(image), other(image))


def test_positions_matter():
    torch.manual_seed(0)
    model = narrow().eval()
    assert model.position_embedding.abs().max() == 0
    image = torch.randn(1, 1, 32, 48)
    before = model(image)
    nn.init.normal_(model.position_embedding)
    assert not torch.allclose(model(image), before)


@pytest.mark.parametrize("size", [(40, 48), (32, 47)])
def test_sizes_that_do_not_divide_are_refused(size):
    match = f"transunet needs image sides divisible by 16, got {size[0]} x {size[1]}"
    with pytest.raises(ModelError, match=match):
        narrow()(torch.zeros(1, 1, *size))
    with pytest.raises(ModelError, match=match):
        build_model(Component(name="transunet", options=TransUNet.narrow), 1, 4, size)


def test_is_built_for_the_tasks_size():
    model = build_model(Component(name="transunet", options=TransUNet.narrow), 1, 4, (64, 96))
    assert model.position_embedding.shape == (1, 24, 16)
    check_fit(model, 1, 4, (64, 96))


@pytest.mark.parametrize("skips", [0, 1, 2, 3])
def test_skips_are_used_deepest_first(skips):
    torch.manual_seed(0)
    model = narrow(skips=skips).eval()
    features = [torch.randn(1, c, 32 // s, 48 // s) for c, s in ((32, 8), (16, 4), (4, 2))]
    bottom = torch.randn(1, 16, 2, 3)
    before = model.decoder(bottom, features)
    assert before.shape == (1, 4, 32, 48)
    for index in range(3):
        changed = [f + 1 if i == index else f for i, f in enumerate(features)]
        assert torch.equal(model.decoder(bottom, changed), before) == (index >= skips)


def test_dropout_acts_on_the_tokens_in_training_only():
    torch.manual_seed(0)
    model, seen = narrow(dropout=0.5), []
    model.encoder.register_forward_pre_hook(
        lambda encoder, given: seen.append((given[0] == 0).float().mean())
    )
    image = torch.randn(2, 1, 32, 48)
    assert not torch.equal(model(image), model(image))
    assert seen[0] == pytest.approx(0.5, abs=0.15)
    model.eval()
    assert torch.equal(model(image), model(image))
    assert seen[2] == 0


def test_options_are_the_papers_unless_a_preset_or_the_user_says_otherwise():
    default = resolve_options(Component(name="transunet"))
    assert default == {
        "resnet_blocks": [3, 4, 9],
        "resnet_width": 64,
        "norm_groups": 32,
        "depth": 12,
        "width": 768,
        "heads": 12,
        "mlp_width": 3072,
        "dropout": 0.1,
        "attention_dropout": 0.0,
        "bridge_channels": 512,
        "decoder_channels": [256, 128, 64, 16],
        "skips": 3,
        "pretrained": None,
        "pretrained_sha256": None,
    }
    small = resolve_options(Component(name="transunet", options={"preset": "small", "depth": 6}))
    assert small["depth"] == 6
    for name, value in PRESETS["small"].items():
        if name != "depth":
            assert small[name] == (list(value) if isinstance(value, tuple) else value) != default[name]
    assert small["dropout"] == default["dropout"]


def test_a_preset_is_the_same_as_its_options_written_out():
    small = resolve_options(Component(name="transunet", options={"preset": "small"}))
    assert resolve_options(Component(name="transunet", options=small)) == small


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "tiny"}, r"model\.preset: input should be 'r50_vit_b16' or 'small', got 'tiny'"),
        ({"preset": ["small"]}, r"model\.preset"),
        ({"width": 100}, "heads must divide width, got heads 12 and width 100"),
        ({"norm_groups": 48}, "norm_groups must divide resnet_width, got norm_groups 48 and resnet_width 64"),
        ({"decoder_channels": [8, 8, 8]}, r"model\.decoder_channels"),
        ({"resnet_blocks": [3, 4, 6, 3]}, r"model\.resnet_blocks"),
        ({"skips": 4}, r"model\.skips"),
        ({"presett": "small"}, "did you mean 'preset'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        resolve_options(Component(name="transunet", options=options))
