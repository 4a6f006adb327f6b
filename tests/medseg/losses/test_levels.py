"""Deep supervision."""

import pytest
import torch
from torch.nn import functional as F

from medseg.losses import LOSSES
from medseg.losses.levels import level_weights, resize_nearest


def test_a_level_counts_in_proportion_to_its_side():
    assert level_weights([(7, 9)]) == [1.0]
    assert level_weights([(12, 8), (6, 4), (3, 2)]) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    # The maps of a U-Net++ have one size and weigh alike.
    assert level_weights([(12, 8)] * 4) == [0.25] * 4
    assert level_weights([(8, 8), (8, 2)]) == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("old", "new"),
    [((8, 8), (4, 4)), ((12, 20), (3, 10)), ((9, 7), (4, 3)), ((5, 6), (5, 1)), ((33, 48), (7, 31))],
)
def test_resize_is_nearest_exact(old, new):
    labels = torch.randint(0, 9, (2, *old), generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(labels.unsqueeze(1).double(), new, mode="nearest-exact").squeeze(1).long()
    assert torch.equal(resize_nearest(labels, *new), expected)
    assert torch.equal(resize_nearest(labels > 3, *new), expected > 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("ignore", [None, 255])
def test_levels_are_averaged(name, channels, ignore, loss, batch):
    first, target = batch(channels, size=(2, 12, 8))
    levels = [first, batch(channels, size=(2, 6, 4), seed=1)[0], batch(channels, size=(2, 3, 2), seed=2)[0]]
    if ignore is not None:
        target[:, 2:5] = ignore
    function = loss(name, channels, ignore_label=ignore)
    expected = torch.stack(
        [
            weight * function(level, resize_nearest(target, *level.shape[2:]))
            for weight, level in zip([4 / 7, 2 / 7, 1 / 7], levels, strict=True)
        ]
    ).sum()
    torch.testing.assert_close(function(levels, target), expected)
    torch.testing.assert_close(function(tuple(levels), target), expected)
    assert function(levels[:1], target) == function(first, target)


def test_levels_may_have_other_types_and_equal_sizes(loss, batch):
    logits, target = batch(3, size=(2, 4, 4))
    function = loss("ce_dice", 3)
    value = function([logits, logits.bfloat16()], target)
    expected = (function(logits, target) + function(logits.bfloat16(), target)) / 2
    torch.testing.assert_close(value, expected)


def test_wrong_levels_are_named(loss, batch):
    logits, target = batch(3, size=(2, 8, 8))
    function = loss("dice", 3)
    with pytest.raises(ValueError, match=r"at least one level, got an empty list"):
        function([], target)
    with pytest.raises(ValueError, match=r"logits \(B, 3, H, W\).*got \(2, 3, 4, 4\) and \(2, 8, 8\)"):
        function([logits[..., :4, :4], logits], target)
    smaller = r"needs logits \(2, 3, 4, 4\) or smaller images at level 3, "
    with pytest.raises(ValueError, match=smaller + r"got \(2, 3, 4, 5\)"):
        function([logits, logits[..., :4, :4], logits[..., :4, :5]], target)
    with pytest.raises(ValueError, match=smaller + r"got \(2, 2, 4, 4\)"):
        function([logits, logits[..., :4, :4], logits[:, :2, :4, :4]], target)
    with pytest.raises(ValueError, match=smaller + r"got \(2, 3, 0, 4\)"):
        function([logits, logits[..., :4, :4], logits[..., :0, :4]], target)
    with pytest.raises(ValueError, match=r"float logits and an int64 target, got torch\.int64"):
        function([logits, logits[..., :4, :4].long()], target)
