"""The gradient written by hand against autograd's, in parts and at once."""

import pytest
import torch

from medseg.losses import soft
from medseg.losses.reduce import class_masks, region_sums
from medseg.losses.soft import pixel_cross_entropy, soft_sums, soft_terms


@pytest.fixture(params=[1, 40, 2**18], ids=["one at a time", "two at a time", "all at once"])
def cached(request, monkeypatch):
    monkeypatch.setattr(soft, "CACHED", request.param)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("ignoring", [False, True])
def test_it_is_what_autograd_says(squared, ignoring, cached, batch):
    logits, target = batch(4, size=(5, 3, 2), dtype=torch.float64)
    valid = target > 0 if ignoring else None
    counts = torch.ones(target.shape, dtype=torch.bool) if valid is None else valid
    generator = torch.Generator().manual_seed(1)
    factors = [torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2)]
    per_pixel = torch.randn(target.shape, generator=generator, dtype=torch.float64)

    results = []
    for by_hand in (True, False):
        z = logits.clone().requires_grad_()
        if by_hand:
            sums, cross_entropy = soft_terms(z, target, valid, squared)
        else:
            sums = region_sums(z.softmax(1), class_masks(target, valid, 4), valid, squared)
            cross_entropy = torch.where(counts, pixel_cross_entropy(z, target), 0)
        value = (factors[0] * sums.overlap).sum() + (factors[1] * sums.predicted.square()).sum()
        value = value + (per_pixel * cross_entropy).sum()
        value.backward()
        results.append((sums, cross_entropy, value.detach(), z.grad))
    torch.testing.assert_close(results[0], results[1])
    assert not results[0][0].reference.requires_grad

    z = logits.clone().requires_grad_()
    sums = soft_sums(z, target, valid, squared)
    torch.testing.assert_close(sums, results[0][0])
    value = (factors[0] * sums.overlap).sum() + (factors[1] * sums.predicted.square()).sum()
    value.backward()
    without = (
        results[0][3]
        - torch.autograd.grad((per_pixel * torch.where(counts, pixel_cross_entropy(z, target), 0)).sum(), z)[
            0
        ]
    )
    torch.testing.assert_close(z.grad, without)


def test_areas_by_hand():
    """Probabilities 1/4 and 3/4 at two pixels of class 1 and one of class 0."""
    logits = torch.tensor([0.0, 1.0]).mul(torch.tensor(3.0).log()).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    sums = soft_sums(logits, torch.tensor([[[1, 1, 0]]]), None)
    torch.testing.assert_close(sums.overlap, torch.tensor([[0.25, 1.5]]))
    torch.testing.assert_close(sums.predicted, torch.tensor([[0.75, 2.25]]))
    torch.testing.assert_close(sums.reference, torch.tensor([[1.0, 2.0]]))
