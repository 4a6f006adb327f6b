import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

from medseg.data.augment import intensity as kinds
from medseg.data.augment.apply import augment
from medseg.data.augment.config import AugmentConfig
from medseg.data.augment.draw import draw
from medseg.data.augment.intensity import BANK_SIZE, noise_bank


def planes(count: int = 3, height: int = 40, width: int = 56) -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randn(count, height, width, generator=source).mul_(2).add_(1)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def applied(kind, *values, given: torch.Tensor | None = None) -> torch.Tensor:
    out = (planes() if given is None else given).clone()
    kind(out, *values)
    return out


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.mean((1, 2)), x.std((1, 2), correction=0)


def test_brightness_multiplies():
    out = applied(kinds.brighten, column(0.5, 1, 2))
    torch.testing.assert_close(out, planes() * torch.tensor([0.5, 1, 2])[:, None, None])


def test_contrast_scales_about_the_mean_and_keeps_the_range():
    before, out = planes(), applied(kinds.stretch, column(0.75, 1.0, 1.5))
    mean = before.mean((1, 2), keepdim=True)
    expected = (before - mean) * torch.tensor([0.75, 1.0, 1.5])[:, None, None] + mean
    expected = expected.clamp(before.amin((1, 2), keepdim=True), before.amax((1, 2), keepdim=True))
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    assert (out.amax((1, 2)) <= before.amax((1, 2))).all()
    assert (out.amin((1, 2)) >= before.amin((1, 2))).all()
    # At 1.5 something is clipped.
    assert int((out[2] == before[2].max()).sum()) > 1


@pytest.mark.parametrize("kind", [kinds.bend_gamma, kinds.bend_negative])
def test_gamma_keeps_mean_sd_and_order_but_not_the_shape_of_the_histogram(kind):
    before, out = planes(), applied(kind, column(0.7, 1.2, 1.5))
    for was, now in zip(moments(before), moments(out), strict=True):
        torch.testing.assert_close(now, was, atol=1e-3, rtol=1e-3)
    for old, new in zip(before.flatten(1), out.flatten(1), strict=True):
        assert (new[old.argsort()].diff() >= -1e-5).all()
    skews = [scipy.stats.skew(x.flatten().numpy()) for x in out]
    # An exponent above 1 stretches the bright end, below 1 the dark one; the other way round for the negative.
    sign = 1 if kind is kinds.bend_gamma else -1
    assert sign * skews[0] < -0.05
    assert 0.05 < sign * skews[1] < sign * skews[2]


def test_gamma_equals_its_definition():
    before, out = planes(), applied(kinds.bend_gamma, column(0.7, 1.2, 1.5))
    for was, now, exponent in zip(before.double(), out.double(), (0.7, 1.2, 1.5), strict=True):
        curve = ((was - was.min()) / (was.max() - was.min())) ** exponent
        curve = (curve - curve.mean()) / curve.std() * was.std() + was.mean()
        torch.testing.assert_close(now, curve, atol=1e-4, rtol=1e-4)


def test_gamma_survives_an_outlier():
    before = planes(1)
    before[0, 0, 0] = 1e4
    out = applied(kinds.bend_gamma, column(1.5), given=before)
    for was, now in zip(moments(before), moments(out), strict=True):
        torch.testing.assert_close(now, was, atol=0.01, rtol=0.01)


def test_the_negatives_gamma_is_the_gamma_of_the_negative():
    out = applied(kinds.bend_negative, column(0.7, 1.2, 1.5))
    torch.testing.assert_close(-out, applied(kinds.bend_gamma, column(0.7, 1.2, 1.5), given=-planes()))


def test_blur_is_scipys_along_each_axis():
    sd = np.array([[0.5, 1.0], [1.0, 0.5], [2.0, 3.0]], dtype=np.float32)
    out = applied(kinds.blur, sd)
    for was, now, (sd_x, sd_y) in zip(planes(), out, sd.tolist(), strict=True):
        radius = [int(np.ceil(3 * sd_y)), int(np.ceil(3 * sd_x))]
        expected = scipy.ndimage.gaussian_filter(was.numpy(), (sd_y, sd_x), mode="nearest", radius=radius)
        np.testing.assert_allclose(now.numpy(), expected, atol=1e-5)
    assert (out.diff(dim=2).square().mean((1, 2)) < 0.7 * planes().diff(dim=2).square().mean((1, 2))).all()


