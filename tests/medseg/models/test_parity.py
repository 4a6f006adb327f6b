"""Our networks are the references' networks: every tensor is moved, and the numbers agree."""

import pytest
import torch
from monai.networks.nets import AttentionUnet, BasicUNet, BasicUNetPlusPlus, DynUNet
from monai.networks.nets.attentionunet import AttentionBlock
from torch import nn
from torch.nn import functional as F

from medseg.models.attention_unet import AttentionGate, AttentionUNet
from medseg.models.nnunet import PlainUNet, ResidualEncoderUNet
from medseg.models.unet import UNet
from medseg.models.unetplusplus import UNetPlusPlus

TOLERANCE = 1e-5
NARROW = (4, 6, 8, 10, 12)


def ours(kind, in_channels=2, out_channels=3, **options):
    return kind(in_channels=in_channels, out_channels=out_channels, config=kind.Config(**options))


def layers(*modules):
    """Layers with tensors of their own, in the order in which they were made."""
    found = [part for module in modules for part in module.modules()]
    return [part for part in found if own_tensors(part)]


def own_tensors(part):
    return [*part.parameters(recurse=False), *part.buffers(recurse=False)]


def transplant(source, target, source_layers, target_layers, left_out=()):
    """Draws weights for the source and moves every tensor; `left_out` are layers of the source without a use."""
    with torch.no_grad():
        for part in layers(source):
            shake(part)
    pairs = list(zip(source_layers, target_layers, strict=True))
    for theirs, mine in pairs:
        assert type(theirs) is type(mine)
        mine.load_state_dict(theirs.state_dict(), strict=True)
    moved_from, moved_to = (
        [tensor for part in side for tensor in own_tensors(part)] for side in zip(*pairs, strict=True)
    )
    there = [*source.parameters(), *source.buffers()]
    here = [*target.parameters(), *target.buffers()]
    unused = [tensor for part in left_out for tensor in own_tensors(part)]
    assert len({id(tensor) for tensor in moved_to}) == len(here) == len(moved_to)
    assert len({id(tensor) for tensor in moved_from}) + len(unused) == len(there)
    return pairs


def shake(part):
    """Takes norms away from their neutral start, and keeps the size of convolutions."""
    if isinstance(part, nn.BatchNorm2d | nn.InstanceNorm2d):
        part.weight.uniform_(0.5, 1.5)
        part.bias.normal_(0, 0.3)
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 1.5)
    elif getattr(part, "bias", None) is not None:
        part.bias.normal_(0, 0.3)


def assert_same(result, expected, scale=None):
    """Agrees to 1e-5 of the largest value there is."""
    assert result.shape == expected.shape
    scale = expected.abs().max().item() if scale is None else scale
    assert scale > 0
    assert (result - expected).abs().max().item() <= TOLERANCE * scale


def assert_parity(source, target, pairs=(), size=(32, 48), channels=2, adapt=lambda logits: logits):
    """Compares all outputs in both modes; with `pairs` also all gradients, and that of the image."""
    images = torch.randn(2 if pairs else 1, channels, *size)
    for training in (True, False) if pairs else (False,):  # evaluation then meets moved running statistics
        source.train(training).zero_grad()
        target.train(training).zero_grad()
        seen = [images.clone().requires_grad_(bool(pairs)) for _ in range(2)]
        with torch.set_grad_enabled(bool(pairs)):
            expected, result = (as_list(each) for each in (adapt(source(seen[0])), target(seen[1])))
        assert len(result) == len(expected)
        for theirs, mine in zip(expected, result, strict=True):
            assert theirs.std() > 0.01
            assert_same(mine, theirs)
        if pairs:
            pulls = [torch.randn_like(each) for each in expected]
            torch.autograd.backward(expected, pulls)
            torch.autograd.backward(result, pulls)
            assert_same(seen[1].grad, seen[0].grad)
            compare_gradients(pairs)


def compare_gradients(pairs):
    """Takes the largest gradient of a layer for its scale: what norm cancels, a bias, is left with noise alone."""
    for theirs, mine in pairs:
        both = list(zip(theirs.parameters(recurse=False), mine.parameters(recurse=False), strict=True))
        used = [(result.grad, expected.grad) for expected, result in both if expected.grad is not None]
        assert sum(result.grad is not None for _, result in both) == len(used)
        for result, expected in used:
            assert_same(result, expected, max(grad.abs().max().item() for _, grad in used))


def as_list(output):
    return list(output) if isinstance(output, list | tuple) else [output]


# U-Net against MONAI's BasicUNet, whose top up-convolution keeps its channels


