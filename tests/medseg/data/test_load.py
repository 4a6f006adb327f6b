import numpy as np
import pytest
from PIL import Image

from medseg.data import Case, load_image, load_label
from medseg.errors import DataError
from medseg.tasks import TASKS

ACDC, COVID = TASKS.load("acdc-multiclass"), TASKS.load("covid-lung")


def _case(image, label=None) -> Case:
    return Case("case", "patient", "", "", image, label or image)


def test_a_volume_comes_slices_first_with_its_spacing(write_nifti, tmp_path):
    stored = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    image, spacing_mm = load_image(_case(write_nifti(tmp_path / "a.nii.gz", stored)))
    assert (image.dtype, image.shape, spacing_mm) == (np.float32, (2, 3, 4), (8.0, 1.4, 1.5))
    assert image[1, 2, 3] == stored[3, 2, 1]


def test_labels_are_numbered_in_the_order_of_the_task(write_nifti, tmp_path):
    case = _case(write_nifti(tmp_path / "gt.nii.gz", np.array([0, 1, 2, 3], np.uint8).reshape(4, 1, 1)))
    assert load_label(case, ACDC).ravel().tolist() == [0, 1, 2, 3]
    assert load_label(case, TASKS.load("acdc-lv")).ravel().tolist() == [0, 0, 0, 1]
    swapped = ACDC.model_copy(update={"labels": {"LV": 3, "RV": 1}})
    assert load_label(case, swapped).ravel().tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize("value", [4, -1, 1.5])
def test_an_unknown_label_value_is_named(write_nifti, tmp_path, value):
    label = np.full((2, 2, 2), value, np.float32)
    with pytest.raises(DataError, match=rf"label values must be in \[0, 1, 2, 3\], found \[{value}"):
        load_label(_case(write_nifti(tmp_path / "gt.nii.gz", label)), ACDC)


def test_a_label_changed_since_indexing_is_refused(write_nifti, tmp_path):
    path = write_nifti(tmp_path / "gt.nii.gz", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(DataError, match=r"has shape \(4, 3, 2\), had \(4, 3, 3\) when it was indexed"):
        load_label(Case("c", "p", "", "", path, path, shape=(4, 3, 3)), ACDC)


def test_values_that_are_not_finite_are_refused(write_nifti, tmp_path):
    image = np.zeros((2, 2, 2), np.float32)
    image[0, 0, 0], image[1, 1, 1] = np.nan, np.inf
    with pytest.raises(DataError, match="holds 2 values that are not finite"):
        load_image(_case(write_nifti(tmp_path / "a.nii.gz", image)))


def test_a_truncated_volume_is_one_clear_line(write_nifti, tmp_path):
    noise = np.random.default_rng(0).integers(0, 999, (40, 40, 5), np.int16)
    path = write_nifti(tmp_path / "a.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"a\.nii\.gz: cannot be read \([^\n]*\)$"):
        load_image(_case(path))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1"])
def test_a_mask_counts_in_every_picture_mode(tmp_path, mode):
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3:7] = 255
    Image.fromarray(mask).convert(mode).save(tmp_path / "mask.png")
    label = load_label(_case(tmp_path / "mask.png"), COVID)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, mask // 255)


def test_any_channel_of_a_mask_counts_and_soft_edges_are_cut_at_half(tmp_path):
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[0, 0, 2], mask[1, 1], mask[2, 2] = 255, 127, 128
    Image.fromarray(mask).save(tmp_path / "mask.png")
    label = load_label(_case(tmp_path / "mask.png"), COVID)
    assert np.argwhere(label).tolist() == [[0, 0], [2, 2]]


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_an_xray_is_grey_whatever_its_mode(tmp_path, mode):
    grey = np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)
    picture = (
        Image.fromarray(grey.astype(np.uint16)) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    )
    picture.save(tmp_path / "x.png")
    image, spacing_mm = load_image(_case(tmp_path / "x.png"))
    assert spacing_mm == (1.0, 1.0)
    np.testing.assert_array_equal(image, grey)


def test_a_truncated_picture_is_one_clear_line(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"x\.png: cannot be read \([^\n]*\)$"):
        load_image(_case(path))
