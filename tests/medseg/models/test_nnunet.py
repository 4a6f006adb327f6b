"""nnU-Net's networks; against nnU-Net's package and MONAI in test_parity.py."""

import pytest
import torch
from torch import nn

from medseg.errors import ModelError
from medseg.models import count_parameters
from medseg.models.nnunet import PlainUNet, ResidualEncoderUNet

BOTH = pytest.mark.parametrize("kind", [PlainUNet, ResidualEncoderUNet])


def build(kind, **options):
    return kind(in_channels=1, out_channels=4, config=kind.Config(**options))


def narrow(kind, **options):
    torch.manual_seed(0)
    return build(kind, **{"features": (4, 6, 8, 10), **options})


@pytest.mark.parametrize(
    ("kind", "alone", "with_heads"),
    [(PlainUNet, 20_617_220, 20_619_024), (ResidualEncoderUNet, 71_814_724, 71_816_528)],
)
def test_parameters(kind, alone, with_heads):
    with torch.device("meta"):
        assert count_parameters(build(kind, deep_supervision=False)) == alone
        model = build(kind)
        assert count_parameters(model) == alone
        assert sum(p.numel() for p in model.parameters()) == with_heads


@BOTH
def test_levels_in_training_and_one_tensor_in_evaluation(kind):
    model, images = narrow(kind), torch.randn(2, 1, 16, 24)
    levels = model.train()(images)
    assert [tuple(level.shape) for level in levels] == [(2, 4, 16, 24), (2, 4, 8, 12)]
    assert torch.equal(model.eval()(images), levels[0])


@BOTH
@pytest.mark.parametrize("options", [{"deep_supervision": False}, {"features": (4, 6)}])
def test_one_tensor_where_there_is_nothing_to_supervise(kind, options):
    model = narrow(kind, **options)
    assert len(model.heads) == 1
    assert model.train()(torch.randn(1, 1, 16, 16)).shape == (1, 4, 16, 16)


@BOTH
def test_acdc_patch_fits_the_default(kind):
    with torch.device("meta"):
        model = build(kind)
        assert model.size_divisor == 32
        shapes = [tuple(level.shape[-2:]) for level in model(torch.empty(1, 1, 256, 224))]
    assert shapes == [(256, 224), (128, 112), (64, 56), (32, 28)]


@BOTH
def test_sizes_are_refused_in_one_line(kind):
    model = narrow(kind)
    with pytest.raises(
        ModelError, match=r"^nnunet with 4 stages needs image sides divisible by 8, got 16 x 20$"
    ):
        model(torch.zeros(1, 1, 16, 20))
    with pytest.raises(
        ModelError, match=r"^nnunet with 4 stages needs images larger than 8 x 8, got 8 x 8: "
    ):
        model.eval()(torch.zeros(1, 1, 8, 8))
    assert model(torch.randn(1, 1, 8, 16)).shape == (1, 4, 8, 16)


@BOTH
def test_dropout_takes_whole_channels_and_acts_in_training_only(kind):
    model, images = narrow(kind, dropout=0.5, deep_supervision=False), torch.randn(2, 1, 16, 16)
    assert all(isinstance(part, nn.Dropout2d) for part in model.modules() if "Dropout" in type(part).__name__)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))
    plain = narrow(kind, deep_supervision=False)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(plain.eval()(images), model(images))


@pytest.mark.parametrize(("stages", "expected"), [(2, [1, 3]), (5, [1, 3, 4, 6, 6])])
def test_blocks_follow_nnunet(stages, expected):
    with torch.device("meta"):
        model = build(ResidualEncoderUNet, features=(2,) * stages)
    blocks = [sum(hasattr(part, "shortcut") for part in stage) for stage in model.encode]
    assert blocks == expected


def test_convolutions_per_stage():
    model = build(PlainUNet, features=(2, 3, 4), convs=3, decoder_convs=1)

    def convolutions(stages):
        return [sum(isinstance(part, nn.Conv2d) for part in stage) for stage in stages]

    assert convolutions(model.encode) == [3, 3, 3]
    assert convolutions(model.decode) == [1, 1]
    assert [part.stride for part in model.encode[1] if isinstance(part, nn.Conv2d)] == [
        (2, 2),
        (1, 1),
        (1, 1),
    ]


def test_blocks_are_one_number_per_stage():
    with pytest.raises(ValueError, match=r"blocks needs 3 numbers, one per stage, for 3 features, got 2"):
        ResidualEncoderUNet.Config(features=(2, 4, 8), blocks=(1, 2))


def test_residual_blocks_start_as_their_shortcuts():
    torch.manual_seed(0)
    model = build(ResidualEncoderUNet, features=(4, 4, 4), blocks=(2, 2, 2))
    stem = [layer for layer in model.encode[0] if isinstance(layer, nn.Sequential)]
    images = torch.randn(1, 1, 16, 16)
    leaky = nn.functional.leaky_relu
    x = expected = stem[0](images)
    for stage in model.encode:
        for block in stage:
            if hasattr(block, "shortcut"):
                x = block(x)
                expected = leaky(block.shortcut(expected), 0.01)
    torch.testing.assert_close(x, expected)
    assert not torch.equal(x, nn.functional.avg_pool2d(stem[0](images), 4))  # the slope below 0 is not 1