def basic_unet(features, in_channels=2, out_channels=3, conv_bias=True):
    theirs = BasicUNet(2, in_channels, out_channels, (*features, features[0]), "relu", "batch", conv_bias)
    up_channels = [features[1], *(f // 2 for f in features[2:])]
    mine = ours(
        UNet, in_channels, out_channels, features=features, up_channels=up_channels, conv_bias=conv_bias
    )
    up = [layer for pair in zip(mine.up, mine.expand, strict=True) for layer in pair]
    return theirs, mine, transplant(theirs, mine, layers(theirs), layers(mine.contract, *up, mine.head))


@pytest.mark.parametrize("conv_bias", [True, False])
def test_unet(conv_bias):
    torch.manual_seed(0)
    assert_parity(*basic_unet(NARROW, conv_bias=conv_bias))


def test_unet_of_full_width():
    torch.manual_seed(0)
    theirs, mine, _ = basic_unet(UNet.Config().features, in_channels=1, out_channels=4)
    assert_parity(theirs, mine, channels=1)


# U-Net++ against MONAI's, which has its up-convolutions halve, but for those to the top


def basic_unetplusplus(features, in_channels=2, out_channels=3):
    theirs = BasicUNetPlusPlus(
        2,
        in_channels,
        out_channels,
        (*features, features[0]),
        deep_supervision=True,
        act="relu",
        norm="batch",
    )
    up_channels = [features[1], *(f // 2 for f in features[2:])]
    mine = ours(UNetPlusPlus, in_channels, out_channels, features=features, up_channels=up_channels)
    source, target = [], []
    for name, node in mine.node.items():
        if name in mine.up:
            source.append(getattr(theirs, f"upcat_{name}"))
            target.append(mine.up[name])
        else:
            source.append(getattr(theirs, f"conv_{name}"))
        target.append(node)
    source += [getattr(theirs, f"final_conv_0_{column}") for column in (4, 3, 2, 1)]
    pairs = transplant(theirs, mine, layers(*source), layers(*target, *mine.heads))
    return theirs, mine, pairs


def test_unetplusplus():
    torch.manual_seed(0)
    theirs, mine, pairs = basic_unetplusplus(NARROW)
    assert_parity(
        theirs, mine, pairs, adapt=lambda out: out[::-1] if mine.training else torch.stack(out).mean(dim=0)
    )


def test_unetplusplus_of_full_width():
    torch.manual_seed(0)
    theirs, mine, _ = basic_unetplusplus(UNetPlusPlus.Config().features, in_channels=1, out_channels=4)
    assert_parity(theirs, mine, channels=1, adapt=lambda out: torch.stack(out).mean(dim=0))


# nnU-Net's networks against nnU-Net's own package. It has a head at the coarsest decoder stage, of weight 0.


def nnunet_keywords(features, out_channels, conv_bias):
    return {
        "n_stages": len(features),
        "features_per_stage": features,
        "conv_op": nn.Conv2d,
        "kernel_sizes": 3,
        "strides": [1] + [2] * (len(features) - 1),
        "num_classes": out_channels,
        "conv_bias": conv_bias,
        "norm_op": nn.InstanceNorm2d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "deep_supervision": True,
    }


def plain(features, in_channels=2, out_channels=3, conv_bias=True):
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    theirs = PlainConvUNet(
        in_channels,
        n_conv_per_stage=2,
        n_conv_per_stage_decoder=2,
        **nnunet_keywords(features, out_channels, conv_bias),
    )
    mine = ours(PlainUNet, in_channels, out_channels, features=features, conv_bias=conv_bias)
    return theirs, mine, transplant_nnunet(theirs, mine)


def resenc(features, blocks, in_channels=2, out_channels=3):
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet as Theirs

    theirs = Theirs(
        in_channels,
        n_blocks_per_stage=blocks,
        n_conv_per_stage_decoder=1,
        **nnunet_keywords(features, out_channels, True),
    )
    mine = ours(ResidualEncoderUNet, in_channels, out_channels, features=features, blocks=blocks)
    return theirs, mine, transplant_nnunet(theirs, mine)


def transplant_nnunet(theirs, mine):
    decoder = theirs.decoder
    coarsest, *heads = decoder.seg_layers
    source = layers(theirs.encoder, decoder.transpconvs, decoder.stages, *reversed(heads))
    target = layers(mine.encode, mine.up, mine.decode, *mine.heads)
    return transplant(theirs, mine, source, target, left_out=[coarsest])


def levels(mine):
    """Of the reference's logits, which come in both modes, those that ours has in its mode."""
    return lambda output: output[: len(mine.heads) if mine.training else 1]


@pytest.mark.parametrize("conv_bias", [True, False])
@pytest.mark.usefixtures("torchvision_ops")
def test_nnunet_plain(conv_bias):
    torch.manual_seed(0)
    theirs, mine, pairs = plain(NARROW, conv_bias=conv_bias)
    assert_parity(theirs, mine, pairs, adapt=levels(mine))
    assert len(mine.heads) == 3


@pytest.mark.usefixtures("torchvision_ops")
def test_nnunet_plain_of_full_width():
    torch.manual_seed(0)
    theirs, mine, _ = plain(PlainUNet.Config().features, in_channels=1, out_channels=4)
    assert_parity(theirs, mine, size=(64, 96), channels=1, adapt=levels(mine))


@pytest.mark.usefixtures("torchvision_ops")
def test_nnunet_resenc():
    """Stages of equal width have a shortcut of pooling alone."""
    torch.manual_seed(0)
    theirs, mine, pairs = resenc((4, 6, 8, 8), (1, 2, 3, 2))
    assert_parity(theirs, mine, pairs, adapt=levels(mine))
    assert len(mine.heads) == 2


@pytest.mark.usefixtures("torchvision_ops")
def test_nnunet_resenc_of_full_width():
    torch.manual_seed(0)
    features = ResidualEncoderUNet.Config().features
    theirs, mine, _ = resenc(features, (1, 3, 4, 6, 6, 6), in_channels=1, out_channels=4)
    assert_parity(theirs, mine, size=(64, 96), channels=1, adapt=levels(mine))


@pytest.mark.usefixtures("torchvision_ops")
def test_nnunet_starts_as_nnunet_does():
    """Standard deviations of all weights agree, and what starts as a constant starts as the same one."""
    torch.manual_seed(0)
    theirs, mine, pairs = resenc((24, 32, 48), (1, 2, 1))
    for part in layers(theirs):
        part.reset_parameters()
    theirs.apply(theirs.initialize)
    fresh = ours(ResidualEncoderUNet, features=(24, 32, 48), blocks=(1, 2, 1))
    mine.load_state_dict(fresh.state_dict())
    for there, here in pairs:
        if isinstance(there, nn.InstanceNorm2d):
            assert torch.equal(here.weight, there.weight)
        else:
            assert here.weight.std().item() == pytest.approx(there.weight.std().item(), rel=0.2)
        assert there.bias is None or torch.equal(here.bias, there.bias)


# nnunet_plain against MONAI's DynUNet, which has no biases but in its heads and enlarges all logits


def dynunet(features, in_channels=2, out_channels=3):
    stages = len(features)
    theirs = DynUNet(
        2,
        in_channels,
        out_channels,
        kernel_size=[3] * stages,
        strides=[1] + [2] * (stages - 1),
        upsample_kernel_size=[2] * (stages - 1),
        filters=features,
        deep_supervision=True,
        deep_supr_num=stages - 3,
    )
    mine = ours(PlainUNet, in_channels, out_channels, features=features, conv_bias=False)

    def in_order(block):
        return [block.conv1, block.norm1, block.conv2, block.norm2]

    source = [
        part
        for block in (theirs.input_block, *theirs.downsamples, theirs.bottleneck)
        for part in in_order(block)
    ]
    for up in theirs.upsamples:
        source += [up.transp_conv, *in_order(up.conv_block)]
    source += [theirs.output_block, *theirs.deep_supervision_heads]
    up = [layer for pair in zip(mine.up, mine.decode, strict=True) for layer in pair]
    target = layers(mine.encode, *up, *mine.heads)
    return theirs, mine, transplant(theirs, mine, layers(*source), target)


def test_nnunet_plain_is_dynunet():
    torch.manual_seed(0)
    theirs, mine, pairs = dynunet(NARROW)

    def enlarged(images):
        output = PlainUNet.forward(mine, images)
        return [F.interpolate(each, images.shape[-2:]) for each in as_list(output)]

    mine.forward = enlarged
    assert_parity(theirs, mine, pairs, adapt=lambda out: out.unbind(1) if theirs.training else out)


def test_nnunet_plain_of_full_width_is_dynunet():
    torch.manual_seed(0)
    theirs, mine, _ = dynunet(PlainUNet.Config().features, in_channels=1, out_channels=4)
    assert_parity(theirs, mine, size=(64, 96), channels=1)


# Attention U-Net against MONAI's, and its gate alone


def attention_unet(features, in_channels=2, out_channels=3):
    theirs = AttentionUnet(2, in_channels, out_channels, features, [2] * (len(features) - 1))
    mine = ours(
        AttentionUNet, in_channels, out_channels, features=features, variant="monai", deep_supervision=None
    )
    contract, nested, last = [theirs.model[0]], [], theirs.model[2]
    inner = theirs.model[1]
    while True:
        nested.insert(0, inner)
        if not isinstance(inner.submodule, nn.Sequential):
            contract.append(inner.submodule)
            break
        contract.append(inner.submodule[0])
        inner = inner.submodule[1]
    source = [part for layer in nested for part in (layer.upconv, layer.attention, layer.merge)]
    steps = zip(mine.up, mine.gate, mine.expand, strict=True)
    target = [part for step in steps for part in step]
    pairs = transplant(
        theirs, mine, layers(*contract, *source, last), layers(mine.contract, *target, *mine.heads)
    )
    return theirs, mine, pairs


def test_attention_unet():
    torch.manual_seed(0)
    assert_parity(*attention_unet(NARROW))


def test_attention_unet_of_full_width():
    torch.manual_seed(0)
    theirs, mine, _ = attention_unet(AttentionUNet.Config().features, in_channels=1, out_channels=4)
    assert_parity(theirs, mine, channels=1)


def test_attention_gate():
    torch.manual_seed(0)
    theirs, mine = AttentionBlock(2, f_int=3, f_g=6, f_l=5), AttentionGate(5, 6, 3, norm=True)
    transplant(theirs, mine, layers(theirs), layers(mine))
    skip, signal = torch.randn(2, 5, 8, 12), torch.randn(2, 6, 8, 12)
    for training in (True, False):
        assert_same(mine.train(training)(skip, signal), theirs.train(training)(signal, skip))
