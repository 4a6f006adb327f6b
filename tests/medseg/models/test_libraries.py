"""Networks of MONAI and segmentation_models_pytorch by their short names: built, checked and trained one step."""

import pytest
import torch
from torch import nn

from medseg.config import Component
from medseg.errors import MedsegError
from medseg.losses import build_loss
from medseg.models import build_model, resolve_options
from medseg.models.sizes import fit_component

SIZE = (64, 64)
NNUNET = {
    "kernel_size": [3, 3, 3, 3],
    "strides": [1, 2, 2, 2],
    "upsample_kernel_size": [2, 2, 2],
    "filters": [4, 8, 8, 8],
}
BASIC = {"features": [4, 4, 8, 8, 8, 4]}
UNETR = {"feature_size": 4, "hidden_size": 16, "mlp_dim": 16, "num_heads": 2}

MONAI = [
    ("BasicUNet", BASIC, 1),
    ("BasicUNetPlusPlus", BASIC, 1),  # returns a list of one
    ("UNet", {"channels": [4, 8, 8], "strides": [2, 2]}, 1),
    ("AttentionUnet", {"channels": [4, 8, 8], "strides": [2, 2]}, 1),
    ("DynUNet", NNUNET, 1),
    ("DynUNet", NNUNET | {"deep_supervision": True, "deep_supr_num": 2}, 3),  # a stack in training
    ("SegResNetDS", {"init_filters": 8, "dsdepth": 2}, 2),  # a list in training
    ("MedNeXt", {"init_filters": 4, "deep_supervision": True}, 5),
    ("SwinUNETR", {"feature_size": 12}, 1),
    ("UNETR", UNETR, 1),  # wants img_size
    ("VNet", {}, 1),  # has a deprecated argument with a default
    ("Quicknat", {"num_filters": 8}, 1),  # num_channels and num_classes
]
SMP = [
    ("Unet", {"encoder_name": "resnet18"}),
    ("UnetPlusPlus", {"encoder_name": "mobilenet_v2"}),
    ("Segformer", {"encoder_name": "mit_b0"}),
    ("create_model", {"arch": "fpn", "encoder_name": "tu-resnet10t"}),
]


def train_one_step(component, channels, levels):
    """Goes the way of a trial: checked as written, built from resolved options, one step, one evaluation."""
    found = fit_component(component, 2, channels, SIZE)
    assert len(found.levels) == levels
    resolved = Component(name=component.name, options=resolve_options(component))
    torch.manual_seed(0)
    model = build_model(resolved, 2, channels, SIZE)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == found.parameters
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images = torch.randn(2, 2, *SIZE).contiguous(memory_format=torch.channels_last)
    target = torch.randint(max(channels, 2), (2, *SIZE))
    loss = build_loss(Component(name="ce"), channels)(model.train()(images), target)
    loss.backward()
    optimizer.step()
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    with torch.inference_mode():
        logits = model.eval()(images)
    assert type(logits) is torch.Tensor
    assert logits.shape == (2, channels, *SIZE)


@pytest.mark.parametrize(("name", "options", "levels"), MONAI)
def test_monai(name, options, levels):
    train_one_step(Component(name=f"monai:{name}", options=options), 4, levels)


@pytest.mark.usefixtures("torchvision_ops")
@pytest.mark.parametrize(("name", "options"), SMP)
def test_smp(name, options):
    component = Component(name=f"smp:{name}", options=options)
    assert resolve_options(component)["encoder_weights"] is None
    train_one_step(component, 1, 1)


def plain_unet(input_channels, num_classes, features=8):
    """What a user writes where options are classes, which YAML cannot say."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return PlainConvUNet(
        input_channels, 3, [features] * 3, nn.Conv2d, 3, [1, 2, 2], 1, num_classes, 1, deep_supervision=True,
        norm_op=nn.InstanceNorm2d, nonlin=nn.LeakyReLU,
    )  # fmt: skip


@pytest.mark.usefixtures("torchvision_ops")
def test_a_function_of_ones_own_around_a_network_of_others(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tests_libraries", sys.modules[__name__])
    component = Component(name="tests_libraries:plain_unet", options={"features": 4})
    assert fit_component(component, 2, 4, SIZE).levels == ((64, 64), (32, 32))


@pytest.mark.parametrize(
    ("name", "options", "size", "message"),
    [
        ("SwinUNETR", {"feature_size": 12}, (200, 200), r"^monai:SwinUNETR needs image sides divisible by 32, got "
         r"200 x 200; 192 x 192 or 224 x 224 would fit$"),
        ("DynUNet", NNUNET, (8, 8), r"more than 1 spatial element when training.*; 16 x 16 would fit$"),
        ("BasicUNetPlusPlus", BASIC | {"deep_supervision": True}, SIZE, r"Turn its deep supervision off"),
        ("SegResNetVAE", {}, SIZE, r"must return logits alone, got \(2, 4, 64, 64\), \(\): a function of one's own"),
        ("DenseNet121", {}, SIZE, r"must map \(2, 1, 64, 64\) to \(2, 4, 64, 64\), got \(2, 4\)$"),
        ("SwinUNETR", {"spatial_dims": 3}, SIZE, r"^model\.spatial_dims: must be 2, since images are 2-D, got 3$"),
        ("SwinUNETR", {"feature": 12}, SIZE, r"^model\.feature: unknown option 'feature', did you mean"),
        ("VISTA3D", {}, SIZE, r"needs an argument for the channels of the images"),
        ("SwinUNTR", {}, SIZE, r"has no attribute 'SwinUNTR', did you mean 'SwinUNETR'\?$"),
    ],
)  # fmt: skip
def test_monai_networks_that_cannot_work_are_refused_in_one_line(name, options, size, message):
    with pytest.raises(MedsegError, match=message) as caught:
        fit_component(Component(name=f"monai:{name}", options=options), 1, 4, size)
    assert "\n" not in str(caught.value)
