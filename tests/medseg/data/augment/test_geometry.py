import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.data.augment.apply import augment
from medseg.data.augment.config import AugmentConfig
from medseg.data.augment.draw import draw
from medseg.data.augment.geometry import sampling_grid

CPU = torch.device("cpu")


def still(count: int, **changes):
    """Draws that do nothing but what is named."""
    draws = draw(AugmentConfig.off(), (), count, 1, np.random.default_rng(0))
    return replace(
        draws, **{name: np.asarray(v).astype(getattr(draws, name).dtype) for name, v in changes.items()}
    )


def ramp(height: int, width: int):
    """One image and mask without any symmetry."""
    values = torch.arange(height * width).reshape(1, height, width)
    return values[:, None].float(), values


def disc(height: int, width: int, row: float, column: float, radius: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (((rows - row) ** 2 + (columns - column) ** 2) < radius**2).to(torch.uint8)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_by_right_angles_is_exact_and_counter_clockwise(turns):
    images, labels = ramp(9, 9)
    moved, masks = augment(images, labels, still(1, angle_rad=[turns * math.pi / 2]))
    torch.testing.assert_close(moved, torch.rot90(images, turns, (-2, -1)), atol=1e-3, rtol=0)
    assert torch.equal(masks, torch.rot90(labels, turns, (-2, -1)))


def test_rotation_on_an_oblong_image_turns_pixels_not_normalised_coordinates():
    grid = sampling_grid(still(1, angle_rad=[math.radians(30)]), 20, 40, CPU)
    pixels = grid[0] * torch.tensor([20.0, 10.0])
    right, down = pixels[0, 1] - pixels[0, 0], pixels[1, 0] - pixels[0, 0]
    torch.testing.assert_close(right, torch.tensor([math.cos(math.pi / 6), 0.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(down, torch.tensor([-0.5, math.cos(math.pi / 6)]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("step", [0.5, 0.8, 1.25, 2.0])
def test_the_step_scales_lengths_by_its_inverse(step):
    mask = disc(80, 120, 39.5, 59.5, 16)[None]
    moved, masks = augment(mask[:, None].float(), mask, still(1, step=[step]))
    assert int(masks.sum()) == pytest.approx(int(mask.sum()) / step**2, rel=0.05)
    assert float(moved.sum()) == pytest.approx(int(mask.sum()) / step**2, rel=0.05)


@pytest.mark.parametrize(
    ("mirror", "axes"), [((1, 0), (-1,)), ((0, 1), (-2,)), ((1, 1), (-2, -1)), ((0, 0), ())]
)
def test_mirrors_are_exact(mirror, axes):
    images, labels = ramp(5, 8)
    moved, masks = augment(images, labels, still(1, mirror=[mirror]))
    assert torch.equal(moved, images.flip(axes))
    assert torch.equal(masks, labels.flip(axes))


@pytest.mark.parametrize(("mirror", "axes"), [((1, 0), (-1,)), ((0, 1), (-2,)), ((1, 1), (-2, -1))])
def test_a_mirror_acts_on_a_rotated_image(mirror, axes):
    images, labels = ramp(9, 9)
    moved, masks = augment(images, labels, still(1, mirror=[mirror], angle_rad=[math.pi / 2]))
    torch.testing.assert_close(moved, torch.rot90(images, 1, (-2, -1)).flip(axes), atol=1e-3, rtol=0)
    assert torch.equal(masks, torch.rot90(labels, 1, (-2, -1)).flip(axes))


def test_equal_shifts_of_all_control_points_move_the_image():
    images, labels = ramp(30, 40)
    bend = np.zeros((1, 2, 8, 8))
    bend[:, 0], bend[:, 1] = 0.25, -0.5  # Spacing 8 columns and 6 rows: 2 columns and 3 rows.
    moved, masks = augment(images, labels, still(1, bend=bend))
    assert torch.equal(masks[:, 3:, :-2], labels[:, :-3, 2:])
    assert not masks[:, :3].any()
    assert not masks[:, :, -2:].any()
    torch.testing.assert_close(moved[..., 3:, :-2], images[..., :-3, 2:], atol=0.01, rtol=0)
    torch.testing.assert_close(moved[..., 0, :-2], images[..., 0, 2:], atol=0.01, rtol=0)


def test_the_strongest_bend_does_not_fold():
    draws = draw(
        AugmentConfig.off().model_copy(update={"elastic": 0.48, "elastic_p": 1.0}),
        (),
        32,
        1,
        np.random.default_rng(0),
    )
    grid = sampling_grid(draws, 120, 90, CPU)
    across, down = grid[:, :-1, 1:] - grid[:, :-1, :-1], grid[:, 1:, :-1] - grid[:, :-1, :-1]
    area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    assert (area > 0).all()
    assert area.std() > 0.1 * area.mean()


GEOMETRY = st.fixed_dictionaries(
    {
        "rotation_deg": st.sampled_from([0.0, 20.0, 180.0]),
        "scale_low": st.floats(0.6, 1.0),
        "scale_high": st.floats(1.0, 1.6),
        "elastic": st.floats(0.0, 0.48),
        "rotation_p": st.sampled_from([0.0, 0.5, 1.0]),
        "scale_p": st.sampled_from([0.0, 0.5, 1.0]),
        "elastic_p": st.sampled_from([0.0, 0.5, 1.0]),
        "flip_p": st.just(0.5),
    }
)


@settings(max_examples=40, deadline=None)
@given(GEOMETRY, st.integers(0, 2**32), st.sampled_from([(48, 48), (40, 64), (57, 33)]))
def test_image_and_mask_move_together(strengths, seed, shape):
    """Where the image is purely inside or outside the object, so is the mask; only mixed pixels may differ."""
    mask = disc(*shape, 14, 17, 9) | disc(*shape, 30, 20, 5)
    images, labels = mask.float().repeat(8, 1, 1, 1), mask.repeat(8, 1, 1)
    config = AugmentConfig.off().model_copy(update=strengths)
    draws = draw(config, ("horizontal", "vertical"), 8, 1, np.random.default_rng(seed))
    moved, masks = augment(images, labels, draws)
    assert (masks[moved[:, 0] > 0.999] == 1).all()
    assert (masks[moved[:, 0] < 0.001] == 0).all()
    assert (moved > 0.999).any()
    assert not torch.equal(masks, labels) or not draws.mirror.any()


def test_images_continue_their_border_and_masks_do_not():
    images, labels = torch.full((1, 1, 12, 16), 3.0), torch.ones(1, 12, 16, dtype=torch.uint8)
    moved, masks = augment(images, labels, still(1, step=[2]))
    torch.testing.assert_close(moved, images)
    assert masks[0, 3:9, 4:12].all()
    assert int(masks.sum()) == 6 * 8


def test_no_class_appears_that_was_not_there():
    labels = torch.tensor([2, 200, 5], dtype=torch.uint8).repeat_interleave(16)[None, None].expand(32, 48, 48)
    config = AugmentConfig.off().model_copy(
        update={"rotation_deg": 45, "rotation_p": 1, "elastic_p": 0.5, "scale_p": 0.5}
    )
    draws = draw(config, (), 32, 1, np.random.default_rng(0))
    _, masks = augment(torch.zeros(32, 1, 48, 48), labels, draws)
    assert set(masks.unique().tolist()) == {0, 2, 5, 200}


def test_vertical_mirrors_never_happen_where_the_task_forbids_them():
    images = torch.arange(12.0)[None, None, :, None].repeat(64, 1, 1, 7)
    config = AugmentConfig.off().model_copy(update={"flip_p": 1.0})
    draws = draw(config, ("horizontal",), 64, 1, np.random.default_rng(0))
    moved, _ = augment(images, torch.zeros(64, 12, 7, dtype=torch.uint8), draws)
    assert draws.mirror[:, 0].all()
    assert torch.equal(moved, images)


def test_all_channels_move_alike():
    images = torch.randn(6, 1, 24, 30, generator=torch.Generator().manual_seed(0)).repeat(1, 3, 1, 1)
    config = AugmentConfig.off().model_copy(update={"rotation_p": 0.5, "elastic_p": 0.5, "flip_p": 0.5})
    draws = draw(config, ("horizontal",), 6, 3, np.random.default_rng(2))
    moved, _ = augment(images, torch.zeros(6, 24, 30, dtype=torch.uint8), draws)
    assert torch.equal(moved[:, :1].expand_as(moved), moved)
    assert not torch.equal(moved, images)
