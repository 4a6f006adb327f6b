"""Cross-entropy, Dice, focal and their sums against MONAI, smp, torch's own and closed forms."""

import math

import monai.losses
import pytest
import torch
from torch.nn import functional as F


@pytest.fixture
def batch(batch):
    return lambda channels: batch(channels, size=(3, 6, 5), scale=3.0)


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs.reshape(()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_ce_is_torch_cross_entropy(channels, weighted, loss, batch):
    logits, target = batch(channels)
    weights = [1.0 + 2 * c for c in range(channels)] if weighted else None
    expected = F.cross_entropy(logits, target, torch.tensor(weights) if weighted else None)
    assert_same(loss("ce", channels, weights=weights)(logits, target), expected)


@pytest.mark.parametrize("name", ["ce", "bce"])
def test_one_channel_is_torch_bce(name, loss, batch):
    logits, target = batch(1)
    expected = F.binary_cross_entropy_with_logits(logits[:, 0], target.float())
    assert_same(loss(name, 1)(logits, target), expected)


@pytest.mark.parametrize("name", ["ce", "focal"])
@pytest.mark.parametrize("weights", [None, [1.0, 5.0]])
def test_one_channel_is_two_with_a_background_logit_of_zero(name, weights, loss, batch):
    logits, target = batch(1)
    two = torch.cat((torch.zeros_like(logits), logits), dim=1)
    assert_same(loss(name, 1, weights=weights)(logits, target), loss(name, 2, weights=weights)(two, target))


def test_bce_averages_the_channels(loss, batch):
    logits, target = batch(3)
    hot = F.one_hot(target, 3).movedim(-1, 1).float()
    assert_same(loss("bce", 3)(logits, target), F.binary_cross_entropy_with_logits(logits, hot))
    each = [F.binary_cross_entropy_with_logits(logits[:, c], hot[:, c]) for c in range(3)]
    weighted = loss("bce", 3, weights=[1, 2, 5])(logits, target)
    assert_same(weighted, (each[0] + 2 * each[1] + 5 * each[2]) / 8)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("batchwise", [True, False])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.filterwarnings("ignore:single channel prediction")
def test_dice_is_monai_dice(channels, batchwise, background, squared, loss, batch):
    logits, target = batch(channels)
    options = {"batch": batchwise, "include_background": background, "smooth": 0.1}
    theirs = monai.losses.DiceLoss(
        include_background=background,
        to_onehot_y=channels > 1,
        sigmoid=channels == 1,
        softmax=channels > 1,
        squared_pred=squared,
        smooth_nr=0.1,
        smooth_dr=0.1,
        batch=batchwise,
    )
    ours = loss("dice", channels, squared=squared, **options)
    assert_same(ours(logits, target), theirs(logits, target.unsqueeze(1).float()))


def test_dice_weights_average_the_classes(loss, batch):
    logits, target = batch(4)
    one = [
        loss("dice", 4, weights=[0, *(float(c == k) for c in (1, 2, 3))])(logits, target) for k in (1, 2, 3)
    ]
    assert_same(loss("dice", 4, weights=[9, 1, 2, 5])(logits, target), (one[0] + 2 * one[1] + 5 * one[2]) / 8)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_is_monai_focal(gamma, alpha, loss, batch):
    for channels in (1, 4):
        logits, target = batch(channels)
        theirs = monai.losses.FocalLoss(
            to_onehot_y=channels > 1, use_softmax=channels > 1, gamma=gamma, alpha=alpha
        )
        # MONAI averages over the channels too, of which all but the pixel's own are 0.
        expected = channels * theirs(logits, target.unsqueeze(1))
        assert_same(loss("focal", channels, gamma=gamma, alpha=alpha)(logits, target), expected)


def test_focal_without_focus_is_cross_entropy(loss, batch):
    logits, target = batch(3)
    options = {"weights": [1.0, 2.0, 3.0]}
    assert_same(
        loss("focal", 3, gamma=0, **options)(logits, target), loss("ce", 3, **options)(logits, target)
    )


def test_ce_dice_is_monai_dice_ce(loss, batch):
    logits, target = batch(4)
    theirs = monai.losses.DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, lambda_ce=0.5, lambda_dice=2.0
    )
    ours = loss("ce_dice", 4, ce_weight=0.5, dice_weight=2.0)
    assert_same(ours(logits, target), theirs(logits, target.unsqueeze(1).float()))


