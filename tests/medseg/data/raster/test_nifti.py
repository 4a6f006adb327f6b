import io

import nibabel
import numpy as np
import pytest

from medseg.data.raster import read_header, read_pixels
from medseg.data.raster.header import Header
from medseg.errors import DataError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("stored", "shape", "channels"),
    [
        ((5, 4), (4, 5), 1),
        ((5, 4, 3), (3, 4, 5), 1),
        ((5, 4, 3, 2), (3, 4, 5), 2),
        ((5, 4, 3, 1), (3, 4, 5), 1),
    ],
)
def test_nifti_of_two_to_four_axes(write_nifti, tmp_path, ending, stored, shape, channels):
    values = RNG.integers(-9, 999, stored, np.int16)
    path = write_nifti(tmp_path / f"ä b{ending}", values, (1.5, 1.4, 8.0, 1.0))
    assert read_header(path) == Header(shape, (8.0, 1.4, 1.5)[-len(shape) :], channels, "RAS")
    pixels = read_pixels(path)
    assert (pixels.dtype, pixels.shape, pixels.flags.c_contiguous) == (np.float32, (channels, *shape), True)
    assert pixels[(-1,) * pixels.ndim] == values[(-1,) * values.ndim]
    assert pixels[(0,) * pixels.ndim] == values[(0,) * values.ndim]
    assert pixels[0, ..., 1, 2].ravel()[0] == values[2, 1].ravel()[0]


def test_nifti_2_and_scaled_values(tmp_path):
    volume = nibabel.Nifti2Image(
        np.arange(24, dtype=np.float64).reshape(4, 3, 2) / 4, np.diag([-2, -2, 3, 1])
    )
    nibabel.save(volume, tmp_path / "a.nii")
    assert read_header(tmp_path / "a.nii") == Header((2, 3, 4), (3.0, 2.0, 2.0), 1, "LPS")
    assert read_pixels(tmp_path / "a.nii").max() == 23 / 4
    volume = nibabel.Nifti1Image(np.full((2, 2, 2), 7, np.int16), np.eye(4))
    volume.header.set_slope_inter(2, -1)
    nibabel.save(volume, tmp_path / "b.nii.gz")
    assert read_pixels(tmp_path / "b.nii.gz").max() == pytest.approx(
        nibabel.load(tmp_path / "b.nii.gz").get_fdata().max()
    )


def test_units_other_than_millimetres_are_converted(tmp_path):
    volume = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.diag([500, 500, 2000, 1]))
    volume.header.set_xyzt_units("micron")
    nibabel.save(volume, tmp_path / "a.nii")
    assert read_header(tmp_path / "a.nii").spacing_mm == (2.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("unit", "size", "spacing"),
    [("micron", 0.1625, 0.0001625), ("micron", 162.5, 0.1625), ("meter", 0.00137, 1.37), ("mm", 0.7, 0.7)],
)
def test_lengths_in_32_bits_are_what_they_mean_in_any_unit(tmp_path, unit, size, spacing):
    volume = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.diag([size, size, size, 1]))
    volume.header.set_xyzt_units(unit)
    nibabel.save(volume, tmp_path / "a.nii")
    assert read_header(tmp_path / "a.nii").spacing_mm == (spacing,) * 3


def _raw_nifti(path, zooms=(1, 1, 1), affine=None, qform=0, magic=b"n+1"):
    header = nibabel.Nifti1Header()
    header.set_data_shape((2, 3, 4))
    header.set_data_dtype(np.uint8)
    header["vox_offset"], header["magic"] = 352, magic
    header["pixdim"][1:4], header["qform_code"] = zooms, qform
    if affine is not None:
        header["sform_code"] = 1
        header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3]
    path.write_bytes(header.binaryblock + bytes(4 + 24))
    return path


@pytest.mark.parametrize("affine", [None, np.zeros((4, 4)), np.diag([1.0, 1, 0, 1]), np.full((4, 4), np.nan)])
@pytest.mark.parametrize("qform", [0, 1])
@pytest.mark.parametrize("size", [0, np.nan, np.inf])
def test_voxel_sizes_that_are_none_and_singular_affines_do_no_harm(tmp_path, capfd, affine, qform, size):
    path = _raw_nifti(tmp_path / "a.nii", (size, 1.5, -2), affine, qform)
    assert read_header(path).spacing_mm == (2.0, 1.5, 0.0)
    assert len(read_header(path).orientation) in (0, 3)
    assert read_pixels(path).shape == (1, 4, 3, 2)
    assert capfd.readouterr() == ("", "")


def test_colours_and_complex_numbers_in_nifti_are_refused(tmp_path):
    colours = np.zeros((3, 3, 3), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for name, values in (("rgb", colours), ("complex", np.zeros((3, 3, 3), np.complex64))):
        path = tmp_path / f"{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
        for read in (read_header, read_pixels):
            with pytest.raises(
                DataError, match=r"^holds colours or complex values; expected one number per voxel$"
            ):
                read(path)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2, 2, 2)])
def test_nifti_of_other_axes_is_refused(tmp_path, shape):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"^must have two to four axes, has shape \([\d, ]+\)$"):
        read_header(tmp_path / "a.nii")


def test_a_wrong_magic_number_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"^is not a readable NIfTI file \(.*magic"):
        read_header(_raw_nifti(tmp_path / "a.nii", magic=b"xyz"))


def test_a_volume_without_voxels_is_refused(tmp_path):
    buffer = io.BytesIO()
    nibabel.Nifti1Image(np.zeros((2, 0, 2), np.uint8), np.eye(4)).to_stream(buffer)
    (tmp_path / "a.nii").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"^must have pixels, has shape \(2, 0, 2\)$"):
        read_header(tmp_path / "a.nii")
