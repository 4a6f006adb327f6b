"""Boundary loss."""

import monai.losses
import pytest
import torch

ALONE = {"region_weight": 0, "boundary_weight": 1}


def sure(mask):
    return 80.0 * (2 * mask.float() - 1).unsqueeze(1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_term_is_monai_boundary_loss(channels, loss, batch):
    logits, target = batch(channels, size=(3, 9, 8))
    target[0] = 0  # an empty reference
    theirs = monai.losses.BoundaryLoss(
        include_background=channels == 1,
        to_onehot_y=channels > 1,
        sigmoid=channels == 1,
        softmax=channels > 1,
    )
    expected = theirs(logits, target.unsqueeze(1)).reshape(())
    torch.testing.assert_close(loss("boundary", channels, **ALONE)(logits, target), expected)


def test_it_is_generalised_dice_plus_the_term(loss, batch):
    logits, target = batch(3)
    region = loss("generalised_dice", 3, smooth=0.1)(logits, target)
    term = loss("boundary", 3, **ALONE)(logits, target)
    result = loss("boundary", 3, region_weight=2.0, boundary_weight=0.5, smooth=0.1)(logits, target)
    torch.testing.assert_close(result, 2 * region + 0.5 * term)
    torch.testing.assert_close(
        loss("boundary", 3)(logits, target), loss("generalised_dice", 3)(logits, target) + 0.01 * term
    )


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_a_shifted_bar_costs_the_integral_of_the_distances(shift, loss):
    """Kervadec 2019, eq. 3 and 4: half the squared distance of the contours, integrated.

    Both edges of a bar of 20 rows moved by k columns: k^2 per row, as the integral of 2 x from 0 to k.
    """
    target = torch.zeros(1, 20, 50, dtype=torch.int64)
    target[..., 15:30] = 1
    function = loss("boundary", 1, **ALONE)
    moved = target.roll(shift, dims=2)
    cost = (function(sure(moved), target) - function(sure(target), target)) * target.numel()
    assert cost.item() == pytest.approx(20 * shift**2, rel=1e-5)


def test_a_wrong_pixel_costs_its_distance(loss):
    target = torch.zeros(1, 9, 30, dtype=torch.int64)
    target[..., 3:6, 3:6] = 1
    function = loss("boundary", 1, **ALONE)
    least = function(sure(target), target)
    for column, distance in ((6, 1), (10, 5), (29, 24)):
        answer = target.clone()
        answer[0, 4, column] = 1
        more = (function(sure(answer), target) - least) * target.numel()
        assert more.item() == pytest.approx(distance, rel=1e-4)


@pytest.mark.parametrize("label", [0, 1])
def test_without_a_contour_the_term_is_zero(label, loss, batch):
    logits, target = batch(1)
    logits.requires_grad_()
    value = loss("boundary", 1, **ALONE)(logits, torch.full_like(target, label))
    value.backward()
    assert value == 0
    assert not logits.grad.any()


def test_weights_average_the_foreground_classes(loss, batch):
    logits, target = batch(3, size=(2, 7, 6))
    first, second = (
        loss("boundary", 3, weights=weights, **ALONE)(logits, target) for weights in ([0, 1, 0], [0, 0, 1])
    )
    result = loss("boundary", 3, weights=[9, 1, 4], **ALONE)(logits, target)
    torch.testing.assert_close(result, (first + 4 * second) / 5)