def test_bce_dice_of_one_channel_is_monai_dice_ce(loss, batch):
    logits, target = batch(1)
    theirs = monai.losses.DiceCELoss(sigmoid=True, batch=True)(logits, target.unsqueeze(1).float())
    assert_same(loss("bce_dice", 1)(logits, target), theirs)
    assert_same(loss("ce_dice", 1)(logits, target), theirs)


def test_bce_dice_takes_its_dice_of_sigmoids(loss, batch):
    logits, target = batch(3)
    theirs = monai.losses.DiceLoss(include_background=False, to_onehot_y=True, sigmoid=True, batch=True)
    expected = 3 * loss("bce", 3)(logits, target) + 0.5 * theirs(logits, target.unsqueeze(1))
    assert_same(loss("bce_dice", 3, bce_weight=3, dice_weight=0.5)(logits, target), expected)


def test_closed_forms(loss):
    """One pixel of each class, foreground logit z = log 3, so p = 3/4."""
    logits = torch.full((1, 1, 1, 2), math.log(3.0))
    target = torch.tensor([[[0, 1]]])
    expected = {
        "ce": (math.log(4) + math.log(4 / 3)) / 2,
        "dice": 1 - (2 * 0.75) / (1.5 + 1),
        "focal": (0.75**2 * math.log(4) + 0.25**2 * math.log(4 / 3)) / 2,
    }
    for name, value in expected.items():
        assert loss(name, 1)(logits, target).item() == pytest.approx(value, rel=1e-4), name
    assert loss("ce", 1, weights=[3, 1])(logits, target).item() == pytest.approx(
        (3 * math.log(4) + math.log(4 / 3)) / 4, rel=1e-5
    )


def test_dice_focal_of_one_channel_is_monai_dice_focal(loss, batch):
    """Of several it is not: MONAI's takes Dice of the softmax, but focal loss of a sigmoid per channel."""
    logits, target = batch(1)
    theirs = monai.losses.DiceFocalLoss(
        sigmoid=True, batch=True, gamma=1.5, alpha=0.3, lambda_dice=0.5, lambda_focal=2.0
    )
    ours = loss("dice_focal", 1, gamma=1.5, alpha=0.3, dice_weight=0.5, focal_weight=2.0)
    assert_same(ours(logits, target), theirs(logits, target.unsqueeze(1).float()))


def test_dice_focal_is_the_sum_of_monais_two(loss, batch):
    logits, target = batch(4)
    options = {"to_onehot_y": True, "include_background": False}
    dice = monai.losses.DiceLoss(softmax=True, batch=True, **options)(logits, target.unsqueeze(1))
    focal = monai.losses.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=1.5)(logits, target.unsqueeze(1))
    ours = loss("dice_focal", 4, gamma=1.5, dice_weight=0.5, focal_weight=2.0)
    assert_same(ours(logits, target), 0.5 * dice + 2.0 * 4 * focal)


@pytest.fixture
def smp(torchvision_ops):
    import segmentation_models_pytorch.losses

    return segmentation_models_pytorch.losses


@pytest.mark.parametrize("channels", [1, 4])
def test_dice_is_smp_dice_over_all_classes(channels, smp, loss, batch):
    """smp leaves out absent classes; here all are present. Some pixels are ignored."""
    logits, target = batch(channels)
    target[:, 2] = 255
    theirs = smp.DiceLoss("binary" if channels == 1 else "multiclass", ignore_index=255)
    ours = loss("dice", channels, include_background=True, smooth=1e-9, ignore_label=255)
    assert_same(ours(logits, target), theirs(logits, target))


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_binary_focal_is_smp_focal(alpha, smp, loss, batch):
    """smp's multi-class focal loss is another: the sum of one binary loss per class."""
    logits, target = batch(1)
    target[:, 2] = 255
    theirs = smp.FocalLoss("binary", alpha=alpha, gamma=1.5, ignore_index=255)(logits, target)
    assert_same(loss("focal", 1, alpha=alpha, gamma=1.5, ignore_label=255)(logits, target), theirs)


def test_ignoring_is_torch_ignore_index(loss, batch):
    logits, target = batch(4)
    target[:, 2] = 255
    weights = [1.0, 2.0, 0.5, 3.0]
    expected = F.cross_entropy(logits, target, torch.tensor(weights), ignore_index=255)
    assert_same(loss("ce", 4, weights=weights, ignore_label=255)(logits, target), expected)
