import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medseg.data.geometry import Geometry, cubic, linear, place, resample
from medseg.tasks import TASKS

ACDC, COVID = TASKS.load("acdc-multiclass"), TASKS.load("covid-lung")


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("count", "size"), [(256, 97), (40, 40), (33, 64), (299, 256)])
def test_cubic_agrees_with_pillow_away_from_the_border(count, size):
    values = _noise(count, 3)
    ours = resample(values, 0, size, count / size, cubic)
    pillow = np.asarray(Image.fromarray(values).resize((3, size), Image.Resampling.BICUBIC))
    # Pillow drops what lies beyond the border, we repeat the border pixel.
    np.testing.assert_allclose(ours[4:-4], pillow[4:-4], atol=2e-5)


@pytest.mark.parametrize(("count", "size"), [(20, 47), (5, 64), (64, 64)])
def test_linear_agrees_with_torch_up_to_the_border(count, size):
    values = _noise(2, count)
    ours = resample(values, 1, size, count / size, linear)
    torchs = torch.nn.functional.interpolate(torch.from_numpy(values)[None], size, mode="linear")[0].numpy()
    np.testing.assert_allclose(ours, torchs, atol=1e-5)


@given(
    count=st.integers(1, 40),
    size=st.integers(1, 60),
    step=st.floats(0.2, 5.0),
    kernel=st.sampled_from([linear, cubic]),
)
def test_a_constant_stays_constant_within_the_field_of_view(count, size, step, kernel):
    out = resample(np.full((count, 2), 3.0, np.float32), 0, size, step, kernel)
    centre = (np.arange(size) - (size - 1) / 2) * step
    inside = np.abs(centre) <= count / 2
    np.testing.assert_allclose(out[inside], 3.0, rtol=1e-5)
    np.testing.assert_array_equal(out[np.abs(centre) > count / 2 + 1e-3], 0.0)


@given(count=st.integers(8, 40), size=st.integers(1, 30), step=st.floats(0.3, 1.0))
def test_a_ramp_tells_that_centres_lie_on_centres(count, size, step):
    ramp = np.arange(count, dtype=np.float32) - (count - 1) / 2
    where = (np.arange(size) - (size - 1) / 2) * step
    for kernel, margin in ((linear, 0.5), (cubic, 1.5)):
        out = resample(ramp, 0, size, step, kernel)
        inner = np.abs(where) < count / 2 - margin
        np.testing.assert_allclose(out[inner], where[inner], atol=1e-4)


def test_shrinking_does_not_alias():
    stripes = np.tile([1.0, -1.0], 64).astype(np.float32)
    for kernel in (linear, cubic):
        assert np.abs(resample(stripes, 0, 30, 128 / 30, kernel))[2:-2].max() < 0.05


def test_the_same_spacing_is_pure_crop_and_pad():
    geometry = Geometry((10, 7), (6, 11), (1.0, 1.0))
    planes = _noise(2, 10, 7)
    out = geometry.to_network(planes, cubic)
    expected = np.zeros((2, 6, 11), np.float32)
    expected[:, :, 2:9] = planes[:, 2:8]
    np.testing.assert_allclose(out, expected, atol=1e-6)
    back = geometry.to_native(out, outside=5.0)
    np.testing.assert_allclose(back[:, 2:8], planes[:, 2:8], atol=1e-5)
    np.testing.assert_array_equal(back[:, [0, 1, 8, 9]], 5.0)


def test_spacing_decides_the_step_and_slices_play_no_part():
    geometry = place(ACDC, (9, 200, 180), (10.0, 0.78125, 3.125))
    assert (geometry.native, geometry.network, geometry.step) == ((200, 180), (256, 224), (2.0, 0.5))


def test_without_a_spacing_the_image_fits_and_is_never_squashed():
    geometry = place(COVID, (128, 512), (1.0, 1.0))
    assert geometry.step == (2.0, 2.0)
    assert geometry.field() == (slice(0, 128), slice(0, 512))
    square = np.zeros((1, 128, 512), np.float32)
    square[:, 44:84, 200:240] = 1
    out = geometry.to_network(square, linear)[0] > 0.5
    assert (out.any(1).sum(), out.any(0).sum()) == (20, 20)


@pytest.mark.parametrize("native", [7, 8, 31])
@pytest.mark.parametrize("size", [4, 5, 64])
@pytest.mark.parametrize("step", [0.5, 1.0, 2.6])
def test_the_field_is_what_comes_back(native, size, step):
    geometry = Geometry((native, native), (size, size), (step, step))
    back = geometry.to_native(np.ones((1, size, size), np.float32), outside=0.0)[0]
    seen = np.zeros((native, native), bool)
    seen[geometry.field()] = True
    np.testing.assert_array_equal(back > 0, seen)


def test_an_image_of_another_size_than_its_label_covers_the_same_field():
    """A blob drawn at 299 and at 256 pixels must meet itself on the network's grid."""

    def blob(size: int) -> np.ndarray:
        v, u = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
        return np.exp(-((u - 0.3) ** 2 + (v - 0.62) ** 2) / 0.01).astype(np.float32)

    geometry = place(COVID.model_copy(update={"image_size": (64, 64)}), (256, 256), (1.0, 1.0))
    centres = []
    for planes, kernel in ((blob(299), cubic), (blob(256), linear)):
        out = geometry.to_network(planes[None], kernel)[0].astype(np.float64)
        rows, columns = np.indices(out.shape)
        centres.append(((out * rows).sum() / out.sum() + 0.5, (out * columns).sum() / out.sum() + 0.5))
    np.testing.assert_allclose(centres, [(0.62 * 64, 0.3 * 64)] * 2, atol=0.02)
