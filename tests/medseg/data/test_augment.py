import math

import pytest
import torch

from medseg.data.augment import augment, intensity, sampling_grid
from medseg.training.config import AugmentConfig

STILL = AugmentConfig(rotation_deg=0, scale=0, flip=False, brightness=0, contrast=0, gamma=0, noise=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disc(height: int, width: int, row: float, column: float, radius: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (((rows - row) ** 2 + (columns - column) ** 2) < radius**2).long()


def test_nothing_to_do_leaves_the_batch_untouched():
    images, labels = torch.randn(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8))
    out_images, out_labels = augment(images, labels, STILL, ("horizontal",), generator())
    assert torch.equal(out_images, images)
    assert torch.equal(out_labels, labels)


@pytest.mark.parametrize("shape", [(48, 48), (40, 64)])
def test_image_and_mask_move_together(shape):
    mask = disc(*shape, row=14, column=26, radius=9)
    images = mask[None, None].float().repeat(16, 1, 1, 1)
    labels = mask[None].repeat(16, 1, 1)
    moving = STILL.model_copy(update={"rotation_deg": 180.0, "scale": 0.2, "flip": True})
    out_images, out_labels = augment(images, labels, moving, ("horizontal", "vertical"), generator())
    assert not torch.equal(out_labels, labels)
    both = ((out_images[:, 0] > 0.5) & (out_labels == 1)).sum((1, 2))
    either = (out_images[:, 0] > 0.5).sum((1, 2)) + (out_labels == 1).sum((1, 2))
    assert (2 * both / either > 0.95).all()


def test_rotation_keeps_shape_and_area_on_an_oblong_image():
    mask = disc(40, 80, row=20, column=40, radius=12)
    turned = STILL.model_copy(update={"rotation_deg": 90.0})
    _, labels = augment(mask[None, None].float(), mask[None], turned, (), generator(3))
    rows, columns = torch.nonzero(labels[0], as_tuple=True)
    assert abs(int(labels.sum()) - int(mask.sum())) < 0.05 * int(mask.sum())
    assert abs((rows.max() - rows.min()) - (columns.max() - columns.min())) <= 2


def test_no_class_appears_that_was_not_there():
    labels = torch.tensor([0, 2, 5]).repeat_interleave(16)[None, None].expand(4, 48, 48).contiguous()
    moving = STILL.model_copy(update={"rotation_deg": 45.0, "scale": 0.3})
    _, out = augment(torch.zeros(4, 1, 48, 48), labels, moving, (), generator())
    assert set(out.unique().tolist()) <= {0, 2, 5}
    assert out.dtype == labels.dtype


def test_a_flip_along_one_axis_mirrors_only_that_axis():
    images = torch.arange(12.0).reshape(1, 1, 3, 4).repeat(64, 1, 1, 1)
    flipping = STILL.model_copy(update={"flip": True})
    out, _ = augment(images, torch.zeros(64, 3, 4).long(), flipping, ("horizontal",), generator())
    same = torch.isclose(out, images, atol=1e-4).flatten(1).all(1)
    mirrored = torch.isclose(out, images.flip(-1), atol=1e-4).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 0 < int(mirrored.sum()) < 64


def test_the_same_generator_state_gives_the_same_batch():
    images, labels = torch.randn(4, 1, 32, 32), torch.randint(0, 2, (4, 32, 32))
    first, second = (
        augment(images, labels, AugmentConfig(), ("horizontal",), generator(7)) for _ in range(2)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    other = augment(images, labels, AugmentConfig(), ("horizontal",), generator(8))
    assert not torch.equal(first[0], other[0])


def test_grid_of_a_pure_rotation_turns_pixels_not_normalised_coordinates():
    turned = STILL.model_copy(update={"rotation_deg": 90.0})
    grid = sampling_grid(torch.Size((1, 1, 20, 40)), turned, (), generator(1))
    pixels = grid[0] * torch.tensor([20.0, 10.0])
    right = pixels[0, 1] - pixels[0, 0]
    assert math.isclose(float(right.norm()), 1.0, rel_tol=1e-4)


def test_intensity_keeps_shape_and_stays_finite_on_a_constant_image():
    out = intensity(torch.zeros(3, 2, 8, 8), AugmentConfig(), generator())
    assert out.shape == (3, 2, 8, 8)
    assert torch.isfinite(out).all()
