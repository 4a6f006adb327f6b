import numpy as np
import pytest
from PIL import Image

from medseg.data import Case, load_image, load_label
from medseg.errors import DataError
from medseg.tasks import TASKS

ACDC, COVID = TASKS.load("acdc-multiclass"), TASKS.load("covid-lung")


def _case(*images, label=None) -> Case:
    return Case("case", "patient", "", "", images, label or images[0])


def test_a_volume_comes_slices_first(write_nifti, tmp_path):
    stored = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    image = load_image(_case(write_nifti(tmp_path / "a.nii.gz", stored)), ACDC)
    assert (image.dtype, image.shape) == (np.float32, (1, 2, 3, 4))
    assert image[0, 1, 2, 3] == stored[3, 2, 1]


def test_channels_come_from_files_or_from_the_fourth_axis(write_nifti, make_task, tmp_path):
    task = make_task("nnunet", channels=2)
    stored = np.random.default_rng(0).integers(0, 99, (4, 3, 2, 2), np.int16)
    together = write_nifti(tmp_path / "a.nii.gz", stored, (1.5, 1.4, 8.0, 1.0))
    files = [write_nifti(tmp_path / f"a_{k}.nii.gz", stored[..., k]) for k in (0, 1)]
    image = load_image(_case(together), task)
    assert image.shape == (2, 2, 3, 4)
    np.testing.assert_array_equal(image, load_image(_case(*files), task))
    with pytest.raises(DataError, match=r"a_0\.nii\.gz: has 1 channel, the task declares 2$"):
        load_image(_case(files[0]), task)
    with pytest.raises(DataError, match=r"a\.nii\.gz: has 2 channels, the task declares 1$"):
        load_image(_case(together), ACDC)
    files[1] = write_nifti(tmp_path / "a_1.nii.gz", stored[:2, ..., 1])
    with pytest.raises(DataError, match="the channels of 'case' have different shapes"):
        load_image(_case(*files), task)


def test_colours_are_channels_or_luminance(make_task, tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png")
    image = load_image(_case(tmp_path / "x.png"), make_task("folder", channels=3))
    np.testing.assert_array_equal(image, colours.transpose(2, 0, 1))
    grey = load_image(_case(tmp_path / "x.png"), COVID)
    np.testing.assert_allclose(grey[0], colours @ [0.299, 0.587, 0.114], rtol=1e-6)


def test_labels_are_numbered_in_the_order_of_the_task(write_nifti, tmp_path):
    case = _case(write_nifti(tmp_path / "gt.nii.gz", np.array([0, 1, 2, 3], np.uint8).reshape(4, 1, 1)))
    assert load_label(case, ACDC).ravel().tolist() == [0, 1, 2, 3]
    declared = frozenset({0, 1, 2, 3})
    assert load_label(case, TASKS.load("acdc-lv"), declared).ravel().tolist() == [0, 0, 0, 1]
    swapped = ACDC.model_copy(update={"labels": {"LV": 3, "RV": 1}})
    assert load_label(case, swapped, declared).ravel().tolist() == [0, 2, 0, 1]
    known = swapped.model_copy(update={"background": (2,)})
    assert load_label(case, known).ravel().tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize("value", [4, -1, 1.5, np.nan, 255])
def test_an_unknown_label_value_is_named(write_nifti, tmp_path, value):
    label = np.full((2, 2, 2), value, np.float32)
    with pytest.raises(
        DataError,
        match=rf"gt\.nii\.gz: label values must be in \[0, 1, 2, 3\], found {value:g} \(the task has labels "
        r"{RV: 1, MYO: 2, LV: 3}; declare others under 'labels' or as 'background'\)$",
    ):
        load_label(_case(write_nifti(tmp_path / "gt.nii.gz", label)), ACDC)


def test_values_that_the_task_lacks_must_be_declared(write_nifti, tmp_path):
    case = _case(write_nifti(tmp_path / "gt.nii.gz", np.array([0, 1, 2, 3], np.uint8).reshape(4, 1, 1)))
    with pytest.raises(DataError, match=r"must be in \[0, 3\], found 1, 2 \(the task has labels {LV: 3}"):
        load_label(case, TASKS.load("acdc-lv"))


def test_a_label_changed_since_indexing_is_refused(write_nifti, tmp_path):
    path = write_nifti(tmp_path / "gt.nii.gz", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(DataError, match=r"has shape \(4, 3, 2\), had \(4, 3, 3\) when it was indexed"):
        load_label(Case("c", "p", "", "", (path,), path, shape=(4, 3, 3)), ACDC)


def test_values_that_are_not_finite_are_refused(write_nifti, tmp_path):
    image = np.zeros((2, 2, 2), np.float32)
    image[0, 0, 0], image[1, 1, 1] = np.nan, np.inf
    with pytest.raises(DataError, match=r"values must be finite, 2 of \d+ are NaN or infinite"):
        load_image(_case(write_nifti(tmp_path / "a.nii.gz", image)), ACDC)


def test_a_truncated_volume_is_one_clear_line(write_nifti, tmp_path):
    noise = np.random.default_rng(0).integers(0, 999, (40, 40, 5), np.int16)
    path = write_nifti(tmp_path / "a.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:3000])
    message = r"a\.nii\.gz: is not a readable NIfTI file \([^\n]*\)$"
    with pytest.raises(DataError, match=message):
        load_image(_case(path), ACDC)
    with pytest.raises(DataError, match=message):
        load_label(_case(path), ACDC)


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"a\.nii\.gz: cannot be read: No such file or directory$"):
        load_image(_case(tmp_path / "a.nii.gz"), ACDC)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "PA", "LA", "1"])
