"""Signed distance maps."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medseg.losses import distance
from medseg.losses.distance import distance_to, signed_distance


def assert_same(found, expected):
    """Equal to the last bit but one of the root, which torch's own does not round; squares are whole numbers."""
    torch.testing.assert_close(found, expected, rtol=3e-7, atol=0)
    assert torch.equal(found.square().round(), expected.square().round())


def some_masks(size=(4, 2, 17, 23)):
    generator = torch.Generator().manual_seed(0)
    shares = torch.tensor([0.002, 0.05, 0.5, 0.98]).view(4, 1, 1, 1)
    return torch.rand(size, generator=generator) < shares


def test_the_separable_algorithm_is_scipys():
    for mask in some_masks().flatten(0, 1):
        if not mask.any():
            continue
        expected = torch.from_numpy(ndimage.distance_transform_edt(~mask.numpy())).float()
        assert_same(distance_to(mask), expected)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1), (5, 3)])
def test_thin_images(shape):
    mask = torch.zeros(shape, dtype=torch.bool)
    assert distance_to(mask).isinf().all()
    mask[-1, -1] = True
    expected = torch.from_numpy(ndimage.distance_transform_edt(~mask.numpy())).float()
    assert torch.equal(distance_to(mask), expected)


@pytest.mark.parametrize("ignoring", [False, True])
def test_both_ways_give_the_same_map(ignoring, monkeypatch):
    masks = some_masks()
    masks[0, 0], masks[1, 1] = False, True
    valid = some_masks()[[2, 2, 3, 1], 0] if ignoring else None
    by_scipy = signed_distance(masks, valid)
    monkeypatch.setattr(distance, "_by_scipy", distance_to)
    # 1 is added to what lies inside.
    torch.testing.assert_close(signed_distance(masks, valid), by_scipy, rtol=1e-6, atol=1e-6)
    assert by_scipy.isfinite().all()


def test_signs_and_pixels():
    mask = torch.tensor([[0, 0, 1, 1, 1, 0, 0]], dtype=torch.bool).repeat(3, 1)
    row = torch.tensor([2.0, 1, 0, -1, 0, 1, 2])
    assert torch.equal(signed_distance(mask[None, None], None)[0, 0], row.repeat(3, 1))
    assert torch.equal(
        signed_distance(~mask[None, None], None)[0, 0, 0], torch.tensor([-1.0, 0, 1, 2, 1, 0, -1])
    )


def test_masks_without_a_contour_are_zero():
    for mask in (torch.zeros(1, 1, 4, 5, dtype=torch.bool), torch.ones(1, 1, 4, 5, dtype=torch.bool)):
        assert not signed_distance(mask, None).any()


def test_what_does_not_count_is_neither_in_nor_out():
    mask = torch.tensor([[1, 1, 0, 0, 0, 1]], dtype=torch.bool)
    valid = torch.tensor([[1, 1, 0, 0, 1, 0]], dtype=torch.bool)
    # Known: two in, the fifth out; they are 3 and 4 apart.
    expected = torch.tensor([[-3.0, -2, 0, 0, 3, 0]])
    assert torch.equal(signed_distance(mask[None, None], valid[None])[0, 0], expected)


def test_it_is_the_distance_to_the_nearest_pixel_of_the_other_kind():
    mask = some_masks((4, 1, 9, 8))[2, 0]
    inside, outside = np.argwhere(mask.numpy()), np.argwhere(~mask.numpy())
    found = signed_distance(mask[None, None], None)[0, 0].numpy()
    gaps = np.linalg.norm(inside[:, None] - outside[None], axis=2)
    np.testing.assert_allclose(found[tuple(outside.T)], gaps.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found[tuple(inside.T)], 1 - gaps.min(axis=1), rtol=1e-6)
