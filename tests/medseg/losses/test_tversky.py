"""Tversky and focal Tversky loss."""

import math

import monai.losses
import pytest
import torch


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs.reshape(()), rtol=1e-5, atol=1e-6)


@pytest.fixture
def smp(torchvision_ops):
    import segmentation_models_pytorch.losses

    return segmentation_models_pytorch.losses


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("batchwise", [True, False])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.filterwarnings("ignore:single channel prediction")
def test_tversky_is_monai_tversky(channels, batchwise, background, loss, batch):
    logits, target = batch(channels, size=(3, 6, 5), scale=3.0)
    theirs = monai.losses.TverskyLoss(
        include_background=background,
        to_onehot_y=channels > 1,
        sigmoid=channels == 1,
        softmax=channels > 1,
        alpha=0.3,
        beta=0.7,
        smooth_nr=0.1,
        smooth_dr=0.1,
        batch=batchwise,
    )
    ours = loss("tversky", channels, batch=batchwise, include_background=background, smooth=0.1)
    assert_same(ours(logits, target), theirs(logits, target.unsqueeze(1).float()))


@pytest.mark.parametrize("channels", [1, 4])
def test_tversky_is_smp_tversky_over_all_classes(channels, smp, loss, batch):
    """smp leaves out absent classes; here all are present. Some pixels are ignored."""
    logits, target = batch(channels, size=(3, 6, 5))
    target[:, 2] = 255
    mode = "binary" if channels == 1 else "multiclass"
    theirs = smp.TverskyLoss(mode, alpha=0.2, beta=0.9, ignore_index=255)(logits, target)
    options = {"alpha": 0.2, "beta": 0.9, "smooth": 1e-9, "include_background": True, "ignore_label": 255}
    assert_same(loss("tversky", channels, **options)(logits, target), theirs)


def test_focal_tversky_of_one_class_is_smp_tversky_with_an_exponent(smp, loss, batch):
    """Of several classes it is not: smp raises their mean to the power, the paper each class."""
    logits, target = batch(1, size=(3, 6, 5))
    theirs = smp.TverskyLoss("binary", alpha=0.3, beta=0.7, gamma=0.75)(logits, target)
    assert_same(loss("focal_tversky", 1, smooth=1e-9)(logits, target), theirs)


def test_focal_tversky_is_a_power_of_each_class(loss, batch):
    logits, target = batch(4, size=(3, 6, 5))
    each = [
        loss("tversky", 4, weights=[0, *(float(c == k) for c in (1, 2, 3))])(logits, target)
        for k in (1, 2, 3)
    ]
    for gamma in (4 / 3, 0.5, 3.0):
        expected = sum(value ** (1 / gamma) for value in each) / 3
        assert_same(loss("focal_tversky", 4, gamma=gamma)(logits, target), expected)
        weighted = sum(w * value ** (1 / gamma) for w, value in zip((2, 0, 6), each, strict=True)) / 8
        assert_same(loss("focal_tversky", 4, gamma=gamma, weights=[7, 2, 0, 6])(logits, target), weighted)


def test_equal_prices_are_dice_and_jaccard(loss, batch):
    logits, target = batch(4, size=(3, 6, 5))
    half = loss("tversky", 4, alpha=0.5, beta=0.5, smooth=0.1)(logits, target)
    assert_same(half, loss("dice", 4, smooth=0.2)(logits, target))
    dice = loss("dice", 1, smooth=1e-9)(logits[:, :1], target.clamp_max(1))
    jaccard = loss("tversky", 1, alpha=1, beta=1, smooth=1e-9)(logits[:, :1], target.clamp_max(1))
    assert_same(jaccard, 1 - (1 - dice) / (1 + dice))


def test_closed_form(loss):
    """Two pixels of each class, foreground probability 3/4: TP = 1.5, FP = 1.5, FN = 0.5."""
    logits, target = torch.full((1, 1, 2, 2), math.log(3.0)), torch.tensor([[[0, 0], [1, 1]]])
    index = 1.5 / (1.5 + 0.3 * 1.5 + 0.7 * 0.5)
    options = {"smooth": 1e-9}
    assert loss("tversky", 1, **options)(logits, target).item() == pytest.approx(1 - index, rel=1e-5)
    focal = loss("focal_tversky", 1, **options)(logits, target).item()
    assert focal == pytest.approx((1 - index) ** 0.75, rel=1e-5)


def test_the_slope_stays_finite_at_a_right_answer(loss):
    """The power's slope grows without end towards 0; it is cut at that of 1e-6."""
    target = torch.tensor([[[0, 1], [1, 0]]])
    function = loss("focal_tversky", 1)
    values = []
    for size in (5.0, 10.0, 20.0, 60.0):
        logits = (size * (2.0 * target - 1)).unsqueeze(1).requires_grad_()
        value = function(logits, target)
        value.backward()
        values.append(value.item())
        assert logits.grad.isfinite().all()
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0