def test_a_lung_mask_counts_in_every_picture_mode(tmp_path, mode):
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 3:7] = 255
    path = tmp_path / ("mask.tif" if mode == "PA" else "mask.png")
    Image.fromarray(mask).convert(mode).save(path)
    label = load_label(_case(path), COVID)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, mask // 255)


def test_a_lung_mask_of_two_palette_entries_counts_by_its_colours(tmp_path):
    picture = Image.fromarray(np.eye(4, dtype=np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(load_label(_case(tmp_path / "mask.png"), COVID), np.eye(4))


def test_any_channel_of_a_lung_mask_counts_and_soft_edges_are_cut_at_half(tmp_path):
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[0, 0, 2], mask[1, 1], mask[2, 2] = 255, 127, 128
    Image.fromarray(mask).save(tmp_path / "mask.png")
    label = load_label(_case(tmp_path / "mask.png"), COVID)
    assert np.argwhere(label).tolist() == [[0, 0], [2, 2]]


def test_masks_of_ones_own_are_0_and_255_or_three_equal_channels(make_task, tmp_path):
    task = make_task("folder", labels={"nodule": 255})
    mask = np.eye(4, dtype=np.uint8) * 255
    for number, picture in enumerate((mask, np.stack([mask] * 3, axis=-1), mask > 0)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture).save(path)
        np.testing.assert_array_equal(load_label(_case(path), task), np.eye(4))
    with pytest.raises(
        DataError, match=r"0\.png: label values must be in \[0, 1\], found 255 \(the task has "
    ):
        load_label(_case(tmp_path / "0.png"), make_task("folder", labels={"nodule": 1}))


def test_a_palette_mask_holds_indices_and_colour_codes_are_refused(make_task, tmp_path):
    indices = np.array([[0, 1], [2, 0]], np.uint8)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 0, 200])
    picture.save(tmp_path / "mask.png")
    task = make_task("folder")
    np.testing.assert_array_equal(load_label(_case(tmp_path / "mask.png"), task), indices)
    picture.convert("RGB").save(tmp_path / "colours.png")
    with pytest.raises(DataError, match=r"colours\.png: has 3 channels that differ; a label needs one value"):
        load_label(_case(tmp_path / "colours.png"), task)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16"])
def test_an_xray_is_grey_whatever_its_mode(tmp_path, mode):
    grey = np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)
    picture = (
        Image.fromarray(grey.astype(np.uint16)) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    )
    picture.save(tmp_path / "x.png")
    np.testing.assert_array_equal(load_image(_case(tmp_path / "x.png"), COVID), grey[None])


def test_a_truncated_picture_is_one_clear_line(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"x\.png: is not a readable picture \([^\n]*\)$"):
        load_image(_case(path), COVID)
