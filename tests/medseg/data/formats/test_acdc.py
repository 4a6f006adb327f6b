import gzip
import shutil

import numpy as np
import pytest

from medseg.data import index_dataset, resolve_root
from medseg.errors import DataError
from medseg.tasks import TASKS

TASK = TASKS.load("acdc-multiclass")


@pytest.mark.parametrize("given", [".", "database", ".."])
def test_the_layout_is_found_at_above_and_below_the_path_given(write_acdc, tmp_path, given):
    root = write_acdc(tmp_path / "acdc")
    found = resolve_root(TASK, {"acdc": root / given}, tmp_path / "cache")
    assert found.resolve() == root / "database"
    assert resolve_root(TASK, {"acdc": found}, tmp_path / "cache") == found


def test_cases_carry_patient_group_part_phase_shape_and_spacing(write_acdc, tmp_path):
    dataset = index_dataset(TASK, write_acdc(tmp_path / "a b ü"), tmp_path / "cache")
    assert [case.id for case in dataset.cases][:3] == [
        "patient001_frame01",
        "patient001_frame12",
        "patient002_frame01",
    ]
    case = dataset.case("patient004_frame12")
    assert (case.patient, case.subgroup, case.part, case.phase) == ("patient004", "NOR", "test", "ES")
    # Files store X, Y, Z; the slowest axis comes first here. The affine says 1 mm and is not believed.
    assert case.shape == (3, 10, 12)
    assert case.spacing_mm == (8.0, 1.4, 1.5)
    assert not any("_4d" in c.image.name for c in dataset.cases)


def test_frames_come_from_info_and_need_not_be_1(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    folder = root / "database" / "training" / "patient001"
    for tail in ("", "_gt"):
        (folder / f"patient001_frame01{tail}.nii.gz").rename(folder / f"patient001_frame04{tail}.nii.gz")
    (folder / "Info.cfg").write_text("ED: 4\nES: 12\nGroup: DCM\n")
    case = index_dataset(TASK, root, tmp_path / "cache").case("patient001_frame04")
    assert (case.phase, case.subgroup) == ("ED", "DCM")


def _unlink(folder):
    (folder / "patient001_frame12_gt.nii.gz").unlink()


def _alien(folder):
    (folder / "patient001_frame01.nii.gz").write_bytes(gzip.compress(b"no nifti " * 99))


def _not_gzip(folder):
    (folder / "patient001_frame01.nii.gz").write_bytes(b"<html>404</html>" * 50)


def _truncate(folder):
    path = folder / "patient001_frame01.nii.gz"
    path.write_bytes(path.read_bytes()[:40])


def _empty(folder):
    (folder / "patient001_frame01.nii.gz").write_bytes(b"")


def _folder(folder):
    path = folder / "patient001_frame01.nii.gz"
    path.unlink()
    path.mkdir()


def _no_info(folder):
    (folder / "Info.cfg").unlink()


def _bad_info(folder):
    (folder / "Info.cfg").write_text("ED: one\nGroup: NOR\n")


def _prose(folder):
    (folder / "Info.cfg").write_text("see the paper\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_unlink, r"training/patient001/patient001_frame12_gt\.nii\.gz: missing \(ES frame\)"),
        (_alien, r"patient001_frame01\.nii\.gz: is not a readable NIfTI file"),
        (_not_gzip, r"patient001_frame01\.nii\.gz: is not a readable NIfTI file"),
        (_truncate, r"patient001_frame01\.nii\.gz: is not a readable NIfTI file"),
        (_empty, r"patient001_frame01\.nii\.gz: is not a readable NIfTI file"),
        (_folder, r"patient001_frame01\.nii\.gz: is a folder"),
        (_no_info, r"training/patient001/Info\.cfg: missing"),
        (_bad_info, r"'ED' must be a frame number, is one; .*'ES' must be a frame number, is absent"),
        (_prose, r"line 1 must read 'key: value', is 'see the paper'"),
    ],
)
def test_a_spoilt_patient_is_named_in_one_line(write_acdc, tmp_path, spoil, message):
    root = write_acdc(tmp_path)
    spoil(root / "database" / "training" / "patient001")
    with pytest.raises(DataError, match=message) as caught:
        index_dataset(TASK, root, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_shape_spacing_and_dimensions_must_agree(write_acdc, write_nifti, tmp_path):
    root = write_acdc(tmp_path)
    folder = root / "database" / "training"
    write_nifti(folder / "patient001/patient001_frame01_gt.nii.gz", np.zeros((12, 11, 3), np.uint8))
    spacing = (1.5, 1.5, 8.0)
    write_nifti(folder / "patient002/patient002_frame01_gt.nii.gz", np.zeros((12, 10, 3), np.uint8), spacing)
    write_nifti(
        folder / "patient003/patient003_frame01.nii.gz", np.zeros((12, 10, 3, 2), np.int16), (1.5, 1.4, 8, 1)
    )
    with pytest.raises(DataError, match="3 problems") as caught:
        index_dataset(TASK, root, tmp_path / "cache")
    text = str(caught.value)
    assert "label has shape (3, 11, 12), its image (3, 10, 12)" in text
    assert "label has spacing (8.0, 1.5, 1.5) mm, its image (8.0, 1.4, 1.5) mm" in text
    assert "patient003_frame01.nii.gz: image has 2 channels (its fourth axis), the task declares 1" in text


def test_a_label_of_four_axes_is_refused(write_acdc, write_nifti, tmp_path):
    label = write_acdc(tmp_path) / "database/training/patient001/patient001_frame01_gt.nii.gz"
    write_nifti(label, np.zeros((12, 10, 3, 2), np.uint8), (1.5, 1.4, 8.0, 1.0))
    with pytest.raises(
        DataError, match=r"_gt\.nii\.gz: label must have one value per voxel, has a fourth axis of 2"
    ):
        index_dataset(TASK, tmp_path, tmp_path / "cache")


def test_of_many_problems_ten_are_shown_and_the_rest_counted(write_acdc, tmp_path):
    root = write_acdc(tmp_path, training=12)
    for path in (root / "database" / "training").glob("*/Info.cfg"):
        path.unlink()
    with pytest.raises(
        DataError, match=r"12 problems: .*; and 2 more \(bench data check lists all\)$"
    ) as caught:
        index_dataset(TASK, root, tmp_path / "cache")
    assert str(caught.value).count("Info.cfg: missing") == 10


def test_no_patients_is_an_error(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    for part in ("training", "testing"):
        shutil.rmtree(root / "database" / part)
        (root / "database" / part).mkdir()
    with pytest.raises(DataError, match="no case found"):
        index_dataset(TASK, root, tmp_path / "cache")


def test_folders_of_other_names_are_patients_if_they_hold_one_and_noted_if_not(write_acdc, tmp_path):
    root = write_acdc(tmp_path)
    (root / "database/training/notes").mkdir()
    (root / "database/training/patient001").rename(root / "database/training/pat_x")
    with pytest.raises(DataError, match=r"training/pat_x/pat_x_frame01\.nii\.gz: missing"):
        index_dataset(TASK, root, tmp_path / "cache")
    (root / "database/training/pat_x").rename(root / "database/training/patient001")
    dataset = index_dataset(TASK, root, tmp_path / "cache")
    assert dataset.notes == ("1 file or folder was left out, e.g. training/notes",)
