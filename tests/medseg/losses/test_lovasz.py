"""Lovász loss."""

import pytest
import torch
from torch.nn import functional as F

from medseg.losses.lovasz import lovasz


@pytest.fixture
def smp(torchvision_ops):
    import segmentation_models_pytorch.losses

    return segmentation_models_pytorch.losses


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("absent", [False, True])
def test_it_is_smp_lovasz(channels, per_image, ignored, absent, smp, loss, batch):
    """smp ships the authors' code: classes that are present, the hinge for one channel."""
    logits, target = batch(channels, size=(3, 6, 5), scale=2.0)
    if absent:
        target[0] = 0
        target[target == 2] = 0
    if ignored:
        target[:, 1:3] = 255
    mode = "binary" if channels == 1 else "multiclass"
    theirs = smp.LovaszLoss(mode, per_image=per_image, ignore_index=255)
    ours = loss("lovasz", channels, per_image=per_image, ignore_label=255)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target))


@pytest.mark.parametrize("seed", range(5))
def test_at_the_vertices_it_is_the_jaccard_loss(seed, loss, batch):
    """Where each pixel is all right or all wrong, the extension meets the set function."""
    _, target = batch(3, size=(2, 5, 4), seed=seed)
    _, answer = batch(3, size=(2, 5, 4), seed=seed + 100)
    present = [c for c in range(3) if (target == c).any()]
    union = [((answer == c) | (target == c)).sum() for c in present]
    overlap = [((answer == c) & (target == c)).sum() for c in present]
    jaccard = [1 - o / u for o, u in zip(overlap, union, strict=True)]
    sure = 60.0 * F.one_hot(answer, 3).movedim(-1, 1)
    torch.testing.assert_close(loss("lovasz", 3)(sure, target), torch.stack(jaccard).mean())
    weights = [1.0, 4.0, 2.0]
    weighted = sum(weights[c] * j for c, j in zip(present, jaccard, strict=True))
    torch.testing.assert_close(
        loss("lovasz", 3, weights=weights)(sure, target), weighted / sum(weights[c] for c in present)
    )
    # The hinge is 0 for a logit of 1 on the right side, 2 for 1 on the wrong one.
    foreground, said = target.clamp_max(1), answer.clamp_max(1)
    overlap, union = (foreground * said).sum(), (foreground | said).sum()
    hinge = loss("lovasz", 1)((2.0 * said - 1).unsqueeze(1), foreground)
    torch.testing.assert_close(hinge, 2 * (1 - overlap / union))


def test_by_hand():
    """Errors 0.8, 0.5, 0.1 of pixels in, out, in: Jaccard losses 1/2, 2/3 and 1 after one, two and three."""
    errors, reference = torch.tensor([0.5, 0.8, 0.1]), torch.tensor([False, True, True])
    expected = 0.8 * 1 / 2 + 0.5 * (2 / 3 - 1 / 2) + 0.1 * (1 - 2 / 3)
    assert lovasz(errors, reference).item() == pytest.approx(expected)


def test_without_foreground_the_hinge_is_the_largest_error(loss, batch):
    logits, target = batch(1)
    expected = (1 + logits.max()).relu()
    torch.testing.assert_close(loss("lovasz", 1)(logits, torch.zeros_like(target)), expected)


def test_it_is_convex():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 50, generator=generator)
    reference = torch.rand(50, generator=generator) < 0.4
    for t in (0.1, 0.5, 0.8):
        chord = t * lovasz(a, reference) + (1 - t) * lovasz(b, reference)
        assert lovasz(t * a + (1 - t) * b, reference) <= chord + 1e-6
