import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from medseg.data.augment.apply import augment
from medseg.data.augment.config import AugmentConfig
from medseg.data.augment.draw import draw
from medseg.data.patch import (
    ANY_FOREGROUND,
    augment_patches,
    cut,
    draw_windows,
    follow,
    region_size,
    regions,
)

OFF = AugmentConfig.off()
BOTH = ("horizontal", "vertical")


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(*values):
    return np.array(values, dtype=np.int64)


def test_positions_are_uniform_over_all_that_lie_inside():
    count = 9000
    labels = np.zeros((1, 6, 7), np.uint8)
    corners = draw_windows(labels, np.zeros(count, np.int64), np.zeros(count, np.int64), (4, 5), rng())
    assert (corners.shape, corners.dtype) == ((count, 2), np.int64)
    found = np.bincount(corners @ [3, 1], minlength=9)
    assert len(found) == 9
    assert np.abs(found - count / 9).max() < 5 * math.sqrt(count / 9)


def test_a_wanted_pixel_is_in_the_middle_or_as_near_as_the_image_allows():
    labels = np.zeros((3, 20, 30), np.uint8)
    labels[0, 9, 14], labels[1, 0, 29], labels[2, 19, 2] = 1, 2, 3
    corners = draw_windows(labels, rows(0, 1, 2), rows(1, 2, 3), (7, 8), rng())
    assert corners.tolist() == [[6, 10], [0, 22], [13, 0]]


@pytest.mark.parametrize(("wanted", "chosen"), [(1, {1}), (2, {2}), (ANY_FOREGROUND, {1, 2})])
def test_each_pixel_of_the_wanted_label_is_drawn_alike(wanted, chosen):
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 3, 3:6], labels[0, 5, 4] = 1, 2
    count = 4000
    corners = draw_windows(labels, np.zeros(count, np.int64), np.full(count, wanted), (3, 3), rng())
    centres = corners + 1
    pixels = np.argwhere(np.isin(labels[0], list(chosen)))
    for pixel in pixels:
        share = (centres == pixel).all(axis=1).mean()
        assert share == pytest.approx(1 / len(pixels), abs=0.05)


class Watched:
    """Labels that remember which slices were read."""

    def __init__(self, labels):
        self.labels, self.shape, self.read = labels, labels.shape, []

    def __getitem__(self, index):
        self.read.append(int(index))
        return self.labels[index]


def test_only_rows_with_a_wish_are_read_and_differ_and_the_stream_goes_on_alike():
    labels = np.zeros((5, 12, 12), np.uint8)
    labels[4, 10, 10] = 1
    slices = rows(3, 0, 2, 4, 1)
    sources = rng(1), rng(1)
    free = draw_windows(labels, slices, np.zeros(5, np.int64), (4, 4), sources[0])
    watched = Watched(labels)
    forced = draw_windows(watched, slices, rows(0, 0, 0, 1, 1), (4, 4), sources[1])
    assert watched.read == [4, 1]
    # Slice 1 does not hold the label: its patch lies where it would without a wish.
    assert (free != forced).any(axis=1).tolist() == [False, False, False, True, False]
    assert forced[3].tolist() == [8, 8]
    assert sources[0].random() == sources[1].random()


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^patch \(4, 9\) must fit into \(8, 8\)$"):
        draw_windows(np.zeros((1, 8, 8), np.uint8), rows(0), rows(0), (4, 9), rng())
    with pytest.raises(ValueError, match=r"^patch \(9, 4\) must fit into \(8, 8\)$"):
        region_size((9, 4), (8, 8), OFF)
    with pytest.raises(ValueError, match=r"^region \(9, 9\) must fit into \(8, 8\)$"):
        regions(rows([0, 0]), (4, 4), (9, 9), (8, 8))


