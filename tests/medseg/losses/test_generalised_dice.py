"""Generalised Dice."""

import math

import monai.losses
import pytest
import torch
from torch.nn import functional as F

SHARPLY = {"smooth": 1e-9}


@pytest.mark.parametrize("batchwise", [True, False])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("weighting", ["square", "simple", "uniform"])
@pytest.mark.parametrize("absent", [False, True])
def test_it_is_monai_generalised_dice(batchwise, background, weighting, absent, loss, batch):
    """Also of absent classes; without smoothing, which MONAI adds to sums of another scale."""
    logits, target = batch(4, size=(3, 6, 5), scale=3.0)
    if absent:
        target[target == 2] = 1
        target[0] = target[0].clamp_max(1)
    theirs = monai.losses.GeneralizedDiceLoss(
        include_background=background,
        to_onehot_y=True,
        softmax=True,
        w_type=weighting,
        smooth_nr=1e-12,
        smooth_dr=1e-12,
        batch=batchwise,
    )
    ours = loss(
        "generalised_dice",
        4,
        batch=batchwise,
        include_background=background,
        weighting=weighting,
        **SHARPLY,
    )
    expected = theirs(logits, target.unsqueeze(1)).reshape(())
    torch.testing.assert_close(ours(logits, target), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"batch": True}, {"weighting": "uniform"}, {"weights": [1.0, 4.0]}])
def test_one_channel_is_two_with_a_background_logit_of_zero(options, loss, batch):
    logits, target = batch(1, size=(3, 6, 5))
    two = torch.cat((torch.zeros_like(logits), logits), dim=1)
    target[0, 0] = 255
    for more in (options, options | {"ignore_label": 255}):
        here = target if "ignore_label" in more else target.clamp_max(1)
        torch.testing.assert_close(
            loss("generalised_dice", 1, **more)(logits, here), loss("generalised_dice", 2, **more)(two, here)
        )


def test_without_background_one_channel_is_dice_per_image(loss, batch):
    logits, target = batch(1, size=(3, 6, 5))
    expected = loss("dice", 1, batch=False)(logits, target)
    torch.testing.assert_close(
        loss("generalised_dice", 1, include_background=False)(logits, target), expected
    )


def test_weights_multiply_those_of_the_volumes(loss, batch):
    logits, target = batch(3, size=(1, 6, 5))
    p, g = logits.softmax(1), F.one_hot(target, 3).movedim(-1, 1)
    volume = g.sum(dim=(0, 2, 3))
    each = torch.tensor([1.0, 3.0, 0.5]) / volume.square()
    overlap, size = (p * g).sum(dim=(0, 2, 3)), (p + g).sum(dim=(0, 2, 3))
    expected = 1 - 2 * (each * overlap).sum() / (each * size).sum()
    result = loss("generalised_dice", 3, weights=[1.0, 3.0, 0.5], **SHARPLY)(logits, target)
    torch.testing.assert_close(result, expected)


def test_closed_form(loss):
    """Three background pixels and one of the foreground, all with p = 3/4 for the foreground.

    Volumes 3 and 1 weigh 1/9 and 1; overlaps are 3/4 and 3/4, sizes 3 + 1 and 1 + 3.
    """
    logits, target = torch.full((1, 1, 2, 2), math.log(3.0)), torch.tensor([[[0, 0], [0, 1]]])
    expected = 1 - 2 * (0.75 / 9 + 0.75) / (4 / 9 + 4)
    assert loss("generalised_dice", 1, **SHARPLY)(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_an_absent_class_weighs_as_much_as_the_smallest_present_one(loss):
    """Four pixels of class 0 and none of 1 and 2, each with a third of the probability: all weigh the same."""
    logits, target = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
    expected = 1 - 2 * (4 / 3) / (4 + 4)
    assert loss("generalised_dice", 3, **SHARPLY)(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_large_images_are_not_smoothed_away(loss):
    """All wrong is 1, although the background's 1/V^2 times its size is only 1/V."""
    target = torch.zeros(1, 512, 512, dtype=torch.int64)
    target[0, :200, :200] = 1
    logits = 30.0 * (1 - 2 * target).unsqueeze(1).float()
    assert loss("generalised_dice", 1)(logits, target).item() == pytest.approx(1, abs=1e-6)
