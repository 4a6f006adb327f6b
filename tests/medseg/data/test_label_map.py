import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from medseg.data.label_map import LabelMap, present, read_label_map
from medseg.data.raster import read_header, read_pixels, read_stored
from medseg.data.raster.header import Header
from medseg.errors import DataError

DTYPES = st.sampled_from([np.uint8, np.int16, np.int32, np.uint16, np.int64])


@given(hnp.arrays(DTYPES, (4, 5), elements=st.integers(0, 100)), st.integers(-3, 3))
def test_present_is_unique(values, shift):
    signed = values.dtype.kind == "i"
    values = values + values.dtype.type(shift if signed else 0)
    assert present(values) == np.unique(values).tolist()


@pytest.mark.parametrize("high", [1, 15, 16, 255, 70_000])
def test_present_of_few_and_many_values(high):
    values = np.array([0, high, high // 2, high], np.int32)
    assert present(values) == np.unique(values).tolist()
    assert present(np.full(3, high)) == [high]


def test_what_is_no_number_is_present_too():
    found = present(np.array([np.nan, 1.0, np.inf], np.float32))
    assert found[:2] == [1.0, np.inf]
    assert np.isnan(found[2])


@given(
    hnp.arrays(DTYPES, (4, 5), elements=st.integers(0, 9)),
    st.lists(st.integers(1, 300), min_size=1, max_size=5, unique=True),
)
def test_classes_are_numbered_in_the_order_given(values, labels):
    classes = LabelMap(Header((4, 5), (1.0, 1.0)), values).classes(labels)
    assert classes.dtype == np.uint8
    expected = np.zeros((4, 5), int)
    for index, label in enumerate(labels, start=1):
        expected[values == label] = index
    np.testing.assert_array_equal(classes, expected)


def test_more_classes_than_fit_are_refused():
    many = np.arange(300, dtype=np.uint16).reshape(20, 15)
    classes = LabelMap(Header((20, 15), (1.0, 1.0)), many).classes(range(1, 256))
    assert classes.max() == 255
    with pytest.raises(ValueError, match=r"^expected at most 255 labels, got 256$"):
        LabelMap(Header((20, 15), (1.0, 1.0)), many).classes(range(1, 257))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_values_come_in_the_files_own_type(write_nifti, tmp_path, dtype):
    stored = np.random.default_rng(0).integers(0, 4, (5, 4, 3)).astype(dtype)
    path = write_nifti(tmp_path / "a.nii.gz", stored)
    header, values = read_stored(path)
    assert values.dtype == dtype
    assert header == read_header(path)
    np.testing.assert_array_equal(values, read_pixels(path))
    np.testing.assert_array_equal(read_label_map(path).values, stored.T)


@pytest.mark.parametrize("ending", [".nrrd", ".png", ".tif", ".nii"])
def test_every_format_is_read_as_pixels_are(write_image, tmp_path, ending):
    stored = np.random.default_rng(0).integers(0, 4, (5, 4), np.uint8)
    path = write_image(tmp_path / f"a{ending}", stored)
    header, values = read_stored(path, indices=True)
    assert (values.dtype, header) == (np.uint8, read_header(path))
    np.testing.assert_array_equal(values, read_pixels(path, indices=True))


def test_a_scaling_factor_leaves_whole_numbers(tmp_path):
    values = np.arange(8, dtype=np.float64).reshape(2, 2, 2)
    volume = nibabel.Nifti1Image(values, np.eye(4))
    volume.set_data_dtype(np.int16)
    nibabel.save(volume, tmp_path / "a.nii.gz")
    assert not np.array_equal(nibabel.load(tmp_path / "a.nii.gz").get_fdata(), values)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.nii.gz").values, values.T)


def test_colours_are_no_labels(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png: has 3 channels that differ; a label needs one value per pixel$"
    ):
        read_label_map(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"b\.png: cannot be read: No such file or directory$"):
        read_label_map(tmp_path / "b.png")


@given(hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from([0, 1, 2, 90, 126, 127, 128, 129, 254, 255])))
def test_soft_masks_of_8_bits_are_cut_above_127(tmp_path_factory, values):
    """What masks were cut at when their scores were stored."""
    path = tmp_path_factory.getbasetemp() / "mask.png"
    Image.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0))).save(path)
    brightest = values.max(axis=0)
    expected = brightest > (127 if brightest.max() > 1 else 0)
    found = read_label_map(path, soft=True).values
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected * np.uint8(255))


@pytest.mark.parametrize(
    ("dtype", "stored", "white"),
    [
        (np.uint16, [0, 128, 32_767, 32_768, 65_535], [0, 0, 0, 1, 1]),
        (np.int32, [0, 128, 32_767, 32_768, 65_535], [0, 0, 0, 1, 1]),
        (np.int16, [-1, 128, 16_383, 16_384, 32_767], [0, 0, 0, 1, 1]),
        (np.uint16, [0, 1, 127, 128, 255], [0, 0, 0, 1, 1]),
        (np.uint16, [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]),
        (np.int16, [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
        (np.uint8, [0, 3, 9, 100, 127], [0, 0, 0, 0, 0]),
        (np.float32, [0, 0.1, 0.5, 0.51, 1], [0, 0, 0, 1, 1]),
        (np.float32, [0, 0.1, 0.2, 0.3, 1.0001], [0, 0, 0, 0, 1]),
        (np.float64, [0, 1, 127, 128, 255], [0, 0, 0, 1, 1]),
        (np.float64, [0, 1, 255, 32_768, 65_535], [0, 0, 0, 1, 1]),
    ],
)
def test_soft_masks_are_cut_at_half_of_their_white(write_nifti, tmp_path, dtype, stored, white):
    path = write_nifti(tmp_path / "a.nii", np.array(stored, dtype).reshape(5, 1, 1))
    assert (read_label_map(path, soft=True).values.ravel() // 255).tolist() == white


@pytest.mark.parametrize(
    ("dtype", "top", "whites"),
    [
        (np.uint16, 4095, "1, 255, 65535"),
        (np.uint16, 2, "1, 255, 65535"),
        (np.int32, 70_000, "1, 255, 65535, 2147483647"),
        (np.float32, 1.25, "1, 255, 65535"),
        (np.float32, 70_000, "1, 255, 65535"),
        (np.float32, np.nan, "1, 255, 65535"),
        (np.float32, np.inf, "1, 255, 65535"),
    ],
)
def test_a_mask_whose_white_nobody_can_tell_is_refused(write_nifti, tmp_path, dtype, top, whites):
    path = write_nifti(tmp_path / "a.nii", np.array([0, top], dtype).reshape(2, 1, 1))
    with pytest.raises(
        DataError,
        match=rf"a\.nii: is no mask in black and white: its largest value is {top:g}, not {whites}$",
    ):
        read_label_map(path, soft=True)


def test_a_picture_of_16_bits_is_cut_at_half(tmp_path):
    Image.fromarray(np.array([[0, 200], [30_000, 65_535]], np.uint16)).save(tmp_path / "a.png")
    assert read_label_map(tmp_path / "a.png", soft=True).values.tolist() == [[0, 0], [0, 255]]
