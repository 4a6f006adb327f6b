"""Bad input of every kind that is no layout's own affair: broken files, other axes, files of other shapes."""

import gzip
import os

import nrrd
import numpy as np
import pytest

from medseg.data import index_dataset, load_image, load_label, resolve_root
from medseg.errors import DataError


def _problems(task, root, cache) -> list[str]:
    with pytest.raises(DataError, match=r"\d problems?: ") as caught:
        index_dataset(task, root, cache)
    assert "\n" not in str(caught.value)
    return str(caught.value).split(": ", 2)[2].split("; ")


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_truncate, r"is not a readable NIfTI file \(.*\)"),
        (lambda path: path.write_bytes(b"<html>404</html>" * 99), "is not a readable NIfTI file"),
        (lambda path: path.write_bytes(gzip.compress(b"no nifti" * 99)), "is not a readable NIfTI file"),
        (lambda path: path.write_bytes(b""), r"is not a readable NIfTI file \(it is empty\)"),
        (_directory, "is a folder, not a NIfTI file"),
    ],
)
def test_a_spoilt_image_is_named_in_one_line(write_folder, make_task, tmp_path, spoil, message):
    root = write_folder(tmp_path / "ä b", ending=".nii.gz", shape=(40, 40, 5))
    spoil(root / "images" / "P1_2.nii.gz")
    with pytest.raises(DataError, match=rf"ä b: 1 problem: images/P1_2\.nii\.gz: {message}") as caught:
        index_dataset(make_task("folder"), root, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_shapes_and_axes_must_agree(write_folder, write_nifti, make_task, tmp_path):
    root = write_folder(tmp_path, ("a", "b", "c", "d"), ending=".nii.gz", shape=(12, 10, 3))
    fourth = (1.5, 1.4, 8.0, 1.0)
    write_nifti(root / "images/a.nii.gz", np.zeros((12, 10, 3, 5), np.int16), fourth)
    write_nifti(root / "masks/b.nii.gz", np.zeros((12, 11, 3), np.uint8))
    write_nifti(root / "masks/c.nii.gz", np.zeros((12, 10), np.uint8))
    write_nifti(root / "masks/d.nii.gz", np.zeros((12, 10, 3, 2), np.uint8), fourth)
    assert _problems(make_task("folder"), root, tmp_path / "cache") == [
        "images/a.nii.gz: image has 5 channels (its fourth axis), the task declares 1",
        "masks/b.nii.gz: label has shape (3, 11, 12), its image (3, 10, 12)",
        "masks/c.nii.gz: label has shape (10, 12), its image (3, 10, 12)",
        "masks/d.nii.gz: label must have one value per voxel, has a fourth axis of 2",
    ]


def test_voxels_without_size_need_one_from_the_task(write_folder, make_task, tmp_path):
    root = write_folder(tmp_path, ("a",), ending=".nrrd", shape=(12, 10, 3))
    for part in ("images", "masks"):
        values = np.random.default_rng(0).integers(0, 2, (12, 10, 3), np.uint8)
        nrrd.write(str(root / part / "a.nrrd"), values, {"spacings": [0, 1, 1]})
    assert _problems(make_task("folder", unit="mm"), root, tmp_path / "cache") == [
        "masks/a.nrrd: must have positive voxel sizes, has (1.0, 1.0, 0.0), give file_spacing_mm",
    ]
    task = make_task("folder", file_spacing_mm=(5.0, 1.0, 0.8))
    assert index_dataset(task, root, tmp_path / "cache").cases[0].spacing_mm == (5.0, 1.0, 0.8)


@pytest.mark.parametrize("layout", ["acdc", "covid", "nnunet", "decathlon", "folder"])
def test_reading_writes_nothing_into_the_data(layout, request, make_task, tmp_path):
    root = request.getfixturevalue(f"write_{layout}")(tmp_path / "root")
    labels = {"labels": {"lung": 255}} if layout == "covid" else {"background": (3,)}
    task = make_task("covid_radiography" if layout == "covid" else layout, **labels)

    def listing():
        return {path: os.stat(path).st_mtime_ns for path in (root, *root.rglob("*"))}

    before = listing()
    dataset = index_dataset(task, resolve_root(task, {"mine": root}, tmp_path), tmp_path / "cache")
    for case in dataset.cases:
        load_image(case, task), load_label(case, task, dataset.values)
    assert listing() == before
