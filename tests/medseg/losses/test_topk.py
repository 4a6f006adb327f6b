"""Cross-entropy of the hardest pixels."""

import math

import pytest
import torch
from torch.nn import functional as F


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("fraction", [0.1, 0.37, 1.0])
def test_it_is_nnunets_top_k(channels, fraction, loss, batch):
    """nnU-Net: the mean of the k percent largest of all pixels' cross-entropies, k rounded down."""
    logits, target = batch(channels, size=(3, 11, 9), scale=3.0)
    two = logits if channels > 1 else torch.cat((torch.zeros_like(logits), logits), dim=1)
    each = F.cross_entropy(two, target, reduction="none").flatten()
    expected = each.topk(int(len(each) * fraction)).values.mean()
    torch.testing.assert_close(loss("topk_ce", channels, fraction=fraction)(logits, target), expected)


def test_all_pixels_are_cross_entropy(loss, batch):
    logits, target = batch(3)
    options = {"weights": [1.0, 2.0, 5.0]}
    torch.testing.assert_close(
        loss("topk_ce", 3, fraction=1, **options)(logits, target), loss("ce", 3, **options)(logits, target)
    )


def test_only_the_hardest_get_a_gradient(loss, batch):
    logits, target = batch(3, size=(1, 10, 10))
    logits.requires_grad_()
    loss("topk_ce", 3)(logits, target).backward()
    touched = logits.grad.abs().sum(dim=1).flatten() > 0
    hardest = F.cross_entropy(logits, target, reduction="none").flatten().topk(10).indices
    assert set(touched.nonzero().flatten().tolist()) == set(hardest.tolist())


def test_weights_decide_what_is_hard(loss):
    """Log-odds log 3: cross-entropies of log 4 (background) and log 4/3 (foreground); 20 times that is more."""
    logits = torch.full((1, 1, 2, 10), math.log(3.0))
    target = torch.tensor([[[0] * 10, [1] * 10]])
    assert loss("topk_ce", 1)(logits, target).item() == pytest.approx(math.log(4))
    assert loss("topk_ce", 1, weights=[1, 20])(logits, target).item() == pytest.approx(math.log(4 / 3))
    # Half of all and two more: ten weighted foreground pixels and two of the background.
    expected = (200 * math.log(4 / 3) + 2 * math.log(4)) / 202
    assert loss("topk_ce", 1, fraction=0.6, weights=[1, 20])(logits, target).item() == pytest.approx(expected)


def test_of_few_pixels_one_counts(loss, batch):
    logits, target = batch(3, size=(1, 1, 5))
    hardest = F.cross_entropy(logits, target, reduction="none").max()
    torch.testing.assert_close(loss("topk_ce", 3)(logits, target), hardest)