@pytest.mark.parametrize(
    ("strengths", "size"),
    [
        ({}, (20, 10)),
        ({"rotation_p": 0.1, "rotation_deg": 180}, (24, 24)),  # the diagonal is 22.4, and of even parity 24
        ({"rotation_p": 0.1, "rotation_deg": 30}, (24, 20)),  # 22.3 and 18.7
        ({"scale_p": 0.1, "scale_high": 1.5}, (30, 16)),
        (
            {"elastic_p": 0.1, "elastic": 0.25, "elastic_cells": 5},
            (24, 12),
        ),  # each grows by a tenth of itself
        ({"elastic_p": 0.1, "elastic": 0.48, "elastic_cells": 1}, (60, 61)),
        ({"scale_p": 0.1, "scale_high": 10}, (60, 61)),
        ({"scale_p": 0.1, "scale_low": 0.5, "scale_high": 1}, (20, 10)),
    ],
)
def test_the_region_holds_what_can_turn_into_the_patch(strengths, size):
    assert region_size((20, 10), (60, 61), OFF.model_copy(update=strengths)) == size


def test_regions_lie_around_the_patches_inside_the_image():
    corners = rows([0, 0], [13, 6], [30, 20], [29, 19])
    starts, offsets = regions(corners, (10, 10), (20, 16), (40, 30))
    assert starts.tolist() == [[0, 0], [8, 3], [20, 14], [20, 14]]
    np.testing.assert_array_equal(starts + offsets, corners)


WILD = OFF.model_copy(
    update={"rotation_p": 1, "rotation_deg": 180, "scale_p": 1, "scale_low": 0.7, "scale_high": 1.4}
    | {"elastic_p": 1, "elastic": 0.2}
)


@pytest.mark.parametrize("margin", [True, False])
def test_a_patch_away_from_the_border_has_no_empty_corner(margin):
    count, patch, image = 24, (24, 18), (90, 84)
    corners = np.tile(rows([33, 33]), (count, 1))
    draws = draw(WILD, BOTH, count, 1, rng())
    images, labels = torch.zeros(count, 1, *image), torch.ones(count, *image, dtype=torch.uint8)
    found, masks = augment_patches(images, labels, corners, patch, WILD if margin else OFF, draws)
    assert (found.shape, found.dtype) == ((count, 1, *patch), torch.float32)
    assert (masks.shape, masks.dtype) == ((count, *patch), torch.uint8)
    # Without a margin they are empty: the test would see it.
    assert bool((masks == 1).all()) == margin


def numbered(count, height, width):
    """Images whose pixels all differ, and their labels."""
    labels = torch.arange(count * height * width).reshape(count, height, width) % 251
    return torch.randn(count, 2, height, width, generator=torch.Generator().manual_seed(0)), labels.to(
        torch.uint8
    )


STILL = AugmentConfig.nnunet().model_copy(
    update={"rotation_p": 0, "scale_p": 0, "noise_p": 0.5, "blur_p": 0.5, "contrast_p": 0.5, "gamma_p": 0.5}
)


@pytest.mark.parametrize("margin", [STILL, WILD])
def test_what_only_mirrors_mirrors_the_patch_itself_wherever_it_lies_and_intensities_are_its_own(margin):
    corners = rows(*[[row, column] for row in (0, 3, 14) for column in (0, 9, 20)])
    patch = (6, 7)
    images, labels = numbered(9, 20, 27)
    draws = draw(STILL, BOTH, 9, 2, rng(3))
    assert 0 < draws.mirror.sum() < 18
    found = augment_patches(images, labels, corners, patch, margin, draws)
    wanted = augment(*cut(images, labels, corners, patch), draws)
    for some, other in zip(found, wanted, strict=True):
        assert some.is_contiguous()
        assert torch.equal(some, other)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirror", [(False, False), (True, False), (False, True)])
