import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from medseg.training.infer import mirrored, window_starts, windowed

pytestmark = pytest.mark.usefixtures("one_thread")


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(classes=3, channels=1):
    """A network that sees beyond a pixel, and where in its window it is."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, classes, 3, padding=1)
    )

    def predict(batch):
        ramp = torch.linspace(-1, 1, batch.shape[-1]) + torch.linspace(0, 1, batch.shape[-2])[:, None]
        with torch.inference_mode():
            return torch.softmax(layers(batch + ramp), dim=1)

    return predict


def pixelwise(batch):
    return torch.softmax(torch.cat([batch, batch.square(), -batch], dim=1), dim=1)


def test_mirrored_averages_all_copies_turned_back_the_image_itself_first():
    predict, batch, seen = network(), images(2, 1, 9, 8), []

    def watched(given):
        seen.append(given)
        return predict(given)

    found = mirrored(watched, ("vertical", "horizontal"))(batch)
    assert [torch.equal(given, batch) for given in seen] == [True, False, False, False]
    turned = [
        predict(batch),
        predict(batch.flip(-1)).flip(-1),
        predict(batch.flip(-2)).flip(-2),
        predict(batch.flip(-1, -2)).flip(-1, -2),
    ]
    torch.testing.assert_close(found, torch.stack(turned).mean(0))
    assert not torch.allclose(found, turned[0])
    torch.testing.assert_close(found.sum(1), torch.ones(2, 9, 8))


@pytest.mark.parametrize(("flip", "axis"), [("horizontal", -1), ("vertical", -2)])
def test_mirrored_along_one_axis(flip, axis):
    predict, batch = network(), images(1, 1, 9, 8)
    wanted = (predict(batch) + predict(batch.flip(axis)).flip(axis)) / 2
    torch.testing.assert_close(mirrored(predict, (flip,))(batch), wanted)


def test_without_flips_nothing_is_wrapped_and_unknown_ones_are_refused():
    assert mirrored(pixelwise, ()) is pixelwise
    with pytest.raises(ValueError, match=r"^flips must be 'horizontal' and/or 'vertical', got \['left'\]$"):
        mirrored(pixelwise, ("left", "vertical"))


def nnunet_starts(size, side, step):
    """As nnU-Net's compute_steps_for_sliding_window says it, for one axis."""
    count = math.ceil((size - side) / (side * step)) + 1
    spacing = (size - side) / (count - 1) if count > 1 else 0
    return [int(np.round(spacing * number)) for number in range(count)]


def test_windows_start_where_those_of_nnunet_do():
    assert window_starts(110, 64, 0.5) == [0, 23, 46]
    assert window_starts(200, 100, 0.9) == list(range(0, 101, 10))  # although 1 - 0.9 is less than 0.1
    rng = np.random.default_rng(0)
    for _ in range(300):
        side = int(rng.integers(8, 200))
        size, overlap = side + int(rng.integers(0, 300)), float(rng.choice([0, 0.25, 0.5, 0.75]))
        assert window_starts(size, side, overlap) == nnunet_starts(size, side, 1 - overlap)


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.9, 0.99])
def test_windows_cover_everything_evenly_and_overlap_enough(overlap):
    for size in range(10, 60):
        starts = window_starts(size, 10, overlap)
        assert (starts[0], starts[-1]) == (0, size - 10)
        gaps = np.diff(starts)
        assert (gaps >= 1).all()
        assert gaps.max(initial=0) <= math.ceil(max(1, 10 * (1 - overlap)))
        assert np.ptp(gaps) <= 1 if len(gaps) else size == 10


def test_an_image_of_the_windows_size_is_predicted_as_it_is():
    predict, batch, seen = network(channels=2), images(3, 2, 16, 12), []

    def watched(given):
        seen.append(given)
        return predict(given)

    found = windowed(watched, (16, 12), 0.5, batch_size=3)(batch)
    assert len(seen) == 1
    assert torch.equal(seen[0], batch)
    assert torch.equal(found, predict(batch))
    torch.testing.assert_close(windowed(predict, (16, 12), 0.5, batch_size=2)(batch), predict(batch))


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_what_depends_on_single_pixels_is_the_same_by_windows(overlap):
    batch = images(3, 1, 37, 50)
    found = windowed(pixelwise, (16, 12), overlap, batch_size=4)(batch)
    assert (found.shape, found.dtype) == ((3, 3, 37, 50), torch.float32)
    torch.testing.assert_close(found, pixelwise(batch), atol=2e-6, rtol=0)
    torch.testing.assert_close(found.sum(1), torch.ones(3, 37, 50), atol=2e-6, rtol=0)


