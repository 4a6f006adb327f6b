"""Anyone's losses."""

import sys

import monai.losses
import pytest
import torch
from torch import nn

from medseg.errors import ConfigError
from medseg.losses import SegmentationLoss


class Hardened(nn.CrossEntropyLoss):
    """Someone's loss with probabilities of its own."""

    def probabilities(self, logits):
        return (2 * logits).softmax(1)


class Product(nn.Module):
    """A loss made of what autocast would lower to bfloat16."""

    def forward(self, logits, target):
        return (logits.flatten()[None] @ logits.flatten()[:, None]).squeeze()


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setitem(sys.modules, "tests_losses", sys.modules[__name__])
    return "tests_losses"


def test_anyones_loss_gets_probabilities_and_checks(loss, batch):
    logits, target = batch(3)
    function = loss("torch.nn:CrossEntropyLoss", 3, label_smoothing=0.1)
    assert isinstance(function, SegmentationLoss)
    expected = nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    torch.testing.assert_close(function(logits.requires_grad_(), target), expected)
    torch.testing.assert_close(function.probabilities(logits), logits.softmax(1))
    with pytest.raises(ConfigError, match=r"loss\.label_smooth: unknown option"):
        loss("torch.nn:CrossEntropyLoss", 3, label_smooth=0.1)
    with pytest.raises(ValueError, match=r"class indices 0\.\.2.*got 9\.\.9"):
        function(logits, torch.full_like(target, 9))


def test_anyones_probabilities_are_kept(here, loss, batch):
    logits, _ = batch(3)
    function = loss(f"{here}:Hardened", 3)
    torch.testing.assert_close(function.probabilities(logits), (2 * logits).softmax(1))


def test_autocast_is_off_inside_a_loss(here, loss, batch):
    logits, target = batch(2)
    function = loss(f"{here}:Product", 2)
    with torch.autocast("cpu", torch.bfloat16):
        value = function(logits, target)
    torch.testing.assert_close(value, logits.square().sum())


def test_anyones_loss_ignores_by_its_own_option(loss, batch):
    logits, target = batch(3)
    target[:, 0] = 255
    function = loss("torch.nn:CrossEntropyLoss", 3, ignore_index=255)
    expected = nn.functional.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(function(logits, target), expected)
    with pytest.raises(ValueError, match=r"class indices 0\.\.2, or 7 where ignored, got 0\.\.255"):
        loss("torch.nn:CrossEntropyLoss", 3, ignore_index=7)(logits, target)


def test_anyones_loss_gets_deep_supervision(loss, batch):
    logits, target = batch(3, size=(2, 8, 8))
    coarse = logits[..., ::2, ::2]
    function = loss("torch.nn:CrossEntropyLoss", 3)
    value = function([logits, coarse], target)
    expected = 2 / 3 * function(logits, target) + 1 / 3 * function(coarse, target[:, 1::2, 1::2])
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("name", ["DiceCELoss", "FocalLoss"])
def test_monai_gets_the_channel_axis_that_it_wants(name, loss, batch):
    logits, target = batch(3)
    options = {"to_onehot_y": True, "softmax" if name == "DiceCELoss" else "use_softmax": True}
    expected = getattr(monai.losses, name)(**options)(logits, target.unsqueeze(1))
    torch.testing.assert_close(loss(f"monai.losses:{name}", 3, **options)(logits, target), expected)


def test_smp_needs_nothing_but_its_mode(torchvision_ops, loss, batch):
    import segmentation_models_pytorch.losses as peer

    logits, target = batch(3)
    target[0, 0] = 9
    function = loss("segmentation_models_pytorch.losses:DiceLoss", 3, mode="multiclass", ignore_index=9)
    torch.testing.assert_close(
        function(logits, target), peer.DiceLoss("multiclass", ignore_index=9)(logits, target)
    )