def test_the_patch_turns_with_its_content(turns, mirror):
    patch, region = (9, 9), (15, 15)
    labels = torch.arange(225).reshape(1, 15, 15).to(torch.uint8)
    images, offsets = labels[:, None].float(), rows([0, 5])
    draws = draw(OFF, (), 1, 1, rng())
    still = cut(images, labels, offsets, patch)[1]
    draws = replace(
        draws, angle_rad=np.float32([turns * math.pi / 2]), mirror=np.array([mirror], dtype=np.bool_)
    )
    moved = augment(images, labels, draws)
    found = cut(*moved, follow(offsets, patch, region, draws), patch)[1]
    wanted = augment(still[:, None].float(), still, draws)[1]
    assert torch.equal(found, wanted)


def test_the_patch_moves_as_far_as_its_content_is_scaled_but_not_out_of_its_region():
    draws = replace(draw(OFF, (), 3, 1, rng()), step=np.float32([2, 0.8, 0.5]))
    offsets = rows([0, 5], [2, 8], [0, 8])
    assert follow(offsets, (4, 4), (12, 12), draws).tolist() == [[2, 4], [2, 8], [0, 8]]


def test_what_a_patch_was_drawn_for_usually_stays_inside():
    """Also at the border, where the patch is not in the middle of its region."""
    source, count, patch, image = rng(5), 200, (16, 16), (32, 32)
    labels = np.zeros((count, *image), np.uint8)
    for label, (row, column) in zip(labels, source.integers(0, 29, (count, 2)), strict=True):
        label[row : row + 3, column : column + 3] = 1
    strong = AugmentConfig.nnunet().model_copy(update={"flip_p": 0.5, "rotation_p": 0.5, "scale_p": 0.5})
    corners = draw_windows(labels, np.arange(count), np.ones(count, np.int64), patch, source)
    region = region_size(patch, image, strong)
    starts, offsets = regions(corners, patch, region, image)
    draws = draw(strong, BOTH, count, 1, source)
    moved = augment(*cut(torch.zeros(count, 1, *image), torch.from_numpy(labels), starts, region), draws)
    shares = [
        cut(*moved, places, patch)[1].any(2).any(1).float().mean().item()
        for places in (follow(offsets, patch, region, draws), offsets)
    ]
    assert shares[0] > 0.93
    assert shares[1] < 0.6


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_cut_gives_the_windows(kind, layout):
    images, labels = numbered(4, 13, 11)
    images = images.to(kind).contiguous(memory_format=layout)
    corners = rows([0, 0], [5, 4], [2, 1], [5, 0])
    found, masks = cut(images, labels, corners, (8, 7))
    assert found.is_contiguous()
    assert masks.is_contiguous()
    assert (found.dtype, masks.dtype) == (kind, torch.uint8)
    for index, (row, column) in enumerate(corners.tolist()):
        assert torch.equal(found[index], images[index, :, row : row + 8, column : column + 7])
        assert torch.equal(masks[index], labels[index, row : row + 8, column : column + 7])
    whole = cut(images, labels, np.zeros((4, 2), np.int64), (13, 11))
    assert torch.equal(whole[0], images)
    assert whole[0].is_contiguous()


@pytest.mark.parametrize("corner", [[-1, 0], [0, 5], [6, 0]])
def test_windows_outside_the_image_are_refused(corner):
    images, labels = numbered(1, 13, 11)
    with pytest.raises(
        ValueError, match=r"^windows of \(8, 7\) must lie inside images of \(13, 11\), got corners"
    ):
        cut(images, labels, rows(corner), (8, 7))
    with pytest.raises(ValueError, match=r"^corners must have shape \(1, 2\) for images \(1, 2, 13, 11\)"):
        cut(images, labels, rows([0, 0], [0, 0]), (8, 7))


@pytest.mark.gpu
def test_on_a_gpu_cutting_gives_the_same_without_waiting():
    images, labels = numbered(4, 13, 11)
    corners = rows([0, 0], [5, 4], [2, 1], [5, 0])
    there = images.cuda(), labels.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = cut(*there, corners, (8, 7))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for some, other in zip(found, cut(images, labels, corners, (8, 7)), strict=True):
        assert torch.equal(some.cpu(), other)