def by_hand(predict, image, patch, overlap):
    """One window after the other, with SciPy's Gaussian as in nnU-Net; the same as ours where sides are odd."""
    weight = np.zeros(patch)
    weight[patch[0] // 2, patch[1] // 2] = 1
    weight = gaussian_filter(weight, [side / 8 for side in patch], mode="constant", truncate=8)
    sums, total = 0.0, np.zeros(image.shape[-2:])
    for row in nnunet_starts(image.shape[-2], patch[0], 1 - overlap):
        for column in nnunet_starts(image.shape[-1], patch[1], 1 - overlap):
            place = np.s_[row : row + patch[0], column : column + patch[1]]
            whole = np.zeros((3, *image.shape[-2:]))
            whole[:, *place] = predict(image[None, :, *place])[0].double().numpy() * weight
            sums = sums + whole
            total[place] += weight
    return sums / total


def test_windows_are_weighed_by_a_gaussian():
    predict, batch = network(), images(2, 1, 40, 31)
    found = windowed(predict, (17, 13), 0.5, batch_size=5)(batch)
    for some, image in zip(found, batch, strict=True):
        np.testing.assert_allclose(some.numpy(), by_hand(predict, image, (17, 13), 0.5), atol=2e-6)


def test_windows_of_all_images_go_together_in_full_batches():
    sizes = []

    def watched(given):
        sizes.append(tuple(given.shape))
        return pixelwise(given)

    windowed(watched, (16, 16), 0.5, batch_size=4)(images(3, 1, 24, 32))
    # Two rows and three columns of windows in three images.
    assert sizes == [(4, 1, 16, 16)] * 4 + [(2, 1, 16, 16)]


def test_the_batch_size_changes_nothing():
    batch = images(3, 1, 24, 33)
    predict = network()
    wanted = windowed(predict, (16, 16), 0.5, batch_size=1)(batch)
    for batch_size in (2, 4, 5, 7, 100):
        torch.testing.assert_close(
            windowed(predict, (16, 16), 0.5, batch_size)(batch), wanted, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("size", [(9, 7), (9, 30), (30, 7)])
def test_a_small_image_is_centred_in_zeros(size):
    batch, seen = images(2, 1, *size), []

    def watched(given):
        seen.append(given)
        return pixelwise(given)

    found = windowed(watched, (16, 12), 0.5, batch_size=50)(batch)
    torch.testing.assert_close(found, pixelwise(batch), atol=2e-6, rtol=0)
    assert all(given.shape[-2:] == (16, 12) for given in seen)
    if size == (9, 7):
        assert torch.equal(seen[0][..., 3:12, 2:9], batch)
        assert seen[0].count_nonzero() == batch.count_nonzero()


def test_both_compose():
    batch = images(2, 1, 20, 32)
    predict = windowed(mirrored(network(), ("horizontal",)), (16, 16), 0.5, batch_size=4)
    found = predict(batch)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 20, 32), atol=2e-6, rtol=0)
    torch.testing.assert_close(found, predict(batch.flip(-1)).flip(-1), atol=1e-6, rtol=0)


def test_settings_that_cannot_be_are_refused():
    for overlap in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=rf"^overlap must be at least 0 and less than 1, got {overlap}$"):
            windowed(pixelwise, (8, 8), overlap)
    with pytest.raises(ValueError, match=r"^patch_size and batch_size must be positive, got \(8, 0\) and 1$"):
        windowed(pixelwise, (8, 0), 0.5, 1)


@pytest.mark.gpu
def test_on_a_gpu_windows_give_the_same_without_waiting():
    batch = images(3, 1, 37, 50)
    there = batch.cuda()
    predict = windowed(mirrored(pixelwise, ("horizontal", "vertical")), (16, 12), 0.5, batch_size=4)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = predict(there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(found.cpu(), predict(batch), atol=1e-5, rtol=0)
