import numpy as np
import pytest
import torch

from medseg.data.augment.apply import augment
from medseg.data.augment.config import AugmentConfig
from medseg.data.augment.draw import draw

BOTH = ("horizontal", "vertical")
# Every kind, each in half of the samples.
EVERYTHING = AugmentConfig.nnunet().model_copy(
    update={name: 0.5 for name in AugmentConfig.model_fields if name.endswith("_p")}
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def batch(count: int, channels: int, height: int, width: int, dtype=torch.uint8):
    source = torch.Generator().manual_seed(1)
    images = torch.randn(count, channels, height, width, generator=source)
    return images, torch.randint(0, 4, (count, height, width), generator=source).to(dtype)


def equal(first, second) -> bool:
    return torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_probabilities_of_zero_leave_the_batch_untouched():
    images, labels = batch(8, 2, 20, 24)
    assert equal(augment(images, labels, draw(AugmentConfig.off(), BOTH, 8, 2, rng())), (images, labels))


def test_strengths_at_their_identity_leave_the_batch_untouched():
    images, labels = batch(8, 2, 20, 24)
    identity = {"elastic": 0, "rotation_deg": 0, "scale_low": 1, "scale_high": 1, "noise": 0, "blur_px": 0}
    identity |= {"brightness": 0, "contrast": 0, "low_resolution": 1, "gamma_low": 1, "gamma_high": 1}
    still = AugmentConfig(flip=False, **identity).model_copy(
        update={name: 1.0 for name in AugmentConfig.model_fields if name.endswith("_p")}
    )
    assert equal(augment(images, labels, draw(still, BOTH, 8, 2, rng())), (images, labels))


def test_shapes_and_types():
    images, labels = batch(6, 3, 21, 34, torch.int64)
    moved, masks = augment(images, labels, draw(EVERYTHING, BOTH, 6, 3, rng()))
    assert (moved.shape, moved.dtype) == (images.shape, torch.float32)
    assert (masks.shape, masks.dtype) == (labels.shape, torch.int64)
    assert moved.is_contiguous()
    assert masks.is_contiguous()


@pytest.mark.parametrize("strengths", [EVERYTHING, AugmentConfig.off()])
def test_what_comes_in_stays_as_it_was_and_shares_no_memory(strengths):
    images, labels = batch(16, 1, 20, 24)
    before = images.clone(), labels.clone()
    moved, masks = augment(images, labels, draw(strengths, BOTH, 16, 1, rng()))
    moved.fill_(7)
    masks.fill_(7)
    assert equal((images, labels), before)


def test_half_precision_is_widened_before_anything_happens():
    images, labels = batch(16, 1, 20, 24)
    draws = draw(EVERYTHING, BOTH, 16, 1, rng())
    half = images.half()
    assert equal(augment(half, labels, draws), augment(half.float(), labels, draws))


def test_the_memory_format_makes_no_difference():
    images, labels = batch(16, 3, 20, 24)
    draws = draw(EVERYTHING, BOTH, 16, 3, rng())
    last = images.contiguous(memory_format=torch.channels_last)
    assert equal(augment(last, labels, draws), augment(images, labels, draws))


def test_the_same_seed_gives_the_same_bits_and_another_others():
    images, labels = batch(8, 1, 32, 32)
    first, again, other = (augment(images, labels, draw(EVERYTHING, BOTH, 8, 1, rng(s))) for s in (7, 7, 8))
    assert equal(first, again)
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])


def test_no_global_randomness_is_used():
    images, labels = batch(8, 1, 32, 32)
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    augment(images, labels, draw(EVERYTHING, BOTH, 8, 1, rng()))
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == legacy).all()  # noqa: NPY002


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 61, 53), (3, 32, 48), (1, 190, 211)])
@pytest.mark.parametrize("held", [8, 5, 1])
def test_a_sample_does_not_depend_on_which_process_holds_it(channels, height, width, held):
    images, labels = batch(16, channels, height, width)
    draws = draw(EVERYTHING, BOTH, 16, channels, rng(3))
    parts = []
    for start in range(0, 16, held):
        rows = slice(start, start + held)
        parts.append(augment(images[rows], labels[rows], draws.take(rows)))
    together = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
    assert equal(together, augment(images, labels, draws))


def test_the_number_of_threads_makes_no_difference():
    images, labels = batch(16, 1, 255, 223)
    draws = draw(EVERYTHING, BOTH, 16, 1, rng(3))
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(augment(images, labels, draws))
    finally:
        torch.set_num_threads(threads)
    assert equal(*results)


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_a_constant_image_stays_finite(value):
    draws = draw(EVERYTHING, BOTH, 32, 2, rng())
    moved, _ = augment(torch.full((32, 2, 16, 16), value), torch.zeros(32, 16, 16, dtype=torch.uint8), draws)
    assert torch.isfinite(moved).all()


@pytest.mark.parametrize("strengths", [AugmentConfig(), AugmentConfig.nnunet(), EVERYTHING])
def test_images_stay_finite_and_of_their_order_of_magnitude(strengths):
    images, labels = batch(32, 1, 48, 40)
    moved, _ = augment(images, labels, draw(strengths, BOTH, 32, 1, rng(5)))
    assert torch.isfinite(moved).all()
    assert moved.abs().max() < 3 * images.abs().max()


@pytest.mark.parametrize(
    ("images", "labels"),
    [((4, 1, 8, 8), (4, 8, 8)), ((5, 2, 8, 8), (5, 8, 8)), ((5, 1, 8, 8), (5, 8, 9)), ((5, 8, 8), (5, 8, 8))],
)
def test_shapes_that_do_not_fit_are_refused(images, labels):
    draws = draw(AugmentConfig(), BOTH, 5, 1, rng())
    with pytest.raises(ValueError, match=r"images must be \(5, 1, H, W\) and labels \(5, H, W\), got"):
        augment(torch.zeros(images), torch.zeros(labels), draws)


@pytest.mark.gpu
def test_a_gpu_does_the_same_and_the_host_never_waits():
    images, labels = (tensor.cuda() for tensor in batch(16, 2, 64, 48))
    draws = draw(EVERYTHING, BOTH, 16, 2, rng(3))
    augment(images, labels, draws)  # The noise bank is made at the first use.
    torch.cuda.set_sync_debug_mode("error")
    try:
        moved, masks = augment(images, labels, draws)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected, expected_masks = augment(images.cpu(), labels.cpu(), draws)
    torch.testing.assert_close(moved.cpu(), expected, rtol=1e-3, atol=1e-3)
    assert (masks.cpu() != expected_masks).float().mean() < 1e-3