def test_blur_wider_than_the_image_is_fine():
    out = applied(kinds.blur, np.full((2, 2), 8, dtype=np.float32), given=planes(2, 5, 7))
    assert out.std() < 0.3 * planes(2, 5, 7).std()


def test_low_resolution_keeps_constants_and_loses_detail():
    out = applied(kinds.lower_resolution, column(1.0, 0.5, 0.25))
    torch.testing.assert_close(out[0], planes()[0])
    energy = out.diff(dim=1).square().mean((1, 2))
    assert energy[2] < 0.5 * energy[1] < 0.25 * energy[0]
    flat = torch.full((1, 40, 56), 3.0)
    torch.testing.assert_close(applied(kinds.lower_resolution, column(0.3), given=flat), flat)


def test_low_resolution_at_a_half_interpolates_every_other_pixel():
    steps = torch.arange(8.0).repeat(4, 1)[None]
    out = applied(kinds.lower_resolution, column(0.5), given=steps)[0, 0]
    # Columns 1, 3, 5 and 7 are kept, as if each were two wide.
    assert out.tolist() == [1.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.0]


def test_the_noise_bank_is_standard_normal_and_always_the_same():
    bank = noise_bank(BANK_SIZE, torch.device("cpu"))
    assert len(bank) == BANK_SIZE
    assert float(bank.mean()) == pytest.approx(0, abs=0.004)
    assert float(bank.std()) == pytest.approx(1, abs=0.004)
    assert scipy.stats.kstest(bank[::16].numpy(), "norm").pvalue > 0.001
    neighbours = np.corrcoef(bank[:-1].numpy(), bank[1:].numpy())[0, 1]
    assert abs(neighbours) < 0.005
    noise_bank.cache_clear()
    assert torch.equal(noise_bank(BANK_SIZE, torch.device("cpu")), bank)


def test_noise_has_its_sd_and_sign_and_differs_between_draws():
    out = applied(kinds.add_noise, np.array([[0.1, 0.1], [0.3, 0.8], [-0.3, 0.8]], np.float32)) - planes()
    torch.testing.assert_close(out.std((1, 2)), torch.tensor([0.1, 0.3, 0.3]), rtol=0.06, atol=0)
    assert (out.mean((1, 2)).abs() < 0.03).all()
    torch.testing.assert_close(out[1], -out[2], atol=1e-5, rtol=0)
    assert abs(np.corrcoef(out[0].flatten(), out[1].flatten())[0, 1]) < 0.1


@pytest.mark.parametrize("start", [0.0, 0.5, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_noise_fits_any_image_size(start):
    for height, width in ((3, 5), (700, 800)):
        big = torch.zeros(1, height, width)
        assert applied(kinds.add_noise, np.array([[1, start]], np.float32), given=big).all()


@pytest.mark.parametrize(
    "kind", ["noise", "blur", "brightness", "contrast", "low_resolution", "gamma", "gamma_inverted"]
)
def test_a_kind_changes_only_the_channels_that_it_is_switched_on_for(kind):
    config = AugmentConfig.nnunet().model_copy(
        update={name: 0.0 for name in AugmentConfig.model_fields if name.endswith("_p")}
    )
    config = config.model_copy(
        update={f"{kind}_p": 0.5, "blur_channel_p": 0.5, "low_resolution_channel_p": 0.5}
    )
    draws = draw(config, (), 24, 2, np.random.default_rng(0))
    images = planes(48).reshape(24, 2, 40, 56)
    labels = torch.ones(24, 40, 56, dtype=torch.uint8)
    out, masks = augment(images, labels, draws)
    values = getattr(draws, {"blur": "blur_px"}.get(kind, kind)).reshape(48, -1)
    identity = 0 if kind in ("noise", "blur") else 1
    on = torch.from_numpy((values != identity).any(1))
    changed = (out != images).flatten(0, 1).flatten(1).any(1)
    assert torch.equal(changed, on)
    assert 4 < int(on.sum()) < 44
    assert torch.equal(masks, labels)
